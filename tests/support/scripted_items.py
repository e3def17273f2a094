"""One scripted draft of every output item type, calls with their outputs, and the streams that they make.

Sources: endpoints.md I2 (types and members), streaming.md S8 (orders).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Draft = dict[str, Any]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCREENSHOT = {"type": "computer_screenshot", "image_url": f"data:image/png;base64,{PNG}"}
CITATIONS = [
    {"type": "url_citation", "url": "https://example.com/a", "title": "A", "start_index": 0, "end_index": 5},
    {"type": "file_citation", "file_id": "file-abc", "filename": "a.txt", "index": 8},
    {
        "type": "container_file_citation",
        "container_id": "cntr_1",
        "file_id": "cfile_1",
        "filename": "b.csv",
        "start_index": 0,
        "end_index": 3,
    },
    {"type": "file_path", "file_id": "file-abc", "index": 2},
]
TOOL = {"type": "function", "name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}

# name → drafts that stand together in one output: a call goes with what answers it
DRAFTS: Mapping[str, list[Draft]] = {
    "message": [{"type": "message", "content": [{"type": "output_text", "text": "Hello, wörld 😀 and more"}]}],
    "citations": [{"type": "message", "content": [{"type": "output_text", "text": "cited", "annotations": CITATIONS}]}],
    "refusal": [{"type": "message", "content": [{"type": "refusal", "refusal": "I can't help with that."}]}],
    "commentary": [{"type": "message", "text": "first ...", "phase": "commentary"}],
    "empty message": [{"type": "message", "text": ""}],
    "spoken message": [
        {"type": "message", "text": "hi", "audio_chunks": ["QUFB", "QkJC"], "audio_transcript": "hi there"}
    ],
    "reasoning": [{"type": "reasoning", "summary": ["**One**\n\nmany words", "**Two**"]}],
    "reasoning text": [{"type": "reasoning", "content": [{"type": "reasoning_text", "text": "raw thoughts"}]}],
    "function": [
        {"type": "function_call", "name": "look", "arguments": {"at": "sky"}},
        {"type": "function_call_output", "output": [{"type": "input_text", "text": "blue"}]},
    ],
    "custom tool": [
        {"type": "custom_tool_call", "name": "run", "input": "select 1"},
        {"type": "custom_tool_call_output", "output": "1"},
    ],
    "web search": [
        {
            "type": "web_search_call",
            "action": {
                "type": "search",
                "query": "news",
                "queries": ["news"],
                "sources": [{"type": "url", "url": "https://example.com/news"}],
            },
        },
        {"type": "web_search_call", "action": {"type": "open_page", "url": "https://example.com"}},
        {"type": "web_search_call", "action": {"type": "find_in_page", "pattern": "x", "url": "https://example.com"}},
    ],
    "file search": [
        {
            "type": "file_search_call",
            "queries": ["plan"],
            "results": [
                {"file_id": "file-abc", "filename": "a.txt", "score": 0.5, "text": "plan", "attributes": {"n": 1.0}}
            ],
        }
    ],
    "code interpreter": [
        {
            "type": "code_interpreter_call",
            "code": "print(1)\nprint(2)",
            "outputs": [{"type": "logs", "logs": "1\n2"}, {"type": "image", "url": "https://example.com/i.png"}],
        }
    ],
    "image": [
        {
            "type": "image_generation_call",
            "result": PNG,
            "background": "opaque",
            "output_format": "png",
            "quality": "low",
            "revised_prompt": "A dot.",
            "size": "1024x1024",
            "partial_images": [PNG, PNG],
        },
        {"type": "message", "text": ""},
    ],
    "image that failed": [
        {"type": "image_generation_call", "error": {"type": "image_generation_error", "message": "no"}}
    ],
    "listing": [
        {
            "type": "mcp_list_tools",
            "server_label": "one",
            "tools": [
                {
                    "name": "t",
                    "input_schema": {"type": "object"},
                    "description": "d",
                    "annotations": {"read_only": True},
                }
            ],
        }
    ],
    "listing that failed": [{"type": "mcp_list_tools", "server_label": "two", "error": "unreachable"}],
    "mcp call": [
        {"type": "mcp_call", "name": "t", "server_label": "one", "arguments": {"q": 1}, "output": "done"},
    ],
    "mcp call that failed": [
        {
            "type": "mcp_call",
            "name": "t",
            "server_label": "one",
            "arguments": {},
            "error": {"type": "http_error", "code": 502, "message": "bad gateway"},
        },
    ],
    "approval": [
        {"type": "mcp_approval_request", "id": "mcpr_1", "name": "t", "server_label": "one", "arguments": {"q": 1}},
        {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True, "reason": "fine"},
    ],
    "tool search": [
        {"type": "tool_search_call", "arguments": {"paths": ["look"]}},
        {"type": "tool_search_output", "tools": [TOOL]},
    ],
    "additional tools": [{"type": "additional_tools", "tools": [TOOL]}],
    "program": [
        {"type": "program", "code": "await look()", "fingerprint": "f1"},
        {"type": "program_output", "result": "blue"},
    ],
    "computer": [
        {"type": "computer_call", "action": {"type": "double_click", "x": 1, "y": 2}},
        {"type": "computer_call_output", "output": SCREENSHOT},
    ],
    "local shell": [
        {"type": "local_shell_call", "action": {"type": "exec", "command": ["ls"], "env": {}}},
        {"type": "local_shell_call_output", "output": "a.txt"},
    ],
    "shell": [
        {"type": "shell_call", "action": {"commands": ["ls -l", "pwd"]}, "environment": {"type": "local"}},
        {
            "type": "shell_call_output",
            "output": [
                {"stdout": "a.txt", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}},
                {"stdout": "", "stderr": "too slow", "outcome": {"type": "timeout"}},
            ],
        },
    ],
    "patch": [
        {"type": "apply_patch_call", "operation": {"type": "update_file", "path": "a.txt", "diff": "@@\n-a\n+b"}},
        {"type": "apply_patch_call_output", "output": "ok"},
    ],
    "patch that creates": [
        {"type": "apply_patch_call", "operation": {"type": "create_file", "path": "b.txt", "diff": "+b"}},
        {"type": "apply_patch_call_output", "status": "failed"},
    ],
    "patch that deletes": [
        {"type": "apply_patch_call", "operation": {"type": "delete_file", "path": "a.txt"}},
        {"type": "apply_patch_call_output"},
    ],
    "compaction": [{"type": "compaction", "compacting": 2}],
}

# Spec: I2, endpoints §5.2.
OUTPUT_TYPES = frozenset(
    """message file_search_call function_call function_call_output web_search_call computer_call computer_call_output
    reasoning program program_output tool_search_call tool_search_output additional_tools compaction
    image_generation_call code_interpreter_call local_shell_call local_shell_call_output shell_call shell_call_output
    apply_patch_call apply_patch_call_output mcp_call mcp_list_tools mcp_approval_request mcp_approval_response
    custom_tool_call custom_tool_call_output""".split()
)

# Everything that can be asked for of a model that reasons: log probabilities are not (Spec: F3, E44).
INCLUDE = (
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
)


def everything() -> list[Draft]:
    """Return one output that holds an item of every type."""
    return [draft for drafts in DRAFTS.values() for draft in drafts]


# name → a scripted reply; together they make every event that a foreground turn can have
REPLIES: Mapping[str, dict[str, Any]] = {
    **{name: {"output": drafts} for name, drafts in DRAFTS.items()},
    "everything": {"output": everything()},
    "incomplete": {"incomplete": "content_filter", "text": "partly"},
    "failed": {"failed": {"code": "server_error", "message": "The server had an error."}},
}
