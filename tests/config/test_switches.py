"""Every named switch, all its sides, through the engine or the app; `test_switch_NAME` is the test of that switch."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from mockserver.__main__ import main as mock_main
from mockserver.config.pacing import Pacing
from mockserver.config.settings import Settings
from mockserver.config.switches import SWITCHES, SwitchError, Switches, describe, parse_assignment, values_of
from mockserver.core import admission
from mockserver.engine import engine as engine_module
from mockserver.engine.engine import Engine
from mockserver.transport.app import MockApp
from mockserver.wire import catalog
from mockserver.wire.errors.api import APIError
from mockserver.wire.requests import bodies
from proxy import cli as proxy_cli
from tests.support import virtual_time
from tests.support.api import Api
from tests.support.driving import NOON, Driver, refused, text_of
from tests.support.sockets import Frames

DAY = 86_400
REASONING = "gpt-5.6-terra"
FAILED = {"reply": {"failed": {"code": "server_error", "message": "deliberate"}}}
CUT = {"reply": {"text": "partial", "incomplete": "max_output_tokens"}}


def sides(name: str) -> Any:
    """Run a test once per value of a switch."""
    return pytest.mark.parametrize("value", [one for one in SWITCHES[name].values if " " not in one])


def switched(**switches: str) -> Driver:
    return Driver(**chosen(**switches))


def chosen(**switches: str) -> dict[str, Any]:
    return {"set": tuple(parse_assignment(f"{name}={value}") for name, value in switches.items())}


def status_of(call: Callable[..., Any], *args: Any, **kwargs: Any) -> int:
    """Return the HTTP status that a call of the engine comes to."""
    try:
        call(*args, **kwargs)
    except APIError as error:
        return error.status
    return 200


def ask(
    engine: Engine, method: str, path: str, body: Any = None, *, key: str = "", leaves: bool = False
) -> tuple[int, dict[str, str], bytes]:
    """Ask the app over ASGI; a caller that `leaves` is gone as soon as the request is sent."""
    sent: list[Any] = []
    headers = [(b"authorization", f"Bearer {key}".encode())] if key else []
    target, _, query = path.partition("?")
    scope = {"type": "http", "method": method, "path": target, "query_string": query.encode(), "headers": headers}
    incoming = [{"type": "http.request", "body": json.dumps(body).encode() if body is not None else b""}]

    async def receive() -> Any:
        if incoming:
            return incoming.pop()
        if not leaves:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    virtual_time.run(MockApp(engine)(scope, receive, send))
    if not sent:
        return 0, {}, b""
    got = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], got, b"".join(message["body"] for message in sent[1:])


# --- The table, the settings -------------------------------------------------------------------------------------


def test_there_are_41_switches_and_each_default_is_a_value() -> None:
    assert len(SWITCHES) == 41
    for name, row in SWITCHES.items():
        assert row.values[0] == row.default
        assert getattr(Switches(), name) == row.parse(row.default)
        assert row.rule
        assert row.meaning


def test_every_switch_has_its_test() -> None:
    tested = {name.removeprefix("test_switch_") for name in globals() if name.startswith("test_switch_")}
    assert tested == SWITCHES.keys()


MISTAKES = {
    "done_sentinal=on": "there is no switch 'done_sentinal'; did you mean done_sentinel?",
    "done_sentinel": "done_sentinel needs a value, such as done_sentinel=off",
    "done_sentinel=maybe": "done_sentinel takes off or on, not 'maybe'",
    "encrypted_content=never": "encrypted_content takes always, stateless_or_included or included, not 'never'",
    "response_ttl_days=-1": "response_ttl_days takes a number of days, 0 for never, not '-1'",
    "response_ttl_days=nan": "response_ttl_days takes a number of days, 0 for never, not 'nan'",
    "chain_onto=done": "chain_onto takes a comma-separated list of completed, incomplete, failed, cancelled, or all, "
    "not 'done'",
    "chain_onto=failed,queued": "chain_onto takes a comma-separated list of completed, incomplete, failed, "
    "cancelled, or all, not 'failed,queued'",
    "stream_replay_window=soon": "stream_replay_window takes a duration such as 30d, 12h, 5m or 90s, not 'soon'",
}


@pytest.mark.parametrize(("text", "complaint"), MISTAKES.items(), ids=list(MISTAKES))
def test_a_mistake_is_one_clear_line(text: str, complaint: str) -> None:
    with pytest.raises(SwitchError) as caught:
        parse_assignment(text)
    assert str(caught.value) == complaint


def test_a_name_like_no_other_is_answered_with_all_names() -> None:
    with pytest.raises(SwitchError) as caught:
        parse_assignment("xyzzy=1")
    assert str(caught.value).startswith("there is no switch 'xyzzy'; there are get_after_delete, delete_object, ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("program", [proxy_cli.main, mock_main])
def test_a_mistake_ends_the_program_with_status_2(program: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert program(["--port", "0", "--set", "ws_cache=double"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("error: --set: ws_cache takes per_lane or single, not 'double'\n")
    assert err.count("\n") == 1


def test_of_one_name_the_last_counts() -> None:
    pairs = [("response_ttl_days", "1"), ("chain_onto", "completed, failed"), ("response_ttl_days", "2.5")]
    assert values_of(pairs) == {"response_ttl_days": 2.5, "chain_onto": ("completed", "failed")}


def test_the_self_description_prints_them() -> None:
    engine = Engine(Settings(**chosen(auth="optional", chain_onto="completed", zdr="on")))
    shown = json.loads(ask(engine, "GET", "/_mock/health")[2])["switches"]
    assert shown == {**{name: row.default for name, row in SWITCHES.items()}, "chain_onto": "completed", "zdr": "on"}
    assert list(shown) == [one.name for one in fields(Switches)]
    assert shown == describe((("chain_onto", "completed"), ("zdr", "on")))


# --- Reading and deleting responses ------------------------------------------------------------------------------


@sides("get_after_delete")
def test_switch_get_after_delete(value: str) -> None:
    drive = switched(get_after_delete=value)
    made, unstored = drive.create(), drive.create(store=False)
    drive.delete(made["id"])
    text = {
        "404": f"Response with id '{made['id']}' not found.",
        "400": f"Response with id '{made['id']}' has been deleted.",
    }
    for read in (drive.get, drive.replay, drive.input_items):
        error = refused(read, made["id"])
        assert (error.status, error.message, error.param, error.code) == (int(value), text[value], None, None)
    assert refused(drive.delete, made["id"]).status == 404, "R1.14: deletion is not idempotent"
    assert refused(drive.get, unstored["id"]).status == 404
    drive.advance(days=30)
    assert refused(drive.get, made["id"]).status == 404


@sides("delete_object")
def test_switch_delete_object(value: str) -> None:
    drive = switched(delete_object=value)
    made = drive.create()
    assert drive.delete(made["id"]) == {"id": made["id"], "object": value, "deleted": True}


@sides("get_stream_finished")
def test_switch_get_stream_finished(value: str) -> None:
    drive = switched(get_stream_finished=value)
    id = drive.create()["id"]
    assert drive.get(id)["id"] == id
    if value == "replay":
        assert drive.replay(id)[-1]["type"] == "response.completed"
        return
    error = refused(drive.replay, id)
    assert (error.status, error.param) == (400, "stream")
    assert error.message == "This response cannot be streamed because it was not created with background=true."


SLOW = {"reply": {"reasoning": "hm", "text": "one two three"}, "pacing": {"first_token": 10, "tokens_per_second": 1}}


@sides("cancelled_output")
def test_switch_cancelled_output(value: str) -> None:
    drive = switched(cancelled_output=value)
    drive.script(SLOW)
    id = drive.create(background=True, model="gpt-5.2")["id"]
    drive.advance(seconds=12)
    shown = json.loads(Api(drive.engine).cancel_response(drive.project, id))
    assert (shown["status"], shown["usage"]) == ("cancelled", None)
    assert [item["type"] for item in shown["output"]] == {"cleared": [], "kept": ["reasoning"]}[value]
    assert drive.get(id) == shown


@sides("background_store_false")
def test_switch_background_store_false(value: str) -> None:
    drive = switched(background_store_false=value)
    if value == "refuse":
        error = refused(drive.create, background=True, store=False)
        assert (error.status, error.param, error.code) == (400, "background", "unsupported_parameter")
        return
    made = drive.create(background=True, store=False)
    assert (made["status"], made["store"]) == ("queued", False)
    assert drive.get(made["id"])["status"] == "completed"


@pytest.mark.parametrize(("value", "lasts"), [("30d", None), ("10m", 600)])
def test_switch_stream_replay_window(value: str, lasts: int | None) -> None:
    drive = switched(stream_replay_window=value)
    id = drive.create(background=True)["id"]
    assert drive.replay(id)[-1]["type"] == "response.completed"
    drive.advance(seconds=599)
    assert drive.replay(id)[-1]["type"] == "response.completed"
    drive.advance(seconds=1)
    if lasts is None:
        assert drive.replay(id)[-1]["type"] == "response.completed"
    else:
        assert refused(drive.replay, id).param == "stream"
    assert drive.get(id)["status"] == "completed"


@pytest.mark.parametrize(("value", "lasts"), [("30", 30 * DAY), ("0.5", DAY // 2), ("0", None)])
def test_switch_response_ttl_days(value: str, lasts: int | None) -> None:
    drive = switched(response_ttl_days=value)
    id = drive.create()["id"]
    if lasts is None:
        assert drive.advance(days=10_000)["expired"] == []
        assert status_of(drive.get, id) == 200
        return
    drive.advance(seconds=lasts - 1)
    assert status_of(drive.get, id) == 200
    assert drive.advance(seconds=1)["expired"] == [id]
    assert status_of(drive.get, id) == 404


@sides("expiry_boundary")
def test_switch_expiry_boundary(value: str) -> None:
    drive = switched(expiry_boundary=value)
    id = drive.create()["id"]
    drive.advance(days=30)
    assert status_of(drive.get, id) == {"inclusive": 404, "exclusive": 200}[value]
    drive.advance(seconds=1)
    assert status_of(drive.get, id) == 404


@sides("ttl_from")
def test_switch_ttl_from(value: str) -> None:
    drive = switched(ttl_from=value)
    first = drive.create()["id"]
    drive.advance(days=29)
    drive.create(previous_response_id=first)
    drive.count(input="x", previous_response_id=first)
    gone = drive.advance(days=1)["expired"]
    assert gone == ([first] if value == "created_at" else [])
    assert status_of(drive.get, first) == {"created_at": 404, "last_use": 200}[value]
    shown = [one["id"] for one in drive.engine.control.list_responses(drive.project, limit=9, after=None)["data"]]
    assert (first in shown) == (value == "last_use")
    assert status_of(drive.create, previous_response_id=first) == {"created_at": 400, "last_use": 200}[value]
    drive.advance(days=29)
    assert status_of(drive.get, first) == {"created_at": 404, "last_use": 200}[value]
    drive.advance(days=1)
    assert status_of(drive.get, first) == 404


@sides("conversation_response_ttl")
def test_switch_conversation_response_ttl(value: str) -> None:
    drive = switched(conversation_response_ttl=value)
    conversation = drive.conversation()["id"]
    inside, outside = drive.create(conversation=conversation)["id"], drive.create()["id"]
    kept = value == "keep"
    assert drive.advance(days=31)["expired"] == ([outside] if kept else [inside, outside])
    assert status_of(drive.get, inside) == (200 if kept else 404)
    assert status_of(drive.get, outside) == 404
    assert len(drive.items(conversation)["data"]) == 2


# --- Chains ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("completed,incomplete", {"completed", "incomplete"}),
        ("completed", {"completed"}),
        ("failed", {"failed"}),
        ("all", {"completed", "incomplete", "failed"}),
    ],
)
def test_switch_chain_onto(value: str, allowed: set[str]) -> None:
    drive = switched(chain_onto=value)
    drive.script(CUT, FAILED)
    parents = {parent["status"]: parent["id"] for parent in (drive.create(), drive.create(), drive.create())}
    assert set(parents) == {"incomplete", "failed", "completed"}
    for status, id in parents.items():
        assert status_of(drive.create, previous_response_id=id) == (200 if status in allowed else 400), status


@sides("deleted_ancestor")
@pytest.mark.parametrize("how", ["deleted", "expired"])
def test_switch_deleted_ancestor(value: str, how: str) -> None:
    drive = switched(deleted_ancestor=value)
    first = drive.create("u1")
    drive.advance(days=20)
    second = drive.create("u2", previous_response_id=first["id"])
    third = drive.create("u3", previous_response_id=second["id"])
    assert status_of(drive.create, previous_response_id=third["id"]) == 200
    drive.delete(first["id"]) if how == "deleted" else drive.advance(days=10)
    assert status_of(drive.get, third["id"]) == 200
    if value == "keep":
        made = drive.create("u4", previous_response_id=third["id"])
        assert drive.context(made["id"])[0] == "u1"
        return
    error = refused(drive.create, previous_response_id=third["id"])
    assert error.message == f"Previous response with id '{third['id']}' not found."


def test_a_conversation_keeps_the_ancestors_of_what_was_made_in_it() -> None:
    drive = switched(deleted_ancestor="break")
    conversation = drive.conversation(items=[{"role": "user", "content": "by hand"}])["id"]
    first = drive.create("u1", conversation=conversation)
    second = drive.create("u2", conversation=conversation)
    drive.delete(first["id"])
    assert status_of(drive.create, conversation=conversation) == 200
    assert status_of(drive.create, previous_response_id=second["id"]) == 200


@sides("input_items_scope")
def test_switch_input_items_scope(value: str) -> None:
    drive = switched(input_items_scope=value)
    first = drive.create("u1")
    second = drive.create("u2", previous_response_id=first["id"])
    listed = [text_of(item) for item in drive.input_items(second["id"], order="asc")["data"]]
    assert listed == {"resolved": ["u1", text_of(first["output"][0]), "u2"], "own": ["u2"]}[value]
    assert len(drive.context(second["id"])) == 3


@sides("input_items_order")
def test_switch_input_items_order(value: str) -> None:
    engine = Engine(Settings(clock=NOON, **chosen(input_items_order=value)))
    made = json.loads(ask(engine, "POST", "/v1/responses", {"model": "gpt-4.1", "input": _users("a", "b")})[2])
    path = f"/v1/responses/{made['id']}/input_items"

    def listed(query: str = "") -> list[str]:
        return [text_of(item) for item in json.loads(ask(engine, "GET", path + query)[2])["data"]]

    assert listed() == {"desc": ["b", "a"], "asc": ["a", "b"]}[value]
    assert listed("?order=desc") == ["b", "a"]
    assert listed("?order=asc") == ["a", "b"]


def _users(*texts: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text} for text in texts]


# --- Conversations -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("completed,incomplete", ["u1", "partial", "u3", "a3"]),
        ("completed", ["u3", "a3"]),
        ("all", ["u1", "partial", "u2", "u3", "a3"]),
    ],
)
def test_switch_conversation_write_on(value: str, written: list[str]) -> None:
    drive = switched(conversation_write_on=value)
    drive.script(CUT, FAILED, {"reply": {"text": "a3"}})
    conversation = drive.conversation()["id"]
    for text in ("u1", "u2", "u3"):
        drive.create(text, conversation=conversation)
    assert [text_of(item) for item in drive.items(conversation, order="asc")["data"]] == written


@sides("store_false_conversation")
def test_switch_store_false_conversation(value: str) -> None:
    drive = switched(store_false_conversation=value)
    conversation = drive.conversation()["id"]
    made = drive.create("u1", conversation=conversation, store=False)
    assert status_of(drive.get, made["id"]) == 404
    assert len(drive.items(conversation)["data"]) == {"write_items": 2, "read_only": 0}[value]
    drive.create("u2", conversation=conversation)
    assert len(drive.items(conversation)["data"]) == {"write_items": 4, "read_only": 2}[value]


@sides("metadata_update")
def test_switch_metadata_update(value: str) -> None:
    drive = switched(metadata_update=value)
    id = drive.conversation(metadata={"a": "1", "b": "2"})["id"]

    def update(metadata: Any) -> Any:
        body = json.dumps({"metadata": metadata}).encode()
        return json.loads(Api(drive.engine).update_conversation(drive.project, id, body))["metadata"]

    assert update({"b": "3"}) == {"replace": {"b": "3"}, "merge": {"a": "1", "b": "3"}}[value]
    assert update(None) == {"replace": {}, "merge": {"a": "1", "b": "3"}}[value]
    many = {f"k{number}": "x" for number in range(16)}
    if value == "replace":
        assert update(many) == many
        return
    error = refused(update, many)
    assert (error.status, error.param, error.code) == (400, "metadata", "object_above_max_properties")


@sides("on_disconnect")
@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("stored", [True, False])
def test_switch_on_disconnect(value: str, streamed: bool, stored: bool) -> None:
    drive = Driver(pacing=Pacing(3600.0), **chosen(on_disconnect=value))
    engine, project = drive.engine, drive.engine.project(None, None)
    drive.project = project
    conversation = drive.conversation()["id"]
    body = {"model": "gpt-4.1", "input": "u1", "conversation": conversation, "stream": streamed, "store": stored}
    ask(engine, "POST", "/v1/responses", body, leaves=True)
    again = {"model": "gpt-4.1", "input": "u2", "conversation": conversation}
    if value == "continue":
        assert refused(drive.create, **again).code == "conversation_locked"
        done = drive.advance(seconds=3600)["completed"]
        assert len(done) == 1
        assert status_of(drive.get, done[0]) == (200 if stored else 404)
        assert len(drive.items(conversation)["data"]) == 2
        return
    assert drive.items(conversation)["data"] == []
    kept = engine.control.list_responses(project, limit=9, after=None)["data"]
    assert len(kept) == stored
    if stored:
        cancelled = kept[0]
        assert cancelled["status"] == "cancelled"
        assert (cancelled["output"], cancelled["usage"], cancelled["completed_at"]) == ([], None, None)
        assert drive.get(cancelled["id"]) == cancelled
        assert [text_of(item) for item in drive.input_items(cancelled["id"])["data"]] == ["u1"]
        assert drive.replay(cancelled["id"])[-1]["type"] == "response.failed", "S12.5"
        assert refused(drive.create, previous_response_id=cancelled["id"]).code == "previous_response_not_found"
    assert drive.advance(seconds=3600)["completed"] == []
    assert drive.create("u2", conversation=conversation)["status"] == "completed"


def test_a_cancelled_turn_can_be_continued_and_written_where_that_is_chosen() -> None:
    drive = Driver(
        pacing=Pacing(3600.0), **chosen(on_disconnect="cancel", chain_onto="all", conversation_write_on="all")
    )
    drive.project = drive.engine.project(None, None)
    conversation = drive.conversation()["id"]
    body = {"model": "gpt-4.1", "input": "u1", "conversation": conversation}
    ask(drive.engine, "POST", "/v1/responses", body, leaves=True)
    assert [text_of(item) for item in drive.items(conversation)["data"]] == ["u1"]
    cancelled = drive.engine.control.list_responses(drive.project, limit=9, after=None)["data"][0]["id"]
    made = drive.create("u2", previous_response_id=cancelled)
    assert drive.context(made["id"]) == ["u1", "u2"]
    assert made["usage"]["input_tokens"] == drive.count(input=_users("u1", "u2"))


# --- Items -------------------------------------------------------------------------------------------------------


@sides("reasoning_pairing")
def test_switch_reasoning_pairing(value: str) -> None:
    drive = switched(reasoning_pairing=value)
    first = drive.create("u1", model=REASONING)
    reasoning, answer = first["output"]
    assert (reasoning["type"], answer["type"]) == ("reasoning", "message")
    user = _users("u1", "u2")
    stray = {"model": REASONING, "input": [user[0], reasoning, user[1]]}
    bare = {"model": REASONING, "input": [user[0], {"type": "item_reference", "id": answer["id"]}, user[1]]}
    last = {"model": REASONING, "input": [user[0], reasoning]}
    whole = {"model": REASONING, "input": [user[0], reasoning, answer, user[1]]}
    assert drive.create(**whole)["status"] == "completed"
    assert drive.create("u2", model=REASONING, previous_response_id=first["id"])["status"] == "completed"
    if value == "lenient":
        assert all(drive.create(**one)["status"] == "completed" for one in (stray, bare, last))
        return
    e73 = f"Item '{reasoning['id']}' of type 'reasoning' was provided without its required following item."
    e74 = (
        f"Item '{answer['id']}' of type 'message' was provided without its required 'reasoning' item: "
        f"'{reasoning['id']}'."
    )
    for asked, text in ((stray, e73), (last, e73), (bare, e74)):
        error = refused(drive.create, **asked)
        assert (error.status, error.message, error.param, error.code) == (400, text, "input", None)


@sides("encrypted_content")
def test_switch_encrypted_content(value: str) -> None:
    drive = switched(encrypted_content=value)

    def shown(**fields: Any) -> bool:
        made = drive.create(model=REASONING, **fields)
        streamed = drive.stream(model=REASONING, **fields)[-1]["response"]
        found = {"encrypted_content" in one["output"][0] for one in (made, streamed)}
        assert len(found) == 1
        if made["store"]:
            assert drive.get(made["id"]) == made
        return found.pop()

    assert shown() == (value == "always")
    assert shown(store=False) == (value != "included")
    assert shown(include=["reasoning.encrypted_content"])
    assert shown(include=["reasoning.encrypted_content"], store=False)


@sides("unknown_item_status")
def test_switch_unknown_item_status(value: str) -> None:
    drive = switched(unknown_item_status=value)
    for fields_ in ({}, {"store": False}):
        error = refused(drive.create, [{"type": "item_reference", "id": "msg_1"}], **fields_)
        assert (error.status, error.param) == (int(value), "input")
        assert error.message.startswith("Item with id 'msg_1' not found.")


@sides("id_prefix_code")
def test_switch_id_prefix_code(value: str) -> None:
    drive = switched(id_prefix_code=value)
    item = {"type": "message", "role": "user", "id": "rs_1", "content": "x"}
    wrong = [
        refused(drive.create, [item]),
        refused(drive.count, input=[item]),
        refused(drive.conversation, items=[item]),
    ]
    assert [error.code for error in wrong] == [value] * 3
    assert wrong[0].message == "Invalid 'input[0].id': 'rs_1'. Expected an ID that begins with 'msg'."
    assert refused(drive.create, [{**item, "id": "msg_ü"}]).code == "invalid_value"


@sides("json_word")
def test_switch_json_word(value: str) -> None:
    drive = switched(json_word=value)
    fields_ = {"text": {"format": {"type": "json_object"}}}
    assert status_of(drive.create, "hello", **fields_) == {"require": 400, "ignore": 200}[value]
    assert status_of(drive.create, "hello, as JSON", **fields_) == 200


# --- The window --------------------------------------------------------------------------------------------------

WINDOW = 200


@pytest.fixture
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every model a window of a few tokens."""

    def small(name: str, unknown_models: str) -> Any:
        model = catalog.find(name, unknown_models)
        return None if model is None else _shrunk(model)

    monkeypatch.setattr(admission, "_find_model", small)


_SHRUNK: dict[str, catalog.Model] = {}


def _shrunk(model: catalog.Model) -> catalog.Model:
    return _SHRUNK.setdefault(model.id, replace(model, max_input_tokens=WINDOW))


LONG = "word " * 300
TEXT_E54 = "Your input exceeds the context window of this model. Please adjust your input and try again."


@sides("stream_overflow")
@pytest.mark.usefixtures("small_window")
def test_switch_stream_overflow(value: str) -> None:
    drive = switched(stream_overflow=value)
    drive.script({"reply": {"text": "scripted"}})
    assert refused(drive.create, LONG).code == "context_length_exceeded", "without a stream: E54"
    events = drive.stream(LONG)
    ends = {
        "error_then_failed": ["error", "response.failed"],
        "error_only": ["error"],
        "failed_only": ["response.failed"],
    }
    assert [event["type"] for event in events] == ["response.created", "response.in_progress", *ends[value]]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    if value != "failed_only":
        assert events[2]["error"] == {
            "type": "invalid_request_error",
            "code": "context_length_exceeded",
            "message": TEXT_E54,
            "param": "input",
        }
    id = events[0]["response"]["id"]
    kept = drive.get(id)
    assert (kept["status"], kept["usage"], kept["output"]) == ("failed", None, [])
    assert kept["error"] == {"code": "context_length_exceeded", "message": TEXT_E54}
    assert drive.replay(id) == events
    assert drive.create()["output"][0]["content"][0]["text"] == "scripted", "no line was used up"


@pytest.mark.usefixtures("small_window")
def test_R7_3_an_overflow_that_is_not_stored_leaves_nothing_and_writes_nothing() -> None:
    drive = Driver()
    conversation = drive.conversation()["id"]
    events = drive.stream(LONG, store=False, conversation=conversation)
    assert events[-1]["type"] == "response.failed"
    assert status_of(drive.get, events[-1]["response"]["id"]) == 404
    assert drive.items(conversation)["data"] == []
    assert drive.create(conversation=conversation)["status"] == "completed"


@sides("stream_error_shape")
def test_switch_stream_error_shape(value: str) -> None:
    drive = switched(stream_error_shape=value)
    drive.script(FAILED)
    events = drive.stream()
    error = {"code": "server_error", "message": "deliberate", "param": None}
    assert (
        events[-2]
        == {
            "nested": {"type": "error", "error": {"type": "server_error", **error}, "sequence_number": 2},
            "flat": {"type": "error", **error, "sequence_number": 2},
        }[value]
    )
    assert list(events[-2])[-1] == "sequence_number"
    assert drive.replay(events[0]["response"]["id"]) == events


@sides("compaction_shape")
def test_switch_compaction_shape(value: str) -> None:
    drive = switched(compaction_shape=value)
    manage = [{"type": "compaction", "compact_threshold": 1000}]
    made = drive.create("word " * 1100, context_management=manage)
    shapes = {
        "last": ["message", "compaction"],
        "first": ["compaction", "message"],
        "first_and_last": ["compaction", "message", "compaction"],
    }
    assert [item["type"] for item in made["output"]] == shapes[value]


@sides("truncation_drop")
@pytest.mark.usefixtures("small_window")
def test_switch_truncation_drop(value: str) -> None:
    drive = switched(truncation_drop=value)
    texts = [f"turn {number} " + "word " * 30 for number in range(8)]
    asked = _users(*texts)
    assert refused(drive.create, asked).code == "context_length_exceeded"
    made = drive.create(asked, truncation="auto")
    listed = drive.input_items(made["id"], order="asc")["data"]
    assert [text_of(item) for item in listed] == texts, "what is stored is whole"
    context = drive.engine.control.context(drive.project, made["id"])
    dropped = context["dropped"]
    ids = [item["id"] for item in listed]
    assert [item["id"] for item in context["items"]] == [id for id in ids if id not in dropped]
    count = len(dropped)
    assert dropped == {"beginning": ids[:count], "middle": ids[2 : 2 + count]}[value]
    assert 0 < made["usage"]["input_tokens"] <= WINDOW
    assert made["usage"]["input_tokens"] == drive.count(input=[asked[ids.index(id)] for id in ids if id not in dropped])
    assert made["usage"]["input_tokens"] == drive.count(input=asked, truncation="auto"), "R8.2"
    assert made["truncation"] == "auto"
    assert f"[{8 - count} items in context]" in text_of(made["output"][0])


@pytest.mark.usefixtures("small_window")
def test_R7_4_a_chain_goes_on_for_ever_with_truncation_and_never_without() -> None:
    drive = Driver()
    parent, conversation = None, drive.conversation()["id"]
    for number in range(12):
        fields_: dict[str, Any] = {"previous_response_id": parent} if parent else {}
        made = drive.create(f"turn {number} " + "word " * 30, truncation="auto", **fields_)
        assert made["usage"]["input_tokens"] <= WINDOW
        parent = made["id"]
        drive.create("word " * 30, truncation="auto", conversation=conversation)
    assert len(drive.input_items(parent or "", limit="100")["data"]) == 23
    assert len(drive.items(conversation, limit="100")["data"]) == 24
    assert refused(drive.create, previous_response_id=parent).code == "context_length_exceeded"
    assert refused(drive.create, LONG, truncation="auto").code == "context_length_exceeded"
    assert drive.stream(LONG, truncation="auto")[-1]["type"] == "response.failed"


@pytest.mark.usefixtures("small_window")
def test_R7_4_calls_and_outputs_go_together() -> None:
    drive = Driver()
    pairs: list[dict[str, Any]] = []
    for number in range(6):
        pairs.append({"type": "function_call", "call_id": f"c{number}", "name": "f", "arguments": "{}"})
        pairs.append({"type": "function_call_output", "call_id": f"c{number}", "output": "word " * 30})
    made = drive.create([*_users("go"), *pairs], truncation="auto")
    context = drive.engine.control.context(drive.project, made["id"])
    assert context["dropped"]
    assert [item["type"] for item in context["items"][:2]] == ["message", "function_call"]
    kept = [item["call_id"] for item in context["items"] if "call_id" in item]
    assert all(kept.count(id) == 2 for id in kept)


# --- The edge ----------------------------------------------------------------------------------------------------

STREAM = {"model": "gpt-4.1", "input": "ping", "stream": True}


@sides("done_sentinel")
def test_switch_done_sentinel(value: str) -> None:
    engine = Engine(Settings(clock=NOON, **chosen(done_sentinel=value)))
    body = ask(engine, "POST", "/v1/responses", STREAM)[2]
    id = re.findall(rb"resp_[0-9a-f]+", body)[0].decode()
    for one in (body, ask(engine, "GET", f"/v1/responses/{id}?stream=true")[2]):
        assert one.endswith(b"}\n\ndata: [DONE]\n\n" if value == "on" else b"}\n\n")
        assert one.count(b"[DONE]") == (value == "on")
    assert b"[DONE]" not in ask(engine, "GET", f"/v1/responses/{id}")[2]


@sides("keep_alive")
@pytest.mark.parametrize("first_token_s", [0.0, 0.06])
def test_switch_keep_alive(value: str, first_token_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_module.SILENCES["comment"] == 15
    monkeypatch.setitem(engine_module.SILENCES, "comment", 0.02)
    engine = Engine(Settings(pacing=Pacing(first_token_s), **chosen(keep_alive=value)))
    body = ask(engine, "POST", "/v1/responses", STREAM)[2]
    comments = [line for line in body.split(b"\n\n") if line.startswith(b":")]
    assert comments == [b": keep-alive"] * (2 if value == "comment" and first_token_s else 0)
    paced = ask(engine, "POST", "/v1/responses", {**STREAM, "stream": False})[2]
    assert json.loads(paced)["status"] == "completed"


@sides("unknown_url")
def test_switch_unknown_url(value: str) -> None:
    engine = Engine(Settings(**chosen(unknown_url=value)))
    assert ask(engine, "POST", "/v1/embeddings", {})[0] == 501  # Spec: P24
    status, headers, body = ask(engine, "POST", "/v1/responses/a/b", {})
    assert status == 404
    assert headers["x-request-id"]
    if value == "empty":
        assert (body, headers["x-content-type-options"], headers["content-length"]) == (b"", "nosniff", "0")
        assert "content-type" not in headers
        return
    assert json.loads(body)["error"]["message"] == "Invalid URL (POST /v1/responses/a/b)"
    assert "x-content-type-options" not in headers


@sides("unknown_file")
def test_switch_unknown_file(value: str) -> None:
    engine = Engine(Settings(**chosen(unknown_file=value)))
    image = {"type": "input_image", "file_id": "file-never", "detail": "auto"}
    turn = {"model": "gpt-4.1", "input": [{"role": "user", "content": [image]}]}
    items = {"items": [{"type": "message", **turn["input"][0]}]}
    code = {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-never"]}}
    calls = {
        "/v1/responses": (turn, "input[0].content[0].file_id"),
        "/v1/responses/input_tokens": (turn, "input[0].content[0].file_id"),
        "/v1/responses/compact": (turn, "input[0].content[0].file_id"),
        "/v1/conversations": (items, "items[0].content[0].file_id"),
        "/v1/vector_stores": ({"file_ids": ["file-never"]}, "file_ids[0]"),
        "/v1/containers": ({"name": "c", "file_ids": ["file-never"]}, "file_ids[0]"),
    }
    for path, (body, param) in calls.items():
        status, _, answer = ask(engine, "POST", path, body)
        if value == "accept":
            assert status == 200, path
        else:
            error = json.loads(answer)["error"]
            assert (status, error["message"], error["param"]) == (404, "No such File object: file-never", param), path
    status, _, answer = ask(engine, "POST", "/v1/responses", {**turn, "input": "x", "tools": [code]})
    assert status == (200 if value == "accept" else 404)
    if value == "refuse":
        assert json.loads(answer)["error"]["param"] == "tools[0].container.file_ids[0]"


@sides("auth")
def test_switch_auth(value: str) -> None:
    engine = Engine(Settings(**chosen(auth=value)))
    status, _, body = ask(engine, "POST", "/v1/responses", STREAM)
    assert status == {"optional": 200, "enforce": 401}[value]
    if value == "enforce":
        assert json.loads(body)["error"]["message"] == "Missing bearer or basic authentication in header"
    assert ask(engine, "POST", "/v1/responses", STREAM, key="anything")[0] == 200


@sides("unknown_body_key")
def test_switch_unknown_body_key(value: str) -> None:
    drive = switched(unknown_body_key=value)
    conversation = drive.conversation()["id"]
    body = b'{"metadata": {}, "bogus": 1}'
    items = b'{"items": [], "bogus": 1}'
    calls: list[Callable[[], Any]] = [
        lambda: drive.create(bogus=1),
        lambda: drive.count(input="x", bogus=1),
        lambda: drive.conversation(bogus=1),
        lambda: Api(drive.engine).update_conversation(drive.project, conversation, body),
        lambda: Api(drive.engine).create_items(drive.project, conversation, items, ()),
    ]
    if value == "ignore":
        assert [status_of(call) for call in calls] == [200] * 5
        return
    assert [refused(call).code for call in calls] == ["unknown_parameter"] * 5
    assert status_of(drive.create, client_metadata={}, verbosity="low") == 200


def test_every_value_of_unknown_body_key_is_known_to_the_judge() -> None:
    assert SWITCHES["unknown_body_key"].values == bodies.UnknownKeys.__args__  # type: ignore[attr-defined]


@sides("obfuscation")
def test_switch_obfuscation(value: str) -> None:
    drive = switched(obfuscation=value)
    events = drive.stream()
    for stream in (events, drive.replay(events[0]["response"]["id"])):
        deltas = [event for event in stream if event["type"].endswith(".delta")]
        assert deltas
        assert all(("obfuscation" in event) == (value == "on") for event in deltas)
    silent = drive.stream(stream_options={"include_obfuscation": False})
    assert not any("obfuscation" in event for event in silent)


# --- Organisation and models -------------------------------------------------------------------------------------


@sides("zdr")
def test_switch_zdr(value: str) -> None:
    drive = switched(zdr=value)
    made = drive.create(store=True)
    retained = value == "off"
    assert made["store"] is retained
    assert status_of(drive.get, made["id"]) == (200 if retained else 404)
    assert re.fullmatch(r"resp_[0-9a-f]{16}" + ("00" if retained else "01") + "[0-9a-f]{32}", made["id"])
    if retained:
        assert drive.create(previous_response_id=made["id"])["status"] == "completed"
        return
    for error in (
        refused(drive.create, previous_response_id=made["id"]),
        refused(drive.count, input="x", previous_response_id=made["id"]),
    ):
        assert error.message == "Previous response cannot be used for this organization due to Zero Data Retention."
        assert (error.status, error.param, error.code) == (400, "previous_response_id", "unsupported_parameter")
    reasoned = drive.create(model=REASONING)["output"][0]
    assert reasoned["encrypted_content"], "R1.41: stateless"


@sides("unknown_models")
def test_switch_unknown_models(value: str) -> None:
    """Spec: W21."""
    drive = switched(unknown_models=value)
    strange = {"model": "acme-9", "reasoning": {"effort": "low"}}
    familiar = {**strange, "model": "gpt-5.2-nova"}
    for asked, like in [(strange, "gpt-6-sol"), (familiar, {"by_family": "gpt-5.2", "allow": "gpt-6-sol"}.get(value))]:
        if value == "refuse" or (value == "by_family" and asked is strange):
            assert refused(drive.create, **asked).code == "model_not_found"
            assert refused(drive.count, input="x", **asked).code == "model_not_found"
            assert refused(drive.call, "GET", f"/v1/models/{asked['model']}").status == 404
            continue
        made = drive.create(**asked)
        assert (made["model"], made["output"][0]["type"]) == (asked["model"], "reasoning")
        base = drive.create(**{**asked, "model": like})
        assert {**made, "usage": 0}.keys() == base.keys()
        assert made["top_p"] == base["top_p"]
        assert made["usage"]["input_tokens"] == base["usage"]["input_tokens"] == drive.count(input="hello", **asked)
        assert drive.create(previous_response_id=made["id"], **asked)["model"] == asked["model"]
        assert refused(drive.create, temperature=0.5, **asked).code is None, "E40"
        assert drive.call("GET", f"/v1/models/{asked['model']}")["shutdown_date"] is None
        assert asked["model"] not in [model["id"] for model in drive.call("GET", "/v1/models")["data"]]
    assert refused(drive.create, model="").code == "model_not_found"


@sides("shutdown_models")
def test_switch_shutdown_models(value: str) -> None:
    """From 00:00 UTC of its date on; the clock is the project's. Spec: P17, P18, E11."""
    drive = Driver(clock=1_792_713_599.0, **chosen(shutdown_models=value))
    name, tuned = "gpt-4.1-nano", "ft:gpt-4.1-nano:acme::1"
    parent = drive.create(model=name)
    assert drive.call("GET", f"/v1/models/{tuned}")["shutdown_date"] == "2026-10-23"

    def listed() -> list[str]:
        return [model["id"] for model in drive.call("GET", "/v1/models")["data"]]

    assert name in listed()
    drive.advance(seconds=1)
    assert (name in listed()) == (value == "serve")
    assert "gpt-4.1-mini" in listed()
    for gone in (name, "gpt-4.1-nano-2025-04-14", tuned):
        fields_ = {"model": gone, "previous_response_id": parent["id"]}
        if value == "serve":
            assert drive.create(**fields_)["status"] == "completed"
            assert drive.call("GET", f"/v1/models/{gone}")["id"] == gone
            continue
        error = refused(drive.create, **fields_)
        assert (error.status, error.param, error.code) == (400, "model", "model_not_found")
        assert error.message == f"The requested model '{gone}' does not exist."
        assert refused(drive.count, input="x", model=gone).code == "model_not_found"
        assert refused(drive.call, "POST", "/v1/responses/compact", {"model": gone, "input": "x"}).status == 400
        assert refused(drive.call, "GET", f"/v1/models/{gone}").status == 404
    assert drive.get(parent["id"])["model"] == "gpt-4.1-nano-2025-04-14", "what it made stays"


# --- Sockets -----------------------------------------------------------------------------------------------------


def over_socket(**switches: str) -> Frames:
    """Return a connection without a socket."""
    return Frames(Engine(Settings(clock=NOON, **chosen(**switches))))


@sides("ws_cache")
def test_switch_ws_cache(value: str) -> None:
    """Spec: R4.6."""
    frames = over_socket(ws_cache=value)
    first = frames.create(store=False)
    assert frames.create(store=False, stream_id="other")["status"] == "completed"
    again = frames.create(store=False, previous_response_id=first["id"])
    if value == "per_lane":
        assert again["status"] == "completed"
    else:
        assert again["error"]["code"] == "previous_response_not_found", "WE1"


@sides("ws_cache")
def test_under_switch_ws_cache_single_a_failed_fork_evicts_too(value: str) -> None:
    """Spec: R4.8."""
    frames = over_socket(ws_cache=value)
    first = frames.create(store=False)["id"]
    assert frames.create(stream_id="fork", previous_response_id=first, model="none")["type"] == "error"
    again = frames.create(store=False, previous_response_id=first)
    assert ("error" if value == "single" else "completed") in (again.get("type"), again.get("status"))


@sides("ws_stream_field")
def test_switch_ws_stream_field(value: str) -> None:
    """Spec: R4.2."""
    frames = over_socket(ws_stream_field=value)
    for sent in ({"stream": True}, {"stream": False}, {"stream_options": {}}, {"verbosity": "low"}):
        got = frames.create(**sent)
        if value == "ignore":
            assert got["status"] == "completed"
        else:
            assert got["error"]["code"] == "unknown_parameter"
            assert got["error"]["param"] == next(iter(sent))


@sides("ws_null_members")
def test_switch_ws_null_members(value: str) -> None:
    """Spec: websocket §4."""
    frames = over_socket(ws_null_members=value)
    error = frames.create(previous_response_id="resp_1", conversation="conv_1")["error"]
    overloaded = {"failed": {"code": "server_is_overloaded", "message": "later"}}
    frames.script({"reply": overloaded})
    told = frames({"type": "response.create", "model": "gpt-4.1", "input": "x"})[2]
    assert told["type"] == "error", "WE7"
    if value == "keep":
        assert list(error) == ["type", "code", "message", "param"]
        assert list(told["error"]) == ["type", "code", "message", "param"]
        assert error["param"] is None
    else:
        assert list(error) == ["type", "code", "message"]
        assert list(told["error"]) == ["type", "code", "message"]


@sides("websocket")
def test_switch_websocket(value: str) -> None:
    """Spec: R4.1."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.disconnect" if sent else "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/v1/responses", "headers": [], "extensions": {"websocket.http.response": {}}}
    asyncio.run(MockApp(Engine(Settings(**chosen(websocket=value))))(scope, receive, send))
    if value == "on":
        assert [message["type"] for message in sent] == ["websocket.accept"]
        return
    assert sent[0]["status"] == 426
    assert json.loads(sent[1]["body"])["error"]["type"] == "mock_error"
