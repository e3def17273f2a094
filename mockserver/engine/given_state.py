"""State that a test starts from, played into a project: conversations, then responses as turns of the past."""

# How it works. Each object is made by the functions that answer a client (`conversations.create`, `admit`, `plan`,
# `commit`), at the time that its age says, on top of the objects before it. `Drafted` lays what has been made so
# far over the project's records, and nothing is written until all of it could be made.
#
# What must stay true:
# * A mistake names the object by its path and has changed nothing.
# * Each object takes a number of the project's calls, because lists are ordered by it and ids are drawn from it.
# * The same document, seed and clock give the same records.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from mockserver.core import conversations, encrypted_content, lifecycle
from mockserver.core.admission import admit
from mockserver.core.prompt_cache import NOTHING
from mockserver.core.records import Change, Put, Record, State
from mockserver.core.semantics import Semantics
from mockserver.core.state import read_conversation, read_node
from mockserver.core.turn import plan
from mockserver.model.prompt import Prompt
from mockserver.scenarios.items import expand
from mockserver.scenarios.lines import load_line
from mockserver.wire import catalog
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.responses.encoding import encode_compact
from mockserver.wire.responses.ids import IdGenerator

Given = Mapping[str, Any]
IdSource = Callable[[int, float], IdGenerator]  # from the number of a call and its time
_SECONDS = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}
_KINDS = ("conversations", "responses")


class Played(NamedTuple):
    """What given state becomes: the ids of its objects by kind, the records, and how many calls it stands for."""

    ids: dict[str, list[str]]
    changes: list[Change]
    calls: int


class Drafted:
    """A project's records with others laid over them that are not written yet: the core's `State`."""

    def __init__(self, base: State, changes: Iterable[Change] = ()) -> None:
        self._base = base
        self.changes: dict[tuple[str, str], Change] = {}
        self.add(changes)

    def add(self, changes: Iterable[Change]) -> None:
        """Lay changes over the records."""
        for change in changes:
            self.changes[change.kind, change.id] = change

    def get(self, kind: str, id: str) -> bytes | None:
        """A record's document, None when there is none."""
        change = self.changes.get((kind, id))
        if change is None:
            return self._base.get(kind, id)
        return change.doc if isinstance(change, Put) else None

    def scan(
        self,
        kind: str,
        parent: str = "",
        *,
        after: int | None = None,
        limit: int | None = None,
        descending: bool = False,
    ) -> list[Record]:
        """Records of a kind below a parent by their order, strictly after `after` in that direction."""
        if not any(changed == kind for changed, _ in self.changes):
            return self._base.scan(kind, parent, after=after, limit=limit, descending=descending)
        found = {record.id: record for record in self._base.scan(kind, parent)}
        for change in self.changes.values():
            if change.kind == kind:
                found.pop(change.id, None)
                if isinstance(change, Put) and change.parent == parent:
                    found[change.id] = Record(change.id, change.doc, change.order)
        listed = sorted(found.values(), key=lambda record: (record.order, record.id), reverse=descending)
        if after is not None:
            listed = [record for record in listed if (record.order < after if descending else record.order > after)]
        return listed[:limit]


class Nothing:
    """A project without records: the core's `State`."""

    def get(self, kind: str, id: str) -> bytes | None:
        """Nothing is there."""
        return None

    def scan(self, kind: str, parent: str = "", **page: Any) -> list[Record]:
        """Nothing is listed."""
        return []


def merge(givens: Iterable[Given]) -> Given:
    """Several given states as one."""
    merged: dict[str, list[Any]] = {}
    for given in givens:
        for kind in _KINDS:
            merged.setdefault(kind, []).extend(given.get(kind) or [])
    return {kind: objects for kind, objects in merged.items() if objects}


def play(given: Given, state: State, rules: Semantics, ids: IdSource, now: float, first: int) -> Played:
    """Make the objects of validated given state at `now`, from the project's call `first` on; raises MockError."""
    draft, number = Drafted(state), first
    made: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    for kind, make in (("conversations", _make_conversation), ("responses", _make_response)):
        for index, value in enumerate(given.get(kind) or []):
            where = f"given.{kind}[{index}]"
            time = now - _age(value)
            if time < 0:
                raise MockError(f"'{where}.age' is longer ago than the clock of the project can say.", param=where)
            try:
                id, changes = make(value, draft, rules, ids(number, time), time, number, where)
            except APIError as error:
                raise MockError(f"'{where}' can't be: {error.message}", param=where) from None
            draft.add(changes)
            made[kind].append(id)
            number += 1
    return Played(made, list(draft.changes.values()), number - first)


def _age(value: Mapping[str, Any]) -> float:
    return sum(_SECONDS[unit] * count for unit, count in (value.get("age") or {}).items())


def _refuse_known(where: str, id: str) -> None:
    raise MockError(f"'{where}.id' is there already: '{id}'. Reset the state first.", param=f"{where}.id")


def _make_conversation(
    value: Mapping[str, Any],
    state: State,
    rules: Semantics,
    id_generator: IdGenerator,
    now: float,
    order: int,
    where: str,
) -> tuple[str, list[Change]]:
    id = value.get("id")
    if id is not None and read_conversation(state, id) is not None:
        _refuse_known(where, id)
    items = [expand(item) for item in value.get("items") or []]
    request = {"metadata": value.get("metadata"), "items": items}
    made, changes = conversations.create(state, request, id_generator, now, order, id=id)
    return made["id"], [*changes, *encrypted_content.remember_given(state, items, rules.key)]


def _make_response(
    value: Mapping[str, Any],
    state: Drafted,
    rules: Semantics,
    id_generator: IdGenerator,
    now: float,
    order: int,
    where: str,
) -> tuple[str, list[Change]]:
    id = value.get("id")
    if id is not None and read_node(state, id) is not None:
        _refuse_known(where, id)
    request = {key: value[key] for key in _OF_THE_REQUEST if key in value}
    if isinstance(request.get("input"), list):
        request["input"] = [expand(item) for item in request["input"]]
        # whatever blob is given was handed out in the past that is told here (R1.42)
        state.add(encrypted_content.remember_given(state, request["input"], rules.key))
    admission = admit(state, {"model": catalog.UNNAMED, **request}, rules, id_generator, now)
    prompt = Prompt(
        admission.effective_request,
        admission.model,
        admission.visible_items,
        partial(admission.newest_first, state),
        admission.item_count,
        admission.before.turn + 1,
        id_generator.seed("reply"),
        input_tokens=admission.input_tokens,
    )
    output = value["output"]
    script = {"verbatim": True, **({"text": output} if isinstance(output, str) else {"output": output})}
    reply = load_line(encode_compact({"reply": script})).reply(prompt)
    turn = plan(admission, reply, NOTHING, rules, now)
    if id is not None:
        turn = turn._replace(final={**turn.final, "id": id}, node=turn.node._replace(id=id))
    body = lifecycle.encode_body(turn)
    changes = lifecycle.commit(state, turn.node, body, order, rules, admission.again)
    return turn.id, [*changes, *encrypted_content.remember(state, turn.handed_out)]


_OF_THE_REQUEST = ("model", "instructions", "input", "previous_response_id", "conversation", "metadata")
