"""What the core needs to know besides state and request: the named switches, the tokenizer, a key to seal with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from mockserver.config.switches import Switches
from mockserver.core.encrypted_content import count_hidden_tokens, decrypt, read_payload
from mockserver.core.records import State

# the value of `include` that shows the blobs of reasoning items
SEALED_REASONING = "reasoning.encrypted_content"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Semantics(Switches):
    """The parameters of the semantics: every switch, and what comes from elsewhere.

    `count` and `pieces` are the tokenizer (text → number of tokens, text → its tokens as text); `key` signs encrypted
    content.
    """

    count: Callable[[str], int]
    pieces: Callable[[str], list[str]]
    key: bytes
    continues_completed: bool = field(init=False)  # whether a completed response may be gone on from, whatever it is

    def __post_init__(self) -> None:
        freely = self.zdr != "on" and self.deleted_ancestor != "break" and "completed" in self.chain_onto
        object.__setattr__(self, "continues_completed", freely)

    def visible(self, include: Collection[str]) -> Collection[str]:
        """What is shown of listed items: what the caller includes, and what needs no asking. Spec: F3, R1.41."""
        return {*include, SEALED_REASONING} if self.encrypted_content == "always" else include

    def count_hidden_tokens(self, item: Mapping[str, Any]) -> int:
        """Return how many hidden tokens belong to a reasoning or compaction item: its sealed content says."""
        return count_hidden_tokens(decrypt(item.get("encrypted_content") or "", self.key))

    def hidden_counter(self, state: State) -> Callable[[Mapping[str, Any]], int]:
        """The same for items of a history, whose content a script may have sealed: then the project's records say."""

        def count(item: Mapping[str, Any]) -> int:
            return count_hidden_tokens(read_payload(state, item.get("encrypted_content") or "", self.key))

        return count
