"""One program over JSON, SSE and WebSocket: the same final states, the same events. Spec: R4.3, R4.5, S9."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mockserver.config.settings import Settings
from mockserver.delivery.events import fold
from mockserver.engine.engine import Engine
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.responses import response_object
from tests.support.driving import NOON, Driver
from tests.support.examples import examples
from tests.support.sockets import Frames

TOOLS = [{"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {}}}]
SERVER = {"type": "mcp", "server_label": "wiki", "server_url": "https://wiki.example"}
HOSTED = [SERVER, {"type": "computer"}, {"type": "shell"}, {"type": "apply_patch"}]
LINES: list[dict[str, Any]] = [
    {"reply": {"text": "scripted"}},
    {"reply": {"output": [{"type": "function_call", "name": "look_up", "call_id": "c1", "arguments": {}}]}},
    {"reply": {"output": [{"type": "function_call", "name": "look_up", "arguments": {"text": "long " * 40}}]}},
    {"reply": {"failed": {"code": "server_error", "message": "deliberate"}}},
    {"reply": {"text": "cut short", "incomplete": "max_output_tokens"}},
    {"reply": {"error": {"code": "rate_limit_exceeded"}}},
    {"reply": {"refusal": "no"}, "pacing": {"first_token": 0.5, "tokens_per_second": 20}},
]
FIELDS = st.fixed_dictionaries(
    {"input": st.sampled_from(["hello", "look it up", "word " * 40, [{"role": "user", "content": "typed"}]])},
    optional={
        "model": st.sampled_from(["gpt-4.1", "gpt-5.6-terra", "gpt-6-astra", "none"]),
        "tools": st.sampled_from([TOOLS, HOSTED, [SERVER]]),
        "tool_choice": st.sampled_from(["required", {"type": "shell"}, {"type": "mcp", "server_label": "wiki"}]),
        "include": st.just(["message.output_text.logprobs"]),
        "max_output_tokens": st.sampled_from([16, 40]),
        "instructions": st.just("be brief"),
        "temperature": st.sampled_from([0.5, 9]),
        "metadata": st.just({"k": "v"}),
        "text": st.just({"format": {"type": "json_object"}}),
    },
)
# a turn: its request, a line for it, the turn it continues (counted back), and whether it belongs to the conversation
TURN = st.tuples(FIELDS, st.sampled_from([None, *LINES]), st.integers(0, 3), st.booleans())
PROGRAM = st.lists(TURN, min_size=1, max_size=6)


class Run:
    """A program in progress over one transport, in an engine of its own."""

    def __init__(self) -> None:
        self.drive = Driver(Engine(Settings(clock=NOON)))
        self.frames = Frames(self.drive.engine, self.drive.project)
        self.conversation = self.drive.conversation()["id"]
        self.made: list[str] = []
        self.told: list[Any] = []
        self.events: list[Any] = []

    def fields(self, fields: dict[str, Any], back: int, talks: bool) -> dict[str, Any]:
        if talks:
            return {**fields, "conversation": self.conversation}
        if back and back <= len(self.made):
            return {**fields, "previous_response_id": self.made[-back]}
        return fields

    def state(self) -> Any:
        """Return everything that can be read afterwards."""
        responses = [self.drive.get(id) for id in self.made]
        contexts = [self.drive.engine.control.context(self.drive.project, id) for id in self.made]
        return responses, contexts, self.drive.items(self.conversation, limit="100"), self.told


def over_json(run: Run, fields: dict[str, Any]) -> Any:
    return run.drive.create(**fields)


def over_sse(run: Run, fields: dict[str, Any]) -> Any:
    events = run.drive.stream(**fields)
    run.drive.engine.finish(run.drive.project, events[0]["response"]["id"])
    run.events.append(events)
    return fold(events)


def over_websocket(run: Run, fields: dict[str, Any]) -> Any:
    events = run.frames.send(**{"model": "gpt-4.1", **fields})
    events += [event for playback in run.frames.playing for event in run.frames.rest(playback)]
    if events[0]["type"] == "error":
        return events[0]["error"]
    run.events.append(events)
    return fold(events)


def played(program: Any, play: Any) -> Run:
    run = Run()
    for fields, line, back, talks in program:
        if line is not None:
            run.drive.script(line)
        asked = run.fields(fields, back, talks)
        try:
            told = play(run, asked)
        except APIError as error:
            told = {"type": error.type, "code": error.code, "message": error.message, "param": error.param}
        except MockError as error:  # a forced tool that the default model can't call (R11.11)
            told = {"type": "mock_error", "code": None, "message": error.message, "param": error.param}
        if "id" in told:
            run.made.append(told["id"])
            told = response_object.without_billing(told)
        run.told.append(told)
        run.drive.engine.control.reset(run.drive.project, ["scenario"])
    return run


@examples(200)
@given(PROGRAM)
def test_one_program_three_transports(program: Any) -> None:
    json, sse, websocket = (played(program, play) for play in (over_json, over_sse, over_websocket))
    assert json.state() == sse.state() == websocket.state()
    assert sse.events == websocket.events
