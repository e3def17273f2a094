"""A project as one document: what stands in it, what is refused, how an older one is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from math import inf
from typing import Any

import pytest

from mockserver.core.records import Put
from mockserver.core.state import Clock, Project
from mockserver.snapshots.document import MARK, VERSION, document_of, restore, upgrade
from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.encoding import json_body
from tests.support.driving import NOON, Driver

OWN = Project(Clock(frozen=NOON), 4, "p")
SLOW = {"reply": {"text": "one two"}, "pacing": {"first_token": 9}}


def taken() -> tuple[Driver, dict[str, Any]]:
    drive = Driver()
    conversation = drive.conversation(items=[{"role": "user", "content": "hi"}])["id"]
    first = drive.create("u")
    drive.create("v", previous_response_id=first["id"])
    drive.script(SLOW, {"reply": {"text": "waits"}})
    drive.create(conversation=conversation, background=True)
    return drive, json.loads(json_body(drive.engine.control.snapshot("p")))


def test_it_says_its_version_first_then_what_the_project_keeps_of_itself() -> None:
    _, document = taken()
    assert list(document)[:5] == [MARK, "seed", "mint", "calls", "clock"]
    assert (document[MARK], document["seed"], document["mint"], document["calls"]) == (1, 0, "p", 5)
    assert document["clock"] == {"shift": 0.0, "frozen": NOON}
    assert [one["order"] for one in document["responses"].values()] == [1, 2]
    assert document["others"] == []


def test_records_are_json_not_text() -> None:
    _, document = taken()
    (running,) = document["running"].values()
    assert running["body"]["status"] == "completed" and running["node"]["items"][0]["role"] == "user"
    assert list(document["lines"].values()) == [{"line": {"reply": {"text": "waits"}}, "used": 0}]


def test_the_order_of_records_does_not_matter_to_what_comes_back() -> None:
    _, document = taken()
    shuffled = {name: document[name] for name in reversed(document)}
    assert sorted(restore(shuffled, 0).records) == sorted(restore(document, 0).records)


@pytest.mark.parametrize(
    "put",
    [
        Put("unheard_of", "x", b'{"a":[1,2.5,null]}', "parent", 7),
        Put("unheard_of", "x", b"two\nlines"),
        Put("unheard_of", "x", b'{ "spaced": true }'),
        Put("response", "resp_x", b'{"order": 1.50}', "", 3),
        Put("use", "resp_x", b"12.0"),
        Put("line", "not a number", b'{"line":{"reply":{"text":"a"}},"used":0}', "", 5),
    ],
)
def test_what_has_no_readable_form_is_kept_as_it_is(put: Put) -> None:
    document = document_of([put], OWN, 0)
    assert len(document["others"]) == 1
    assert restore(json.loads(json_body(document)), 0) == (OWN, [put])


Change = Callable[[dict[str, Any]], Any]


def at(*path: Any, to: Any) -> Change:
    """Return what puts a value somewhere; a number of a path counts the keys of an object."""

    def change(document: dict[str, Any]) -> None:
        value: Any = document
        for step in path[:-1]:
            value = value[list(value)[step]] if isinstance(value, dict) and isinstance(step, int) else value[step]
        last = path[-1]
        if to is ...:
            del value[last]
        else:
            value[list(value)[last] if isinstance(value, dict) and isinstance(last, int) else last] = to

    return change


DEEP: Any = {}
for _ in range(300):
    DEEP = {"a": DEEP}

WRONG: list[tuple[Change, str]] = [
    (at(MARK, to=2), MARK),
    (at(MARK, to="1"), MARK),
    (at(MARK, to=True), MARK),
    (at(MARK, to=...), MARK),
    (at("seed", to=9), "seed"),
    (at("seed", to=...), "seed"),
    (at("mint", to=None), "mint"),
    (at("calls", to=-1), "calls"),
    (at("calls", to=4), "calls"),
    (at("clock", to={"now": 1}), "clock.now"),
    (at("colour", to="red"), "colour"),
    (at("responses", to=[]), "responses"),
    (at("responses", 0, "order", to="first"), "responses.*.order"),
    (at("responses", 0, "body", "id", to="resp_y"), "responses.*.body.id"),
    (at("responses", 0, "body", "usage", to=...), "responses.*.body.usage"),
    (at("responses", "resp_y", to={"order": 1, "body": {}}), "responses.resp_y"),
    (at("nodes", 0, "own", to="x"), "nodes.*.own"),
    (at("nodes", 0, "own", to=99), "nodes.*.own"),
    (at("nodes", 0, "parent", to="node_x"), "nodes.*.parent"),
    (at("nodes", 0, "items", 0, "type", to=...), "nodes.*.items[0].type"),
    (at("nodes", 0, "items", 0, "content", 0, "type", to={}), "nodes.*.items[0].content[0].type"),
    (at("responses", 0, "body", "background", to={}), "responses.*.body.background"),
    (at("responses", 0, "body", "output", 0, "content", 0, "text", to=[]), "responses.*.output[0].content[0].text"),
    (at("conversations", 0, "object", "metadata", to={"a": {"b": 1}}), "conversations.*.object.metadata.a"),
    (at("conversations", 0, "object", "metadata", to=DEEP), MARK),
    (at("nodes", 0, "items", 0, to="text"), "nodes.*.items[0]"),
    (at("nodes", 0, "summary", "colour", to="red"), "nodes.*.summary.colour"),
    (at("nodes", 0, "packed", to=[]), "nodes.*.packed"),
    (at("conversations", 0, "head", to="node_x"), "conversations.*.head"),
    (at("conversations", 0, "running", to="resp_x"), "conversations.*.running"),
    (at("conversations", 0, "object", "id", to="conv_x"), "conversations.*.object"),
    (at("entries", 0, "node", to="node_x"), "entries.*.node"),
    (at("entries", 0, "place", to=4), "entries.*.place"),
    (at("items", 0, 0, "node", to="node_x"), "items.*[0].node"),
    (at("items", 0, 0, "place", to=-1), "items.*[0].place"),
    (at("running", 0, "node", "parent", to="node_x"), "running.*.node.parent"),
    (at("running", 0, "body", "id", to="resp_y"), "running.*.body.id"),
    (at("running", 0, "ends_at", to=None), "running.*.ends_at"),
    (at("running", 0, "ends_at", to=inf), "running.*.ends_at"),
    (at("running", 0, "pacing", to=[inf, 1.0]), "running.*.pacing[0]"),
    (at("cache", to={"k": {"length": 1, "written_at": -inf, "expires_at": 2.0}}), "cache.k.written_at"),
    (at("cache", to={"k": {"length": 1, "written_at": 1.0, "expires_at": inf}}), "cache.k.expires_at"),
    (at("lines", 0, "used", to="often"), "lines.*.used"),
    (at("lines", 0, "line", "reply", to={}), "lines.*[0].reply"),
    (at("cache", to={"k": {"length": 1}}), "cache.k.written_at"),
    (at("others", to=[{"kind": "x"}]), "others[0].id"),
]


@pytest.mark.parametrize(("change", "where"), WRONG, ids=[where for _, where in WRONG])
def test_a_wrong_document_names_the_place_and_changes_nothing(change: Change, where: str) -> None:
    drive, document = taken()
    wrong = deepcopy(document)
    change(wrong)
    with pytest.raises(MockError) as caught:
        drive.engine.control.restore("p", wrong)
    param = caught.value.param or ""
    before, _, behind = where.partition("*")
    assert param.startswith(before) and param.endswith(behind) and caught.value.status == 400
    assert param in caught.value.message
    assert json.loads(json_body(drive.engine.control.snapshot("p"))) == document


def test_an_unstored_turn_may_go_back_to_what_only_a_socket_remembers() -> None:
    _, document = taken()
    (running,) = document["running"].values()
    running["node"]["parent"], running["body"], running["background"] = "resp_of_a_socket", None, False
    assert restore(document, 0).project.calls == 5


def test_what_can_be_seen_while_it_runs_has_a_body() -> None:
    """Spec: R6.6: a turn in the background is kept for a while also where it is not stored."""
    _, document = taken()
    (running,) = document["running"].values()
    running["body"], running["background"] = None, True
    with pytest.raises(MockError, match="a response in the background has one"):
        restore(document, 0)


def test_cues_belong_to_items_or_to_the_response() -> None:
    _, document = taken()
    next(iter(document["nodes"].values()))["cues"] = {"type": {}}
    with pytest.raises(MockError, match="must be the place of an item, or 'response'"):
        restore(document, 0)


@pytest.mark.parametrize("document", [None, [], "text", 7, {}])
def test_something_else_is_no_snapshot(document: Any) -> None:
    with pytest.raises(MockError, match="understudy_snapshot"):
        restore(document, 0)


def test_a_response_has_the_status_of_a_turn() -> None:
    """A node without one is of items that were added by hand: no call on a response could be judged by it."""
    _, document = taken()
    first = next(iter(document["responses"]))
    document["nodes"][first]["status"] = ""
    with pytest.raises(MockError, match=f"nodes.{first}.status: must be the status of its response"):
        restore(document, 0)


def test_a_node_cannot_be_its_own_ancestor() -> None:
    _, document = taken()
    first, second = (id for id in document["responses"])
    assert document["nodes"][second]["parent"] == first
    document["nodes"][first]["parent"] = second
    with pytest.raises(MockError, match="its own ancestor"):
        restore(document, 0)


def test_an_older_version_is_read_step_by_step() -> None:
    _, document = taken()
    old = {key: value for key, value in document.items() if key not in (MARK, "mint")}
    old |= {MARK: VERSION - 2, "name": "p"}
    steps: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
        VERSION - 2: lambda one: {**one, "mint": one["name"]},
        VERSION - 1: lambda one: {key: value for key, value in one.items() if key != "name"},
    }
    assert restore(old, 0, steps) == restore(document, 0)
    assert MARK not in upgrade(document)
    with pytest.raises(MockError, match=f"versions up to {VERSION}"):
        restore(old, 0)
