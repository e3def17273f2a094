"""Codex by the recipe alone, with the model that it chooses itself and that it sends "responses lite" requests.

Such a request has no `tools` and no `instructions`: both are items of the input, the tools in namespaces. The model
has one custom tool, `exec`, which runs JavaScript, and reaches the shell and the patches from there. Spec: C1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.codex import Codex, Ran, kinds, script
from tests.support.recorder import Recorder, recording
from tests.support.serving import Served, serving

pytestmark = pytest.mark.heavy

MODEL = "gpt-6.2-sol"
PATCH = "*** Begin Patch\n*** Add File: patched.txt\n+patched\n*** End Patch"
SHELL = (
    'const done = await tools.exec_command({cmd: "echo from-the-shell > made.txt; cat made.txt"});\ntext(done.output);'
)
PATCHES = f"text(await tools.apply_patch({json.dumps(PATCH)}));"


def run(source: str) -> dict[str, Any]:
    """A call of the only tool that runs something."""
    return {"type": "custom_tool_call", "namespace": "functions", "name": "exec", "input": source}


TOOL_LOOP = (
    {
        "when": {"input_contains": "make two files", "has_tool": "exec", "store": False, "model": MODEL},
        "reply": {"reasoning": "A shell first.", "output": [run(SHELL)]},
    },
    {"when": {"tool_output": {"name": "exec", "contains": "from-the-shell"}}, "reply": {"output": [run(PATCHES)]}},
    {"when": {"last_item": "custom_tool_call_output"}, "reply": {"reasoning": "Done.", "text": "Two files."}},
    {"when": {"input_contains": "go on"}, "reply": {"text": "Going on [{{ item_count }} items]."}},
)
CALLED = ["reasoning", "custom_tool_call", "custom_tool_call_output"]
PATCHED = ["custom_tool_call", "custom_tool_call_output"]


@pytest.fixture(scope="module", params=["websocket", "http"])
def mock(request: pytest.FixtureRequest) -> Iterator[Served]:
    """A mock; one that refuses WebSockets, so that Codex goes back to HTTP."""
    with serving("--seed", "7", "--set", f"websocket={'on' if request.param == 'websocket' else 'off'}") as served:
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


@pytest.mark.newest
@pytest.mark.parametrize("way", ["direct", "forwarded"])
def test_a_tool_loop_is_resumed(codex: Codex, mock: Served, forwarding: Served, way: str) -> None:
    script(mock, codex, *TOOL_LOOP)
    with recording((mock if way == "direct" else forwarding).port) as recorder:
        codex.configure(recorder.base_url, "recipe")
        ran = codex("make two files")
        assert ran.status == 0, (ran, mock.control("GET", "/journal", key=codex.key))
        assert_files(codex, ran)
        resumed = codex("resume", "--last", "go on")
    assert (resumed.status, script(mock, codex)) == (0, 0)
    assert resumed.events[0]["thread_id"] == ran.events[0]["thread_id"]
    contexts = [entry["context"]["items"] for entry in turns(mock, codex)]
    assert_contexts(contexts)
    assert resumed.last == f"Going on [{len(contexts[-1])} items]."
    assert_lite(recorder)
    assert mock.control("GET", "/responses", key=codex.key)["data"] == [], "nothing was to be stored"


def turns(mock: Served, codex: Codex) -> list[Any]:
    """The turns of the journal with what the model saw, oldest first, without those that only warm a socket up."""
    entries = mock.control("GET", "/journal?context=full", key=codex.key)["data"]
    return [entry for entry in entries if entry["context"] and entry["request"].get("generate") is not False]


def assert_files(codex: Codex, ran: Ran) -> None:
    """The shell ran, the patch was applied, nothing failed."""
    assert (codex.work / "made.txt").read_text() == "from-the-shell\n"
    assert (codex.work / "patched.txt").read_text() == "patched\n"
    (command,) = ran.all("command_execution")
    assert (command["aggregated_output"], command["exit_code"]) == ("from-the-shell\n", 0)
    assert [change["kind"] for change in ran.all("file_change")[0]["changes"]] == ["add"]
    assert [item["text"] for item in ran.all("reasoning")] == ["A shell first.", "Done."]
    assert ran.last == "Two files." == ran.all("agent_message")[-1]["text"]
    assert not [event for event in ran.events if event["type"] in ("error", "turn.failed")]


def assert_contexts(contexts: list[list[Any]]) -> None:
    """What the model saw grew by what it said and what came of it, in both transports alike."""
    first, second, third, last = [kinds(context) for context in contexts]
    assert (first[0], first[1], first[-1]) == ("additional_tools", "developer", "user")
    assert second == first + CALLED
    assert third == second + PATCHED
    assert last == [*third, "reasoning", "assistant", "user"]


def assert_lite(recorder: Recorder) -> None:
    """All requests are of the kind that this file is about, over the transport that the mock has."""
    frames = [frame for socket in recorder.sockets if socket.status == 101 for frame in socket.asked]
    assert [frame.get("generate") for frame in frames] in ([], [False, None, None, None, False, None])
    assert not (frames and recorder.requests)
    assert [request.headers["x-openai-internal-codex-responses-lite"] for request in recorder.requests] in (
        [],
        ["true"] * 4,
    )
    for body in frames or recorder.bodies():
        assert (body["model"], body["store"], body["parallel_tool_calls"]) == (MODEL, False, False)
        assert not {"tools", "instructions"} & body.keys() and body["reasoning"]["context"] == "all_turns"


def test_a_long_context_is_compacted(codex: Codex, mock: Served) -> None:
    usage = {"input_tokens": 50000, "total_tokens": 50100}
    script(mock, codex, {"reply": {"output": [run("text('from-the-script');")], "usage": usage}})
    with recording(mock.port) as recorder:
        codex.configure(recorder.base_url, "recipe", model_auto_compact_token_limit=20000)
        ran = codex("first")
        resumed = codex("resume", "--last", "second")
    assert (ran.status, resumed.status) == (0, 0), (ran, resumed)
    frames = [frame for socket in recorder.sockets if socket.status == 101 for frame in socket.asked]
    asked = [body["input"] for body in frames or recorder.bodies() if body["input"]]
    (compacted,) = [place for place, sent in enumerate(asked) if sent[-1]["type"] == "compaction_trigger"]
    assert asked[compacted][-2]["type"] == "custom_tool_call_output"
    (sealed,) = [item for item in asked[compacted + 1] if item["type"] == "compaction"]
    assert [item for item in asked[compacted + 2] if item["type"] == "compaction"] == [sealed]
    assert "custom_tool_call" not in kinds(asked[compacted + 1])
    context = turns(mock, codex)[-1]["context"]["items"]
    assert kinds(context)[:4] == ["compaction", "reasoning", "assistant", "user"], "what is before it is not read"
