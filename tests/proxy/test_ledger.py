"""What the ledger makes of requests and answers: equal contexts have equal keys, others have not."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest

from proxy.cassettes.canonical import read_match
from proxy.cassettes.interaction import Ending, Interaction, Piece, Request, Response
from proxy.cassettes.ledger import EMPTY, Context, Key, Ledger, conversation_of

TURNS = "/v1/responses"
SSE = (("content-type", "text/event-stream"),)
ANSWER = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": []}
UNREAD = {"type": "unread_output"}


def user(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": text, **more}


def request(method: str, path: str, body: Any = None, query: str = "", *, socket: bool = False) -> Request:
    return Request(method, path, query, body=b"" if body is None else json.dumps(body).encode(), socket=socket)


def turn(**body: Any) -> Request:
    return request("POST", TURNS, {"model": "gpt-5.5", **body})


def response(id: str, *output: Any, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"id": id, "object": "response", "status": status, "output": list(output), **more}


class Book:
    """A ledger with what was booked, numbered from 1."""

    def __init__(self, **options: Any) -> None:
        self.ledger = Ledger(**options)
        self._numbers = count(1)

    def note(self, asked: Request, answer: Any, status: int = 200) -> None:
        pieces = (Piece(0, json.dumps(answer).encode()),)
        self.ledger.note(Interaction(next(self._numbers), 0, asked, Response(status, (), pieces)))

    def note_events(self, asked: Request, *events: dict[str, Any], ended: Ending = "complete") -> None:
        pieces = tuple(Piece(0, b"data: " + json.dumps(event).encode() + b"\n\n") for event in events)
        answer = Response(200, SSE, pieces, streamed=True, ended=ended)
        self.ledger.note(Interaction(next(self._numbers), 0, asked, answer))

    def context(self, **body: Any) -> Context:
        key = self.key(turn(**body))
        assert key.context is not None
        return key.context

    def key(self, asked: Request) -> Key:
        return self.ledger.key_of(asked)


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_turn_is_asked_by_its_fields_and_its_context() -> None:
    book = Book()
    key = book.key(turn(input="Hi", user="Ada", store=True))
    assert (key.endpoint, key.fields) == (f"POST {TURNS}", {"model": "gpt-5.5"})
    assert key.context is not None and key.context.all_raw() == [user("Hi")]
    assert key.digest == book.key(turn(input=[user("Hi", id="msg_9")], user="Bob")).digest
    others = [turn(input="Ho"), turn(input="Hi", store=False), request("POST", f"{TURNS}/compact", {"input": "Hi"})]
    assert key.digest not in [book.key(other).digest for other in others]
    assert book.context() is EMPTY


def test_ignored_text_is_not_asked_wherever_it_stands() -> None:
    def keys(seconds: int, **options: Any) -> list[bytes]:
        book, took = Book(**options), f"took {seconds} s"
        output = {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": took}]}
        asked = (
            turn(input=[output], instructions=took),
            turn(input=f"it {took}"),
            request("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": took}]}),
        )
        return [book.key(one).digest for one in asked]

    ignored = read_match(["-/took [0-9]+ s/"])
    assert keys(1, ignored=ignored) == keys(2, ignored=ignored)
    assert not set(keys(1)) & set(keys(2))
    assert len(set(keys(1, ignored=ignored))) == 3


def test_a_frame_is_a_turn_if_it_creates_one() -> None:
    book = Book()
    created = book.key(request("GET", TURNS, {"type": "response.create", "model": "m", "input": "Hi"}, socket=True))
    assert (created.endpoint, created.fields) == (f"WEBSOCKET {TURNS}", {"model": "m"})
    assert created.context is not None and created.context.count == 1
    steered = book.key(request("GET", TURNS, {"type": "response.steer", "x": ["y"]}, socket=True))
    assert (steered.endpoint, steered.context) == ("WEBSOCKET response.steer", None)
    assert steered.fields == {"type": "response.steer", "x": ["y"]}


def test_other_calls_are_asked_by_path_query_and_body() -> None:
    book = Book()
    key = book.key(request("GET", "/v1/models", query="b=2&a=1&b=1&c%20d=%2F&e"))
    assert key.fields == {"query": {"a": "1", "b": ["1", "2"], "c d": "/", "e": ""}}
    assert key.digest == book.key(request("GET", "/v1/models", query="e&c%20d=%2F&b=1&a=1&b=2")).digest
    assert book.key(request("POST", "/v1/files", {"x": 1, "metadata": {"y": 2}})).fields == {"x": 1}
    assert book.key(request("POST", "/v1/files", [1, "a"])).fields == {"body": [1, "a"]}
    assert book.key(Request("POST", "/v1/files", body=b"no json \xff")).fields == {"body": "no json \ufffd"}
    assert book.key(request("GET", "/v1/files")).fields == {}


def test_an_id_is_asked_by_where_it_comes_from() -> None:
    """So the same programme with other ids asks the same."""
    keys = []
    for id in ("resp_a", "resp_b"):
        book = Book()
        book.note(turn(input="Hi"), response(id, {**ANSWER, "id": f"msg_{id}"}))
        assert book.ledger.origins == {id: "response of interaction 1", f"msg_{id}": "message 1 of interaction 1"}
        keys.append(book.key(request("GET", f"{TURNS}/{id}", query=f"after=msg_{id}&x=new")))
    assert keys[0].digest == keys[1].digest
    assert keys[0].endpoint == "GET /v1/responses/{response of interaction 1}"
    assert keys[0].fields == {"query": {"after": "message 1 of interaction 1", "x": "new"}}


# --- chains -----------------------------------------------------------------------------------------------------------


def test_a_chain_and_a_history_are_the_same_context() -> None:
    book = Book()
    book.note(turn(input="Hi"), response("resp_1", ANSWER))
    chain = book.context(input="And?", previous_response_id="resp_1")
    assert chain.all_raw() == [user("Hi"), ANSWER, user("And?")] and chain.count == 3
    assert len(chain.steps()) == 4 and chain.steps()[0] is EMPTY
    history = book.context(input=[user("Hi"), {**ANSWER, "id": "msg_own"}, user("And?")])
    assert history.digest == chain.digest and history.all_items() == chain.all_items()


def test_an_unknown_parent_is_an_item_of_its_own() -> None:
    book = Book()
    chain = book.context(input="Hi", previous_response_id="resp_x")
    assert chain.all_raw() == [{"type": "unknown_response", "name": "resp_x"}, user("Hi")]
    held = book.context(input="Hi", conversation={"id": "conv_x"})
    assert held.all_raw() == [{"type": "unknown_conversation", "name": "conv_x"}, user("Hi")]


def test_a_refused_turn_is_not_booked() -> None:
    book = Book()
    book.note(turn(input="Hi"), response("resp_1", ANSWER), status=400)
    book.note(turn(input="Hi"), {"no": "id"})
    book.note(turn(input="Hi"), ["no object"])
    assert book.ledger.find_response("resp_1") is None and not book.ledger.responses


def test_a_stream_that_broke_off_leaves_the_items_that_were_done() -> None:
    book = Book()
    created = {"type": "response.created", "response": response("resp_1", status="in_progress")}
    done = {"type": "response.output_item.done", "item": ANSWER}
    book.note_events(turn(input="Hi", stream=True), created, done, ended="cut")
    found = book.ledger.find_response("resp_1")
    assert found is not None and found.all_raw() == [user("Hi"), ANSWER]


def test_the_output_of_a_background_turn_is_booked_when_it_is_read() -> None:
    book = Book()
    book.note(turn(input="Hi", background=True, conversation="conv_1"), response("resp_1", status="queued"))
    assert book.context(previous_response_id="resp_1").all_raw()[-1] == UNREAD
    reading = request("GET", f"{TURNS}/resp_1")
    book.note(reading, response("resp_1", status="in_progress"))
    assert book.context(previous_response_id="resp_1").all_raw()[-1] == UNREAD
    book.note(reading, response("resp_1", ANSWER, conversation={"id": "conv_1"}))
    assert book.context(previous_response_id="resp_1").all_raw()[-2:] == [user("Hi"), ANSWER]
    assert book.context(conversation="conv_1").all_raw()[-2:] == [user("Hi"), ANSWER]
    book.note(reading, response("resp_1", ANSWER, ANSWER))  # read once more
    assert book.context(previous_response_id="resp_1").all_raw()[-2:] == [user("Hi"), ANSWER]
    book.note(request("GET", f"{TURNS}/resp_2"), response("resp_2", ANSWER))  # nobody knows what it answered
    assert book.ledger.find_response("resp_2") is None


def test_an_item_reference_is_the_item_that_it_means() -> None:
    book = Book()
    book.note(turn(input="Hi"), response("resp_1", ANSWER))
    named = book.context(input=[{"type": "item_reference", "id": "msg_1"}])
    assert named.all_raw() == [ANSWER] and named.digest == book.context(input=[ANSWER]).digest
    unknown = {"type": "item_reference", "id": "msg_x"}
    assert book.context(input=[unknown]).all_raw() == [{**unknown, "name": "msg_x"}]


# --- blobs ------------------------------------------------------------------------------------------------------------


def thought(blob: Any, id: str = "rs_1") -> dict[str, Any]:
    return {"id": id, "type": "reasoning", "summary": [], "encrypted_content": blob}


def test_a_blob_is_told_by_the_place_where_it_was_made() -> None:
    contexts = []
    for blob in ("gAAAA-one", "gAAAA-two"):
        book = Book()
        book.note(turn(input="Hi"), response("resp_1", thought(blob), ANSWER))
        contexts.append(book.context(input=[user("Hi"), thought(blob, "other"), ANSWER]))
        assert contexts[-1].items[1]["encrypted_content"] == "of item 2"
        unknown = book.context(input=[thought("gAAAA-foreign")]).items[0]["encrypted_content"]
        assert unknown.startswith("unknown ") and "gAAAA" not in unknown
        assert "encrypted_content" not in book.context(input=[thought(None)]).items[0]
    assert contexts[0].digest == contexts[1].digest


def test_blobs_are_not_compared_where_nobody_wants_it() -> None:
    contexts = [Book(blobs=False).context(input=[thought(blob)]) for blob in ("gAAAA-one", "gAAAA-two")]
    assert contexts[0].digest == contexts[1].digest


# --- conversations ----------------------------------------------------------------------------------------------------

CONVERSATIONS = "/v1/conversations"


def held(*items: Any) -> Book:
    """A book with the conversation `conv_1`."""
    book = Book()
    body = {"items": [*items]} if items else None
    book.note(request("POST", CONVERSATIONS, body), {"id": "conv_1", "object": "conversation"})
    return book


def test_a_conversation_grows_by_hand_and_by_turns_that_finished() -> None:
    """Spec: R2.10."""
    book = held(user("one"))
    assert book.context(conversation="conv_1").all_raw() == [user("one")]
    items = f"{CONVERSATIONS}/conv_1/items"
    book.note(request("POST", items, {"items": [user("two")]}), {"object": "list", "data": [user("two", id="msg_2")]})
    book.note(turn(input="three", conversation="conv_1"), response("resp_1", ANSWER))
    book.note(turn(input="lost", conversation={"id": "conv_1"}), response("resp_2", status="failed"))
    raw = book.context(conversation={"id": "conv_1"}).all_raw()
    assert raw == [user("one"), user("two", id="msg_2"), user("three"), ANSWER]
    book.note(request("GET", items), {"object": "list", "data": raw})  # to read changes nothing
    assert book.context(conversation="conv_1").all_raw() == raw


def test_items_are_taken_out_by_id() -> None:
    book = held()
    items = f"{CONVERSATIONS}/conv_1/items"
    two = [user("one", id="msg_1"), user("two", id="msg_2")]
    book.note(request("POST", items, {"items": two}), {"object": "list", "data": two})
    gone = {"id": "conv_1", "object": "conversation"}
    book.note(request("DELETE", f"{items}/msg_1"), gone)
    assert book.context(conversation="conv_1").all_raw() == [user("two", id="msg_2")]
    book.note(request("DELETE", f"{items}/msg_x"), gone)
    removal = {"type": "deleted_item", "name": "msg_x"}
    assert book.context(conversation="conv_1").all_raw() == [user("two", id="msg_2"), removal]


def test_an_item_that_was_sent_without_its_id_is_found_by_what_it_says() -> None:
    book = held(user("one"), user("two"))
    items = f"{CONVERSATIONS}/conv_1/items"
    book.note(request("GET", items), {"object": "list", "data": [user("one", id="msg_1"), user("two", id="msg_2")]})
    book.note(request("DELETE", f"{items}/msg_1"), {"id": "conv_1", "object": "conversation"})
    assert book.context(conversation="conv_1").all_raw() == [user("two")]


def test_what_happens_to_an_unknown_conversation_is_noted_too() -> None:
    book = Book()
    unknown = {"type": "unknown_conversation", "name": "conv_x"}
    added = {"object": "list", "data": [user("one")]}
    book.note(request("POST", f"{CONVERSATIONS}/conv_x/items", {"items": [user("one")]}), added)
    assert book.context(conversation="conv_x").all_raw() == [unknown, user("one")]
    book.note(turn(input="Hi", conversation="conv_y"), response("resp_1", ANSWER))
    assert book.context(conversation="conv_y").all_raw()[1:] == [user("Hi"), ANSWER]


def test_a_deleted_conversation_is_unknown() -> None:
    book = held(user("one"))
    deleted = {"id": "conv_1", "object": "conversation.deleted"}
    book.note(request("POST", f"{CONVERSATIONS}/conv_1", {"metadata": {}}), {"id": "conv_1", "object": "conversation"})
    assert book.ledger.find_conversation("conv_1") is not None
    book.note(request("DELETE", f"{CONVERSATIONS}/conv_1"), deleted)
    assert book.ledger.find_conversation("conv_1") is None


@pytest.mark.parametrize(
    ("conversation", "id"), [("c", "c"), ({"id": "c"}, "c"), ({"id": 3}, None), (None, None), (3, None)]
)
def test_a_conversation_is_named_by_id_or_object(conversation: Any, id: str | None) -> None:
    assert conversation_of({"conversation": conversation}) == id


# --- another ledger ---------------------------------------------------------------------------------------------------


def test_what_a_ledger_does_not_know_its_fallback_is_asked() -> None:
    first = held(user("one"))
    first.note(turn(input="Hi"), response("resp_1", thought("gAAAA-one"), ANSWER))
    second = Book(fallback=first.ledger)
    assert second.ledger.find_response("resp_1") is first.ledger.responses["resp_1"]
    assert second.ledger.find_conversation("conv_1") is first.ledger.conversations["conv_1"]
    assert second.ledger.find_item("msg_1") == ANSWER and second.ledger.find_item("msg_x") is None
    asked = request("GET", f"{TURNS}/resp_1")
    assert second.key(asked).digest == first.key(asked).digest
    blob = [user("Hi"), thought("gAAAA-one")]
    assert second.context(input=blob).items[1]["encrypted_content"] == "of item 2"
    second.note(asked, response("resp_1", ANSWER))
    assert second.ledger.origins == {}  # the fallback knows where they come from
