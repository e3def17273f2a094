"""Forced tools, cut answers and log probabilities under the client's strict validation, on every way to the mock.

Spec: R7.6, R11.11, I4, S6.1, S8.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from openai import APIStatusError, OpenAI
from openai.types.responses import ResponsesServerEvent
from pydantic import TypeAdapter

from mockserver import Mock
from tests.support.serving import KEY, Served, serving

# what the client does with its WebSocket library, not what we do
pytestmark = pytest.mark.filterwarnings("ignore:connect\\(\\) must be used as a context manager:DeprecationWarning")
EVENT: TypeAdapter[Any] = TypeAdapter(ResponsesServerEvent)
TERMINAL = ("response.completed", "response.incomplete", "response.failed")


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.fixture
def strict(server: Served) -> Iterator[OpenAI]:
    """A client that validates every body and every event in full."""
    with OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0, _strict_response_validation=True) as client:
        yield client


def over_json(client: OpenAI, asked: dict[str, Any]) -> Any:
    return client.responses.create(**asked)


def over_sse(client: OpenAI, asked: dict[str, Any]) -> Any:
    return list(client.responses.create(**asked, stream=True))[-1].response


def by_helper(client: OpenAI, asked: dict[str, Any]) -> Any:
    with client.responses.stream(**asked) as stream:
        return list(stream)[-1].response


def over_websocket(client: OpenAI, asked: dict[str, Any]) -> Any:
    with client.responses.connect() as connection:
        connection.response.create(**asked)
        for event in connection:
            EVENT.validate_python(event.model_dump(mode="json", exclude_unset=True))
            if event.type in TERMINAL:
                return event.response
    raise AssertionError("the connection ended")


WAYS: list[Callable[[OpenAI, dict[str, Any]], Any]] = [over_json, over_sse, by_helper, over_websocket]


def in_every_way(client: OpenAI, asked: dict[str, Any], *lines: dict[str, Any]) -> list[Any]:
    """The final responses of one request, asked over HTTP in three ways, over a WebSocket and without any socket."""
    found = []
    for way in WAYS:
        if lines:
            client.post(str(client.base_url.join("/_mock/script")), body={"lines": list(lines)}, cast_to=dict)
        found.append(way(client, asked))
    with (
        Mock() as mock,
        OpenAI(
            http_client=httpx2.Client(transport=mock.transport()), api_key="any", _strict_response_validation=True
        ) as inside,
    ):
        for way in WAYS[:3]:
            if lines:
                mock.script(list(lines))
            found.append(way(inside, asked))
    return found


SERVER = {"type": "mcp", "server_label": "wiki", "server_url": "https://wiki.example", "require_approval": "never"}
MCP = {"type": "mcp", "server_label": "wiki", "name": "read"}
# name → tool, choice, types of the output behind the reasoning
FORCED: dict[str, tuple[dict[str, Any], Any, list[str]]] = {
    "computer": ({"type": "computer"}, {"type": "computer"}, ["computer_call"]),
    "shell": ({"type": "shell", "environment": {"type": "local"}}, {"type": "shell"}, ["shell_call"]),
    "hosted shell": (
        {"type": "shell", "environment": {"type": "container_auto"}},
        {"type": "shell"},
        ["shell_call", "shell_call_output"],
    ),
    "local shell": ({"type": "local_shell"}, "required", ["local_shell_call"]),
    "apply_patch": ({"type": "apply_patch"}, {"type": "apply_patch"}, ["apply_patch_call"]),
    "mcp": (SERVER, MCP, ["mcp_list_tools", "mcp_call"]),
    "mcp with approval": (
        {**SERVER, "require_approval": "always"},
        MCP,
        ["mcp_list_tools", "mcp_approval_request"],
    ),
    "file_search": ({"type": "file_search", "vector_store_ids": ["v"]}, {"type": "file_search"}, ["file_search_call"]),
    "code_interpreter": (
        {"type": "code_interpreter", "container": {"type": "auto"}},
        {"type": "code_interpreter"},
        ["code_interpreter_call"],
    ),
    "image_generation": (
        {"type": "image_generation", "partial_images": 1},
        {"type": "image_generation"},
        ["image_generation_call"],
    ),
    "tool search": ({"type": "tool_search", "execution": "client"}, "required", ["tool_search_call"]),
}


@pytest.mark.parametrize("name", FORCED)
def test_R11_11_a_forced_tool_is_called_on_every_way(name: str, strict: OpenAI) -> None:
    tool, choice, types = FORCED[name]
    asked = {"model": "gpt-5.6-terra", "input": "go", "tools": [tool], "tool_choice": choice}
    for response in in_every_way(strict, asked):
        assert [item.type for item in response.output] == ["reasoning", *types]
        assert (response.status, response.output_text) == ("completed", "")


def test_R11_11_what_can_not_be_called_is_said_on_every_way(strict: OpenAI) -> None:
    choice = {"type": "mcp", "server_label": "wiki"}
    asked: dict[str, Any] = {"model": "gpt-5.6-terra", "input": "go", "tools": [SERVER], "tool_choice": choice}
    for way in (over_json, over_sse):
        with pytest.raises(APIStatusError, match="can't call the MCP server 'wiki'") as refused:
            way(strict, asked)
        assert (refused.value.status_code, refused.value.type) == (501, "mock_error")
        assert refused.value.response.headers["x-should-retry"] == "false"
    with strict.responses.connect() as connection:
        connection.response.create(**asked)
        error = next(iter(connection))
    assert (error.type, error.status, error.error.type) == ("error", 501, "mock_error")


def test_a_shell_loop_ends(strict: OpenAI) -> None:
    asked: dict[str, Any] = {"model": "gpt-5.6-terra", "tools": [{"type": "shell"}]}
    called = strict.responses.create(**asked, input="go", tool_choice={"type": "shell"})
    ran = {"stdout": "a.txt", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
    output = {"type": "shell_call_output", "call_id": called.output[-1].call_id, "output": [ran]}
    answer = strict.responses.create(**asked, input=[output], previous_response_id=called.id)
    assert answer.output_text.startswith("Mock reply to: go")


def test_R7_6_a_call_that_is_cut_on_every_way(strict: OpenAI) -> None:
    call = {"type": "function_call", "name": "write", "arguments": {"text": "long " * 80}}
    asked = {"model": "gpt-4.1", "input": "go", "max_output_tokens": 40}
    made = in_every_way(strict, asked, {"reply": {"output": [call]}})
    for response in made:
        [item] = response.output
        assert (response.status, item.status) == ("incomplete", "incomplete")
        assert item.arguments.startswith('{"text":"long long') and not item.arguments.endswith("}")
        assert response.usage.output_tokens == 40
    assert len({response.output[0].arguments for response in made}) == 1


def test_I4_calls_of_a_running_program_on_every_way(strict: OpenAI) -> None:
    program = {"type": "program", "call_id": "call_p", "code": "await tools.f()", "fingerprint": "fp"}
    caller = {"type": "program", "caller_id": "call_p"}
    call = {"type": "function_call", "name": "f", "arguments": "{}", "caller": caller}
    asked = {"model": "gpt-5.6-terra", "input": "go"}
    for response in in_every_way(strict, asked, {"reply": {"output": [program, call]}}):
        assert [getattr(item, "status", None) for item in response.output] == [None, "in_progress"]


def test_S6_1_log_probabilities_on_every_way(strict: OpenAI) -> None:
    asked = {"model": "gpt-4.1", "input": "go", "include": ["message.output_text.logprobs"], "top_logprobs": 1}
    shown = []
    for response in in_every_way(strict, asked):
        part: Any = response.output[0].content[0]
        assert "".join(one.token for one in part.logprobs) == part.text
        assert all(round(one.logprob, 6) == one.logprob for one in part.logprobs)
        shown.append(json.dumps([one.logprob for one in part.logprobs]))
    assert len(set(shown)) == 1
