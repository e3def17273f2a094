"""Which scripted line answered each turn of a test, which turns no line answered, which lines were never used, and why.

It reads a mock's journal, its scenario and the contexts of its turns once, when a test has ended or failed.
"""

# How it works. The journal says which line answered a turn, and the records of its context still say what the model
# saw. So a turn's prompt can be built again, and the conditions of any line asked once more: why a line did not answer
# is found out here, and a turn in progress pays nothing for it.
#
# What must stay true:
# * What is lost (a deleted response, a call that fell out of the journal) makes the audit silent, never wrong.
# * A turn that no line can answer is none that lacks one: warm-ups, overflows and compaction triggers (Spec: R4.4,
#   R7.3, R5.9), and what the API itself refuses.

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mockserver.journal.history import TURNS, Call
from mockserver.model.prompt import Prompt
from mockserver.scenarios.conditions import mismatches
from mockserver.scenarios.lines import load_line
from mockserver.scenarios.near_misses import Candidate, describe_mismatches, explain
from mockserver.wire import catalog
from mockserver.wire.responses.encoding import encode_compact

if TYPE_CHECKING:
    from mockserver.testing.embedded_server import Host
    from mockserver.testing.journal import Exchange, Finding, Journal
    from mockserver.testing.origins import Origins

QUEUE = "queue"  # the place of a queued line in the journal
REFUSED_BY_STRICT = "No scenario line answers this request"
TRIGGER = "compaction_trigger"


class Audited(Protocol):
    """What a `Mock` has that an audit and a report read; the mock itself imports the report."""

    journal: Journal
    _host: Host
    _project: str
    _origins: Origins

    @property
    def allows_default(self) -> bool:
        """Whether turns that no line answers are no failure."""
        ...

    def verdict(self) -> list[Finding]:
        """The client's mistakes."""
        ...


class UnusedLine(NamedTuple):
    """A line that is not used up: its JSON, the place where it was set, how often it was used; `queued` or scenario."""

    source: dict[str, Any]
    place: str
    used: int
    queued: bool


class LineAudit:
    """A mock's turns and its scripted lines, as they are now."""

    def __init__(self, mock: Audited) -> None:
        self.calls: list[Exchange] = list(mock.journal)
        self.history = mock._host.history(mock._project)
        self.kept_days: float = mock._host.engine.rules.response_ttl_days  # 0: for ever
        self.known = {call.id: call for call in self.history.calls}
        self.tool_calls = {  # by their call_id
            str(item["call_id"]): item
            for call in self.history.calls
            for item in (*call.output, *call.items)
            if item.get("name") and item.get("call_id")
        }
        scenario = mock._host.levers.scenario(mock._project)
        self._origins = mock._origins
        self._sources, self._uses = self._read_sources(scenario["lines"])
        self.unused = [*self._find_unused_queue(scenario["queue"]), *self._find_unused_scenario(scenario["lines"])]
        # a test that only scripts calls to other paths leaves its turns to the default model
        answered = any(call.id in self._sources and is_turn(call) for call in self.calls)
        self.has_lines = answered or any("path" not in _when(unused) for unused in self.unused)
        self._lines: list[dict[str, Any]] = scenario["lines"]

    # --- who answered ------------------------------------------------------------------------------------------

    def _read_sources(self, scenario: list[dict[str, Any]]) -> tuple[dict[int, str], Counter[bytes]]:
        """Return the place of the line that answered each call, and how often each queued line was used."""
        places: dict[int, str] = {}
        uses: Counter[bytes] = Counter()
        for call in self.calls:
            if call.line is None:
                continue
            place, source = call.line["place"], _without(call.line, "place")
            if place == QUEUE:
                key = encode_compact(source)
                origin = self._origins.queued_at(key, uses[key] // (source.get("times") or 1))
                uses[key] += 1
                places[call.id] = f"{QUEUE}, {origin}" if origin else QUEUE
            else:
                places[call.id] = self._origins.played_at(place, [_without(line, "used") for line in scenario])
        return places, uses

    def source(self, call: Exchange) -> str | None:
        """What answered a turn: a line and its place, faults, the model; None for a call that nobody had to answer."""
        if call.id in self._sources:
            return self._sources[call.id]
        if call.faults:
            return f"fault: {', '.join(call.faults)}"
        return "default model" if is_answered(call) else None

    # --- turns without a line ----------------------------------------------------------------------------------

    @property
    def unanswered(self) -> list[Exchange]:
        """The turns that a line could have answered and none did."""
        return [call for call in self.calls if self._lacks_line(call)]

    def _lacks_line(self, call: Exchange) -> bool:
        if call.line is not None or not is_turn(call):
            return False
        if call.status == 501:
            return str((call.error or {}).get("message")).startswith(REFUSED_BY_STRICT)
        return is_answered(call) and not self._speaks_without_model(call)

    def _speaks_without_model(self, call: Exchange) -> bool:
        request, node = call.request or {}, self.known[call.id].node
        if request.get("generate") is False or (request.get("prompt_cache_options") or {}).get("prewarm"):
            return True
        items = self.known[call.id].items
        return bool(items and items[-1].get("type") == TRIGGER) or (node is not None and node.status == "failed")

    def why_unanswered(self, call: Exchange) -> str:
        """The lines that came nearest to answering a turn, and what did not hold, in a sentence."""
        if call.status == 501:
            why = str((call.error or {}).get("message")).partition("--strict is set. ")[2]
            return re.sub(r"lines\[(\d+)\]", lambda found: self._scenario_place(int(found[1])), why)
        prompt = self._prompt(self.known[call.id])
        candidates = list(self._candidates(call))
        if not candidates:
            return "All lines had been used before."
        return "" if prompt is None else explain(candidates, prompt)

    def _candidates(self, call: Exchange) -> Iterator[Candidate]:
        """The lines that might have answered: those used later, the unused ones, the scenario's."""
        for later in self.calls:
            if later.id > call.id and later.line is not None and later.line["place"] == QUEUE:
                yield Candidate(
                    self._sources[later.id], load_line(encode_compact(_without(later.line, "place"))), False
                )
        for unused in self.unused:
            if unused.queued:
                yield Candidate(unused.place, load_line(encode_compact(unused.source)), False)
        for number, line in enumerate(self._lines):
            source = _without(line, "used")
            spent = source.get("times") is not None and line["used"] >= source["times"]
            yield Candidate(self._scenario_place(number), load_line(encode_compact(source)), spent)

    # --- lines without a turn ----------------------------------------------------------------------------------

    def _find_unused_queue(self, queue: list[dict[str, Any]]) -> Iterator[UnusedLine]:
        before: Counter[bytes] = Counter()
        for index, line in enumerate(queue):
            source = _without(line, "used")
            key = encode_compact(source)
            origin = self._origins.queued_at(key, self._uses[key] // (source.get("times") or 1) + before[key])
            before[key] += 1
            yield UnusedLine(
                source, f"{QUEUE}[{index}], {origin}" if origin else f"{QUEUE}[{index}]", line["used"], True
            )

    def _find_unused_scenario(self, lines: list[dict[str, Any]]) -> Iterator[UnusedLine]:
        self._lines = lines
        for number, line in enumerate(lines):
            if not line["used"]:
                yield UnusedLine(_without(line, "used"), self._scenario_place(number), 0, False)

    def _scenario_place(self, number: int) -> str:
        return self._origins.played_at(f"lines[{number}]", [_without(line, "used") for line in self._lines])

    def why_unused(self, unused: UnusedLine) -> str:
        """Why a line did not answer, by the turn that came nearest to it."""
        path = _when(unused).get("path")
        if path is not None:
            return f"no call to {path} was left for it"
        turns = [call for call in self.calls if is_turn(call)]
        if not turns:
            return "no turn was made"
        when = load_line(encode_compact(unused.source)).when
        lacking = [call for call in self.unanswered if call.status == 200]
        # a turn that nobody answered is the one that the line was meant for, more likely than one with an answer
        prompts = ((call, self._prompt(self.known[call.id])) for call in lacking or turns)
        asked = [(call, prompt) for call, prompt in prompts if prompt is not None]
        if not asked:
            return ""
        wrong = [(call, mismatches(when, prompt)) for call, prompt in asked]
        call, nearest = min(reversed(wrong), key=lambda pair: len(pair[1]))
        if nearest:
            return f"nearest is #{call.id}: {describe_mismatches(nearest)}"
        answered = [call for call, misses in wrong if not misses]
        calls = ", ".join(f"#{call.id}" for call in answered[:3])
        return f"it could answer {calls}, but {self.source(answered[0]) or 'another'} did" if when else ""

    def _prompt(self, call: Call) -> Prompt | None:
        """What the model was given in a turn, built again; None if it is lost."""
        model = catalog.resolve(str(call.request.get("model")))
        if call.node is None or model is None:
            return None
        items = list(self.history.context(call))
        own = tuple(call.node.items[: call.node.own])
        request = {key: value for key, value in call.request.items() if value is not None}
        turn = call.node.summary.turn
        return Prompt(request, model, own, lambda: reversed(items), len(items), turn, "", call.transport)


def is_turn(call: Exchange) -> bool:
    """Whether a call asks for a response."""
    return call.method == "POST" and call.path == TURNS


def is_answered(call: Exchange) -> bool:
    """Whether a call is a turn that got a response."""
    return is_turn(call) and call.status == 200 and call.response_id is not None


def _when(unused: UnusedLine) -> Mapping[str, Any]:
    return unused.source.get("when") or {}


def _without(line: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != key}
