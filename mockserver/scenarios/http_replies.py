"""Lines about calls that are no turns: which of them answers a call, and what it answers.

Such a line names a `path` and replies with `http`. It is asked for paths that the mock does not cover, and before the
doubles of /v1/files and others; what its reply says is sent as it stands, for a template is filled from a prompt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate
from functools import lru_cache
from typing import Any, NamedTuple

from mockserver.scenarios.lines import Line
from mockserver.wire.responses.encoding import json_body


class HTTPReply(NamedTuple):
    """A scripted answer over HTTP; an empty `content_type` leaves the header out."""

    status: int
    content_type: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def is_about_calls(line: Line) -> bool:
    """Whether a line answers calls that are no turns."""
    return "path" in line.when


def answers_call(line: Line, method: str, path: str) -> bool:
    """Whether a line answers a call."""
    pattern = line.when.get("path")
    return (
        pattern is not None and line.when.get("method") in (None, method) and _compile(pattern).match(path) is not None
    )


@lru_cache(maxsize=256)
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def http_reply(line: Line) -> HTTPReply:
    """What a line about calls answers."""
    script: Mapping[str, Any] = line.source["reply"]["http"]
    headers = {name.lower(): value for name, value in (script.get("headers") or {}).items()}
    default, body = "", b""
    if "json" in script:
        default, body = "application/json", json_body(script["json"])
    elif "body" in script:
        default, body = "text/plain; charset=utf-8", script["body"].encode()
    content_type = headers.pop("content-type", default)
    rest = tuple((name.encode(), value.encode("latin-1")) for name, value in headers.items())
    return HTTPReply(script.get("status", 200), content_type.encode("latin-1"), rest, body)
