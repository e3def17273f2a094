"""The documented semantics of state, written as plainly as can be: the oracle of the state machine.

It copies contexts instead of sharing them and never thinks of speed. Spec: R1.1–R1.4, R1.20–R1.31, R2.1–R2.18, R3.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field

THIRTY_DAYS = 30 * 86_400


@dataclass
class KnownResponse:
    """A response: the texts the model saw, what it answered, when, and whether it can still be had."""

    saw: list[str]
    answered: str
    created_at: int
    stored: bool
    conversation: str | None
    parent: str | None
    deleted: bool = False


@dataclass
class KnownConversation:
    """A conversation: its items as (id, text), its metadata."""

    items: list[tuple[str, str]] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    deleted: bool = False


@dataclass
class Reference:
    """All that a project should remember."""

    now: int
    responses: dict[str, KnownResponse] = field(default_factory=dict)
    conversations: dict[str, KnownConversation] = field(default_factory=dict)

    def alive(self, id: str) -> bool:
        """Whether a response can be retrieved and continued."""
        known = self.responses[id]
        return known.stored and not known.deleted and self.now < known.created_at + THIRTY_DAYS

    def before(self, parent: str | None, conversation: str | None) -> list[str]:
        """What a next turn sees before its own input."""
        if parent is not None:
            return [*self.responses[parent].saw, self.responses[parent].answered]
        if conversation is not None:
            return [text for _, text in self.conversations[conversation].items]
        return []

    def expiring(self, seconds: int) -> list[str]:
        """Which stored responses are gone once so much time has passed, oldest first."""
        later = self.now + seconds
        return [id for id, one in self.responses.items() if self.alive(id) and later >= one.created_at + THIRTY_DAYS]
