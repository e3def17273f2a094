"""Every item type as a request may send it."""

from __future__ import annotations

from typing import Any

from tests.support.scripted_items import PNG, SCREENSHOT, TOOL


def unstored(prefix: str, number: int = 1) -> str:
    """An id that says of itself that nothing is stored behind it, so that the item may come from anywhere."""
    return f"{prefix}_{'0' * 16}01{number:032x}"


CALL = "call_1"


CHECKS = [{"id": "check_1", "code": "c", "message": "m"}]


TEXT_PART = {"type": "output_text", "text": "hi", "annotations": [], "logprobs": []}


# name → items of `input` that stand together: a call goes with its output; every shape of I3 is among them
INPUTS: dict[str, list[dict[str, Any]]] = {
    "text": [{"role": "user", "content": "hi"}],
    "typed text": [{"type": "message", "role": "developer", "content": "hi", "status": "completed"}],
    "parts": [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "hi"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                {"type": "input_file", "file_data": "data:text/plain;base64,aGk=", "filename": "a.txt"},
            ],
        }
    ],
    "assistant": [{"role": "assistant", "content": "hi", "phase": "commentary"}],
    "assistant's output": [
        {
            "id": unstored("msg"),
            "type": "message",
            "role": "assistant",
            "status": "incomplete",
            "content": [TEXT_PART, {"type": "refusal", "refusal": "no"}],
            "phase": "final_answer",
        }
    ],
    "file search": [
        {
            "id": unstored("fs"),
            "type": "file_search_call",
            "status": "searching",
            "queries": ["q"],
            "results": [{"text": "t", "score": 0.5, "filename": "f", "file_id": "file-1", "attributes": {"a": True}}],
        }
    ],
    "computer": [
        {
            "id": unstored("cu"),
            "type": "computer_call",
            "call_id": CALL,
            "pending_safety_checks": CHECKS,
            "status": "completed",
            "actions": [{"type": "double_click", "y": 2, "x": 1}, {"type": "wait"}],
        },
        {
            "type": "computer_call_output",
            "call_id": CALL,
            "output": SCREENSHOT,
            "acknowledged_safety_checks": CHECKS,
        },
    ],
    "web search": [
        {
            "id": unstored("ws"),
            "type": "web_search_call",
            "status": "completed",
            "action": {"type": "search", "query": "q", "sources": [{"type": "url", "url": "https://example.com"}]},
        }
    ],
    "function": [
        {"type": "function_call", "arguments": "{}", "call_id": CALL, "name": "f", "namespace": "n"},
        {"type": "function_call_output", "call_id": CALL, "output": "done", "status": "completed"},
    ],
    "function with parts": [
        {"type": "function_call", "arguments": "{}", "call_id": CALL, "name": "f", "caller": {"type": "direct"}},
        {
            "type": "function_call_output",
            "call_id": CALL,
            "output": [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": None}],
        },
    ],
    "tool search": [
        {"type": "tool_search_call", "arguments": {"q": 1}, "call_id": CALL, "execution": "client"},
        {"type": "tool_search_output", "tools": [TOOL], "call_id": CALL, "execution": "client"},
    ],
    "hosted tool search": [
        {"type": "tool_search_call", "arguments": {"q": 1}},
        {"type": "tool_search_output", "tools": [TOOL]},
    ],
    "additional tools": [{"type": "additional_tools", "role": "developer", "tools": [TOOL]}],
    "configuration": [
        {"type": "configuration_update", "reasoning": {"effort": "low"}, "text": {"format": {"type": "text"}}}
    ],
    "reasoning": [{"type": "reasoning", "summary": [{"text": "s", "type": "summary_text"}]}],
    "image": [
        {
            "id": unstored("ig"),
            "type": "image_generation_call",
            "status": "completed",
            "result": PNG,
            "action": "generate",
            "output_format": "png",
        }
    ],
    "code": [
        {
            "id": unstored("ci"),
            "type": "code_interpreter_call",
            "status": "completed",
            "container_id": "cntr_1",
            "code": "1",
            "outputs": [{"logs": "1", "type": "logs"}],
        }
    ],
    "local shell": [
        {
            "id": unstored("lsh"),
            "type": "local_shell_call",
            "call_id": CALL,
            "status": "completed",
            "action": {"type": "exec", "command": ["ls"], "env": {}},
        },
        {"type": "local_shell_call_output", "id": CALL, "output": "a"},
    ],
    "shell": [
        {"type": "shell_call", "call_id": CALL, "action": {"commands": ["ls"]}, "environment": {"type": "local"}},
        {
            "type": "shell_call_output",
            "call_id": CALL,
            "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
        },
    ],
    "patch": [
        {
            "type": "apply_patch_call",
            "call_id": CALL,
            "operation": {"type": "create_file", "path": "a", "diff": "+a"},
            "status": "completed",
        },
        {"type": "apply_patch_call_output", "call_id": CALL, "status": "completed", "output": "ok"},
    ],
    "mcp": [
        {
            "id": unstored("mcpl"),
            "type": "mcp_list_tools",
            "server_label": "s",
            "tools": [{"name": "t", "input_schema": {"type": "object"}}],
            "error": None,
        },
        {
            "id": unstored("mcpr"),
            "type": "mcp_approval_request",
            "arguments": "{}",
            "name": "t",
            "server_label": "s",
        },
        {"type": "mcp_approval_response", "approval_request_id": unstored("mcpr"), "approve": True, "reason": "r"},
        {
            "id": unstored("mcp"),
            "type": "mcp_call",
            "arguments": "{}",
            "name": "t",
            "server_label": "s",
            "output": "x",
            "status": "completed",
        },
    ],
    "custom": [
        {"type": "custom_tool_call", "call_id": CALL, "input": "i", "name": "c"},
        {"type": "custom_tool_call_output", "call_id": CALL, "output": [{"type": "input_text", "text": "o"}]},
    ],
    "program": [
        {"id": unstored("cm"), "type": "program", "call_id": CALL, "code": "1", "fingerprint": "f"},
        {"id": unstored("cmo"), "type": "program_output", "call_id": CALL, "result": "1", "status": "completed"},
    ],
}
