"""Playing recorded exchanges through the mock, to see where it would have answered differently."""

# The mock gets each request in recorded order, with the recorded output as its script: so it says the same, and what
# differs is what the mock makes of it. Its ids are its own; they are learnt pair by pair from the answers and exchanged
# in requests and answers. Its clock stands at the time of the recorded exchange.

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from mockserver.config.pacing import MAX_FIRST_TOKEN_S, Pacing
from mockserver.config.settings import Settings
from mockserver.conformance import drivers
from mockserver.conformance.drivers import Answer
from mockserver.core import compaction
from mockserver.core.compaction import is_over_threshold
from mockserver.core.encrypted_content import encrypt
from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call
from mockserver.model.compaction_summary import summary_tokens
from mockserver.model.default_model import SeededModel
from mockserver.model.output_limit import output_limit, truncate_to_limit
from mockserver.model.prompt import Prompt, Reply
from mockserver.websocket.session import WebSocketSession
from mockserver.wire.tokens.context import output_tokens
from mockserver.wire.tokens.tools import Count
from proxy.cassettes.drift import Drift, Finding, compare, compare_events, pair_ids
from proxy.cassettes.interaction import Cassette, Interaction, parse_json
from proxy.cassettes.replies import reply_of

COVERED = ("/v1/responses", "/v1/conversations", "/v1/models")
PROJECT = "verify"
QUEUED = "queued"
UNFINISHED, ENDED = (QUEUED, "in_progress"), ("completed", "incomplete", "failed")
LEAST_S = 0.001  # how exact the times of a cassette are
MOST_SOCKETS = 256  # at a time; that a client has closed one is not recorded
_ID = re.compile(r"[A-Za-z]+_[A-Za-z0-9]{8,}")
_BLOB = re.compile(r'("encrypted_content"\s*:\s*")([^"\\]+)')
# refusals that say something about the account or the moment, and nothing about the request
_NOT_OURS = frozenset((401, 403, 408, 429, 500, 502, 503, 504))


class ScriptedOnce:
    """A model that says what it was told to for the next turn; `output_tokens` is what the service billed for it.

    `count` counts the tokens of a text, as the mock does.
    """

    def __init__(self, count: Count = len) -> None:
        self.reply: Reply | None = None
        self.output_tokens = 0
        self.count = count
        self._visible_tokens = self._passes = 0
        self._default = SeededModel()

    def say(self, reply: Reply | None, output_tokens: int = 0) -> None:
        """Set the reply of the next turn, and what was billed for it."""
        self.reply, self.output_tokens = reply, output_tokens
        self._visible_tokens, self._passes = 0, 1  # a turn that only compacts asks no model

    def respond(self, prompt: Prompt) -> Reply:
        """The reply that was set, else the default model's.

        What a service may not say is taken out of it: more than `max_output_tokens`, and a compaction of a context
        that is below the threshold. Spec: R7.5, R5.2.
        """
        reply = self.reply
        if reply is None:
            return self._default.respond(prompt)
        request, model = prompt.request, prompt.model
        if any(map(_is_compaction, reply.output)):
            if request.get("context_management") and not is_over_threshold(dict(request), prompt.input_tokens, model):
                reply = reply._replace(output=tuple(item for item in reply.output if not _is_compaction(item)))
            self._passes = max(1, sum(map(_is_compaction, reply.output)))
        if self.output_tokens > output_limit(prompt):
            return truncate_to_limit(reply, prompt, self.count)
        # counted as a model does, before the mock fills in what the model did not write
        self._visible_tokens = output_tokens(reply.output, reply.reasoning_tokens, request, model, self.count)
        return reply._replace(output_tokens=self._visible_tokens)

    def summary_tokens(self, seed: str, input_tokens: int) -> int:
        """The length of each hidden summary of the turn: what was billed beyond what can be seen. Spec: T10."""
        hidden = (self.output_tokens - self._visible_tokens) // self._passes
        return hidden if hidden > 0 else summary_tokens(seed, input_tokens)


def _is_compaction(item: Mapping[str, Any]) -> bool:
    return item.get("type") == "compaction"


class Verifier:
    """A mock that plays what was recorded; `drift` holds what it answered differently."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.drift = Drift()
        self.checked = self.skipped = 0
        self._began = 0.0
        self._model = ScriptedOnce()
        self._now = 0.0
        self.engine = Engine(settings or Settings(), model=self._model, wall=lambda: self._now)
        self._model.count = self.engine.rules.count
        self._ids: dict[str, str] = {}  # recorded → the mock's
        self._ended: dict[str, Interaction] = {}
        self._ends: dict[str, float] = {}
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
        interactions = [*interactions] if not isinstance(interactions, Sequence) else interactions
        self._ended |= ended_turns(interactions)
        self._ends |= ends_of_turns(interactions)

    def check(self, interaction: Interaction) -> list[Finding]:
        """Play one interaction and compare; returns what differs."""
        if interaction.closes:  # a mock has no reason of its own to close
            self._sockets.pop(interaction.connection, None)
            return []
        if not self._is_checkable(interaction):
            self.skipped += 1
            return []
        self.checked += 1
        created = _time_of(interaction)
        if not self._began and created is not None:  # what passes now has no head that says when it began
            self._began = created - interaction.at
        self._now = max(self._now, created or 0.0, self._began + interaction.at)  # `created` has whole seconds only
        status = interaction.response.status
        # a refusal that only the real service can cause is the script's; any other has to be the mock's own
        said = self._ended.pop(_response_id(interaction), interaction)
        reply = reply_of(said, usage=False) if status < 400 or status in _NOT_OURS else None
        self._model.say(None if reply is None else self._pace(reply, interaction), _output_tokens(said))
        ours = self._play(interaction)
        findings = list(self._compare(interaction, ours))
        for finding in findings:
            self.drift.add(finding, interaction.id)
        return findings

    def _pace(self, reply: Reply, interaction: Interaction) -> Reply:
        """A reply that takes as long as it took: what others saw meanwhile depends on it. Spec: R6.2, R1.35."""
        ends = self._ends.pop(_response_id(interaction), None)
        if ends is None:
            return reply
        seconds = self._began + ends - self._now - LEAST_S / 2  # the sum of floats must not be later than who saw it
        return reply._replace(pacing=Pacing(min(max(0.0, seconds), MAX_FIRST_TOKEN_S / 2)))

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
        streamed = interaction.request.socket or interaction.response.streamed  # one that was resumed may be empty
        if events or (streamed and ours.events is not None):
            return self._compare_streams(endpoint, events, ours.events or [])
        if ours.events is not None:
            return [Finding(endpoint, "body", "stream", "a body", "a stream")]
        self._learn(value, ours.body)
        if interaction.request.path.endswith("/responses/compact") and status == 200:
            ours = ours._replace(body=self._adopt_summary(value, ours.body))
        known, body = self._known(value), ours.body
        if interaction.request.method == "GET":
            known, body = _without_progress(known), _without_progress(body)
        return compare(endpoint, known, body)

    def _adopt_summary(self, recorded: Any, ours: Any) -> Any:
        """Our compacted window with a summary as long as the recorded one, which is billed from now on. Spec: R5.7."""
        tokens = _usage_of(recorded).get("output_tokens")
        items = [*filter(_is_compaction, recorded.get("output") or ())] if isinstance(recorded, dict) else []
        if not items or not isinstance(tokens, int) or tokens <= 0:
            return ours
        id = str(items[-1].get("id"))
        blob = encrypt(compaction.payload(id, tokens, {}), self.engine.rules.key, id, self._now)
        self._ids[str(items[-1].get("encrypted_content"))] = blob
        usage = ours["usage"]
        return {**ours, "usage": {**usage, "output_tokens": tokens, "total_tokens": usage["input_tokens"] + tokens}}

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
        if resource.get("status") not in ENDED:
            begun.add(id)
        elif id in begun:  # else the turn shows its end itself: there is no need to hold it
            ended[id] = interaction
    return ended


def ends_of_turns(interactions: Iterable[Interaction]) -> dict[str, float]:
    """When turns ended whose running somebody saw, by the response's id, in seconds as `Interaction.at`.

    That is what `completed_at` says, as far as it agrees with who saw it running last and at its end first, or went on
    from it. A turn that was cancelled, or that nobody saw at its end, runs on.
    """
    begun: dict[str, float] = {}
    running: dict[str, float] = {}
    ends: dict[str, float] = {}
    for interaction in interactions:
        resource = interaction.resource
        if not isinstance(resource, dict) or resource.get("object") != "response":
            continue
        id, status = _response_id(interaction), resource.get("status")
        parent = _parent_of(interaction)
        if ends.get(parent) == math.inf:  # a turn in progress can't be continued (Spec: R1.32)
            ends[parent] = max(running.get(parent, 0.0), interaction.at)
        begun.setdefault(id, interaction.at)
        if status in UNFINISHED:
            running[id] = interaction.at
            ends.setdefault(id, math.inf)
        elif status in ENDED and ends.get(id) == math.inf:
            took = (resource.get("completed_at") or math.inf) - (resource.get("created_at") or 0)
            # a poll is played at the time of its request, and a turn that was streamed ends with its stream
            seen = interaction.at + (interaction.response.seconds if interaction.response.streamed else 0.0)
            ends[id] = min(seen, max(begun[id] + took, running[id] + LEAST_S))
    return ends


def _parent_of(interaction: Interaction) -> str:
    asked = interaction.request.value
    return str(asked.get("previous_response_id")) if isinstance(asked, dict) else ""


def _output_tokens(interaction: Interaction) -> int:
    tokens = _usage_of(interaction.resource).get("output_tokens")
    return tokens if isinstance(tokens, int) else 0


def _usage_of(resource: Any) -> Mapping[str, Any]:
    usage = resource.get("usage") if isinstance(resource, dict) else None
    return usage if isinstance(usage, dict) else {}


def _without_progress(value: Any) -> Any:
    """A Response without what only says how far its turn has come, which nobody could know. Spec: R6.2."""
    if isinstance(value, dict) and value.get("object") == "response" and value.get("status") in UNFINISHED:
        return {**value, "status": QUEUED, "output": value.get("output") if value["status"] == QUEUED else []}
    return value


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
