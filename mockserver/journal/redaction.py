"""Redaction of keys and passwords in the journal: by their place, and by their form."""

# How it works. Headers are judged by name. A body is searched for keys (`sk-…`), and parsed only if it may hold
# a secret in a known place (`_SUSPECT`), for most bodies hold none. The secrets found are replaced in the text
# itself, so that the journal shows the body as it was sent.
#
# What must stay true:
# * No secret reaches a document, also where the model or an error repeats it: `scrub` removes the known ones
#   from the whole document at the end.
# * If a secret can't be replaced in the text (written with other escapes, or too short to search for), the body
#   is written anew from the redacted value: a changed spelling is better than a leaked key.

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson

from mockserver.wire.responses.encoding import json_compact

REDACTED = "<redacted>"
LONGEST = 256 * 1024  # of a body that is kept, in characters
SHORTEST = 8  # a shorter secret may be a common word: it is redacted in its place, but not searched for elsewhere

_SECRET_HEADERS = frozenset(("authorization", "proxy-authorization", "cookie", "set-cookie"))
_SECRET_WORDS = ("api-key", "apikey", "secret", "token", "password")
_KEY = re.compile(r"sk-[A-Za-z0-9_-]{8,}")
_KEY_BYTES = re.compile(rb"sk-[A-Za-z0-9_-]{8,}")
_SUSPECT = re.compile(r'"authorization"|"headers"|\\u00')


def headers(sent: Mapping[bytes, bytes]) -> dict[str, str]:
    """The headers as text, secrets redacted."""
    return dict([_header(name, value) for name, value in sent.items()])


@lru_cache(maxsize=1024)  # a client sends the same ones all the time
def _header(name: bytes, value: bytes) -> tuple[str, str]:
    known, text = name.decode("latin-1"), value.decode("latin-1")
    secret = known in _SECRET_HEADERS or any(word in known for word in _SECRET_WORDS)
    return known, REDACTED if secret else _KEY.sub(REDACTED, text)


def body(sent: bytes) -> tuple[str, list[str]]:
    """The text of a body, secrets redacted, and those secrets; a long one is cut, with a mark."""
    text = sent.decode(errors="replace")
    secrets: list[str] = []
    if _SUSPECT.search(text):
        text, secrets = _without(text)
    text = _KEY.sub(REDACTED, text)
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… [cut, {len(sent)} bytes in all]"
    return text, secrets


def _without(text: str) -> tuple[str, list[str]]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _AUTHORIZATION.sub(rf"\1{REDACTED}", text), []
    secrets = list(secrets_in(value))
    clean = text
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST:
            for ascii in (True, False):
                clean = clean.replace(json.dumps(secret, ensure_ascii=ascii)[1:-1], REDACTED)
    if secrets and any(secret != REDACTED for secret in secrets_in(orjson.loads(clean))):
        clean = json_compact(redact(value)).decode()  # written in another way, or too short to be looked for
    return clean, [secret for secret in secrets if len(secret) >= SHORTEST]


_AUTHORIZATION = re.compile(r'("authorization"\s*:\s*")[^"]*')


def secrets_in(value: Any) -> Iterator[str]:
    """Yield the secrets in known places: what is sent to MCP servers. Spec: F5."""
    if isinstance(value, list):
        for member in value:
            yield from secrets_in(member)
    elif isinstance(value, dict):
        for key, member in value.items():
            if key == "authorization" and isinstance(member, str):
                yield member
            elif key == "headers" and value.get("type") == "mcp" and isinstance(member, dict):
                yield from (text for text in member.values() if isinstance(text, str))
            else:
                yield from secrets_in(member)


def redact(value: Any) -> Any:
    """A JSON value with its secrets redacted, texts that look like keys too."""
    if isinstance(value, str):
        return _KEY.sub(REDACTED, value)
    if isinstance(value, list):
        return [redact(member) for member in value]
    if isinstance(value, dict):
        return {key: _member(value, key, member) for key, member in value.items()}
    return value


def _member(whole: Mapping[str, Any], key: str, value: Any) -> Any:
    if key == "authorization" and isinstance(value, str):
        return REDACTED
    if key == "headers" and whole.get("type") == "mcp" and isinstance(value, dict):
        return dict.fromkeys(value, REDACTED)
    return redact(value)


def scrub(document: bytes, secrets: Iterable[str]) -> bytes:
    """Redact known secrets, and everything that looks like a key, anywhere in an encoded document."""
    for secret in secrets:
        document = document.replace(secret.encode(), REDACTED.encode())
    return _KEY_BYTES.sub(REDACTED.encode(), document) if b"sk-" in document else document
