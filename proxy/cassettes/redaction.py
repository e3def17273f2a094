"""What must not be written down is replaced before anything is: keys, passwords, tokens, and what the user names."""

# Where secrets stand, and what they look like, is known to the journal (`journal.redaction`, `config.redaction`): one
# rule for all that we write. A cassette needs more than a journal's `<redacted>`: two users with two tokens must stay
# two, or their recordings would be one. So a secret becomes `<redacted:d41f3c>`, six hex digits of its hash. That is
# enough to tell secrets of one cassette apart, and too little to try out which key it was.
#
# What must stay true:
# * The same text gives the same result, whether it is recorded or asked while replaying: keys of both are made of the
#   redacted form.
# * A secret of the request is removed wherever the answer repeats it, also where JSON writes it with escapes.
# * A text without secrets, as nearly all, is searched and never copied or parsed.

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import NamedTuple

from pydantic_core import SchemaValidator, core_schema

from mockserver.config import redaction as forms
from mockserver.config.settings import SettingError
from mockserver.journal import redaction as journal

# what a replay or a reader of the cassette may need; everything else of a request's headers is not written
KEPT_REQUEST_HEADERS = frozenset(
    ("accept", "content-type", "openai-beta", "idempotency-key", "x-stainless-helper-method", "last-event-id")
)
_UNKEPT_RESPONSE_HEADERS = frozenset(
    (
        # secrets, and names of accounts
        *("set-cookie", "set-cookie2", "openai-organization", "openai-project", "authorization", "www-authenticate"),
        # of the connection, of which a replay has its own
        *("connection", "keep-alive", "transfer-encoding", "content-length", "date", "trailer", "upgrade", "alt-svc"),
    )
)
_KEPT = frozenset(name.encode() for name in KEPT_REQUEST_HEADERS)
NOTED_REQUEST_HEADERS = _KEPT | {b"authorization"}  # all of a request's head that its recording depends on
UNKEPT_RESPONSE_HEADERS = frozenset(name.encode() for name in _UNKEPT_RESPONSE_HEADERS)
_SECRET_QUERY = re.compile(
    r"(?i)((?:^|&)[^=&]*(?:key|token|secret|password|signature|sig|auth|credential)[^=&]*=)([^&]+)"
)
_MARK = re.compile(r"<redacted:[0-9a-f]{6}>")


class Secrets(NamedTuple):
    """Secrets of one request: what its answer may not show either. Longest first."""

    values: tuple[str, ...] = ()


NONE = Secrets()


class Redactor:
    """Redacts requests and answers; `patterns` are the user's regular expressions. Raises SettingError for a bad one.

    Of a pattern with a group, the first group is the secret.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._patterns = tuple(_compile(pattern) for pattern in patterns)

    def secrets_of(self, authorization: str | None, body: bytes) -> Secrets:
        """The secrets that a request names in known places: its key, and what it sends to MCP servers. Spec: F5."""
        found = set()
        if authorization:
            found.add(authorization.partition(" ")[2].strip() or authorization)
        if _may_hold_secrets(body.lower()):
            found |= set(journal.body(body)[1])
        if not found:
            return NONE
        long = [secret for secret in found if len(secret) >= journal.SHORTEST and not _MARK.fullmatch(secret)]
        return Secrets(tuple(sorted(long, key=len, reverse=True)))

    def search(self, secrets: Secrets = NONE) -> Search | None:
        """What looks for these secrets and for what may stand beside one; None where any text needs the closer look."""
        return None if self._patterns else _search(secrets)

    def is_clean(self, data: bytes, secrets: Secrets = NONE) -> bool:
        """Whether nothing in a text can be a secret, so that it needs no closer look."""
        return not self._patterns and not _may_hold_secrets(data.lower(), secrets)

    def is_clean_text(self, text: str, secrets: Secrets) -> bool:
        """The same for a text that is decoded."""
        return not self._patterns and not _search(secrets).finds_in_text(text)

    def redact_bytes(self, data: bytes, secrets: Secrets = NONE) -> bytes:
        """A body or a piece of one; what is not UTF-8 is left as it is."""
        if self.is_clean(data, secrets):
            return data
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return data
        clean = self.redact_text(text, secrets)
        return data if clean is text else clean.encode()

    def redact_text(self, text: str, secrets: Secrets = NONE) -> str:
        """A text; the same object where nothing is to be hidden."""
        text = _mark_places(_mark_forms(text))
        # after the forms: a short secret that is a part of a long one would leave the rest of that to be read
        for secret in secrets.values:
            for written in _spellings(secret):
                if written in text:
                    text = text.replace(written, mark(secret))
        for pattern in self._patterns:
            text = _replace(pattern, text)
        return text

    def redact_query(self, query: str, secrets: Secrets = NONE) -> str:
        """A query: the values of parameters that are named like secrets, and all that a text may not have."""
        if not query:
            return query
        return self.redact_text(_SECRET_QUERY.sub(lambda found: found[1] + mark(found[2]), query), secrets)

    def request_headers(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
        """The headers of a request that are kept, each name once."""
        kept: dict[str, str] = {}
        for name, value in headers:
            if name.lower() in _KEPT:
                kept.setdefault(name.decode("latin-1").lower(), self._redact_value(value, NONE))
        return tuple(kept.items())

    def _redact_value(self, value: bytes, secrets: Secrets) -> str:
        return self.redact_text(value.decode("latin-1"), secrets)

    def response_headers(self, headers: Iterable[tuple[bytes, bytes]], secrets: Secrets) -> tuple[tuple[str, str], ...]:
        """The headers of an answer without what names an account or belongs to a connection."""
        kept = [
            (name.decode("latin-1"), value) for name, value in headers if name.lower() not in UNKEPT_RESPONSE_HEADERS
        ]
        if self.is_clean(b"\n".join([value for _, value in kept]), secrets):  # one look at all of them together
            return tuple([(name, value.decode("latin-1")) for name, value in kept])
        return tuple([(name, self._redact_value(value, secrets)) for name, value in kept])


# in a text in lower case: names of members that hold secrets, names of such parameters of a URL as far as these do not
# cover them, what keys look like, and escapes that may hide any of it. Each begins with three letters that are rare in
# answers of the API, for these are compared first: `en=` stands for `token=`, which made a search for all of them twice
# as long, as tokens are counted everywhere
_SUSPICIOUS = (
    *("authorization", "headers", "secret", "api_key", "api-key", "apikey", "password", "sk-"),
    *("access_token", "access-token", "refresh", "openai-insecure", "bearer ", "basic ", r"\\u00"),
    *("key=", "en=", "signature=", "credential=", "sig=", "auth="),
)
# the two letters that Python's `re` takes for an `s` and a `k`; Rust makes a `k` of the second one
_LONG_S, _KELVIN = "\u017f", "\u212a"


# Rust's regex looks for all words at once: 1 µs for a stream of 58 events, where `in` for each word takes 120 µs, and
# `re` 150 µs. That was half of what recording cost. It comes with pydantic, whose only way to it is a validator.
class Search:
    """Looks for words that stand beside secrets, and for the secrets of one request."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    # each is made when it is needed: that takes 120 µs, and a key that asks for no stream does without the second
    @cached_property
    def _matches_lower(self) -> Callable[[str], bool]:
        letters = [letter.encode().decode("latin-1") for letter in (_LONG_S, _KELVIN)]
        schema = _search_schema(self._secrets, letters)
        return bool if schema is None else SchemaValidator(schema).isinstance_python

    @cached_property
    def _matches_text(self) -> Callable[[str], bool]:
        # Rust makes letters small in a third of the time that Python takes. `_LONG_S` is looked for apart: a word of
        # two bytes among those of three and more makes the search ten times slower.
        schema = _search_schema(self._secrets, ())
        if schema is None:
            return bool
        in_lower_case = core_schema.str_schema(to_lower=True)
        return SchemaValidator(core_schema.chain_schema([in_lower_case, schema])).isinstance_python

    def finds_in_lower_case(self, text: str) -> bool:
        """Whether bytes in lower case, read as Latin-1, need a closer look."""
        return self._matches_lower(text) or _may_name_password(text)

    def finds_in_text(self, text: str) -> bool:
        """The same for a text of any letters, which may be long."""
        return _LONG_S in text or self._matches_text(text) or _may_name_password(text)


_search = lru_cache(maxsize=256)(Search)


def _search_schema(secrets: Secrets, more: Iterable[str]) -> core_schema.StringSchema | None:
    """What finds suspicious words, these secrets and some more; None where any text needs the closer look."""
    if any(len(_spellings(secret)) > 1 for secret in secrets.values):
        return None  # JSON writes it with escapes, and the closer look knows all of them
    words = [*_SUSPICIOUS, *more, *map(_spell_for_regex, secrets.values)]
    return core_schema.str_schema(pattern="|".join(words), regex_engine="rust-regex")


def _spell_for_regex(secret: str) -> str:
    return "".join([f"\\x{byte:02x}" for byte in secret.encode().lower()])


def _may_hold_secrets(data: bytes, secrets: Secrets = NONE) -> bool:
    """Whether a text in lower case needs a closer look."""
    return _search(secrets).finds_in_lower_case(data.decode("latin-1"))


def _may_name_password(text: str) -> bool:
    """Whether a text may hold a URL with a password."""
    return "@" in text and (":/" in text or ":\\/" in text)


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise SettingError(f"--redact {pattern!r} is no regular expression: {error}") from None


@lru_cache(maxsize=1024)
def _spellings(secret: str) -> tuple[str, ...]:
    """A secret as texts and JSON may write it: as it is, escaped, and escaped to ASCII."""
    escaped = [json.dumps(secret, ensure_ascii=ascii)[1:-1] for ascii in (False, True)]
    return tuple(dict.fromkeys((secret, *escaped)))


@lru_cache(maxsize=1024)
def mark(secret: str) -> str:
    """What stands for a secret: the same for the same one."""
    if _MARK.fullmatch(secret):
        return secret
    return f"<redacted:{blake2b(secret.encode(errors='surrogatepass'), digest_size=3).hexdigest()}>"


def _replace(pattern: re.Pattern[str], text: str) -> str:
    def hide(found: re.Match[str]) -> str:
        group = 1 if pattern.groups and found[1] is not None else 0
        secret, whole = found[group], found[0]
        if not secret:
            return whole
        start = found.start(group) - found.start()
        return whole[:start] + mark(secret) + whole[start + len(secret) :]

    return pattern.sub(hide, text)


def _mark_forms(text: str) -> str:
    """Hide what looks like a secret wherever it stands: the forms of `config.redaction`, each with its own mark."""
    if "sk-" in text:
        text = forms.KEY.sub(lambda found: mark(found[0]), text)
    if "@" in text:
        text = forms.USERINFO.sub(lambda found: f"{found[1]}{mark(found[2])}@", text)
    if "=" in text:
        text = forms.PARAMETER.sub(_mark_rest, text)
    if "openai-insecure" in text:
        text = forms.SUBPROTOCOL.sub(_mark_rest, text)
    if "Bearer " in text or "Basic " in text:
        text = forms.SCHEME.sub(lambda found: f"{found[1]} {mark(found[0][len(found[1]) :].strip())}", text)
    return text


def _mark_rest(found: re.Match[str]) -> str:
    return found[1] + mark(found[0][len(found[1]) :])


def _mark_places(text: str) -> str:
    """Hide what stands in the places that the journal knows, each secret with its own mark.

    What can't be told apart so (too short to be looked for, no text) gets the journal's own `<redacted>`.
    """
    cleaned, secrets = journal.clean_text(text)
    if cleaned == text:
        return text
    for secret in sorted(set(secrets), key=len, reverse=True):
        if not _MARK.fullmatch(secret) and secret != forms.REDACTED:
            for written in _spellings(secret):
                text = text.replace(written, mark(secret))
    cleaned, _ = journal.clean_text(text)
    return text if _unmarked(cleaned) == _unmarked(text) else cleaned


def _unmarked(text: str) -> str:
    """A text in which all marks are the same, and spaces do not count."""
    return "".join(_MARK.sub(forms.REDACTED, text).split())
