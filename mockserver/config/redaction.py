"""What a secret looks like wherever it stands: keys, passwords in URLs, secret parameters. For the journal, the log and
messages.
"""

from __future__ import annotations

import re

REDACTED = "<redacted>"

KEY = re.compile(r"sk-[A-Za-z0-9_-]{8,}")
# the greatest part before the last @: a password may hold one. JSON may write a slash with a backslash.
USERINFO = re.compile(r"(:(?:\\?/){2})([^/?#\s\"'\\@<>]{0,2048}(?:@[^/?#\s\"'\\@<>]{0,2048})*)@")
PARAMETER = re.compile(
    r"([?&](?:[\w.-]*(?:api[-_]?key|token|secret|password|signature|credential)|key|sig|auth)=)[^&#\s\"'\\<>]+",
    re.IGNORECASE,
)
# a credential in words: `Bearer …` and `Basic …` of a header that was quoted somewhere
SCHEME = re.compile(r"\b(Bearer|Basic) +(?=[A-Za-z._~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{8,}")  # words have no digit
SUBPROTOCOL = re.compile(r"(openai-insecure-api-key\.)[^\s,\"'\\<>]+")


def clean(text: str) -> str:
    """A text without what looks like a secret: for log lines, messages and errors."""
    if "sk-" in text:
        text = KEY.sub(REDACTED, text)
    if "@" in text:
        text = USERINFO.sub(rf"\1{REDACTED}@", text)
    if "=" in text:
        text = PARAMETER.sub(rf"\1{REDACTED}", text)
    if "openai-insecure" in text:
        text = SUBPROTOCOL.sub(rf"\1{REDACTED}", text)
    return SCHEME.sub(rf"\1 {REDACTED}", text) if "Bearer " in text or "Basic " in text else text
