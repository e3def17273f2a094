"""The mock: the documented semantics of /v1/responses and /v1/conversations, deterministic and stateful.

Rooms, from the edge inwards: `testing`, `conformance` → `transport` → `websocket` → `engine` → `scenarios`, `faults`,
`snapshots`, `journal`, `store` → `core` → `model`, `delivery` → `wire` → `config`. Start reading at
`engine/engine.py`, then `core/admission.py` and `core/turn.py`. Tests import `Mock` and what it replies from here;
each name is loaded on its first use, so that the import itself costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mockserver.version import __version__

if TYPE_CHECKING:
    from mockserver.model.prompt import Prompt, Reply
    from mockserver.testing.clock import MockClock, Moved
    from mockserver.testing.items import (
        apply_patch_call,
        code_interpreter_call,
        compaction,
        computer_call,
        custom_tool_call,
        error,
        failed,
        file_search_call,
        function_call,
        image_generation_call,
        incomplete,
        local_shell_call,
        mcp_approval_request,
        mcp_call,
        mcp_list_tools,
        message,
        program,
        reasoning,
        refusal,
        shell_call,
        structured,
        tool_search_call,
        web_search_call,
    )
    from mockserver.testing.journal import Context, Exchange, Finding
    from mockserver.testing.mock import Mock
    from mockserver.testing.snapshot import Diff, Snapshot
    from mockserver.wire.errors.api import APIError, MockError

__all__ = [
    "APIError",
    "Context",
    "Diff",
    "Exchange",
    "Finding",
    "Mock",
    "MockClock",
    "MockError",
    "Moved",
    "Prompt",
    "Reply",
    "Snapshot",
    "__version__",
    "apply_patch_call",
    "code_interpreter_call",
    "compaction",
    "computer_call",
    "custom_tool_call",
    "error",
    "failed",
    "file_search_call",
    "function_call",
    "image_generation_call",
    "incomplete",
    "local_shell_call",
    "mcp_approval_request",
    "mcp_call",
    "mcp_list_tools",
    "message",
    "program",
    "reasoning",
    "refusal",
    "shell_call",
    "structured",
    "tool_search_call",
    "web_search_call",
]

# where a name is; those of items are all in one place
_HOMES = {
    "APIError": "mockserver.wire.errors.api",
    "Context": "mockserver.testing.journal",
    "Diff": "mockserver.testing.snapshot",
    "Exchange": "mockserver.testing.journal",
    "Finding": "mockserver.testing.journal",
    "Mock": "mockserver.testing.mock",
    "MockClock": "mockserver.testing.clock",
    "MockError": "mockserver.wire.errors.api",
    "Moved": "mockserver.testing.clock",
    "Prompt": "mockserver.model.prompt",
    "Reply": "mockserver.model.prompt",
    "Snapshot": "mockserver.testing.snapshot",
}
_ITEMS = "mockserver.testing.items"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOMES.get(name, _ITEMS)), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
