"""Bodies of `multipart/form-data` (RFC 7578), read whole: parts by their boundary, their names and their bytes."""

# Why our own thirty lines: starlette's reader needs another package, and the standard library's reads mail, whose
# parts are text. Only the headers of a part are left to it, for their quoting is the same.
#
# What must stay true: the bytes of a file are those that were sent, line ends and all.

from __future__ import annotations

from typing import NamedTuple

KIND = "multipart/form-data"


class Part(NamedTuple):
    """One part: a field, or a file if it has a `filename`."""

    name: str
    filename: str | None
    data: bytes

    @property
    def text(self) -> str:
        """The value of a field."""
        return self.data.decode(errors="replace")


def read_multipart(content_type: str, body: bytes) -> list[Part] | None:
    """The parts of a body; None where it is malformed: no boundary, not closed, a part without a name."""
    boundary = _parameters(f"Content-Type: {content_type}").get_boundary()
    if not boundary:
        return None
    # the first delimiter may stand at the very beginning; all others follow a line end that belongs to them
    _, *chunks = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1", "replace"))
    if not chunks or not chunks[-1].startswith(b"--"):
        return None
    parts = [_part(chunk) for chunk in chunks[:-1]]
    return None if None in parts else [part for part in parts if part is not None]


def _part(chunk: bytes) -> Part | None:
    head, blank, data = chunk.partition(b"\r\n\r\n")
    if not blank or head.partition(b"\r\n")[0].strip(b" \t"):
        return None
    headers = _parameters(head.decode(errors="replace").strip())
    name = _parameter(headers, "name")
    return None if name is None else Part(name, _parameter(headers, "filename"), data)


def _parameters(text: str):  # type: ignore[no-untyped-def]  # the class is imported with the first form
    from email.parser import HeaderParser  # 10 ms, which a server without uploads need not pay

    return HeaderParser().parsestr(text)


def _parameter(headers, name: str) -> str | None:  # type: ignore[no-untyped-def]
    from email.utils import collapse_rfc2231_value

    value = headers.get_param(name, header="content-disposition")
    if value is None:
        return None
    text = collapse_rfc2231_value(value)
    # what browsers and httpx write in place of characters that a quoted string can't hold
    for escaped, character in (("%22", '"'), ("%0D", "\r"), ("%0A", "\n")):
        text = text.replace(escaped, character)
    return text
