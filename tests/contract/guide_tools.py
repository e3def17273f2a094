"""Tools, structured output and token counts, in the examples of the guide."""

from __future__ import annotations

import json
from typing import Any

import openai
from guide_calls import Control, collected, refused, settled
from pydantic import BaseModel

CHAT = "gpt-4.1"
THINKER = "gpt-5.5"

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "Current weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "minimum": 1, "maximum": 7},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city", "days", "unit"],
        "additionalProperties": False,
    },
    "strict": True,
}


async def function_loop(client: Any, control: Control) -> None:
    """Answer the model's call of a function, in a chain and in a conversation."""
    made = await settled(client.conversations.create())
    for place in ({}, {"conversation": made.id}):
        asked = {"model": CHAT, "tools": [WEATHER]}
        first = await settled(client.responses.create(**asked, **place, input="What is the weather in Paris?"))
        (call,) = first.output
        arguments = json.loads(call.arguments)
        assert (call.type, call.name, list(arguments)) == ("function_call", "get_weather", ["city", "days", "unit"])
        assert isinstance(arguments["city"], str) and arguments["unit"] in ("celsius", "fahrenheit")
        assert isinstance(arguments["days"], int) and 1 <= arguments["days"] <= 7
        state = place or {"previous_response_id": first.id}
        await refused(
            openai.BadRequestError,
            lambda asked=asked, state=state: client.responses.create(**asked, **state, input="Well?"),
            message=f"No tool output found for function call {call.call_id}.",
            param="input",
        )
        result = {"type": "function_call_output", "call_id": call.call_id, "output": '{"degrees": 18}'}
        second = await settled(client.responses.create(**asked, **state, input=[result]))
        assert second.output[0].type == "message", "the call was answered, so the model goes on to answer"
        seen = ["user: What is the weather in Paris?", "function_call: get_weather"]
        assert control.saw(second) == [*seen, 'function_call_output: {"degrees": 18}']
    items = await collected(client.conversations.items.list(made.id, order="asc"))
    assert [item.type for item in items] == ["message", "function_call", "function_call_output", "message"]


async def custom_tool(client: Any, control: Control) -> None:
    """Answer the model's call of a custom tool."""
    tool = {"type": "custom", "name": "run_code", "description": "Runs Python."}
    asked: dict[str, Any] = {"model": THINKER, "tools": [tool]}
    forced = {"tool_choice": {"type": "custom", "name": "run_code"}, "input": "Compute 6 * 7."}
    first = await settled(client.responses.create(**asked, **forced))
    call = first.output[-1]
    assert (call.type, call.name) == ("custom_tool_call", "run_code") and isinstance(call.input, str)
    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "42"}
    second = await settled(client.responses.create(**asked, previous_response_id=first.id, input=[result]))
    assert second.output[-1].type == "message"
    assert control.saw(second)[-2:] == ["custom_tool_call: run_code", "custom_tool_call_output: 42"]


class Step(BaseModel):
    """A step of a solution."""

    explanation: str
    done: bool


class Solution(BaseModel):
    """What the model is asked for."""

    steps: list[Step]
    answer: int


async def structured_output(client: Any, control: Control) -> None:
    """Get an object of a class."""
    solve: dict[str, Any] = {"model": CHAT, "input": "Solve 8x + 7 = -23", "text_format": Solution}
    first = await settled(client.responses.parse(**solve))
    assert isinstance(first.output_parsed, Solution)
    assert json.loads(first.output_text) == first.output_parsed.model_dump()
    control.script({"reply": {"json": {"steps": [], "answer": 42}}}, {"reply": {"refusal": "I won't."}})
    second = await settled(client.responses.parse(**solve, previous_response_id=first.id))
    assert second.output_parsed == Solution(steps=[], answer=42) and len(control.saw(second)) == 3
    third = await settled(client.responses.parse(**solve, previous_response_id=second.id))
    assert third.output_parsed is None and third.output[0].content[0].refusal == "I won't."
    assert third.status == "completed"


async def token_counts(client: Any, control: Control) -> None:
    """Know the size of a request before it is made."""
    made = await settled(client.conversations.create(items=[{"role": "user", "content": "A first line."}]))
    parent = await settled(client.responses.create(model=THINKER, input="Think of a number."))
    for request in (
        {"model": CHAT, "input": "How many tokens is this?", "instructions": "Count.", "tools": [WEATHER]},
        {"model": THINKER, "input": "And this?", "previous_response_id": parent.id},
        {"model": CHAT, "input": [{"role": "user", "content": "And this?"}], "conversation": made.id},
    ):
        before = control.stored()
        counted = await settled(client.responses.input_tokens.count(**request))
        assert counted.object == "response.input_tokens" and control.stored() == before, "counting stores nothing"
        response = await settled(client.responses.create(**request))
        assert response.usage.input_tokens == counted.input_tokens
        assert response.usage.total_tokens == counted.input_tokens + response.usage.output_tokens


TOOLS = (function_loop, custom_tool, structured_output, token_counts)
