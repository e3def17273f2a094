"""Identifiers with the service's anatomy, drawn from a seeded source instead of chance. Spec: W1, W2, W3.

A new-form id is its prefix, a partition key `K` (16 hex, first digit 0, shared along a chain or conversation), a mark
(`00` persisted, `01` not) and a UUIDv8 without dashes that carries the creation second.
"""

from __future__ import annotations

import re
from hashlib import blake2b

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
    drawn = blake2b(key.encode(), digest_size=max(1, min(size, 64))).digest()
    block = 0
    while len(drawn) < size:
        block += 1
        drawn += blake2b(f"{key}/{block}".encode(), digest_size=64).digest()
    return drawn[:size].translate(_LETTERS).decode()


def partition_of(identifier: str) -> str | None:
    """Return the partition key inside a new-form id, None for any other id. Spec: W1."""
    match = _NEW_FORM.fullmatch(identifier)
    return match.group(1) if match else None


def marked_unstored(identifier: str) -> bool:
    """Whether an id says of itself that its object was never persisted. Spec: W1."""
    match = _NEW_FORM.fullmatch(identifier)
    return match is not None and match.group(2) == "01"


def partition_of_conversation(conversation_id: str) -> str:
    """Return the partition key that a conversation's responses share: the id's last 16 hex. Spec: W1."""
    return conversation_id[-16:]


class Mint:
    """The ids of one operation, in the order they are asked for; the same key and second give the same ids.

    `key` is unique per operation of a run (seed, project, ordinal); `now` is unix seconds.
    """

    def __init__(self, key: str, now: float, cluster: str = "191") -> None:
        self._key = key
        self._pool = ""
        self._drawn = 0
        second = int(now)
        # 14 bits of sub-second time, the two low bits stay 0
        self._time = f"{second:08x}{int((now - second) * 16384) << 2:04x}8{cluster}"
        self.partition = ""
        self.mark = "00"

    def _hex(self) -> str:
        """Draw 16 hex digits; one digest serves eight draws."""
        at = self._drawn % 8 * 16
        if at == 0:
            self._pool = blake2b(f"{self._key}/{self._drawn}".encode()).hexdigest()
        self._drawn += 1
        return self._pool[at : at + 16]

    def new_partition(self) -> str:
        """Draw a partition key."""
        return "0" + self._hex()[1:]

    def _uuid(self) -> str:
        random = self._hex()
        return f"{self._time}{_VARIANTS[random[0]]}{random[1:]}"

    def new(self, prefix: str) -> str:
        """Draw a new-form id in this operation's partition."""
        random = self._hex()
        return f"{prefix}_{self.partition}{self.mark}{self._time}{_VARIANTS[random[0]]}{random[1:]}"

    def item(self, type: str) -> str:
        """Draw the id of an item."""
        return self.new(PREFIXES[type])

    def conversation(self) -> str:
        """Draw an old-form id, as conversations still have."""
        return f"conv_{self._uuid()}{self.new_partition()}"

    def container(self) -> str:
        """Draw an old-form id of a code interpreter's container."""
        return f"cntr_{self._uuid()}{self.partition or self.new_partition()}"

    def call(self) -> str:
        """Draw a tool call id."""
        return "call_" + draw(f"{self._key}/call/{self._hex()}", 24)

    def node(self) -> str:
        """Draw the name of a context node; it never leaves the mock."""
        return "node_" + self._hex() + self._hex()

    def seed(self, purpose: str) -> str:
        """Draw a seed for something else that this operation decides."""
        return f"{self._key}/{purpose}"
