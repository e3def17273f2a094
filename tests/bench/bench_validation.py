"""How fast requests are judged: `pytest -m bench tests/bench/bench_validation.py -s` prints ratios to orjson.loads."""

from __future__ import annotations

from collections.abc import Callable
from timeit import repeat
from typing import Any

import orjson
import pytest

from mockserver.wire.requests import bodies

TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather for a city, in metric units, with a short forecast.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
    "strict": True,
}


def turn(number: int) -> list[dict[str, Any]]:
    """One user question, a call, its output and an answer, as a client replays them."""
    call = {"type": "function_call", "call_id": f"call_{number}", "name": "get_weather", "arguments": '{"city":"Oslo"}'}
    output = {"type": "function_call_output", "call_id": f"call_{number}", "output": '{"temperature":-3}'}
    answer = {"type": "output_text", "text": "It is cold in Oslo, three degrees below zero. " * 3, "annotations": []}
    return [
        {"role": "user", "content": [{"type": "input_text", "text": "How cold is it in Oslo at this hour? " * 2}]},
        {**call, "id": f"fc_{number}", "status": "completed"},
        output,
        {"type": "message", "role": "assistant", "id": f"msg_{number}", "status": "completed", "content": [answer]},
    ]


def body(turns: int) -> bytes:
    """A request of about 0.7 KB per turn."""
    history = [item for number in range(turns) for item in turn(number)]
    options = {"stream": True, "store": False, "tools": [TOOL], "metadata": {"run": "7"}, "temperature": 1}
    return orjson.dumps({"model": "gpt-5.6-terra", "instructions": "Be brief.", "input": history, **options})


def seconds(action: Callable[[], object], number: int) -> float:
    """The best of seven runs, per call."""
    return min(repeat(action, number=number, repeat=7)) / number


@pytest.mark.bench
@pytest.mark.parametrize(("turns", "number"), [(3, 2000), (30, 300), (1300, 5)])
def test_create_response(turns: int, number: int) -> None:
    raw = body(turns)
    parse, judge = seconds(lambda: orjson.loads(raw), number), seconds(lambda: bodies.create_response(raw), number)
    print(f"\n{len(raw):>9} bytes: {judge * 1e6:8.1f} µs, {judge / parse:4.2f} x orjson.loads")
