"""A turn by a plan is the turn that would have been made without it: body, events, records and journal, to the byte."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from mockserver.config.settings import Settings
from mockserver.config.switches import SWITCHES
from mockserver.core.plain_turn import LONGEST_SHAPE, LONGEST_TEXT, MOST_SHAPES, Plans, TurnRequest, shape_of
from mockserver.core.plans import Plan
from mockserver.core.turn import SerializedTurn, Turn
from mockserver.delivery.answer import Answer
from mockserver.delivery.events import Emit
from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call
from mockserver.websocket.playback import Playback
from mockserver.websocket.session import WebSocketSession
from mockserver.wire import catalog
from mockserver.wire.errors.api import APIError
from mockserver.wire.requests.bodies import create_response, without_nulls
from mockserver.wire.responses.event_list import sse
from tests.support.examples import seeds

PROJECT = "p"
MODELS = ("gpt-4.1", "gpt-4.1", "gpt-4o-mini", "gpt-5.5", "gpt-4", "gpt-4.1-2025-04-14")
TEXTS = (
    "ping",
    "and then?",
    "ünïcödé — 100 % \U0001f600 \x7f",
    'quotes " and \\ and {braces} and 1e5, %d %(id)b',
    "wörter " * 300,
    "a long text of words " * 150,
    "understudy\x1aid",
    "0.00001 e-7,",
)
TOOL = {"type": "function", "name": "ping", "parameters": {"type": "object", "properties": {}}}
MORE: tuple[dict[str, Any], ...] = (
    *({} for _ in range(8)),
    {"instructions": "Be kind."},
    {"instructions": "Be kind."},
    {"stream": True},
    {"stream": True},
    {"stream": False},
    {"temperature": 1},
    {"temperature": 1.0},
    {"temperature": 1e-5},
    {"metadata": {"a": "understudy\x1atext", "b": "8610203040001"}},
    {"metadata": {"a": "x"}, "user": "me"},
    {"store": False},
    {"store": True},
    {"max_output_tokens": 16},
    {"tools": [TOOL]},
    {"text": {"format": {"type": "json_object"}}, "instructions": "json"},
    {"service_tier": "default"},
    {"background": True},
    {"truncation": "auto"},
    {"include": ["message.output_text.logprobs"]},
    {"prompt_cache_key": "k"},
    {"parallel_tool_calls": False},
    {"instructions": "i" * (LONGEST_SHAPE + 1)},
)


PLAIN: tuple[dict[str, Any], ...] = ({}, {}, {"stream": True}, {"instructions": "Be kind."})

# what a test's author may set: replies that are plain or not, conditions, paces, errors
LINES: tuple[dict[str, Any], ...] = (
    {"reply": {"text": "scripted"}},
    {"reply": {"text": ""}},
    {"reply": {"text": 'quotes " and %d %(id)b \U0001f600'}},
    {"reply": {"text": "turn {{ turn }} of {{ item_count }}: {{ input_text }}"}},
    {"reply": {"text": "long " * 3000}},
    {"reply": {"text": "slow"}, "pacing": {"first_token": 1, "tokens_per_second": 4}},
    {"reply": {"text": "one"}, "when": {"input_contains": "ping"}},
    {"reply": {"text": "two"}, "when": {"turn": 2}, "times": 2},
    {"reply": {"text": "three"}, "when": {"stream": True, "model": "gpt-4.1"}},
    {"reply": {"text": "with figures", "usage": {"output_tokens": 77}}},
    {"reply": {"text": "of another model", "model": "gpt-4o-2024-08-06"}},
    {"reply": {"text": "cut", "incomplete": "max_output_tokens"}},
    {"reply": {"text": "final", "phase": "commentary"}},
    {"reply": {"refusal": "no"}},
    {"reply": {"json": {"a": 1}}},
    {"reply": {"output": [{"type": "message", "text": "spelt out"}]}},
    {"reply": {"output": [{"type": "message", "text": "spelt out", "id": "msg_of_the_author"}]}},
    {"reply": {"output": [{"type": "function_call", "name": "ping", "arguments": {}}]}},
    {"reply": {"output": [{"type": "reasoning"}, {"type": "message", "text": "with a thought"}]}},
    {"reply": {"output": []}},
    {"reply": {"error": {"code": "rate_limit_exceeded"}}},
    {"reply": {"failed": {"code": "server_error", "message": "deliberate"}}},
)
FAULTS: tuple[dict[str, Any], ...] = (
    {"do": {"error": "server_is_overloaded"}, "when": {"input_contains": "never said"}},
    {"do": {"error": "server_is_overloaded"}, "when": {"turn": 3}, "times": 2},
    {"do": "cut", "when": {"input_contains": "then"}, "times": 3},
    {"do": {"delay": 0.5}, "times": 4},
    {"do": "drop_event", "at": {"event": "response.output_text.delta"}, "when": {"stream": True}, "times": 2},
)


def set_by_author(engine: Engine, seed: float) -> None:
    """Set lines and faults as a test does, the same ones for the same seed."""
    rng, control = random.Random(seed), engine.control
    match rng.choice(("queue", "queue", "scenario", "faults", "nothing")):
        case "queue":
            control.enqueue(PROJECT, rng.choices(LINES, k=2))
        case "scenario":
            control.set_scenario(PROJECT, {"lines": rng.choices(LINES, k=3)})
        case "faults":
            control.set_faults(PROJECT, rng.choices(FAULTS, k=2))
        case _:
            control.set_scenario(PROJECT, {"lines": []})
            control.set_faults(PROJECT, [])


def call(engine: Engine, method: str, path: str, body: Any = None) -> Answer:
    sent = b"" if body is None else orjson.dumps(body)
    return engine.handle(Call(method, path, sent, PROJECT))


def told(answer: Answer) -> tuple[int, bytes, bytes]:
    """What a client reads of an answer."""
    return answer.status, answer.body, b"" if answer.events is None else sse(answer.events) + answer.tail


def play_out(answer: Answer) -> list[Any]:
    """The steps in which an answer leaves, if it takes time."""
    return [] if answer.player is None else list(iter(answer.player.next, None))


def pair(**switches: str) -> tuple[Engine, Engine]:
    """Two engines of the same seed and clock, the second without plans."""
    settings = Settings(clock=1_800_000_000.25, set=tuple(switches.items()))
    planned, ordinary = Engine(settings), Engine(settings)
    ordinary.pipeline._plans = None
    return planned, ordinary


def play(seed: int, steps: int, *, scripted: bool = False, **switches: str) -> tuple[int, int]:
    """Send the same random calls to both; returns how many turns there were, and how many plans."""
    rng, engines = random.Random(seed), pair(**switches)
    parents: list[str] = []
    conversations: list[str] = []
    turns = 0
    for _ in range(steps):
        kind = rng.random()
        method, path, body = "POST", "/v1/responses", None
        if scripted and rng.random() < 0.3:
            setting = rng.random()
            for engine in engines:
                set_by_author(engine, setting)
        if kind < 0.06:
            path, body = "/v1/conversations", {}
        elif kind < 0.1 and parents:
            method, path = "DELETE", f"/v1/responses/{rng.choice(parents)}"
        elif kind < 0.13 and parents:
            method, path = "GET", f"/v1/responses/{rng.choice(parents)}"
        elif kind < 0.16 and conversations:
            method, path = "GET", f"/v1/conversations/{rng.choice(conversations)}/items"
        else:
            turns += 1
            model = MODELS[0] if rng.random() < 0.7 else rng.choice(MODELS)
            more = PLAIN if scripted and rng.random() < 0.7 else MORE
            body = {"model": model, "input": rng.choice(TEXTS), **rng.choice(more)}
            continues = rng.random()
            if continues < 0.5 and parents:
                body["previous_response_id"] = parents[-1] if rng.random() < 0.7 else rng.choice(parents)
            elif continues < 0.75 and conversations:
                body["conversation"] = rng.choice(conversations)
            if rng.random() < 0.1:
                body["input"] = [{"role": "user", "content": body["input"]}]
        mine, theirs = (call(engine, method, path, body) for engine in engines)
        steps_of = play_out(mine)
        assert (told(mine), steps_of) == (told(theirs), play_out(theirs)), body
        assert (mine.model, mine.content_type, mine.headers) == (theirs.model, theirs.content_type, theirs.headers)
        made = re.search(r"\b(resp|conv)_[0-9a-f]{48,50}\b", repr((told(mine), steps_of)))
        if mine.status == 200 and method == "POST" and made is not None:
            (conversations if path.endswith("conversations") else parents).append(made[0])
    mine, theirs = engines
    assert mine.store.records(PROJECT) == theirs.store.records(PROJECT)
    assert journal(mine) == journal(theirs)
    assert kept_answers(mine) == kept_answers(theirs)
    assert mine.pipeline._plans is not None
    return turns, sum(isinstance(plan, Plan) for plan in mine.pipeline._plans._plans.values())


def journal(engine: Engine) -> list[Any]:
    """The exchanges of the project, without what the machine's clock says."""
    exchanges = [one for one in engine.journal.read(PROJECT, limit=1000, after=None, context="full") if one]
    return [{key: value for key, value in one.items() if key != "duration_ms"} for one in exchanges]


def kept_answers(engine: Engine) -> list[Any]:
    """The answers that can be written down as a recording, as they left, and what each weighs."""
    kept = engine.journal.answers(PROJECT)
    laid_out = [[sse(step.events) if isinstance(step, Emit) else step for step in one.laid_out()] for one in kept]
    return [(one.body, one.status, one.weight, steps) for one, steps in zip(kept, laid_out, strict=True)]


@pytest.mark.parametrize("seed", seeds(12))
def test_random_calls_have_the_same_answers_and_leave_the_same_behind(seed: int) -> None:
    turns, plans = play(seed, 120)
    assert turns > 80 and plans >= 3


@pytest.mark.parametrize("seed", seeds(12))
def test_so_they_do_where_a_test_sets_lines_and_faults(seed: int) -> None:
    turns, plans = play(seed, 150, scripted=True)
    assert turns > 100 and plans >= 3


@pytest.mark.parametrize(
    "switches",
    [
        {name: value}
        for name in (
            "ttl_from",
            "shutdown_models",
            "obfuscation",
            "deleted_ancestor",
            "store_false_conversation",
            "zdr",
        )
        for value in SWITCHES[name].values
    ],
    ids=str,
)
def test_they_agree_under_every_value_of_a_switch_that_turns_read(switches: dict[str, str]) -> None:
    if switches == {"zdr": "on"}:
        assert pair(**switches)[0].pipeline._plans is None  # nothing is stored, so nothing is plain
        return
    play(99, 80, **switches)


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-4o", "gpt-5.5", "gpt-5.6-terra"])
def test_long_contexts_are_found_in_the_cache_as_without_a_plan(model: str) -> None:
    """Sent for the first time, and again."""
    engines = pair()
    ids: list[str | None] = [None]
    for turn in range(40):
        text, parent = TEXTS[5] if turn < 4 else f"and then {turn % 2}?", ids[-1 - turn // 4 % 2]
        body = {"model": model, "input": text, "previous_response_id": parent}
        mine, theirs = (call(engine, "POST", "/v1/responses", body) for engine in engines)
        assert told(mine) == told(theirs)
        ids.append(orjson.loads(mine.body)["id"])
    assert engines[0].store.records(PROJECT) == engines[1].store.records(PROJECT)
    assert orjson.loads(mine.body)["usage"]["input_tokens_details"]["cached_tokens"] > 1024


def test_a_shape_has_a_plan_from_its_third_turn_on() -> None:
    engine, _ = pair()
    plans = engine.pipeline._plans
    assert plans is not None
    for expected in (0, 1, 1):
        call(engine, "POST", "/v1/responses", {"model": "gpt-4.1", "input": "ping"})
        assert sum(isinstance(plan, Plan) for plan in plans._plans.values()) == expected


def test_shapes_that_never_come_again_are_forgotten() -> None:
    engine, _ = pair()
    for number in range(2 * MOST_SHAPES + 5):
        call(engine, "POST", "/v1/responses", {"model": "gpt-4.1", "input": "x", "metadata": {"n": str(number)}})
    assert engine.pipeline._plans is not None
    assert len(engine.pipeline._plans._plans) <= MOST_SHAPES


def test_a_plan_is_used_over_a_socket_too() -> None:
    """The same turns over a connection, where unstored parents live: the events are the same with plans and without."""
    told = []
    for engine in pair():
        session = WebSocketSession(engine, PROJECT)
        parent, events = None, []
        for number in range(6):
            frame = {"type": "response.create", "model": "gpt-4.1", "input": "ping", "store": number % 3 != 1}
            if parent is not None and number != 4:
                frame["previous_response_id"] = parent
            (playback,) = session.receive(orjson.dumps(frame))
            assert isinstance(playback, Playback)
            while (step := session.advance(playback)) is not None:
                events += step.events if isinstance(step, Emit) else []
            session.on_turn_end(playback)
            parent = events[-1]["response"]["id"]
        told.append((events, engine.store.records(PROJECT)))
    assert told[0] == told[1]


def test_a_model_that_is_shut_down_meanwhile_is_refused() -> None:
    """Spec: P18 (switch `shutdown_models`)."""
    engine, _ = pair(shutdown_models="refuse")
    name = next(name for name, model in catalog.names() if _can_be_planned(model) and model.shutdown_date is not None)
    engine.control.set_clock(PROJECT, 1_700_000_000.0)
    for _ in range(3):
        assert call(engine, "POST", "/v1/responses", {"model": name, "input": "ping"}).status == 200
    engine.control.set_clock(PROJECT, 4_000_000_000.0)
    assert call(engine, "POST", "/v1/responses", {"model": name, "input": "ping"}).status == 400


def _can_be_planned(model: catalog.Model) -> bool:
    return not (model.reasoning or model.cl100k or model.checks_prefix)


def test_a_text_that_is_too_long_for_the_window_is_refused_as_without_a_plan() -> None:
    """Spec: R7.2. The chain grows until it no longer fits."""
    answers = []
    for engine in pair():
        name = min((model.context_window, name) for name, model in catalog.names() if _can_be_planned(model))[1]
        parent, told_last = None, None
        for _ in range(200):
            body = {"model": name, "input": "w" * 4000 + " 0 1 2" * 16, "previous_response_id": parent}
            told_last = call(engine, "POST", "/v1/responses", body)
            if told_last.status != 200:
                break
            parent = orjson.loads(told_last.body)["id"]
        answers.append(told_last and told(told_last))
    assert answers[0] == answers[1] and answers[0] is not None and answers[0][0] == 400


# Bodies of plain turns, and such as only look like one.
BODIES: tuple[dict[str, Any], ...] = (
    {"input": "ping", "model": "gpt-4.1"},
    {"model": "gpt-4.1", "input": "ping", "previous_response_id": "resp_1", "stream": True},
    {"model": "gpt-4.1", "input": "ping", "conversation": "conv_1"},
    {"model": "gpt-4.1", "input": "ping", "metadata": {"input": "ping"}, "temperature": 1.0},
    {"model": "gpt-4.1", "input": "ping", "instructions": "Be kind.", "user": "me", "store": True},
)
# what may stand in place of a member, or beside it
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        1.0,
        -1,
        3,
        "",
        "x",
        "gpt-4.1",
        "resp",
        "resp_2",
        "resp 1",
        "resp_" + "a" * 60,
        "conv_1",
    ),
    *("x" * (LONGEST_TEXT + 1), [], ["x"], [{"role": "user", "content": "x"}], {}, {"id": "conv_1"}, {"a": "b"}),
    *({"a": 1}, {"input": "ping"}, "not a model"),
)
KEYS = (*{key for body in BODIES for key in body}, "background", "top_p", "verbosity", "client_metadata", "unknown")


def judge_in_full(body: dict[str, Any]) -> TurnRequest | None:
    """What the request of a body is if all of it is judged; None where it is refused."""
    try:
        request = create_response(orjson.dumps(body))
    except APIError:
        return None
    return TurnRequest(request, shape_of(request))


def plans_of(bodies: Sequence[dict[str, Any]]) -> Plans:
    """Plans for the shapes of these bodies."""
    plans = Plans()
    for body in bodies:
        asked = judge_in_full(body)
        assert asked is not None and asked.shape is not None
        plans._plans[asked.shape.name] = tuple.__new__(Plan)
    return plans


def test_a_body_that_is_recognized_is_one_that_would_pass() -> None:
    """Members are exchanged, taken away and added: none is recognized that would be refused, or read otherwise."""
    plans, rng, recognized = plans_of(BODIES), random.Random(7), 0
    for _ in range(20_000):
        body = {**rng.choice(BODIES)}
        for _ in range(rng.randrange(3)):
            key = rng.choice(KEYS)
            body[key] = rng.choice(VALUES)
            if rng.random() < 0.2:
                del body[key]
        shape = plans.recognize(body)
        recognized += shape is not None
        if shape is not None:
            assert repr(TurnRequest(body, shape)) == repr(judge_in_full(body))
        lean = without_nulls(body)
        if plans.recognize(lean) is not None:
            assert repr(TurnRequest(lean, plans.recognize(lean))) == repr(judge_in_full(body))
    assert 5000 < recognized < 15_000


def test_nulls_make_no_other_shape_and_are_not_part_of_the_request() -> None:
    engine, ordinary = pair()
    for body in (BODIES[0], {**BODIES[0], "previous_response_id": None, "conversation": None, "temperature": None}) * 2:
        assert told(call(engine, "POST", "/v1/responses", body)) == told(call(ordinary, "POST", "/v1/responses", body))
    plans = engine.pipeline._plans
    assert plans is not None and len(plans._plans) == 1


def test_only_a_shape_that_has_a_plan_is_recognized() -> None:
    plans = plans_of(BODIES[:1])
    assert [plans.recognize(body) is not None for body in BODIES] == [True, False, False, False, False]
    plans._plans[shape.name if (shape := shape_of(BODIES[1])) else b""] = "seen"
    assert plans.recognize(BODIES[1]) is None


def test_a_body_that_is_too_deep_is_left_to_the_judge() -> None:
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]
    assert plans_of(BODIES).recognize({**BODIES[0], "metadata": deep}) is None


def test_a_body_of_a_known_shape_is_still_refused_for_its_kind_of_content() -> None:
    """Spec: E4."""
    engine, _ = pair()
    for _ in range(3):
        assert call(engine, "POST", "/v1/responses", BODIES[0]).status == 200
    headers = {b"content-type": b"text/plain"}
    answer = engine.handle(Call(body=orjson.dumps(BODIES[0]), project=PROJECT, headers=headers))
    assert answer.status == 400 and b"Unsupported content type" in answer.body


def test_a_turn_by_its_documents_is_read_as_the_turn_that_it_is() -> None:
    """Also by what nobody asks of a turn that leaves at once."""
    mine, theirs = pair()
    told = []
    for engine in (mine, theirs):
        for _ in range(4):
            turn = engine.create_response(PROJECT, orjson.dumps(BODIES[0])).turn
        told.append(turn)
    planned, ordinary = told
    assert isinstance(planned, SerializedTurn) and isinstance(ordinary, Turn)
    whole = planned.read()
    assert whole == ordinary._replace(node=ordinary.node._replace(packed=orjson.dumps(ordinary.node.items)))
    for name in ("id", "model", "final", "stored", "status", "public_status", "error", "figures", "parent"):
        assert getattr(planned, name) == getattr(ordinary, name) == getattr(whole, name)
    assert list(planned.item_ids) == [item["id"] for item in ordinary.node.items]
