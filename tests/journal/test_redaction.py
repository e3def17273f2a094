"""Keys and passwords are taken out of all that is kept, and nothing else is."""

from __future__ import annotations

import hashlib
import json

import pytest

from mockserver.journal import redaction
from mockserver.journal.exchange import LONGEST, keep_body
from mockserver.journal.redaction import REDACTED

TOKEN = "ya29.a-token-of-somebody"
MCP = {"type": "mcp", "server_label": "x", "server_url": "https://a.b/c", "authorization": TOKEN}


def test_headers() -> None:
    sent = {
        b"authorization": b"Bearer sk-test",
        b"cookie": b"a=b",
        b"x-api-key": b"1",
        b"x-goog-access-token": b"2",
        b"content-type": b"application/json",
        b"x-note": b"my key is sk-proj-abcdefgh1234",
    }
    shown = json.loads(redaction.headers(sent).written)
    assert [name for name, text in shown.items() if text == REDACTED] == [
        "authorization",
        "cookie",
        "x-api-key",
        "x-goog-access-token",
    ]
    assert shown["content-type"] == "application/json" and shown["x-note"] == f"my key is {REDACTED}"


@pytest.mark.parametrize("size", [100, 60_000])
def test_of_headers_only_short_ones_are_remembered(size: int) -> None:
    redaction._known_headers.clear()
    sent = {b"authorization": b"Bearer " + b"k" * size, b"x-note": b"n" * size}
    written, secrets, has_signs = redaction.headers(sent)
    assert json.loads(written) == {"authorization": REDACTED, "x-note": "n" * size}
    assert (secrets, has_signs) == (("k" * size,), False)
    assert len(redaction._known_headers) == (size == 100)


def test_of_headers_only_so_many_are_remembered() -> None:
    for number in range(redaction._MOST + 2):
        assert redaction.headers({b"x-note": b"%d" % number}).written == b'{"x-note":"%d"}' % number
        assert len(redaction._known_headers) <= redaction._MOST


@pytest.mark.parametrize("sent", [b"", b"{", b'{"input" :\t"caf\xc3\xa9"}', b'{"authorization_of": 1}', b"\xff"])
def test_a_body_without_secrets_stays_as_it_is(sent: bytes) -> None:
    assert redaction.body(sent) == (sent.decode(errors="replace"), [])


@pytest.mark.parametrize(
    "written",
    [
        json.dumps({"tools": [MCP], "input": "a  b"}),
        json.dumps({"tools": [MCP]}, indent=3),
        json.dumps({"tools": [{**MCP, "authorization": 'pä"ss\\word'}]}),
        json.dumps({"tools": [{**MCP, "authorization": 'pä"ss\\word'}]}, ensure_ascii=False),
        json.dumps({"tools": [{**MCP, "authorization": "short"}]}),
        json.dumps({"tools": [{**MCP, "headers": {"X-Auth": "header-secret", "Accept": "*/*"}}]}),
        json.dumps({"tools": [MCP]}).replace("ya29", "\\u0079a29"),
    ],
)
def test_secrets_of_mcp_servers(written: str) -> None:
    text, _ = redaction.body(written.encode())
    shown = json.loads(text)
    assert shown["tools"][0]["authorization"] == REDACTED
    assert set(shown["tools"][0].get("headers", {}).values()) <= {REDACTED}
    wanted = redaction.redact(json.loads(written))
    assert shown == wanted
    for secret in (TOKEN, "header-secret", "pä", "short"):
        assert secret not in text


def test_a_redacted_body_is_otherwise_as_it_was_sent() -> None:
    text, secrets = redaction.body(f'{{"x":1 ,  "authorization": "{TOKEN}"}}'.encode())
    assert text == f'{{"x":1 ,  "authorization": "{REDACTED}"}}' and secrets == [TOKEN]


def test_what_looks_like_a_key_goes_even_from_broken_json() -> None:
    text, _ = redaction.body(b'{"authorization": "abc", "x": "sk-svcacct-1234567890"')
    assert text == f'{{"authorization": "{REDACTED}", "x": "{REDACTED}"'
    assert redaction.body(b"a task-force of sk-ills")[0] == "a task-force of sk-ills"


def test_a_long_body_is_cut_with_a_mark() -> None:
    sent = b"x" * 300_000
    text = "".join(keep_body(sent))
    digest = hashlib.sha256(sent).hexdigest()
    assert text == "x" * LONGEST + f"… [cut, 300000 bytes in all, sha256 {digest}]"


def test_documents_are_scrubbed_wherever_a_secret_stands() -> None:
    assert redaction.scrub(b'{"a": "sk-abcdefghijk", "b": "12345678"}', ["12345678"]) == (
        b'{"a": "<redacted>", "b": "<redacted>"}'
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("resp_0a9af187f4078000006b0dac23c3ac819b85546e979e48600a", None),
        ("gpt-4.1-2025-04-14", None),
        ("sk-abcdefghijk", REDACTED),
        ("a.sk-abcdefghijk", f"a.{REDACTED}"),
        ("openai-insecure-api-key.abc", f"openai-insecure-api-key.{REDACTED}"),
        ("ſk-abcdefghijk", None),
        (True, None),
        (10**12, None),
        ({"a": ["sk-abcdefghijk"]}, {"a": [REDACTED]}),
        ("\ud800", "<unreadable>"),
    ],
)
def test_words_are_looked_at_for_keys_only(value: object, shown: object) -> None:
    assert redaction.redact(value) == (value if shown is None else shown)


@pytest.mark.parametrize("secrets", [[], ["12345678"], ["12345678", 'a/b c"d']])
def test_known_secrets_go_in_all_their_spellings(secrets: list[str]) -> None:
    written = json.dumps({"a": "12345678", "b": 'a/b c"d'})
    shown = redaction.scrub(written.encode(), secrets).decode()
    assert [secret for secret in ("12345678", 'c\\"d') if secret in shown] == ["12345678", 'c\\"d'][len(secrets) :]
