"""Responses without what they have in common: those parts of them are kept once for a project."""

# How it works. Most of a Response is what its request did not say. Those parts stand between the same members in
# all of them. The second time that they come, they are written as a record of their own, under a hash of them, and from
# then on such a response is written without them, with that hash: 0.5 KB instead of 2. What is written least costs
# least: each page of 4 KB of a transaction is hashed and written to the log.
#
# What must stay true:
# * No words of a client are in parts: what was deleted must not go on standing in the file. A response with
#   instructions or tools is written as it is.
# * A response that lacks its parts is nothing. They are written in the transaction of the first response that needs
#   them, and go only with the whole project. They are written once more after a transaction has failed, and after
#   another process has written, which may have cleared the project.
# * Parts never change: their name is their hash, so that any process may remember what it has read.

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from struct import Struct

MARK = b"\x01"  # before a response without its parts; others are JSON
_HEAD = Struct("<c16sIII")  # the mark, the parts' name, the length of the first of them, of what is before and between
_WHOLE = bytes(16)  # in place of the name: what follows is a document that begins with the mark itself
_SHORTEST, _LONGEST, _MOST = 1024, 65_536, 4_194_304  # bytes of a response, of its parts, of all that is remembered
_SEEN_ONCE = -1, b""
# How members begin that hold words of a client. What begins at the left margin is a member of the Response.
_WORDS = (
    *(b'\n  "instructions": "', b'\n  "instructions": [', b'\n  "safety_identifier": "', b'\n  "tools": [\n'),
    *(b'\n  "tool_choice": {', b'\n      "type": "json_schema"'),
)


class Parts:
    """Which parts of responses are kept, as far as this process knows."""

    def __init__(self) -> None:
        # project → parts → their name, and in which era they were written; before the second time, in none
        self._known: dict[str, dict[tuple[bytes, bytes], tuple[int, bytes]]] = {}
        self._last: dict[
            str, tuple[int, bytes, bytes, bytes]
        ] = {}  # project → era, parts and name of its last response
        self._docs: dict[bytes, bytes] = {}  # name → the parts, one after the other
        self._bytes = self._read = self._era = 0

    def cut(self, project: str, doc: bytes) -> tuple[bytes, tuple[bytes, bytes] | None]:
        """A response as it is written, and the name and the document of parts that have to be written with it."""
        if len(doc) < _SHORTEST or doc[:1] == MARK:
            return (_HEAD.pack(MARK, _WHOLE, 0, 0, 0) + doc if doc[:1] == MARK else doc), None
        # these stand at the left margin, where nothing that a client sends can stand
        first, fourth = doc.find(b'\n  "error": '), doc.rfind(b'\n  "usage": ')
        last = self._last.get(project)
        if last is not None and last[0] == self._era:  # nearly always the same again: to hash the parts takes longer
            _, before, after, name = last
            second, third = first + len(before), fourth - len(after)
            if first >= 0 and second <= third and doc.startswith(before, first) and doc.startswith(after, third):
                return _without(doc, name, first, second, third, fourth), None
        second = doc.find(b'\n  "output": ', first)
        third = doc.rfind(b'\n  "prompt_cache_retention": ', second, fourth)  # what it goes on from is before that
        if min(first, second, third, fourth) < 0 or second - first + fourth - third > _LONGEST:
            return doc, None
        key = before, after = doc[first:second], doc[third:fourth]
        known = self._known.get(project)
        era, name = _SEEN_ONCE if known is None else known.get(key, (None, b""))
        if known is None or era is None:
            if not any(word in before or word in after for word in _WORDS):
                self._remember(project, key)
            return doc, None
        new = None
        if era != self._era:
            parts = before + after
            name = name or blake2b(parts, digest_size=16).digest()
            known[key] = self._era, name
            new = name, parts
        self._last[project] = self._era, before, after, name
        return _without(doc, name, first, second, third, fourth), new

    def _remember(self, project: str, parts: tuple[bytes, bytes]) -> None:
        if self._bytes > _MOST:
            self._known.clear()
            self._last.clear()
            self._bytes = 0
        self._known.setdefault(project, {})[parts] = _SEEN_ONCE
        self._bytes += len(parts[0]) + len(parts[1])

    def join(self, doc: bytes, read: Callable[[bytes], list[tuple[bytes]]]) -> bytes | None:
        """A response as it was given; `read` finds the rows of a name. None when its parts are gone."""
        if doc[:1] != MARK:
            return doc
        _, name, before, first, between = _HEAD.unpack_from(doc)
        if name == _WHOLE:
            return doc[_HEAD.size :]
        parts = self._docs.get(name)
        if parts is None:
            if self._read > _MOST:
                self._docs.clear()
                self._read = 0
            rows = read(name)
            if not rows:
                return None
            parts = self._docs[name] = rows[0][0]
            self._read += len(parts)
        second = _HEAD.size + first
        third = second + between
        return b"".join((doc[_HEAD.size : second], parts[:before], doc[second:third], parts[before:], doc[third:]))

    def doubt(self) -> None:
        """Have all parts written once more, for they may be gone."""
        self._era += 1

    def forget(self, project: str) -> None:
        """Forget the parts of a project that is cleared."""
        self._last.pop(project, None)
        self._bytes -= sum([len(before) + len(after) for before, after in self._known.pop(project, ())])


def _without(doc: bytes, name: bytes, first: int, second: int, third: int, fourth: int) -> bytes:
    """A response without its parts, which stand between the first two places and the last two."""
    head = _HEAD.pack(MARK, name, second - first, first, third - second)
    return b"".join((head, doc[:first], doc[second:third], doc[fourth:]))
