"""The terms on which a server is judged: by which profile, without which capabilities, and what its model shows."""

# What must stay true: the default terms are those of the mock itself, `contract` with every capability, so that a check
# that is run without terms claims all that it can.

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mockserver.conformance.upstream import Upstream

STATE, WIRE, CONTRACT = "state", "wire", "contract"
PROFILES: Mapping[str, str] = {
    STATE: "what is remembered, resolved, isolated, refused and ordered; echoes may be missing, a refusal is any 4xx",
    WIRE: "shapes, key sets, events and grammar",
    CONTRACT: "all of both, to the letter",
}
# what a server may not have, in the words of the report
CAPABILITIES: Mapping[str, str] = {
    "get": "no GET on responses",
    "delete": "no DELETE on responses",
    "input items": "no input_items of responses",
    "conversations": "no conversations",
    "background": "no responses in the background",
    "count": "no counting of input tokens",
    "compact": "no compact endpoint",
    "compaction": "no compaction by context_management",
    "websocket": "no WebSocket on responses",
    "steering": "no steering over WebSockets",
    "tools": "no forced function calls",
    "echo model": "no echo model behind it, nor an upstream's journal",
}


class NotObservable(Exception):
    """The rule can't be observed on this server; the message says why, `lacks` which capability is missing, if any."""

    def __init__(self, why: str, lacks: str | None = None) -> None:
        super().__init__(why)
        self.lacks = lacks


class Terms(NamedTuple):
    """The profile, the capabilities that are missing, the mock behind the server if one is known."""

    profile: str = CONTRACT
    lacks: frozenset[str] = frozenset()
    upstream: Upstream | None = None

    @property
    def lenient(self) -> bool:
        """Whether echoes may be missing and a refusal may have any status from 400 to 499."""
        return self.profile == STATE


DEFAULT = Terms()
