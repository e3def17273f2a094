"""Codex completes a scripted tool loop and goes on with it later: its shell runs, its files change, its state holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.codex import Codex, Ran, kinds, script
from tests.support.recorder import Recorder, Socket, recording
from tests.support.serving import Served, serving

pytestmark = pytest.mark.heavy

PATCH = "*** Begin Patch\n*** Add File: patched.txt\n+patched\n*** End Patch"
TOOL_LOOP = (
    {
        "when": {"input_contains": "make two files", "has_tool": "exec_command", "store": False},
        "reply": {
            "reasoning": "A shell first.",
            "output": [
                {
                    "type": "function_call",
                    "name": "exec_command",
                    "arguments": {"cmd": "echo from-the-shell > made.txt; cat made.txt"},
                }
            ],
        },
    },
    {
        "when": {"tool_output": {"name": "exec_command", "contains": "from-the-shell"}},
        "reply": {"output": [{"type": "custom_tool_call", "name": "apply_patch", "input": PATCH}]},
    },
    {
        "when": {"last_item": "custom_tool_call_output"},
        "reply": {"reasoning": "Done.", "text": "Two files [{{ item_count }} items]. {{ tool_output }}"},
    },
)
RESUMED = {"when": {"input_contains": "go on"}, "reply": {"text": "Going on [{{ item_count }} items]."}}


@pytest.fixture(scope="module")
def mock() -> Iterator[Served]:
    """A mock."""
    with serving("--seed", "7") as served:
        yield served


@pytest.fixture(scope="module")
def forwarding(mock: Served) -> Iterator[Served]:
    """The proxy before it."""
    with serving("--upstream", mock.base_url) as served:
        yield served


@pytest.fixture
def codex(codex_program: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Codex:
    """Codex in a place of its own, as a project of its own."""
    return Codex(codex_program, tmp_path, f"codex-{request.node.name}")


LOOP = ["reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"]


@pytest.mark.parametrize("way", ["direct", "forwarded"])
def test_a_tool_loop_over_http_is_resumed(codex: Codex, mock: Served, forwarding: Served, way: str) -> None:
    script(mock, codex, *TOOL_LOOP, RESUMED)
    with recording((mock if way == "direct" else forwarding).port) as recorder:
        codex.configure(recorder.base_url, "own, HTTP")
        ran = codex("make two files")
        assert ran.status == 0, (ran, recorder.requests)
        assert_tool_loop(codex, ran)
        resumed = codex("resume", "--last", "go on")
    assert (resumed.status, script(mock, codex)) == (0, 0)
    assert {one.path for one in recorder.requests} == {"/v1/responses"}
    assert_sent(recorder)
    posts = recorder.bodies()
    assert resumed.last == f"Going on [{len(posts[3]['input'])} items]."
    threads = [one.events[0]["thread_id"] for one in (ran, resumed)]
    assert threads[0] == threads[1] == posts[0]["prompt_cache_key"] == posts[3]["prompt_cache_key"]
    assert mock.control("GET", "/responses", key=codex.key)["data"] == [], "nothing was to be stored"


def assert_tool_loop(codex: Codex, ran: Ran) -> None:
    """The shell ran, the patch was applied, the last message knows of both."""
    assert (codex.work / "made.txt").read_text() == "from-the-shell\n"
    assert (codex.work / "patched.txt").read_text() == "patched\n"
    (command,) = ran.all("command_execution")
    assert (command["aggregated_output"], command["exit_code"]) == ("from-the-shell\n", 0)
    assert [change["kind"] for change in ran.all("file_change")[0]["changes"]] == ["add"]
    assert "A patched.txt" in ran.last and ran.last == ran.all("agent_message")[-1]["text"]
    assert [item["text"] for item in ran.all("reasoning")] == ["A shell first.", "Done."]
    assert not [event for event in ran.events if event["type"] in ("error", "turn.failed")]


def assert_sent(recorder: Recorder) -> None:
    """Each request holds the one before it and what came of it: the server keeps nothing."""
    first, second, third, last = recorder.bodies()
    for body in (first, second, third, last):
        assert (body["store"], body["stream"], body["include"]) == (False, True, ["reasoning.encrypted_content"])
        assert "previous_response_id" not in body and "client_metadata" in body
    ahead = len(first["input"])
    assert kinds(first["input"])[-1] == "user" and first["input"][-1]["content"][0]["text"] == "make two files"
    assert kinds(second["input"]) == kinds(first["input"]) + LOOP[:3]
    assert kinds(third["input"]) == kinds(first["input"]) + LOOP
    assert kinds(last["input"]) == [*kinds(third["input"]), "reasoning", "assistant", "user"]
    thought, call, output, patch, patched = third["input"][ahead:]
    assert thought["encrypted_content"] and thought["summary"][0]["text"] == "A shell first."
    assert call["call_id"] == output["call_id"] and "from-the-shell" in output["output"]
    assert patch["call_id"] == patched["call_id"] and patch["input"] == PATCH
    again = [item["id"] for item in last["input"][ahead : len(third["input"])]]
    assert again == [item["id"] for item in third["input"][ahead:]]


@pytest.mark.parametrize(
    ("provider", "way"), [("built-in", "direct"), ("built-in", "forwarded"), ("own, WebSocket", "direct")]
)
def test_a_tool_loop_over_a_websocket_is_resumed(
    codex: Codex, mock: Served, forwarding: Served, provider: str, way: str
) -> None:
    lines = [{**line, "when": {**line["when"], "transport": "websocket"}} for line in (*TOOL_LOOP, RESUMED)]
    script(mock, codex, *lines)
    with recording((mock if way == "direct" else forwarding).port) as recorder:
        codex.configure(recorder.base_url, provider)
        ran = codex("make two files")
        assert ran.status == 0, (ran, recorder.sockets)
        assert_tool_loop(codex, ran)
        resumed = codex("resume", "--last", "go on")
    assert (resumed.status, script(mock, codex)) == (0, 0)
    assert recorder.requests == [] and len(recorder.sockets) == 2
    assert_chained(recorder.sockets[0])
    seen = sum(len(frame["input"]) for frame in recorder.sockets[1].asked)
    assert resumed.last == f"Going on [{seen} items]."
    assert mock.control("GET", "/responses", key=codex.key)["data"] == [], "nothing was to be stored"


def assert_chained(opened: Socket) -> None:
    """Each frame holds what is new, chained to a response that only this socket knows, the first of them a warm-up."""
    frames = opened.asked
    ids = [one["response"]["id"] for one in map(json.loads, opened.answered) if one["type"] == "response.completed"]
    assert [frame.get("previous_response_id") for frame in frames] == [None, *ids[:-1]]
    assert [frame.get("generate") for frame in frames] == [False, None, None, None]
    assert not any(frame["store"] for frame in frames) and len(ids) == 4
    assert [kinds(frame["input"])[-1] for frame in frames[1:]] == ["user", LOOP[2], LOOP[4]]
    assert len(frames[2]["input"]) == len(frames[3]["input"]) == 1
    assert opened.headers["openai-beta"].startswith("responses_websockets=")


@pytest.mark.parametrize("way", ["direct", "forwarded"])
def test_without_websockets_it_falls_back_to_http_at_once(codex: Codex, way: str) -> None:
    with serving("--set", "websocket=off") as mock, serving("--upstream", mock.base_url) as forwarding:
        with recording((mock if way == "direct" else forwarding).port) as recorder:
            codex.configure(recorder.base_url, "built-in")
            ran = codex("anything")
        assert (ran.status, ran.last[:23]) == (0, "Mock reply to: anything"), ran
        assert len(recorder.sockets) == 1 and recorder.sockets[0].status == 426
        assert [(one.path, one.status) for one in recorder.requests] == [("/v1/responses", 200)]


@pytest.mark.parametrize("websocket", ["on", "off"])
def test_a_long_context_is_compacted(codex: Codex, websocket: str) -> None:
    usage = {"input_tokens": 50000, "total_tokens": 50100}
    called = {"type": "function_call", "name": "exec_command", "arguments": {"cmd": "echo from-the-shell"}}
    with serving("--set", f"websocket={websocket}") as mock, recording(mock.port) as recorder:
        script(mock, codex, {"reply": {"output": [called], "usage": usage}})
        codex.configure(recorder.base_url, "built-in", model_auto_compact_token_limit=20000)
        ran = codex("first")
        resumed = codex("resume", "--last", "second")
    assert (ran.status, resumed.status) == (0, 0), (ran, resumed)
    over_sockets = [frame["input"] for one in recorder.sockets if one.status == 101 for frame in one.asked]
    asked = over_sockets or [body["input"] for body in recorder.bodies()]
    assert bool(over_sockets) == (websocket == "on")
    (compacted,) = [place for place, one in enumerate(asked) if one[-1]["type"] == "compaction_trigger"]
    assert asked[compacted][-2]["type"] == "function_call_output"
    assert [kinds(one).count("compaction") for one in (asked[compacted], asked[compacted + 1])] == [0, 1]
    (sealed,) = [item for item in asked[compacted + 1] if item["type"] == "compaction"]
    assert [item for item in asked[-1] if item["type"] == "compaction"] == [sealed]
    assert "function_call" not in kinds(asked[compacted + 1])
    assert resumed.last == "Mock reply to: second [4 items in context]"


def test_a_fault_is_retried(codex: Codex, mock: Served) -> None:
    script(mock, codex, {"reply": {"error": {"status": 500}}}, {"reply": {"text": "At last."}})
    with recording(mock.port) as recorder:
        codex.configure(recorder.base_url, "own, HTTP")
        ran = codex("anything")
    assert (ran.status, ran.last, script(mock, codex)) == (0, "At last.", 0), ran
    assert [one.status for one in recorder.requests] == [500, 200]
    assert len({one.body for one in recorder.requests}) == 1


def test_a_refusal_is_told(codex: Codex, mock: Served) -> None:
    script(mock, codex, {"reply": {"error": {"code": "context_length_exceeded"}}})
    codex.configure(mock.base_url, "own, HTTP")
    ran = codex("anything")
    assert ran.status == 1 and ran.events[-1]["type"] == "turn.failed"
    assert "context window" in ran.events[-1]["error"]["message"].lower()
