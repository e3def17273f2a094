"""The table of public routes. Spec: P1–P21, E99, E101."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.engine.endpoints import Endpoint, Parts, Table, endpoints
from mockserver.journal.exchange import Call
from mockserver.wire.errors.api import MockError
from tests.support.driving import MODEL, Driver, refused, summary

# method and path → named parts
FOUND = {
    "POST /v1/responses": {},
    "GET /v1/responses/resp_1": {"id": "resp_1"},
    "DELETE /v1/responses/resp_1": {"id": "resp_1"},
    "POST /v1/responses/resp_1/cancel": {"id": "resp_1"},
    "GET /v1/responses/resp_1/input_items": {"id": "resp_1"},
    "POST /v1/responses/input_tokens": {},
    "POST /v1/responses/compact": {},
    "POST /v1/conversations": {},
    "GET /v1/conversations/conv_1": {"id": "conv_1"},
    "POST /v1/conversations/conv_1": {"id": "conv_1"},
    "DELETE /v1/conversations/conv_1": {"id": "conv_1"},
    "POST /v1/conversations/conv_1/items": {"id": "conv_1"},
    "GET /v1/conversations/conv_1/items": {"id": "conv_1"},
    "GET /v1/conversations/conv_1/items/msg_1": {"id": "conv_1", "item": "msg_1"},
    "DELETE /v1/conversations/conv_1/items/msg_1": {"id": "conv_1", "item": "msg_1"},
    "GET /v1/models": {},
    "GET /v1/models/ft:gpt-4.1:org/team": {"id": "ft:gpt-4.1:org/team"},
    "DELETE /v1/models/gpt-4.1": {"id": "gpt-4.1"},
}


TABLE = Table(endpoints(lambda call, parts, rules: None, lambda at, parts, request: None))


def find(line: str) -> tuple[Endpoint, Parts]:
    method, _, path = line.partition(" ")
    return TABLE.find_endpoint(Call(method, path))


@pytest.mark.parametrize(("line", "parts"), FOUND.items(), ids=list(FOUND))
def test_P1_to_P19_are_found(line: str, parts: dict[str, str]) -> None:
    endpoint, found = find(line)
    assert found == parts and endpoint.method == line.partition(" ")[0]


def test_every_endpoint_is_in_the_list_above() -> None:
    assert {id(find(line)[0]) for line in FOUND} == {id(row) for row in TABLE.rows}


def test_P21_the_literal_paths_come_before_ids() -> None:
    assert find("POST /v1/responses/compact")[0] is not find("POST /v1/responses/input_tokens")[0]
    assert refused(find, "GET /v1/responses/compact").status == 405


@pytest.mark.parametrize(
    "line", ["POST /v1/responses/a/b", "POST /v1/conversations/conv_1/messages", "GET /v1/responses/"]
)
def test_E99_unknown_paths(line: str) -> None:
    assert summary(refused(find, line)) == (404, f"Invalid URL ({line})", None, None)


NEIGHBOURS = """chat/completions embeddings files files/file-1/content uploads vector_stores vector_stores/vs_1/files
containers moderations images/generations audio/speech batches evals realtime realtime/sessions live/x prompts decisions
skills agents nope responsesx""".split()


@pytest.mark.parametrize("path", [*(f"/v1/{name}" for name in NEIGHBOURS), "/chat/completions", "/"])
def test_P24_neighbouring_routes_are_not_mocked(path: str) -> None:
    with pytest.raises(MockError) as caught:
        find(f"POST {path}")
    error = caught.value
    assert (error.status, error.headers) == (501, {"x-should-retry": "false"})
    assert error.message == (
        f"POST {path} is not mocked; the mock covers /v1/responses, /v1/conversations, /v1/models, and a part of "
        f"/v1/files, /v1/vector_stores, /v1/containers. A scripted line with `when: {{path: {path}}}` can answer it; "
        "a server with --upstream can forward it."
    )


@pytest.mark.parametrize("line", ["GET /v1/responses", "PUT /v1/conversations/conv_1", "DELETE /v1/models"])
def test_E101_wrong_methods(line: str) -> None:
    assert summary(refused(find, line)) == (405, f"Invalid method for URL ({line})", None, None)


# --- what the rows come to -----------------------------------------------------------------------------------------

USER = {"role": "user", "content": "u"}
REASONING = "reasoning.encrypted_content"


def test_P2_P3_P5_a_response_is_read_listed_and_deleted() -> None:
    drive = Driver()
    id = drive.create("u")["id"]
    assert drive.call("GET", f"/v1/responses/{id}")["object"] == "response"
    assert drive.input_items(id).keys() == {"object", "data", "first_id", "last_id", "has_more"}, "P25"
    assert drive.delete(id) == {"id": id, "object": "response", "deleted": True}


def test_P4_a_cancellation_reads_no_body() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "a"}, "pacing": {"first_token": 60}})
    id = drive.create(background=True)["id"]
    assert drive.call("POST", f"/v1/responses/{id}/cancel", b"{no json")["status"] == "cancelled"


def test_P6_tokens_are_counted_and_nothing_is_stored() -> None:
    drive = Driver()
    counted = drive.call("POST", "/v1/responses/input_tokens", {"model": MODEL, "input": "hello"})
    assert counted == {"object": "response.input_tokens", "input_tokens": counted["input_tokens"]}
    assert counted["input_tokens"] == drive.create("hello")["usage"]["input_tokens"] > 0


def test_P7_a_compaction_can_not_be_continued() -> None:
    drive = Driver()
    window = drive.call("POST", "/v1/responses/compact", {"model": MODEL, "input": [USER]})
    assert window["object"] == "response.compaction"
    assert [item["type"] for item in window["output"]][-1] == "compaction"
    assert refused(drive.create, previous_response_id=window["id"]).code == "previous_response_not_found"


def test_P9_to_P12_conversations() -> None:
    drive = Driver()
    made = drive.call("POST", "/v1/conversations", {})
    path = f"/v1/conversations/{made['id']}"
    assert (made["object"], made["metadata"]) == ("conversation", {})
    assert drive.call("GET", path) == made
    assert drive.call("POST", path, {"metadata": {"a": "b"}}) == {**made, "metadata": {"a": "b"}}
    assert drive.call("DELETE", path) == {"id": made["id"], "object": "conversation.deleted", "deleted": True}
    assert refused(drive.call, "GET", path).status == 404


def test_P13_to_P16_items_of_a_conversation() -> None:
    drive = Driver()
    made = drive.conversation()
    path = f"/v1/conversations/{made['id']}/items"
    added = drive.call("POST", path, {"items": [USER, USER]})
    assert (added["object"], len(added["data"]), added["has_more"]) == ("list", 2, False)
    assert (added["first_id"], added["last_id"]) == (added["data"][0]["id"], added["data"][1]["id"])
    one = f"{path}/{added['first_id']}"
    assert drive.call("GET", one) == added["data"][0]
    assert drive.call("DELETE", one) == made, "the conversation, not a marker"
    assert drive.call("GET", path)["data"] == added["data"][1:]


def test_P13_P14_and_P15_sealed_reasoning_is_shown_unasked() -> None:
    """Spec: F3, R1.41."""
    drive = Driver()
    sealed = drive.create("u", model="gpt-5.6", store=False)["output"][0]
    path = f"/v1/conversations/{drive.conversation()['id']}/items"
    [added] = drive.call("POST", path, {"items": [sealed]})["data"]
    assert added["encrypted_content"] == sealed["encrypted_content"]
    assert drive.call("GET", f"{path}/{added['id']}") == added
    assert drive.call("GET", path)["data"] == [added]


def test_P13_and_P15_what_is_hidden_is_shown_when_the_query_asks_for_it() -> None:
    drive = Driver(set=(("encrypted_content", "included"),))
    sealed = drive.create("u", model="gpt-5.6", store=False, include=[REASONING])["output"][0]
    path = f"/v1/conversations/{drive.conversation()['id']}/items"
    [hidden] = drive.call("POST", path, {"items": [sealed]})["data"]
    assert "encrypted_content" not in hidden
    asked = {"include[]": REASONING}
    assert drive.call("GET", f"{path}/{hidden['id']}", **asked)["encrypted_content"] == sealed["encrypted_content"]
    another = f"/v1/conversations/{drive.conversation()['id']}/items"
    [shown] = drive.call("POST", another, {"items": [sealed]}, **asked)["data"]
    assert shown["encrypted_content"] == sealed["encrypted_content"]


def test_P17_P18_P19_models() -> None:
    drive = Driver()
    listed = drive.call("GET", "/v1/models")
    assert listed["object"] == "list"
    assert drive.call("GET", f"/v1/models/{MODEL}") in listed["data"]
    dates = {model["id"]: model["shutdown_date"] for model in listed["data"]}
    assert (dates["gpt-4o"], dates["gpt-5.6"]) == ("2027-01-14", None), "P18: always there, a date or null"
    assert refused(drive.call, "GET", "/v1/models/nope").code == "model_not_found"
    with pytest.raises(MockError) as caught:
        drive.call("DELETE", f"/v1/models/{MODEL}")
    assert caught.value.status == 501


def posted(body: Any, content_type: bytes, **settings: Any) -> Any:
    headers = {b"content-type": content_type}
    call = Call(body=json.dumps(body).encode(), project="p", headers=headers)
    return Driver(**settings).engine.handle(call)


def test_E4_a_body_is_json_whatever_its_charset() -> None:
    body = {"model": MODEL, "input": "u"}
    assert posted(body, b"application/json; charset=utf-8").status == 200
    answer = posted(body, b"text/plain")
    assert (answer.status, answer.error.code) == (400, "unsupported_content_type")


@pytest.mark.parametrize("code", ["invalid_value", "invalid_id_prefix"])
def test_E34_the_code_of_a_wrong_prefix_is_the_switchs(code: str) -> None:
    item = {"type": "message", "role": "user", "id": "rs_1", "content": "x"}
    error = refused(Driver(set=(("id_prefix_code", code),)).create, [item])
    text = "Invalid 'input[0].id': 'rs_1'. Expected an ID that begins with 'msg'."
    assert summary(error) == (400, text, "input[0].id", code)


def test_E100_an_unknown_path_may_be_answered_with_nothing() -> None:
    answer = Driver(set=(("unknown_url", "empty"),)).answer("GET", "/v1/responses/a/b")
    assert (answer.status, answer.body) == (404, b"")
