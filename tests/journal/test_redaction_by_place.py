"""Where secrets stand: query parameters, headers, URLs, members of any type, torn bodies, and what repeats them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.journal import redaction
from mockserver.journal.redaction import REDACTED

SECRET = "correct-horse-battery"
SCHEMA = {"type": "object", "properties": {"authorization": {"type": "string"}, "password": {"type": "string"}}}


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *(
            (name, True)
            for name in ("key", "sig", "X-Session-Id", "Set-Cookie", "client_secret", "proxy-authorization")
        ),
        *((name, True) for name in ("x-auth", "X-Amz-Signature", "x_api_key", "AccessToken", "user-password")),
        *((name, False) for name in ("keys", "author", "x-authors", "signal", "openai-organization", "limit")),
    ],
)
def test_names_of_secrets(name: str, secret: bool) -> None:
    assert redaction.is_secret_name(name) is secret


def test_a_query() -> None:
    sent = [("limit", "5"), ("api_key", "abc"), ("after", "sk-abcdefgh12"), ("note", "a b")]
    shown = "limit=5&api_key=%3Credacted%3E&after=%3Credacted%3E&note=a+b"
    assert redaction.query(sent) == shown
    assert redaction.query([]) == ""


def test_the_credentials_of_headers() -> None:
    """Without their scheme, and only those that are long enough to be searched for."""
    sent = {
        b"authorization": b"Bearer  long-enough-key",
        b"sec-websocket-protocol": b"realtime, openai-insecure-api-key.key-of-a-socket, openai-insecure-api-key.no",
        b"x-api-key": b" another-long-key ",
        b"cookie": b"short",
        b"content-type": b"application/json",
    }
    assert redaction.headers(sent).secrets == ("long-enough-key", "key-of-a-socket", "another-long-key")
    assert redaction.headers({b"authorization": b"Bearer"}).secrets == ()


# --- URLs ------------------------------------------------------------------------------------------------------------


def test_the_user_and_password_of_a_url() -> None:
    text, secrets = redaction.clean_text('{"url": "https://somebody:pass%40word1@a.example/x"}')
    assert text == f'{{"url": "https://{REDACTED}@a.example/x"}}'
    assert {"somebody:pass%40word1", "somebody", "pass%40word1", "pass@word1"} <= set(secrets)


@pytest.mark.parametrize("url", ["https://somebody:secr", "https:\\/\\/somebody:secr"])
def test_a_url_that_is_torn_before_its_host_is_known(url: str) -> None:
    text, _ = redaction.clean_text(f'{{"url": "{url}')
    assert text == f'{{"url": "{url.removesuffix("somebody:secr")}{REDACTED}'


def test_a_url_whose_host_is_known_stays() -> None:
    assert redaction.clean_text('{"url": "https://a.example/x')[0] == '{"url": "https://a.example/x'


# --- members ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["api_key", "access-token", "refresh_token", "client_secret", "password", "API-KEY"])
def test_members_that_hold_texts(name: str) -> None:
    text, secrets = redaction.clean_text(json.dumps({name: SECRET, "x": 1}))
    assert json.loads(text) == {name: REDACTED, "x": 1} and secrets == [SECRET]


@pytest.mark.parametrize("value", [1, [SECRET], {"a": SECRET}, None, ""])
def test_a_password_that_is_no_text_is_none(value: Any) -> None:
    written = json.dumps({"password": value})
    assert redaction.clean_text(written) == (written, [])


@pytest.mark.parametrize(
    "value",
    [1234567890, {"scheme": {"of": [SECRET]}}, [[SECRET], "]"], [{"a}": SECRET}], {"type": SECRET}, {"type": []}],
)
def test_an_authorization_of_any_type(value: Any) -> None:
    text, _ = redaction.clean_text(json.dumps({"authorization": value, "x": 1}))
    assert json.loads(text) == {"authorization": REDACTED, "x": 1}


@pytest.mark.parametrize("value", [None, True, False, "", {}, []])
def test_an_authorization_that_holds_nothing(value: Any) -> None:
    written = json.dumps({"authorization": value})
    assert redaction.clean_text(written) == (written, [])


def test_the_secrets_of_a_value() -> None:
    """A credential also without its scheme, a value without texts itself; names of members are none."""
    assert redaction.clean_text(f'{{"authorization": "Token {SECRET}"}}')[1] == [f"Token {SECRET}", SECRET]
    assert redaction.clean_text('{"authorization": 1234567890}')[1] == ["1234567890"]
    assert redaction.clean_text(json.dumps({"authorization": {"a-long-name": SECRET}}))[1] == [SECRET]
    assert redaction.clean_text('{"authorization": "a\\"quoted-one"}')[1] == ['a"quoted-one', 'a\\"quoted-one']


def test_what_is_longer_than_any_credential_is_not_searched_for() -> None:
    longest = "x" * redaction.LONGEST
    assert redaction.clean_text(json.dumps({"authorization": longest}))[1] == [longest]
    text, secrets = redaction.clean_text(json.dumps({"authorization": longest + "x"}))
    assert json.loads(text) == {"authorization": REDACTED} and secrets == []


def test_a_schema_may_describe_a_parameter_of_that_name() -> None:
    for kind in ("string", ["string", "null"]):
        written = json.dumps({"parameters": {"properties": {"authorization": {"type": kind}}}})
        assert redaction.clean_text(written) == (written, [])
    written = json.dumps({"parameters": {"properties": {"authorization": SCHEMA}}})
    assert redaction.clean_text(written) == (written, [])


def test_a_secret_inside_of_a_schema_goes() -> None:
    sent = {"authorization": {"type": "string"}, "tools": [{"authorization": SECRET}]}
    text, secrets = redaction.clean_text(json.dumps(sent))
    assert json.loads(text) == {**sent, "tools": [{"authorization": REDACTED}]} and secrets == [SECRET]


def test_headers_are_secret_in_tools_of_mcp_only() -> None:
    written = json.dumps({"headers": {"x-note": "any long text"}})
    assert redaction.clean_text(written) == (written, [])
    sent = {"server_url": "https://a.example", "headers": {"x-note": SECRET, "accept": "text/anything"}}
    text, secrets = redaction.clean_text(json.dumps(sent))
    assert json.loads(text) == {**sent, "headers": {"x-note": REDACTED, "accept": REDACTED}}
    assert secrets == [SECRET, "text/anything"]


@pytest.mark.parametrize("torn", [f'"{SECRET}', f'{{"a": "{SECRET}', f'["{SECRET}"', f"{SECRET}", f'"{SECRET}\\'])
def test_a_value_that_does_not_end_goes_to_the_end(torn: str) -> None:
    assert redaction.clean_text(f'{{"x": 1, "authorization": {torn}')[0] == f'{{"x": 1, "authorization": "{REDACTED}"'


def test_a_value_that_does_not_begin() -> None:
    for torn in ('{"authorization": ', '{"authorization":'):
        assert redaction.clean_text(torn) == (torn, [])


def test_single_quotes() -> None:
    text, secrets = redaction.clean_text(f"{{'authorization': '{SECRET}', 'x': 1}}")
    assert text == f"{{'authorization': \"{REDACTED}\", 'x': 1}}" and secrets == [SECRET]


def test_names_and_keys_that_are_hidden_in_escapes() -> None:
    text, secrets = redaction.clean_text(f'{{"\\u0061uthorization": "{SECRET}"}}')
    assert json.loads(text) == {"authorization": REDACTED} and secrets == [SECRET]
    assert json.loads(redaction.clean_text('{"x": "\\u0073k-abcdefgh12"}')[0]) == {"x": REDACTED}
    harmless = '{"x": "\\u0061 \\u0022 \\\\u0061"}'
    assert redaction.clean_text(harmless) == (harmless, [])
    quoted = f'{{"x": "\\u0022", "\\u0061uthorization": "{SECRET}"}}'
    assert json.loads(redaction.clean_text(quoted)[0]) == {"x": '"', "authorization": REDACTED}


# --- documents -------------------------------------------------------------------------------------------------------


def test_secrets_beyond_what_is_kept() -> None:
    early, late = "an-early-secret", "a-late-secret"
    tool = {"headers": {"a": late}, "server_label": "x"}
    sent = json.dumps({"authorization": early, "tools": [tool, {"authorization": SECRET}, {"authorization": "short"}]})
    found = redaction.secrets_beyond(sent.encode(), sent.index("tools"))
    assert {SECRET, late} <= set(found) and early not in found and "short" not in found
    assert redaction.secrets_beyond(sent.encode(), len(sent)) == []


def test_values_are_redacted_and_their_secrets_noted() -> None:
    secrets: list[str] = []
    assert redaction.redact_noting(None, secrets) is None
    harmless = {"a": [1, "b"]}
    assert redaction.redact_noting(harmless, secrets) is harmless and secrets == []
    assert redaction.redact_noting({"authorization": SECRET}, secrets) == {"authorization": REDACTED}
    assert secrets == [SECRET]


def test_a_value_that_cannot_be_written_is_not_shown() -> None:
    deep: list[Any] = []
    for _ in range(2000):
        deep = [deep]
    assert redaction.redact(deep) == redaction.redact({1, 2}) == "<unreadable>"


def test_a_secret_is_scrubbed_in_each_form_that_it_is_written_in() -> None:
    secret = 'grüße "x" & more'
    once = json.dumps({"a": secret})
    forms = {
        "plain": json.dumps({"a": secret}, ensure_ascii=False),
        "ascii": once,
        "twice": json.dumps({"inner": once}),
        "url": "q=gr%C3%BC%C3%9Fe+%22x%22+%26+more",
    }
    for form in forms.values():
        shown = redaction.scrub(form.encode(), [secret]).decode()
        assert REDACTED in shown and "more" not in shown, form


def test_a_document_without_secrets_stays() -> None:
    document = b'{"a": "nothing"}'
    assert redaction.scrub(document, []) is document
    assert redaction.scrub(b'{"a": "<redacted>"}', [REDACTED]) == b'{"a": "<redacted>"}'
    assert redaction.scrub(b'{"a": "Bearer abcdefgh12"}', []) == b'{"a": "Bearer <redacted>"}'


def test_late_headers_are_searched_for_whatever_stands_before_them() -> None:
    sent = b'{"type":"mcp","server_label":"x","headers":{"a":"a-late-secret"}}'
    assert redaction.secrets_beyond(sent, 0) == ["a-late-secret"]
