"""Whatever is sent, the answer is 200 or an error of the API's shape, and an error changes nothing. Spec: errors §1.

What is not built yet answers 501 `mock_error`, which is the only other answer there is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call
from mockserver.store.memory import MemoryStore
from mockserver.transport.abort import Abort
from mockserver.transport.app import MockApp
from mockserver.transport.http import chunks, query_pairs
from mockserver.websocket.playback import Out, Playback
from mockserver.websocket.session import WebSocketSession
from tests.error_rows import Answer, InProcess
from tests.support.any_call import BODIES, FRAME, FULL, GETS, ITEMS, PARTS, SCHEMA, TOOLS, USER, Request, draw_request
from tests.support.driving import NOON, Driver
from tests.support.examples import examples
from tests.support.scripted_items import DRAFTS

Json = Any


class Watched(InProcess):
    """A mock that holds a response and a conversation, and can say what it holds."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        engine = Engine(Settings(clock=NOON), store=self.store)
        self._app = MockApp(engine)
        made = Driver(engine, project="default")
        self.names = {"response": made.create("hello")["id"], "conversation": made.conversation()["id"]}
        self.names["item"] = made.add(self.names["conversation"], USER)[0]["id"]

    def holds(self) -> Any:
        """Return every record of every project."""
        return {name: (dict(one.records), deepcopy(one.places)) for name, one in self.store._projects.items()}

    def named(self, value: Json) -> Json:
        """Return a value with the names of what there is in place of `{response}`, `{conversation}`, `{item}`."""
        if isinstance(value, str):
            return value.format(**self.names) if value in ("{response}", "{conversation}", "{item}") else value
        if isinstance(value, list):
            return [self.named(one) for one in value]
        return {key: self.named(one) for key, one in value.items()} if isinstance(value, dict) else value

    def judge(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Send one request and check what came back."""
        before = self.holds()
        answer = self.ask(method, path.format(**self.names), {}, body, abandon=False)
        if answer.status == 200:
            return answer
        assert 400 <= answer.status < 500 or answer.status == 501, answer
        told = json.loads(answer.body)
        assert list(told) == ["error"] and list(told["error"]) == ["message", "type", "param", "code"]
        assert answer.body == json.dumps(told, indent=2).encode("ascii")
        assert answer.headers["content-type"] == "application/json"
        error = told["error"]
        assert error["type"] == ("mock_error" if answer.status == 501 else "invalid_request_error")
        assert isinstance(error["message"], str) and error["message"]
        assert all(error[key] is None or isinstance(error[key], str) for key in ("param", "code"))
        assert self.holds() == before
        return answer


WORDS = sorted(
    {
        *(
            "",
            "user",
            "assistant",
            "developer",
            "auto",
            "none",
            "{}",
            "x" * 70,
            "gpt-4o",
            "o3",
            "msg_1",
            "{item}",
            "fc_1",
        ),
        *(
            "{response}",
            "{conversation}",
            "data:application/pdf;base64,AA==",
            "\ud83d\ude00 ü \x00",
            "#",
            "#/$defs/d",
            "object",
        ),
        *(item["type"] for item in ITEMS if item.get("type")),
        *(tool["type"] for tool in TOOLS),
        *(part["type"] for _, part in PARTS),
        *("string", "array", "null", "integer", "allowed_tools", "json_schema", "json_object", "summary_text"),
    }
)
KEYS = sorted(
    {key for example in (*ITEMS, *TOOLS, FULL, SCHEMA, *(part for _, part in PARTS)) for key in example}
    | {"anyOf", "items", "enum", "$ref", "const", "default", "title", "description", "minimum", "pattern", "format"}
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, 16, 2**63, 2**64, -(2**63) - 1, 10**400, 1e300, -0.0, 1e-7])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(st.characters(codec="utf-8"), max_size=8)
)
NAMES = st.sampled_from(KEYS) | st.text(st.characters(codec="utf-8"), max_size=6)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def mutated(draw: st.DrawFn, path: str) -> Json:
    """A valid request with up to four places replaced, removed, added to, doubled or swapped for one from elsewhere."""
    bodies = BODIES[path]
    body = deepcopy(draw(st.sampled_from(bodies)))
    for _ in range(draw(st.integers(0, 4))):
        place, key = _somewhere(draw, body)
        if place is None:
            break
        match draw(st.sampled_from(["replace", "remove", "add", "double", "other"])):
            case "replace":
                place[key] = draw(JSON)
            case "remove":
                del place[key]
            case "add" if isinstance(place, dict):
                place[draw(NAMES)] = draw(JSON)
            case "double" if isinstance(place, list):
                place.append(deepcopy(place[key]))
            case _:
                other, there = _somewhere(draw, deepcopy(draw(st.sampled_from(bodies))))
                if other is not None:
                    place[key] = other[there]
    return body


def _somewhere(draw: st.DrawFn, body: Json) -> tuple[Any, Any]:
    """Return a place inside a body and a key in it, None when there is none."""
    place, key = None, None
    inside = body
    while isinstance(inside, dict | list) and inside:
        place, key = inside, draw(st.sampled_from(list(inside) if isinstance(inside, dict) else range(len(inside))))
        inside = place[key]
        if draw(st.booleans()):
            break
    return place, key


def encoded(value: Json) -> bytes:
    """Return JSON bytes of any value, also of one that no JSON reader takes."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("path", BODIES)
def test_what_mutations_start_from_is_taken(path: str) -> None:
    taken = 0
    for body in BODIES[path]:
        mock = Watched()
        taken += mock.judge("POST", path, encoded(mock.named(body))).status == 200
    assert taken >= len(BODIES[path]) / 2


@pytest.mark.parametrize("path", BODIES)
@examples(100)
@given(data=st.data())
def test_any_json(path: str, data: st.DataObject) -> None:
    mock = Watched()
    mock.judge("POST", path, encoded(mock.named(data.draw(JSON))))


@pytest.mark.parametrize("path", BODIES)
@examples(300)
@given(data=st.data())
def test_any_mutation(path: str, data: st.DataObject) -> None:
    mock = Watched()
    mock.judge("POST", path, encoded(mock.named(data.draw(mutated(path)))))


@examples(300)
@given(
    data=st.data(),
    schema=st.dictionaries(st.sampled_from(sorted({*SCHEMA, *KEYS[:3], "items", "anyOf", "enum"})), JSON),
)
def test_any_schema(data: st.DataObject, schema: dict[str, Json]) -> None:
    """A schema is free JSON, yet it is judged, echoed, counted and answered from."""
    name = data.draw(st.sampled_from(["parameters", "schema", "output_schema"]))
    strict = data.draw(st.sampled_from([None, False, True]))
    body: dict[str, Json] = {"model": data.draw(st.sampled_from(["gpt-4.1", "gpt-5.6-terra"])), "input": "x"}
    if name == "schema":
        body["text"] = {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": strict}}
    else:
        body["tools"] = [{"type": "function", "name": "f", name: schema, "strict": strict}]
        body["tool_choice"] = data.draw(st.sampled_from(["auto", "required", {"type": "function", "name": "f"}]))
    for path in ("/v1/responses", "/v1/responses/input_tokens"):
        mock = Watched()
        mock.judge("POST", path, encoded(mock.named(body)))


@pytest.mark.parametrize("path", BODIES)
@examples(100)
@given(data=st.data())
def test_any_bytes(path: str, data: st.DataObject) -> None:
    mock = Watched()
    raw = encoded(mock.named(data.draw(st.sampled_from(BODIES[path]))))
    at = data.draw(st.integers(0, len(raw)))
    cut = data.draw(st.integers(0, 4))
    mock.judge("POST", path, raw[:at] + data.draw(st.binary(max_size=8)) + raw[at + cut :])
    mock.judge("POST", path, data.draw(st.binary(max_size=64)))


NAMES_OF_QUERIES = st.sampled_from(
    """limit order after before include include[] include[0] stream starting_after beta include_obfuscation""".split()
)
_VALUES = """0 1 101 -1 1.5 true false asc desc {item} {response} % ü １ message.output_text.logprobs
reasoning.encrypted_content""".split()
VALUES_OF_QUERIES = st.sampled_from(["", "\x00", "9" * 50, *_VALUES])
PAIRS = st.lists(st.tuples(NAMES_OF_QUERIES | st.text(max_size=4), VALUES_OF_QUERIES | st.text(max_size=6)), max_size=4)


@pytest.mark.parametrize("path", GETS)
@examples(150)
@given(pairs=PAIRS, text=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20), plain=st.booleans())
def test_any_query(path: str, pairs: list[tuple[str, str]], text: str, plain: bool) -> None:
    mock = Watched()
    filled = ((name, mock.named(value)) for name, value in pairs)
    query = "&".join(f"{_escaped(name)}={_escaped(value)}" for name, value in filled)
    target = path.format(**mock.names)
    before = mock.holds()
    mock.names = {}  # braces of a query stay what they are
    answer = mock.judge("GET", f"{target}?{text if plain else query}".replace("{", "{{").replace("}", "}}"))
    assert mock.holds() == before
    assert answer.status < 500


def _escaped(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="[]")


@examples(150)
@given(
    groups=st.lists(st.sampled_from(sorted(DRAFTS)), min_size=1, max_size=4, unique=True),
    first=st.booleans(),
    second=st.booleans(),
    streamed=st.booleans(),
)
def test_an_output_can_be_sent_back_as_input(groups: list[str], first: bool, second: bool, streamed: bool) -> None:
    """Spec: F8.6, R1.43; whether it was stored or not, and whether the next one is."""
    # the service gives its own ids: an id that a script makes up says nothing about where it is kept
    drafts = [{**draft, "id": None} for group in groups for draft in DRAFTS[group]]
    drive = Driver()
    drive.script({"reply": {"output": drafts}})
    fields = {"model": "gpt-5.6-terra", "store": first}
    made = drive.stream("hello", **fields)[-1]["response"] if streamed else drive.create("hello", **fields)
    again = drive.create([USER, *made["output"], USER], model="gpt-5.6-terra", store=second)
    assert again["status"] == "completed"
    third = drive.create([USER, *made["output"], USER, *again["output"], USER], model="gpt-5.6-terra", store=first)
    assert third["status"] == "completed"


CIRCLES: Mapping[str, dict[str, Json]] = {
    "union-of-itself": {"type": "object", "properties": {"a": {"anyOf": [{"$ref": "#/properties/a"}] * 40}}},
    "holds-itself-often": {"type": "object", "properties": {f"p{n}": {"$ref": "#"} for n in range(60)}},
    "all-of-itself": {"type": "object", "allOf": [{"$ref": "#"}] * 40},
    "chain": {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/0"}},
        "$defs": {str(n): {"anyOf": [{"$ref": f"#/$defs/{n + 1}"}]} for n in range(2000)},
    },
    "required-is-a-number": {"type": "object", "properties": {"a": {}}, "required": 5},
}


@pytest.mark.parametrize("name", CIRCLES)
@pytest.mark.parametrize("place", ["parameters", "schema"])
def test_schemas_that_lead_back_to_themselves_end(name: str, place: str) -> None:
    body: dict[str, Json] = {"model": "gpt-5.6-terra", "input": "x"}
    if place == "schema":
        body["text"] = {"format": {"type": "json_schema", "name": "n", "schema": CIRCLES[name]}}
    else:
        body["tools"] = [{"type": "function", "name": "f", "parameters": CIRCLES[name], "strict": False}]
        body["tool_choice"] = "required"
    assert Watched().judge("POST", "/v1/responses", encoded(body)).status == 200


# --- Every call, the control API's and frames too ---------------------------------------------------------------------

CASES = 20  # of one mock, so that what one leaves behind meets the next
READS = ("verdict", "journal?limit=1000&context=full", "snapshot", "responses", "conversations", "scenario", "faults")


class Faults(logging.Handler):
    """Keeps what the log says of faults of the mock, as errors of faults and scripts may be a 500 too."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


class Attacked:
    """A mock with something in it, which is sent anything."""

    def __init__(self) -> None:
        self.engine = Engine(Settings(clock=NOON))
        self.app = MockApp(self.engine)
        self.session = WebSocketSession(self.engine, "default", {})
        drive = Driver(self.engine, project="default")
        self.names = {"response": drive.create("hello")["id"], "conversation": drive.conversation()["id"]}
        self.names["item"] = drive.add(self.names["conversation"], USER)[0]["id"]
        drive.stream("in the background", background=True)
        self.snapshot = self.engine.control.snapshot("default")

    def send(self, request: Request) -> None:
        if request.method == FRAME:
            self.play(self.session.receive(request.body))
            return
        path, _, query = request.target.partition("?")
        answer, _ = self.app.answer(Call(request.method, path, request.body, None, query_pairs(query.encode()), {}))
        if answer.player is not None:
            with suppress(Abort):  # a fault that was set
                list(chunks(answer))

    def play(self, outs: list[Out]) -> None:
        todo = list(outs)
        while todo:
            out = todo.pop()
            if isinstance(out, Playback):
                while self.session.advance(out) is not None:
                    pass
                todo += self.session.on_turn_end(out)


@examples(1000)
@given(seed=st.integers(0, 2**32))
def test_no_call_makes_the_mock_fail(seed: int) -> None:
    """20,000 mutated requests of every endpoint and control call, and frames: an answer, never a fault of the mock."""
    random, mock, faults = Random(seed), Attacked(), Faults()
    log = logging.getLogger("understudy")
    log.addHandler(faults)
    try:
        for _ in range(CASES):
            request = draw_request(random, mock.names, mock.snapshot)
            mock.send(request)
            assert not faults.found, (request, faults.found)
        for name in READS:
            mock.send(Request("GET", f"/_mock/{name}"))
            assert not faults.found, (name, faults.found)
    finally:
        log.removeHandler(faults)


CLIENT_SEARCH = {"type": "tool_search_call", "arguments": {}, "execution": "client"}
ONCE_A_500: list[tuple[str, str, Json]] = [
    ("POST", "/v1/responses", {"model": "gpt-5.4", "input": [USER, CLIENT_SEARCH]}),
    ("POST", "/v1/responses", {"model": "gpt-5.4", "input": [USER, {**CLIENT_SEARCH, "call_id": None}]}),
    ("POST", "/v1/responses", {"model": "gpt-5.6-terra", "input": [USER, {**CLIENT_SEARCH, "id": None}]}),
    ("POST", "/v1/conversations", {"items": [CLIENT_SEARCH]}),
    ("POST", "/v1/conversations", {"items": [{**CLIENT_SEARCH, "call_id": None}]}),
    (
        "POST",
        "/v1/responses",
        {
            "model": "gpt-5.4",
            "input": "x",
            "tools": [{"type": "function", "name": "f"}],
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": {}}]},
        },
    ),
]


@pytest.mark.parametrize(("method", "path", "body"), ONCE_A_500)
def test_what_was_a_fault_of_the_mock(method: str, path: str, body: Json) -> None:
    """The client's types have these members optional or free: taken; a call without a `call_id` owes nothing."""
    assert Watched().judge(method, path, encoded(body)).status == 200


def test_given_calls_without_an_id_owe_nothing() -> None:
    call = {"type": "computer_call", "pending_safety_checks": [], "status": "completed", "actions": [{"type": "wait"}]}
    body = encoded({"conversations": [{"items": [call]}]})
    answer, _ = MockApp(Engine(Settings(clock=NOON))).answer(Call("PUT", "/_mock/given", body))
    assert answer.status == 200
