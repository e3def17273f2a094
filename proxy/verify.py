"""Playing recorded exchanges through the mock, to see where it would have answered differently."""

# The mock gets each request in recorded order, with the recorded output as its script: so it says the same, and what
# differs is what the mock makes of it. Its ids are its own; they are learnt pair by pair from the answers and exchanged
# in requests and answers. Its clock stands at the time of the recorded exchange.

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from mockserver.config.settings import Settings
from mockserver.conformance import drivers
from mockserver.conformance.drivers import Answer
from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call
from mockserver.model.default_model import SeededModel
from mockserver.model.prompt import Prompt, Reply
from mockserver.websocket.session import WebSocketSession
from proxy.cassettes.drift import Drift, Finding, compare, compare_events, pair_ids
from proxy.cassettes.interaction import Cassette, Interaction, parse_json
from proxy.cassettes.replies import reply_of

COVERED = ("/v1/responses", "/v1/conversations", "/v1/models")
PROJECT = "verify"
MOST_SOCKETS = 256  # at a time; that a client has closed one is not recorded
_ID = re.compile(r"[A-Za-z]+_[A-Za-z0-9]{8,}")
_BLOB = re.compile(r'("encrypted_content"\s*:\s*")([^"\\]+)')
# refusals that say something about the account or the moment, and nothing about the request
_NOT_OURS = frozenset((401, 403, 408, 429, 500, 502, 503, 504))


class ScriptedOnce:
    """A model that says what it was told to for the next turn."""

    def __init__(self) -> None:
        self.reply: Reply | None = None
        self._default = SeededModel()

    def respond(self, prompt: Prompt) -> Reply:
        """The reply that was set, else the default model's."""
        return self._default.respond(prompt) if self.reply is None else self.reply


class Verifier:
    """A mock that plays what was recorded; `drift` holds what it answered differently."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.drift = Drift()
        self.checked = self.skipped = 0
        self._began = 0.0
        self._model = ScriptedOnce()
        self._now = 0.0
        self.engine = Engine(settings or Settings(), model=self._model, wall=lambda: self._now)
        self._ids: dict[str, str] = {}  # recorded → the mock's
        self._ended: dict[str, Interaction] = {}
        self._sockets: dict[int | None, WebSocketSession] = {}

    def check_all(self, cassette: Cassette) -> None:
        """Check the interactions of a cassette, in order."""
        self.begin(cassette)
        for interaction in cassette.interactions:
            self.check(interaction)

    def begin(self, cassette: Cassette) -> None:
        """Look ahead in a cassette whose interactions are checked next."""
        self._began = _seconds(cassette.head.recorded)
        self.look_ahead(cassette.interactions)

    def look_ahead(self, interactions: Iterable[Interaction]) -> None:
        """Learn how the turns ended that are checked next and had not ended when they were answered."""
        self._ended |= ended_turns(interactions)

    def check(self, interaction: Interaction) -> list[Finding]:
        """Play one interaction and compare; returns what differs."""
        if interaction.closes:  # a mock has no reason of its own to close
            self._sockets.pop(interaction.connection, None)
            return []
        if not self._is_checkable(interaction):
            self.skipped += 1
            return []
        self.checked += 1
        self._now = max(self._now, _time_of(interaction) or self._began + interaction.at)
        status = interaction.response.status
        # a refusal that only the real service can cause is the script's; any other has to be the mock's own
        said = self._ended.pop(_response_id(interaction), interaction)
        self._model.reply = reply_of(said, usage=False) if status < 400 or status in _NOT_OURS else None
        ours = self._play(interaction)
        findings = list(self._compare(interaction, ours))
        for finding in findings:
            self.drift.add(finding, interaction.id)
        return findings

    def _is_checkable(self, interaction: Interaction) -> bool:
        path = interaction.request.path
        covered = any(path == known or path.startswith(known + "/") for known in COVERED)
        socket = interaction.request.socket and interaction.request.value is None
        return (
            covered and not socket and interaction.response.ended == "complete" and interaction.response.status != 401
        )

    # --- playing -------------------------------------------------------------------------------------------------

    def _play(self, interaction: Interaction) -> Answer:
        request = interaction.request
        body = self._exchange(request.body)
        if request.socket:
            return self._play_frame(body, interaction.connection)
        headers = {name.encode(): value.encode("latin-1", "replace") for name, value in request.headers}
        query = parse_qsl(self._exchange(request.query.encode()).decode(), keep_blank_values=True)
        path = unquote(self._exchange(request.path.encode()).decode())
        return drivers._receive(self.engine.handle(Call(request.method, path, body, PROJECT, query, headers)))

    def _play_frame(self, body: bytes, connection: int | None) -> Answer:
        # what a socket remembers of responses that are not stored is forgotten with it (Spec: R4.5)
        socket = self._sockets.pop(connection, None) or WebSocketSession(self.engine, PROJECT)
        self._sockets[connection] = socket
        if len(self._sockets) > MOST_SOCKETS:
            del self._sockets[next(iter(self._sockets))]
        return drivers._of_frames(drivers._play(socket, socket.receive(body)))

    def _exchange(self, text: bytes) -> bytes:
        """A text with the mock's ids, and what the mock sealed, in the place of the recorded ones."""
        if not self._ids or not text:
            return text
        known = _ID.sub(lambda found: self._ids.get(found[0], found[0]), text.decode("latin-1"))
        return _BLOB.sub(lambda found: found[1] + self._ids.get(found[2], found[2]), known).encode("latin-1")

    # --- comparing -----------------------------------------------------------------------------------------------

    def _compare(self, interaction: Interaction, ours: Answer) -> Iterable[Finding]:
        endpoint = endpoint_of(interaction)
        status = 200 if interaction.request.socket else interaction.response.status
        events, value = list(interaction.events), interaction.value
        if interaction.request.socket and len(events) == 1 and events[0].get("type") == "error":
            status, events, value = int(events[0].get("status") or 0), [], events[0]
        if status != ours.status:
            shown = (str(status), f"{ours.status} {orjson.dumps(ours.body).decode()[:200]}")
            return [Finding(endpoint, "status", "status", *shown)]
        if events:
            return self._compare_streams(endpoint, events, ours.events or [])
        if ours.events is not None:
            return [Finding(endpoint, "body", "stream", "a body", "a stream")]
        self._learn(value, ours.body)
        return compare(endpoint, self._known(value), ours.body)

    def _compare_streams(self, endpoint: str, recorded: list[Any], ours: list[Any]) -> Iterable[Finding]:
        # items and responses are named by their first event; runs of deltas may be of different lengths
        for one, other in zip(_without_deltas(recorded), _without_deltas(ours), strict=False):
            self._learn(one, other)
        return compare_events(endpoint, [self._known(event) for event in recorded], ours)

    def _learn(self, recorded: Any, ours: Any) -> None:
        for one, other in pair_ids(recorded, ours):
            self._ids.setdefault(one, other)

    def _known(self, value: Any) -> Any:
        """A recorded value with the mock's ids."""
        return parse_json(self._exchange_all(orjson.dumps(value)))

    def _exchange_all(self, text: bytes) -> bytes:
        return _ID.sub(lambda found: self._ids.get(found[0], found[0]), text.decode()).encode()

    def close(self) -> None:
        """Close the mock."""
        self.engine.close()


def ended_turns(interactions: Iterable[Interaction]) -> dict[str, Interaction]:
    """The later interactions that show how turns ended which had not when they were answered, by the response's id."""
    ended: dict[str, Interaction] = {}
    begun: set[str] = set()
    for interaction in interactions:
        resource = interaction.resource
        if not isinstance(resource, dict) or resource.get("object") != "response":
            continue
        id = _response_id(interaction)
        if resource.get("status") not in ("completed", "incomplete", "failed"):
            begun.add(id)
        elif id in begun:  # else the turn shows its end itself: there is no need to hold it
            ended[id] = interaction
    return ended


def _response_id(interaction: Interaction) -> str:
    resource = interaction.resource
    return str(resource.get("id")) if isinstance(resource, dict) else ""


def _without_deltas(events: list[Any]) -> list[Any]:
    return [event for event in events if not str(event.get("type")).endswith(".delta")]


def endpoint_of(interaction: Interaction) -> str:
    """What an interaction asked, with ids as `{id}`."""
    request = interaction.request
    path = "/".join("{id}" if _ID.fullmatch(part) else part for part in request.path.split("/"))
    return f"{'WEBSOCKET' if request.socket else request.method} {path}"


def _time_of(interaction: Interaction) -> float | None:
    """The service's own time of a turn, which its answer says."""
    if interaction.request.method == "GET" and not interaction.request.socket:
        return None
    resource = interaction.resource
    created = resource.get("created_at") if isinstance(resource, dict) else None
    return float(created) if isinstance(created, int | float) else None


def _seconds(recorded: str | None) -> float:
    try:
        return datetime.fromisoformat(recorded or "").timestamp()
    except ValueError:
        return 0.0
