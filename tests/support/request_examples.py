"""Requests that are right: every kind of item, part and tool, and a body with every field."""

from __future__ import annotations

from typing import Any

from mockserver.wire.requests.bodies import INCLUDE_VALUES

CALL = {"call_id": "call_1"}


ITEM_EXAMPLES: list[dict[str, Any]] = [
    {"role": "user", "content": "x"},
    {"role": "developer", "content": [{"type": "input_text", "text": "x"}]},
    {"type": "message", "role": "system", "content": "x", "status": "completed", "id": "msg_1"},
    {"type": "message", "role": "assistant", "content": "x"},
    {"role": "assistant", "content": [{"type": "output_text", "text": "x"}, {"type": "refusal", "refusal": "no"}]},
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "phase": "final_answer",
        "content": [{"type": "output_text", "text": "x", "annotations": [], "logprobs": []}],
    },
    {"type": "file_search_call", "id": "fs_1", "queries": ["x"], "status": "completed", "results": None},
    {"type": "computer_call", "id": "cu_1", **CALL, "pending_safety_checks": [], "actions": [{"type": "screenshot"}]},
    {"type": "computer_call_output", **CALL, "output": {"type": "computer_screenshot", "image_url": "u"}},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}},
    {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {
            "type": "search",
            "sources": [{"type": "url", "url": "https://example.com"}, {"type": "api", "name": "oai-weather"}],
        },
    },
    {"type": "function_call", "id": "fc_1", **CALL, "name": "f", "arguments": "{}", "created_by": "me", "async": False},
    {"type": "function_call_output", **CALL, "output": "x", "id": "fc_2", "status": "completed"},
    {"type": "function_call_output", **CALL, "output": [{"type": "input_file", "file_id": "file-1"}]},
    {"type": "tool_search_call", "id": "tsc_1", "call_id": None, "arguments": {}, "execution": "server"},
    {"type": "tool_search_output", "tools": [{"type": "function", "name": "f"}], "created_by": "me"},
    {"type": "additional_tools", "role": "developer", "tools": []},
    {"type": "configuration_update", "reasoning": {"effort": "high"}},
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x", "content": []},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "x"}]},
    {"type": "compaction", "encrypted_content": "x", "created_by": "me"},
    {
        "role": "user",
        "content": "x",
        "internal_chat_message_metadata_passthrough": {"turn_id": "1", "create_time": 1.5},
    },
    {"type": "image_generation_call", "id": "ig_1", "status": "generating", "result": None},
    {"type": "image_generation_call", "id": "ig_1"},
    {"type": "code_interpreter_call", "id": "ci_1", "container_id": "c", "status": "interpreting", "outputs": None},
    {"type": "local_shell_call", "id": "lsh_1", **CALL, "action": {"type": "exec", "command": [], "env": {}}},
    {"type": "local_shell_call_output", "id": "call_1", "output": "{}"},
    {"type": "shell_call", **CALL, "action": {"commands": ["ls"]}, "environment": {"type": "local"}},
    {
        "type": "shell_call_output",
        **CALL,
        "output": [{"stdout": "", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
    },
    {
        "type": "apply_patch_call",
        **CALL,
        "status": "completed",
        "operation": {"type": "create_file", "path": "a", "diff": ""},
    },
    {"type": "apply_patch_call_output", **CALL, "status": "failed", "output": "x"},
    {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": [{"name": "t", "input_schema": {}}]},
    {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "s", "name": "t", "arguments": "{}"},
    {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
    {"type": "mcp_call", "id": "mcp_1", "server_label": "s", "name": "t", "arguments": "{}", "error": None},
    {"type": "custom_tool_call_output", **CALL, "output": "x", "id": "ctco_1"},
    {"type": "custom_tool_call", **CALL, "input": "x", "name": "t", "id": "ctc_1", "status": "completed"},
    {"type": "compaction_trigger"},
    {"type": "item_reference", "id": "msg_1"},
    {"id": "msg_1"},
    {"id": "msg_1", "type": None},
    {"type": "program", "id": "cm_1", **CALL, "code": "1", "fingerprint": "x"},
    {"type": "program_output", "id": "cmo_1", **CALL, "result": "1", "status": "completed"},
]


TOKEN = {"token": "x", "logprob": -0.1, "bytes": [120]}


SPAN = {"start_index": 0, "end_index": 1}


PART_EXAMPLES = [
    ("user", {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}),
    ("user", {"type": "input_image", "image_url": "https://x/y.png", "file_id": None, "detail": None}),
    ("user", {"type": "input_image", "file_id": "file-1", "detail": "original"}),
    ("developer", {"type": "input_file", "file_id": "file-1", "filename": None}),
    ("user", {"type": "input_file", "file_url": "https://x/y.pdf", "detail": "high"}),
    ("user", {"type": "input_file", "file_data": "data:application/pdf;base64,eA==", "filename": "y.pdf"}),
    ("user", {"type": "input_file", "file_data": "data:text/x-anything,x"}),
    ("user", {"type": "input_file", "file_data": "eA==", "filename": "y.pdf"}),
    ("user", {"type": "input_audio", "input_audio": {"data": "eA==", "format": "wav"}}),
    ("assistant", {"type": "output_text", "text": "x"}),
    ("assistant", {"type": "output_text", "text": "x", "annotations": [], "logprobs": None}),
    ("assistant", {"type": "output_text", "text": "x", "logprobs": [{**TOKEN, "top_logprobs": [TOKEN]}]}),
    ("assistant", {"type": "refusal", "refusal": "no"}),
]


MINIMAL: dict[str, Any] = {"model": "gpt-5.6-terra", "input": "ping"}
FUNCTION_TOOL = {"type": "function", "name": "f"}


FULL_REQUEST = {
    **MINIMAL,
    "instructions": "Be brief.",
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "background": False,
    "background_options": {"completion_window": "soonest", "continuation_id": "c"},
    "store": True,
    "include": list(INCLUDE_VALUES),
    "context_management": [{"type": "compaction", "compact_threshold": 1000}],
    "temperature": 1,
    "top_p": 0.5,
    "top_logprobs": 3,
    "max_output_tokens": 16,
    "max_tool_calls": 1,
    "parallel_tool_calls": True,
    "tools": [{**FUNCTION_TOOL, "parameters": {"type": "object"}, "strict": None}],
    "tool_choice": {"type": "function", "name": "f"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": None}, "verbosity": None},
    "reasoning": {"effort": "low", "summary": "auto", "context": "auto", "mode": "pro"},
    "truncation": "auto",
    "metadata": {"a": "b"},
    "user": "u",
    "safety_identifier": "s" * 128,
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "explicit", "ttl": "12h", "comparison_response_id": None, "prewarm": True},
    "service_tier": "ultrafast",
    "prompt": {"id": "p", "version": "1", "variables": {"a": "b", "c": {"type": "input_text", "text": "x"}}},
    "moderation": {"model": "m", "policy": {"input": {"mode": "score"}, "output": None}},
    "image": {"context_compression": "auto"},
    "access_programs": {"cyber": "standard"},
    "frequency_penalty": -2,
    "presence_penalty": 2.0,
    "previous_response_id": "resp_1",
    "conversation": {"id": "conv_1"},
}


EQUAL = {"type": "eq", "key": "k", "value": 1.5}


TOOL_EXAMPLES: list[dict[str, Any]] = [
    FUNCTION_TOOL,
    {
        **FUNCTION_TOOL,
        "parameters": {"type": "object", "z": 1},
        "strict": None,
        "description": None,
        "output_schema": None,
        "async": True,
        "defer_loading": True,
        "allowed_callers": ["direct", "programmatic"],
    },
    {"type": "file_search", "vector_store_ids": ["vs_1"], "max_num_results": 20, "filters": None},
    {"type": "file_search", "vector_store_ids": [], "filters": {"type": "and", "filters": [EQUAL]}},
    {
        "type": "file_search",
        "vector_store_ids": [],
        "filters": {**EQUAL, "type": "in", "value": ["a", 1]},
        "ranking_options": {"ranker": "auto", "score_threshold": 0.0},
    },
    {"type": "computer"},
    {"type": "computer_use_preview", "display_height": 1, "display_width": 1, "environment": "linux"},
    {"type": "web_search", "user_location": {"type": "approximate", "city": None, "country": "US"}},
    {"type": "web_search", "user_location": {"country": "US"}, "filters": {"allowed_domains": ["example.com"]}},
    {"type": "web_search_2025_08_26", "search_context_size": "low", "external_web_access": False},
    {"type": "mcp", "server_label": "s", "server_url": "u", "require_approval": "never", "headers": {"a": "b"}},
    {
        "type": "mcp",
        "server_label": "s",
        "connector_id": "connector_gmail",
        "allowed_tools": {"read_only": True},
        "require_approval": {"always": {"tool_names": ["t"]}, "never": None},
    },
    {"type": "mcp", "server_label": "s", "tunnel_id": "tunnel_" + "a" * 32, "allowed_tools": ["t"]},
    {"type": "code_interpreter", "container": "cntr_1"},
    {
        "type": "code_interpreter",
        "container": {"type": "auto", "memory_limit": "4g", "network_policy": {"type": "disabled"}},
    },
    {"type": "programmatic_tool_calling"},
    {"type": "image_generation", "quality": "auto", "output_compression": 100, "partial_images": 3, "n": 1},
    {"type": "local_shell"},
    {"type": "shell", "environment": {"type": "container_reference", "container_id": "c"}},
    {
        "type": "shell",
        "environment": {"type": "container_auto", "skills": [{"type": "skill_reference", "skill_id": "s"}]},
    },
    {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
    {"type": "namespace", "name": "n", "description": "d", "tools": [FUNCTION_TOOL, {"type": "custom", "name": "c"}]},
    {"type": "tool_search", "execution": "client", "parameters": {"type": "object"}, "description": None},
    {"type": "web_search_preview", "search_content_types": ["text", "image"]},
    {"type": "web_search_preview_2025_03_11"},
    {"type": "apply_patch"},
]
