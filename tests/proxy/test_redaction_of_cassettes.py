"""What is written of requests and answers: no secret, each with its own mark, and nothing else changed."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mockserver.config.settings import SettingError
from proxy.cassettes.redaction import NONE, Redactor, Secrets, mark
from tests.support.examples import examples

KEY = "sk-abcdefgh12345678"
MARK = re.compile(r"<redacted:[0-9a-f]{6}>")


def test_a_mark_tells_secrets_apart_and_is_its_own() -> None:
    assert MARK.fullmatch(mark(KEY)) and mark(KEY) == mark(KEY) != mark(KEY + "0")
    assert mark(mark(KEY)) == mark(KEY)
    assert MARK.fullmatch(mark("\ud800"))


def test_secrets_of_a_request_are_its_key_and_those_of_its_servers() -> None:
    """Spec: F5."""
    redactor = Redactor()
    assert redactor.secrets_of(None, b'{"input":"Hi"}') is NONE
    assert redactor.secrets_of(f"Bearer {KEY}", b"") == Secrets((KEY,))
    assert redactor.secrets_of("token-without-scheme", b"").values == ("token-without-scheme",)
    tool = {"type": "mcp", "server_label": "x", "authorization": "mcp-token-0123456789-and-more"}
    found = redactor.secrets_of(f"Bearer {KEY}", json.dumps({"tools": [tool]}).encode())
    assert found.values == (tool["authorization"], KEY)  # the longest first


def test_a_short_key_or_a_mark_is_not_looked_for() -> None:
    """It would be found in every second word; and a mark is no secret any more."""
    assert Redactor().secrets_of("Bearer x", b"").values == ()
    assert Redactor().secrets_of(f"Bearer {mark(KEY)}", b"").values == ()


@pytest.mark.parametrize("data", [b'{"input":"Hi"}', b"", 'data: {"é": 1}\n\n'.encode()])
def test_bytes_without_secrets_are_the_same_object(data: bytes) -> None:
    assert Redactor().redact_bytes(data, Secrets((KEY,))) is data
    # it looks suspicious, and is not
    suspicious = data + b" What is a password? a@b: c"
    assert Redactor().redact_bytes(suspicious) is suspicious


# what looks like a secret in small and large letters, between others of which some grow when they are made small
_PARTS = [
    *(
        KEY,
        "SK-ABCDEFGH12345678",
        "s\u212a-abcdefgh12345678",
        "Bearer abcdef123456",
        "Basic YWJjOmRlZg12",
        "mine-01234",
    ),
    *(
        "https://Me:Pass1word@host.test/",
        "https://host.test/?API_Key=hidden123",
        "OpenAI-Insecure-API-Key.kkkkkkkkkkkk",
    ),
    *(
        '{"Authorization":"abcdefgh1"}',
        '{"client_\u017fecret":"abcdefgh1"}',
        '{"Password": "abcdefgh1"}',
        '{"headers":{"a":"bcde"}}',
    ),
    *("\u0130", "\u03a3", "\u1e9e", "\u00df", " ", "a", "@", "é", "😀", "\n", '"', "\x7f", "\\u0073k-abcdefgh12345678"),
]


@examples(300)
@given(parts=st.lists(st.sampled_from(_PARTS), max_size=5), upper=st.booleans())
@example(parts=["\u03a3", "mine-01234"], upper=True)
def test_a_text_that_is_called_clean_stays_as_it_is(parts: list[str], upper: bool) -> None:
    """Also where the quick look takes another way for a stream than for a body."""
    redactor, secrets = Redactor(), Secrets(("mine-01234",))
    text = "".join(parts)
    text = text.upper() if upper else text
    if redactor.is_clean_text(text, secrets) or redactor.is_clean(text.encode(), secrets):
        assert redactor.redact_text(text, secrets) == text


def test_bytes_that_are_no_text_are_left() -> None:
    data = b"\xff" + KEY.encode()
    assert Redactor().redact_bytes(data, Secrets((KEY,))) is data


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"my key is {KEY}.", f"my key is {mark(KEY)}."),
        ("https://me:pass1word@host.test/", f"https://{mark('me:pass1word')}@host.test/"),
        ("https://host.test/?a=1&api_key=hidden123#x", f"https://host.test/?a=1&api_key={mark('hidden123')}#x"),
        (f"openai-insecure-api-key.{'k' * 12}, realtime", f"openai-insecure-api-key.{mark('k' * 12)}, realtime"),
        ("got Bearer abcdef123456", f"got Bearer {mark('abcdef123456')}"),
        ("got Basic  YWJjOmRlZg1=", f"got Basic {mark('YWJjOmRlZg1=')}"),
        ("Bearer of news, a = b, x@y", "Bearer of news, a = b, x@y"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_wherever_it_stands(text: str, clean: str) -> None:
    assert Redactor().redact_text(text) == clean
    assert Redactor().redact_bytes(text.encode()) == clean.encode()
    assert Redactor().redact_text(clean) == clean  # once more changes nothing


def test_places_that_hold_secrets_are_hidden_with_marks_of_their_own() -> None:
    one, other = "first-token-0123", "second-token-0123"
    tools = [{"type": "mcp", "server_label": "x", "authorization": token} for token in (one, other)]
    clean = json.loads(Redactor().redact_text(json.dumps({"tools": tools, "again": one})))
    assert [tool["authorization"] for tool in clean["tools"]] == [mark(one), mark(other)]
    assert clean["again"] == mark(one)


def test_a_secret_too_short_to_be_looked_for_is_hidden_in_its_place() -> None:
    body = {"tools": [{"type": "mcp", "authorization": "abc"}], "input": "abc"}
    clean = json.loads(Redactor().redact_text(json.dumps(body)))
    assert clean == {"tools": [{"type": "mcp", "authorization": "<redacted>"}], "input": "abc"}


@pytest.mark.parametrize("secret", ["plain-token-0123", 'quo"ted\\token-0123', "tökén-with-accents-0123"])
def test_a_secret_of_the_request_is_hidden_in_its_answer_however_it_is_written(secret: str) -> None:
    secrets = Secrets((secret,))
    for text in (secret, json.dumps({"e": secret}), json.dumps({"e": secret}, ensure_ascii=False)):
        clean = Redactor().redact_bytes(f"no: {text}!".encode(), secrets).decode()
        assert MARK.findall(clean) == [mark(secret)]
        assert clean in (f"no: {mark(secret)}!", f'no: {{"e": "{mark(secret)}"}}!')


def test_patterns_of_the_user() -> None:
    """The first group is the secret; without one, or where it has found nothing, all that was found."""
    redactor = Redactor([r"case-(\d+)", r"name\w+", "(?:x(y)?)z", "q*"])
    assert redactor.redact_text("case-17 is nameAda") == f"case-{mark('17')} is {mark('nameAda')}"
    assert redactor.redact_bytes(b"xyz, xz") == f"x{mark('y')}z, {mark('xz')}".encode()
    assert redactor.redact_bytes(b"nothing here") == b"nothing here"


def test_a_bad_pattern_is_refused() -> None:
    with pytest.raises(SettingError, match=r"--redact '\(' is no regular expression"):
        Redactor(["("])


def test_a_query_hides_parameters_that_are_named_like_secrets() -> None:
    redactor = Redactor(["Ada"])
    assert redactor.redact_query("") == ""
    assert redactor.redact_query("limit=2&order=asc") == "limit=2&order=asc"
    query = f"my_token=abc&limit=2&Signature=def&empty_key=&who=Ada&k={KEY}"
    marked = f"my_token={mark('abc')}&limit=2&Signature={mark('def')}&empty_key=&who={mark('Ada')}&k={mark(KEY)}"
    assert redactor.redact_query(query) == marked


def test_headers_of_a_request_are_kept_by_name_and_once() -> None:
    sent = [
        (b"Accept", b"text/plain"),
        (b"accept", b"second"),
        (b"cookie", b"secret"),
        (b"authorization", b"Bearer x"),
        (b"idempotency-key", KEY.encode()),
    ]
    assert Redactor().request_headers(sent) == (("accept", "text/plain"), ("idempotency-key", mark(KEY)))


def test_headers_of_an_answer_lose_accounts_connections_and_secrets() -> None:
    plain = [(b"Content-Type", b"text/plain"), (b"x-odd", b"\xe9")]
    gone = [(b"Set-Cookie", b"a"), (b"openai-organization", b"me"), (b"Content-Length", b"3"), (b"date", b"now")]
    kept = (("Content-Type", "text/plain"), ("x-odd", "é"))
    assert Redactor().response_headers([*gone, *plain], NONE) == kept
    echo = (b"x-echo", b"key my-own-token-01")
    marked = ("x-echo", f"key {mark('my-own-token-01')}")
    assert Redactor().response_headers([*plain, echo], Secrets(("my-own-token-01",))) == (*kept, marked)
    assert Redactor(["my-own[-a-z0-9]+"]).response_headers([*plain, echo], NONE) == (*kept, marked)
