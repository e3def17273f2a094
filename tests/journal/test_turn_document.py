"""Documents of usual turns are filled into a template, with the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from copy import copy
from dataclasses import fields
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.config.settings import Settings
from mockserver.core.records import Change, Delete, Put
from mockserver.core.turn import AnyTurn, SerializedTurn
from mockserver.engine.engine import Engine
from mockserver.journal.exchange import LONGEST, NO_HEADERS, Call, Exchange, Seen, document_of, release_turn, see
from mockserver.journal.turn_document import document_of_turn
from tests.support.examples import examples, first_of

KEY = "a-long-key-of-a-caller"
USAGE = {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 3}
SEEN = Seen("gpt-4.1", None, [], USAGE, None, "completed", None, None, None, (), None)
TEXTS = st.sampled_from(
    ["hi", '<é"\\\n', "sk-0123456789abcdef", "a@b", "x=1", "Bearer abc12345678", "Basic 0123456789", KEY, "100 %d %b"]
)
IDS = st.sampled_from(["resp_1", "msg_é", "conv_1/msg_2", "sk-0123456789", 'a"b', KEY, "https://u:p@h"])
HEADERS = {b"authorization": f"Bearer {KEY}".encode(), b"accept": b"*/*"}


def exchanges() -> Iterator[Exchange]:
    """What an engine leaves of turns of many kinds."""
    engine, parent = Engine(Settings(strict=False)), None
    seen: list[Exchange] = []
    engine.journal.note = lambda project, exchange: seen.append(exchange)  # type: ignore[method-assign]
    more: list[dict[str, Any]] = [
        {},
        {"stream": True},
        {"instructions": "Be kind."},
        {"store": False},
        {"model": "gpt-5"},
    ]
    more += [{"tools": [{"type": "function", "name": "f", "parameters": None}]}, {"temperature": "hot"}]
    for members in (*more, {"metadata": {"password": "hunter2hunter2"}}):
        for before in (None, parent):
            asked = {"model": "gpt-4.1", "input": f"My key is {KEY}.", "previous_response_id": before, **members}
            call = Call(body=orjson.dumps(asked), headers=HEADERS, project="p")
            answer = engine.handle(call)
            if answer.status == 200 and parent is None:
                parent = orjson.loads(answer.body)["id"]
    for exchange in seen:
        release_turn(exchange)
        yield exchange
    engine.close()


def test_what_an_engine_leaves_has_the_same_document() -> None:
    documents = [(document_of_turn(exchange), document_of(exchange)) for exchange in exchanges()]
    filled = [first for first, _ in documents if first is not None]
    assert len(filled) >= 6 and len(documents) - len(filled) >= 5
    assert all(first in (None, second) for first, second in documents)
    assert not any(KEY.encode() in first or b"hunter2hunter2" in first for first in filled)


@examples(200)
@given(
    TEXTS,
    st.lists(IDS, max_size=3),
    st.dictionaries(st.sampled_from([b"x-note", b"cookie"]), TEXTS.map(lambda text: text.encode("latin-1"))),
    st.sampled_from([5.0, 1e16, 1e-7, 1796072018.9952471]),
    st.sampled_from([None, "resp_2", "sk-0123456789abc"]),
    st.sampled_from(["resp_1", 'resp_"1', "resp_\\1"]),
)
def test_any_texts_have_the_same_document(
    text: str, ids: list[str], headers: dict[bytes, bytes], at: float, previous: str | None, id: str
) -> None:
    call = Call(body=orjson.dumps({"input": text}), headers={**HEADERS, **headers})
    changes = [Put("item", id, b"") if index else Delete("response", id) for index, id in enumerate(ids)]
    saw = SEEN._replace(previous_response_id=previous)
    one = Exchange(call, "sse", 7.25, at, ended="delivered", saw=saw, changes=changes, response_id=id, events=4)
    one.seconds = 0.0123456
    document = document_of_turn(one)
    assert document in (None, document_of(one)) and (document is None) == (previous is not None and "sk-" in previous)


UNUSUAL: dict[str, Any] = {
    "status": 500, "error": {"code": "x"}, "line": {"place": "a:1"}, "misses": [{}], "faults": ["cut"], "ended": "cut",
    "at": None, "saw": None, "response_id": None,
}  # fmt: skip
UNUSUAL_INPUT: dict[str, Any] = {
    "model": "é", "instructions": "x" * (LONGEST + 1), "tools": [{}], "usage": None,
    "incomplete_details": {"reason": "x"}, "status": "failed", "conversation": {"id": "sk-0123456789"},
    "input_transformations": [{"id": "x", "reason": "y"}], "dropped": (1,),
}  # fmt: skip


@pytest.mark.parametrize("name", [*UNUSUAL, *UNUSUAL_INPUT, "path", "method", "query", "model of a key"])
def test_whatever_is_unusual_is_left_to_the_other(name: str) -> None:
    call, saw, members = Call(body=b"{}", headers=HEADERS), SEEN, dict[str, Any]()
    if name in UNUSUAL_INPUT and name != "status":
        saw = saw._replace(**{name: UNUSUAL_INPUT[name]})
    elif name in UNUSUAL:
        members = {name: UNUSUAL[name]}
    elif name == "model of a key":
        saw = saw._replace(model="sk-0123456789")
    else:
        call = call._replace(**{name: [("a", "b")] if name == "query" else "x"})
    usual = {"at": 5.0, "ended": "delivered", "saw": saw, "response_id": "resp_1"}
    assert document_of_turn(Exchange(call, "http", **{**usual, **members})) is None
    assert {field.name for field in fields(Exchange)} >= UNUSUAL.keys()


SAID = (
    "ping",
    "ünïcödé — 100 % \U0001f600 \x7f \x00",
    'quotes " and \\ and {braces}, %d %(id)b',
    f"My key is {KEY}, the other sk-0123456789abcdef.",
    '{"api_key": "letmein letmein", "headers": {"x": "y"}}, see https://u:passw0rd@h/?token=abc',
    "https://cut",
    "s\\u006b-0123456789abcdef",
    "a long text of words " * 150,
    "a much longer text of words " * 2000,
    "",
)
SENT: tuple[Mapping[bytes, bytes], ...] = (
    HEADERS,
    NO_HEADERS,
    {**HEADERS, b"x-session-id": b"hunter2hunter2", b"cookie": b"a=hunter3hunter3", b"x-api-key": b"hunter4hunter4"},
    {**HEADERS, b'x-\xe9 "%d': b"caf\xe9 100 %b", b"": b"", b"x-note": b"Bearer abc12345678", b"n" * 2000: b"x"},
)
KINDS: tuple[dict[str, Any], ...] = (
    {},
    {"stream": True},
    {"previous_response_id": "resp_…"},
    {"previous_response_id": "resp_…", "stream": True},
    {"previous_response_id": "resp_0"},
    {"conversation": "conv_…"},
    {"conversation": "conv_…", "stream": True, "instructions": "Be kind."},
    {"instructions": "Be kind to sk-0123456789abcdef and \U0001f600."},
    {"instructions": f'My key is {KEY}, "api_key": "letmein letmein".'},
    {"instructions": ""},
    {"metadata": {"password": "hunter6hunter6", "instructions": "null", "previous_response_id": "x"}},
    {"store": False},
    {"store": True, "temperature": 0.5, "user": "me"},
    {"model": "gpt-5.5"},
    {"model": "none"},
    {"temperature": "hot"},
    {"max_output_tokens": 16},
    {"background": True},
    {"tools": [{"type": "function", "name": "f", "parameters": None}]},
)
BY_AUTHOR: tuple[dict[str, Any], ...] = (
    {},
    {"lines": [{"reply": {"text": f"said of {KEY}"}, "times": 99}]},
    {"lines": [{"reply": {"text": "a", "response": {"instructions": "other"}}, "times": 99}]},
    {"faults": [{"do": "cut", "times": 1}, {"do": {"error": "server_is_overloaded"}, "times": 1}]},
    {"faults": [{"do": {"error": "server_is_overloaded"}, "when": {"input_contains": "never said"}}]},
)


@pytest.mark.parametrize("members", first_of(KINDS, 8), ids=lambda members: ",".join(members))
def test_a_turn_by_its_documents_has_the_document_that_its_response_gives(members: dict[str, Any]) -> None:
    quick = usual = 0
    for exchange, turn, written in exchanges_of(members):
        document, read_again = document_of_turn(exchange), exchange
        if isinstance(exchange.saw, SerializedTurn):
            read_again = copy(exchange)
            assert isinstance(turn, SerializedTurn)
            read_again.saw, read_again.changes = see(turn.read(), ()), written
            usual += exchange.line is None and not exchange.faults
            quick += document is not None
        whole = document_of(read_again)
        assert document_of(exchange) == whole
        assert document in (None, whole)
        assert b"hunter" not in whole
        assert KEY.encode() not in whole or b"authorization" not in exchange.call.headers
    is_plain = members.keys() <= PLAIN and not UNPLAIN & {*map(str, members.values())}
    assert quick == usual and (usual > 40) == is_plain


PLAIN = {"stream", "previous_response_id", "conversation", "instructions", "metadata", "temperature", "user", "store"}
UNPLAIN = {"resp_0", "hot", "False"}


Left = tuple[Exchange, AnyTurn | None, list[Change]]


def exchanges_of(members: dict[str, Any]) -> Iterator[Left]:
    """What an engine leaves of turns of a kind, each text with some headers, as a test's author has set it.

    With each comes the turn that was released, and what was written to the store meanwhile.
    """
    for set_by_author in BY_AUTHOR:
        with closing(Engine(Settings(strict=False))) as engine:
            yield from _exchanges_of(engine, members, set_by_author)


def _exchanges_of(engine: Engine, members: dict[str, Any], set_by_author: dict[str, Any]) -> Iterator[Left]:
    seen: list[Exchange] = []
    written: list[list[Change]] = []

    def note(project: str, changes: Iterable[Change] | None) -> Iterable[Change]:
        noted = [*(changes or ())]
        written[-1] += noted
        return noted

    conversation = orjson.loads(engine.handle(Call("POST", "/v1/conversations", b"{}", "p")).body)["id"]
    parent = orjson.loads(engine.handle(Call(body=b'{"model":"gpt-4.1","input":"a"}', project="p")).body)["id"]
    real = {"conv_…": conversation, "resp_…": parent}
    if "lines" in set_by_author:
        engine.control.set_scenario("p", set_by_author)
    engine.control.set_faults("p", set_by_author.get("faults", []))
    engine.journal.note = lambda project, exchange: seen.append(exchange)  # type: ignore[method-assign]
    engine.store.watch(note)
    for number in range(2 * len(SAID)):
        text, headers = SAID[number % len(SAID)], SENT[number % len(SENT)]
        asked = {"model": "gpt-4.1", "input": text, **members}
        asked = {name: real.get(value, value) if type(value) is str else value for name, value in asked.items()}
        written.append([])
        engine.handle(Call(body=orjson.dumps(asked), headers=headers, project="p"))
    turns = [exchange.turn for exchange in seen]
    for exchange in seen:
        release_turn(exchange)
    yield from zip(seen, turns, written, strict=True)
