"""Redaction of keys and passwords in all that is kept of a call: by their place, and by their form.

Start at `clean_text` and `scrub`. What a secret looks like stands in `config.redaction`.
"""

# How it works. Headers and query parameters are judged by name. A body is judged as text, never as a tree: `clean_text`
# finds the members that hold secrets (`"authorization": …`) by their names and replaces their values, from the first
# character to the last. So it does not matter whether the body is JSON at all, how deep it is, of what type a value
# is, or how often a member stands there, and the journal shows the rest as it was sent. Nothing here calls itself.
#
# What must stay true:
# * No secret reaches a document, also where the model or an error repeats it: `scrub` removes the known ones from
#   the whole document at the end.
# * A value that does not end (a torn body) is redacted to the end.
# * A JSON Schema may describe a parameter that is called `authorization`; it is no secret.

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote, urlencode

import orjson

from mockserver.config.redaction import KEY, REDACTED, USERINFO, clean
from mockserver.wire.responses.encoding import encode_compact

LONGEST = 8192  # nothing repeats a longer one, and looking for it in all its forms takes long
SHORTEST = 8  # a shorter secret may be a common word: it is redacted in its place, but not searched for elsewhere

_SECRET_HEADERS = frozenset(("cookie", "set-cookie", "x-session-id"))
_SECRET_WORDS = ("apikey", "secret", "token", "password", "credential", "signature", "api-key", "api_key")
_SECRET_PARTS = frozenset(("auth", "authentication", "authorization"))


def is_secret_name(name: str) -> bool:
    """Whether a header or a query parameter of this name holds a secret."""
    known = name.lower()
    if known in _SECRET_HEADERS or known in ("key", "sig") or any(word in known for word in _SECRET_WORDS):
        return True
    return not _SECRET_PARTS.isdisjoint(re.split("[-_]", known))


class Headers(NamedTuple):
    """The headers of a call as JSON, secrets redacted, and those that are long enough to be searched for."""

    written: bytes
    secrets: tuple[str, ...]
    has_signs: bool


def headers(sent: Mapping[bytes, bytes]) -> Headers:
    """What is kept of the headers of a call."""
    return _known_headers[tuple(sent.items())]


class _KnownHeaders(dict[tuple[tuple[bytes, bytes], ...], Headers]):
    """Headers as they were sent → what is kept of them: a client sends the same ones all the time."""

    def __missing__(self, sent: tuple[tuple[bytes, bytes], ...]) -> Headers:
        written = encode_compact(dict([_header(name, value) for name, value in sent]))
        secrets = tuple([secret for name, value in sent for secret in _credentials(name, value)])
        kept = Headers(written, secrets, has_signs(written.decode()))
        # memory is bounded by their sizes too, not only by their number
        if sum([len(name) + len(value) for name, value in sent]) <= _LONGEST:
            if len(self) >= _MOST:
                self.clear()
            self[sent] = kept
        return kept


_MOST, _LONGEST = 512, 1024  # sets of headers that are remembered, and bytes of one
_known_headers = _KnownHeaders()


def _header(name: bytes, value: bytes) -> tuple[str, str]:
    known, text = name.decode("latin-1"), value.decode("latin-1")
    return known, REDACTED if is_secret_name(known) else clean(text)


def _credentials(name: bytes, value: bytes) -> list[str]:
    text, found = value.decode("latin-1").strip(), list[str]()
    if name == b"authorization":
        found.append(text.partition(" ")[2].strip())
    elif name == b"sec-websocket-protocol":
        found += [one.removeprefix(_KEY_PROTOCOL).strip() for one in _protocols(text)]
    elif is_secret_name(name.decode("latin-1")):
        found.append(text)
    return [one for one in found if len(one) >= SHORTEST]


_KEY_PROTOCOL = "openai-insecure-api-key."


def _protocols(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip().startswith(_KEY_PROTOCOL)]


def query(sent: Sequence[tuple[str, str]]) -> str:
    """The query as text, the values of secret parameters redacted."""
    if not sent:
        return ""
    return urlencode([(name, REDACTED if is_secret_name(name) else clean(value)) for name, value in sent])


# --- texts ----------------------------------------------------------------------------------------------------------

_MEMBER = re.compile(
    r"""(["'])((?:proxy[-_])?authorization|headers|domain_secrets|api[-_]?key|access[-_]token|refresh[-_]token"""
    r"""|client[-_]secret|password)\1\s*:\s*""",
    re.IGNORECASE,
)
_WHOLE = frozenset(("authorization", "proxy-authorization", "proxy_authorization", "domain_secrets"))  # of any type
_OF_MCP = re.compile(r"""["'](?:mcp|server_url|server_label|connector_id)""")  # `headers` of others are no secret
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)' r"|'[^'\\]*(?:\\.[^'\\]*)*(?:'|\\?\Z)", re.DOTALL)
_TOKEN = re.compile(_STRING.pattern + r"|[\[\]{}]", re.DOTALL)
_SCALAR = re.compile(r"[^,\]}\s]*")
_SCHEMA_TYPES = ("string", "object", "array", "number", "integer", "boolean", "null")
# a letter, digit or sign that JSON writes as an escape, where it need not: a name may be hidden so
_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\u00([2-7][0-9a-fA-F])")


def body(sent: bytes) -> tuple[str, list[str]]:
    """A body as text without secrets, and those of them that are long enough to be searched for."""
    return clean_text(sent.decode(errors="replace"))


def clean_text(text: str) -> tuple[str, list[str]]:
    """The same for a text."""
    if "\\u00" in text:
        plain = _ESCAPE.sub(_unescape, text)
        if len(_MEMBER.findall(plain)) != len(_MEMBER.findall(text)) or _differs(plain, text):
            text = plain  # another spelling is better than a leaked key
    text, secrets = _without_members(text)
    if "@" in text:
        for match in USERINFO.finditer(text):
            secrets += [match[2], *match[2].split(":", 1)]
        secrets += [unquote(one) for one in secrets if "%" in one]
    if "/" in text:
        text = _TORN_URL.sub(rf"\1{REDACTED}", text)
    if secrets:
        secrets = [one for one in dict.fromkeys(secrets) if len(one) >= SHORTEST]
    return clean(text), secrets


# a text that ends before it is known whether a host follows or an @
_TORN_URL = re.compile(r"(:(?:\\?/){2})[^/?#\s\"'@<>]*\Z")


def _unescape(match: re.Match[str]) -> str:
    character = chr(int(match[2], 16))
    return match[0] if character in '"\\\x7f' else match[1] + character


def _differs(plain: str, text: str) -> bool:
    """Whether something that looks like a secret was hidden in escapes."""
    return len(KEY.findall(plain)) != len(KEY.findall(text)) or len(clean(plain)) != len(plain)


def _without_members(text: str, *, of_mcp: bool = False) -> tuple[str, list[str]]:
    """A text without the values of secret members, and those values; `of_mcp`: `headers` are secret in any case."""
    lower = text.lower()  # looking for words is ten times as fast as looking for members
    match = _MEMBER.search(text) if _may_name_secret(lower) else None
    if match is None:
        return text, []
    secrets: list[str] = []
    pieces: list[str] = []
    done = 0
    of_mcp = of_mcp or _OF_MCP.search(text) is not None
    while match is not None:
        start, name = match.end(), match[2].lower()
        end, shown = start, None
        if _may_be_secret(name, text[start : start + 1], of_mcp=of_mcp):
            end = _value_end(text, start)
            shown = _redact_value(name, text[start:end])
        if shown is None:
            end = start
        else:
            pieces += [text[done:start], shown]
            done = end
            secrets += _leaves(text, start, end)
        match = _MEMBER.search(text, end)
    return "".join([*pieces, text[done:]]), secrets


def _may_name_secret(lower: str) -> bool:
    return (
        "key" in lower
        or "token" in lower
        or "secret" in lower
        or "headers" in lower
        or "password" in lower
        or "authorization" in lower
    )


def _value_end(text: str, start: int) -> int:
    """Where the value ends that begins at `start`, the end of the text if it does not end."""
    first = text[start : start + 1]
    if first in ('"', "'"):
        string = _STRING.match(text, start)
        return len(text) if string is None else string.end()
    if first not in ("{", "["):
        scalar = _SCALAR.match(text, start)
        return start if scalar is None else scalar.end()
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += 1 if token[0] in "{[" else -1 if token[0] in "]}" else 0
        if not depth:
            return token.end()
    return len(text)


def _may_be_secret(name: str, first: str, *, of_mcp: bool) -> bool:
    if name == "headers":
        return of_mcp
    return name in _WHOLE or first in ('"', "'")


def _redact_value(name: str, value: str) -> str | None:
    """What stands in place of a member's value, None if it is no secret."""
    if value in ("", "null", "true", "false", '""', "{}", "[]"):
        return None
    parsed = _parse(value) if value[0] == "{" and len(value) <= _LONGEST_SCHEMA else None
    if isinstance(parsed, dict):
        if _is_schema(parsed):
            return None
        if name == "headers":
            return encode_compact(dict.fromkeys(parsed, REDACTED)).decode()
    return f'"{REDACTED}"'


_LONGEST_SCHEMA = 16 * 1024  # schemas inside of schemas are read once for each: that must not take long


def _is_schema(parsed: Mapping[str, Any]) -> bool:
    """Whether an object describes a parameter of this name."""
    kind = parsed.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    return bool(kinds) and all(one in _SCHEMA_TYPES for one in kinds)


def _parse(value: str) -> Any:
    try:
        return orjson.loads(value)
    except ValueError:
        return None


def _leaves(text: str, start: int, end: int) -> list[str]:
    """The texts of a value that are looked for elsewhere; a credential also without its scheme.

    Names of members are no part of them. A value without texts is one itself; what is longer than any credential is
    not looked for.
    """
    found: list[str] = []
    for token in _STRING.finditer(text, start, end):
        if text[token.end() : token.end() + 16].lstrip().startswith(":") and token.end() < end:
            continue
        written = token[0].strip("\"'")
        parsed = _parse(f'"{written}"') if token[0][0] == '"' else None
        plain = parsed if isinstance(parsed, str) else written
        found += [plain, written, *plain.split(" ", 1)[1:]]
    return [one for one in found or [text[start:end]] if len(one) <= LONGEST]


def secrets_beyond(sent: bytes, first: int) -> list[str]:
    """The secrets of a body after its first bytes, which alone are kept: an error may repeat them."""
    found: list[str] = []
    for name in _LATE:
        at = sent.find(name, first)
        while at >= 0 and len(found) < _MOST_LATE:
            _, secrets = _without_members(sent[at : at + _LONGEST_LATE].decode(errors="replace"), of_mcp=True)
            found += secrets
            at = sent.find(name, at + 1)
    return [one for one in dict.fromkeys(found) if len(one) >= SHORTEST]


_LATE = (b'"authorization"', b'"headers"')
_LONGEST_LATE, _MOST_LATE = 8192, 64


# --- values and documents ---------------------------------------------------------------------------------------------


def redact(value: Any) -> Any:
    """A JSON value without secrets; one that can't be written (it is too deep) is not shown."""
    return redact_noting(value, [])


def redact_noting(value: Any, secrets: list[str]) -> Any:
    """The same; the secrets are added to `secrets`."""
    # as most members: there is nothing to look for
    if not value or value is True or (type(value) is int and value < _MOST_COUNTED):
        return value
    if type(value) is str and is_harmless(value):
        return value
    try:
        written = encode_compact(value).decode()
    except (TypeError, ValueError):
        return "<unreadable>"
    text, found = clean_text(written)
    secrets += found
    return value if text == written else orjson.loads(text)


_MOST_COUNTED = 10**9  # a number that is longer may be somebody's
_WORD = re.compile(r"[\w.-]*", re.ASCII)


def is_harmless(text: str) -> bool:
    """Whether a text is one word that can't be a key: an id, a status, the name of a model."""
    return _WORD.fullmatch(text) is not None and "sk-" not in text and "openai-insecure" not in text


def scrub(document: bytes, secrets: Iterable[str]) -> bytes:
    """Redact known secrets, and everything that looks like one, anywhere in an encoded document."""
    document = replace_known(document, [*secrets])
    text = document.decode()
    return clean(text).encode() if has_signs(text) else document


def replace_known(document: bytes, known: Sequence[str]) -> bytes:
    """Redact known secrets anywhere in an encoded document."""
    if known:
        forms = {form for secret in known for form in _forms(secret)} if len(known) != 1 else _forms(known[0])
        for form in sorted(forms, key=len, reverse=True):
            document = document.replace(form, _MARK)
    return document


def has_signs(text: str) -> bool:
    """Whether something in a text may look like a secret; without these signs `clean` finds nothing."""
    # six searches: a pattern of them takes ten times as long, and to search bytes takes five times as long
    return (
        "@" in text
        or "=" in text
        or "sk-" in text
        or "Bearer " in text
        or "Basic " in text
        or "openai-insecure" in text
    )


_MARK = REDACTED.encode()


@lru_cache(maxsize=256)  # a client sends the same one all the time
def _forms(secret: str) -> tuple[bytes, ...]:
    """How a secret is written: as it is, in JSON, in JSON inside JSON, in a URL."""
    escaped = json.dumps(secret, ensure_ascii=False)[1:-1]
    ascii = json.dumps(secret)[1:-1]
    twice = [json.dumps(one)[1:-1] for one in (escaped, ascii)]
    url = urlencode([("", secret)])[1:]
    forms = dict.fromkeys((secret, escaped, ascii, *twice, url))
    return tuple([one.encode(errors="replace") for one in forms if one != REDACTED])
