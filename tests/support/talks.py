"""Talks of real clients that are recorded and replayed: the programs, how they are run, and the API that they reach."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from tests.support.serving import ROOT

TALKS = ROOT / "tests" / "contract" / "talks"
LIMIT_S = 600
CALL = {"type": "function_call", "name": "get_weather", "arguments": {"city": "Paris"}}
SHELL = 'const done = await tools.exec_command({cmd: "echo from-the-shell > made.txt"});\ntext("made");'
LOOK = {"last_item": "message", "input_contains": "weather"}
SCENARIO: dict[str, Any] = {
    "lines": [
        {"when": {"last_item": "message", "input_contains": "Say that again."}, "reply": {"text": "As I said."}},
        {"when": {"last_item": "custom_tool_call_output"}, "reply": {"text": "It is mild."}},
        {"when": {"last_item": "function_call_output"}, "reply": {"text": "It is mild: {{ tool_output }}."}},
        {"when": {**LOOK, "has_tool": "get_weather"}, "reply": {"reasoning": "A look outside.", "output": [CALL]}},
        {
            "when": {**LOOK, "has_tool": "exec"},
            "reply": {
                "reasoning": "A shell first.",
                "output": [{"type": "custom_tool_call", "namespace": "functions", "name": "exec", "input": SHELL}],
            },
        },
    ]
}
PROGRAMS: dict[str, tuple[str, ...]] = {
    "openai3": ("openai_talk.py",),
    "openai3-async": ("openai_talk.py", "--async"),
    "openai2": ("openai_talk.py",),
    "openai2-async": ("openai_talk.py", "--async"),
    "openai-node": ("openai_talk.mjs",),
    "openai-agents": ("agents_talk.py",),
    "pydantic-ai": ("pydantic_ai_talk.py",),
}


def command_of(name: str, found: Path) -> list[str]:
    """How a program is run; `found` is its interpreter, or the directory of its packages."""
    program, *options = PROGRAMS[name]
    source = str(TALKS / program)
    return ["node", source, str(found)] if program.endswith(".mjs") else [str(found), source, *options]


def run_talk(command: list[str], base_url: str, *, city: str = "Paris", number: int = 1) -> str:
    """Run a talk; returns what it heard, which is nothing where it failed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "UNDERSTUDY_"))}
    told = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": f"sk-somebody-{number}", "NO_PROXY": "127.0.0.1"}
    own = {"CITY": city, "RUN": f"run-{number}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, env={**inherited, **told, **own})
    assert (done.returncode == 0) == (city == "Paris"), done.stdout + done.stderr
    return done.stdout
