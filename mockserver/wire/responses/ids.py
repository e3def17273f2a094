"""Identifiers with the service's anatomy, drawn from a seeded source instead of chance. Spec: W1, W2, W3.

A new-form id is its prefix, a partition key `K` (16 hex, first digit 0, shared along a chain or conversation), a mark
(`00` persisted, `01` not) and a UUIDv8 without dashes that carries the creation second.
"""

# Clients parse none of this (R1.60). The mock does: a `01` says that an item was never stored, so it need not be looked
# for, and the partition key of a replayed item is the one that the new response shares with it (W1).
#
# What must stay true:
# * The same source and number give the same id, whoever asks and however often: a source is a value, nothing counts
#   up. So no id depends on which function runs first.
# * The numbers of an operation are given out in one order, which is part of recorded tests and stored databases: the
#   partition key where a new one is needed, the request's own items that bring no id, the items of the output, the
#   response. Whoever takes ids returns the source after them, and that one is handed on.
# * Eight ids share a digest: most turns need no more than that, and hashing is most of what an id costs.

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

# Every byte to a letter or digit: drawing text is one `bytes.translate`.
_LETTERS = bytes(ord(ALPHABET[i % len(ALPHABET)]) for i in range(256))

PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fc",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "web_search_call": "ws",
    "file_search_call": "fs",
    "image_generation_call": "ig",
    "code_interpreter_call": "ci",
    "local_shell_call": "lsh",
    "local_shell_call_output": "lsho",
    "shell_call": "sh",
    "shell_call_output": "sho",
    "apply_patch_call": "apc",
    "apply_patch_call_output": "apco",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcpl",
    "mcp_approval_request": "mcpr",
    "mcp_approval_response": "mcpa",
    "tool_search_call": "tsc",
    "tool_search_output": "tso",
    "computer_call": "cu",
    "computer_call_output": "cuo",
    "program": "cm",
    "program_output": "cmo",
    "compaction": "cmp",
    "additional_tools": "at",
    "configuration_update": "cfg",
    "compaction_trigger": "ctr",
}

# the variant nibble of a UUID, from any hex digit
_VARIANTS = {f"{digit:x}": "89ab"[digit & 3] for digit in range(16)}
_NEW_FORM = re.compile(r"[a-z]+_(0[0-9a-f]{15})(00|01)[0-9a-f]{32}")


def draw(key: str, size: int) -> str:
    """Return `size` letters and digits that depend on `key` alone."""
    return draw_bytes(key, size).decode()


def draw_bytes(key: str, size: int) -> bytes:
    """The same in ASCII."""
    seed = key.encode()
    drawn = blake2b(seed, digest_size=max(1, min(size, 64))).digest()
    if size > 64:
        blocks = -(-size // 64)
        names = _BLOCKS[1:blocks] if blocks <= len(_BLOCKS) else map(b"/%d".__mod__, range(1, blocks))
        drawn = b"".join([drawn, *[blake2b(seed + name).digest() for name in names]])
    return drawn[:size].translate(_LETTERS)


_BLOCKS = tuple(map(b"/%d".__mod__, range(8)))  # what padding is cut from has no more of them


def partition_of(identifier: str) -> str | None:
    """The partition key inside a new-form id, None for any other id. Spec: W1."""
    match = _NEW_FORM.fullmatch(identifier)
    return match.group(1) if match else None


def is_marked_unstored(identifier: str) -> bool:
    """Whether an id says of itself that its object was never persisted. Spec: W1."""
    return identifier[-34:-32] == "01" and _NEW_FORM.fullmatch(identifier) is not None


def partition_of_conversation(conversation_id: str) -> str:
    """The partition key that a conversation's responses share: the id's last 16 hex. Spec: W1.

    An id that a test has chosen may have no such digits; then the key is drawn from it.
    """
    key = conversation_id[-16:]
    if len(key) == 16 and not key.strip("0123456789abcdef"):
        return key
    return "0" + blake2b(conversation_id.encode(), digest_size=8).hexdigest()[1:]


@lru_cache(maxsize=256)
def _digits(key: str, block: int) -> str:
    """The 128 hex digits that the numbers from eight times `block` on are taken from."""
    return blake2b(f"{key}/{block * 8}".encode()).hexdigest()


_new = tuple.__new__  # makes one as Mint(...) does, without a call of Python's


class IdGenerator(NamedTuple):
    """The source of one operation's ids: numbers 0, 1, … are ids, and the same number is always the same id.

    `key` is unique per operation of a run (seed, project, ordinal), `time` the part of an id that says when. Ids are in
    `partition` and bear `mark`; `first` is where this source starts to count.
    """

    key: str
    time: str
    partition: str = ""
    mark: str = "00"
    first: int = 0

    @classmethod
    def at(cls, key: str, now: float, cluster: str = "191") -> IdGenerator:
        """The source of an operation at a time in unix seconds."""
        second = int(now)
        # 14 bits of sub-second time, the two low bits stay 0
        time = f"{second << 16 | int((now - second) * 16384) << 2:012x}8{cluster}"
        return _new(cls, (key, time, "", "00", 0))

    def in_partition(self, partition: str | None, *, stored: bool = True) -> IdGenerator:
        """The source of ids in a partition, of what is stored or not; without one, the first number makes it."""
        mark = "00" if stored else "01"
        if partition:
            return _new(IdGenerator, (self.key, self.time, partition, mark, self.first))
        return _new(IdGenerator, (self.key, self.time, self.new_partition(), mark, self.first + 1))

    def skip(self, count: int) -> IdGenerator:
        """The source after so many numbers."""
        key, time, partition, mark, first = self
        return _new(IdGenerator, (key, time, partition, mark, first + count))

    def _hex(self, number: int) -> str:
        number += self.first
        at = number % 8 * 16
        return _digits(self.key, number // 8)[at : at + 16]

    def new_partition(self, number: int = 0) -> str:
        """A partition key."""
        return "0" + self._hex(number)[1:]

    def _uuid(self, number: int) -> str:
        random = self._hex(number)
        return f"{self.time}{_VARIANTS[random[0]]}{random[1:]}"

    def new(self, prefix: str, number: int = 0) -> str:
        """A new-form id in this source's partition."""
        key, time, partition, mark, first = self
        number += first
        at = number % 8 * 16
        random = _digits(key, number // 8)[at : at + 16]
        return f"{prefix}_{partition}{mark}{time}{_VARIANTS[random[0]]}{random[1:]}"

    def message_ids(self, partition: str) -> tuple[str, str, str, str]:
        """A partition, a new one for none, and the ids in it of two messages and a response.

        What `in_partition` and `new` give of a source that has given no number yet, in one step: most turns have these.
        """
        digits, variants = blake2b(f"{self.key}/0".encode()).hexdigest(), _VARIANTS
        if not partition:
            partition, digits = f"0{digits[1:16]}", digits[16:]
        begin = f"{partition}00{self.time}"
        return (
            partition,
            f"msg_{begin}{variants[digits[0]]}{digits[1:16]}",
            f"msg_{begin}{variants[digits[16]]}{digits[17:32]}",
            f"resp_{begin}{variants[digits[32]]}{digits[33:48]}",
        )

    def item(self, type: str, number: int = 0) -> str:
        """The id of an item."""
        return self.new(PREFIXES[type], number)

    def conversation(self) -> str:
        """An old-form id, as conversations still have; it takes two numbers."""
        return f"conv_{self._uuid(0)}{self.new_partition(1)}"

    def container(self, number: int = 0) -> str:
        """An old-form id of a code interpreter's container."""
        return f"cntr_{self._uuid(number)}{self.partition}"

    def plain(self, prefix: str, number: int = 0) -> str:
        """An id without a partition: vector stores, their batches, files of containers. Spec: W1."""
        return f"{prefix}_{self._uuid(number)}"

    def file(self, number: int = 0) -> str:
        """The id of an uploaded file. Spec: W2."""
        return "file-" + draw(f"{self.key}/file/{self._hex(number)}", 22)

    def call(self, number: int = 0) -> str:
        """A tool call id."""
        return "call_" + draw(f"{self.key}/call/{self._hex(number)}", 24)

    def node(self) -> str:
        """The name of a context node; it never leaves the mock, and takes two numbers."""
        return "node_" + self._hex(0) + self._hex(1)

    def seed(self, purpose: str) -> str:
        """A seed for something else that this operation decides."""
        return f"{self.key}/{purpose}"
