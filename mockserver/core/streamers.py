"""Items as they arrive: each type's canonical events, as functions in one table. Spec: S8, S9.

Adding an item type that streams is one function and one row of `STREAMERS`; a type without a row is added and done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mockserver.wire import events
from mockserver.wire.events import Event, Padding

Item = dict[str, Any]


class Script:
    """The events of one turn as they are written, numbered from 0."""

    def __init__(self, pieces: Callable[[str], list[str]], padding: Padding | None) -> None:
        self.events: list[Event] = []
        self.pieces = pieces
        self.padding = padding

    @property
    def number(self) -> int:
        """The next event's sequence number. Spec: S5."""
        return len(self.events)

    def lifecycle(self, type: str, response: dict[str, Any]) -> None:
        """Write an event that carries the whole response."""
        self.events.append(events.lifecycle(type, response, self.number))

    def added(self, item: Item, index: int) -> None:
        """Write `response.output_item.added`."""
        self.events.append(events.output_item("response.output_item.added", item, index, self.number))

    def done(self, item: Item, index: int) -> None:
        """Write `response.output_item.done`."""
        self.events.append(events.output_item("response.output_item.done", item, index, self.number))

    def part(self, type: str, item: Item, index: int, content_index: int, part: dict[str, Any]) -> None:
        """Write `response.content_part.added` or `.done`."""
        self.events.append(events.content_part(type, item["id"], index, content_index, part, self.number))

    def on(self, type: str, item: Item, index: int, **fields: Any) -> None:
        """Write an event about an item."""
        self.events.append(events.on_item(type, item["id"], index, self.number, **fields))

    def text_deltas(
        self, item_id: str, index: int, content_index: int, pieces: list[str], logprobs: Sequence[Any] = ()
    ) -> None:
        """Write one padded `response.output_text.delta` per piece, each with the same log probabilities."""
        shown, first = list(logprobs), self.number
        if self.padding is None:
            self.events += [
                events.text_delta(item_id, index, content_index, piece, shown, number)
                for number, piece in enumerate(pieces, first)
            ]
            return
        fillers = self.padding.fill(pieces)
        self.events += [
            events.padded_text_delta(item_id, index, content_index, piece, shown, filler, number)
            for number, (piece, filler) in enumerate(zip(pieces, fillers, strict=True), first)
        ]

    def deltas(self, type: str, item: Item, index: int, text: str, **fields: Any) -> None:
        """Write one padded delta per token of a text."""
        for piece in self.pieces(text):
            if self.padding is not None:
                fields["obfuscation"] = self.padding(piece)
            self.on(type, item, index, delta=piece, **fields)


def stream_item(script: Script, item: Item, index: int) -> None:
    """Write the events of one finished item."""
    STREAMERS.get(item["type"], _whole)(script, item, index)


def _whole(script: Script, item: Item, index: int) -> None:
    script.added(item, index)
    script.done(item, index)


def _message(script: Script, item: Item, index: int) -> None:
    script.added({**item, "status": "in_progress", "content": []}, index)
    for content_index, part in enumerate(item["content"]):
        stream_part = _refusal_part if part["type"] == "refusal" else _text_part
        stream_part(script, item, index, content_index, part)
    script.done(item, index)


def _text_part(script: Script, item: Item, index: int, content_index: int, part: dict[str, Any]) -> None:
    script.part("response.content_part.added", item, index, content_index, {**part, **_EMPTY_TEXT})
    _text_deltas(script, item, index, content_index, part)
    script.on(
        "response.output_text.done",
        item,
        index,
        content_index=content_index,
        logprobs=part["logprobs"],
        text=part["text"],
    )
    script.part("response.content_part.done", item, index, content_index, part)


_EMPTY_TEXT: dict[str, Any] = {"annotations": [], "logprobs": [], "text": ""}


def _text_deltas(script: Script, item: Item, index: int, content_index: int, part: dict[str, Any]) -> None:
    pieces, logprobs, citations = script.pieces(part["text"]), part["logprobs"], list(enumerate(part["annotations"]))
    if not logprobs and not citations:
        script.text_deltas(item["id"], index, content_index, pieces)
        return
    position = 0
    per_piece = len(logprobs) == len(pieces)
    for at, piece in enumerate(pieces):
        position += len(piece)
        script.text_deltas(item["id"], index, content_index, [piece], logprobs[at : at + 1] if per_piece else [])
        while citations and _ends_at(citations[0][1]) <= position:
            _citation(script, item, index, content_index, *citations.pop(0))
    for citation in citations:
        _citation(script, item, index, content_index, *citation)


def _ends_at(annotation: dict[str, Any]) -> int:
    return annotation.get("end_index", annotation.get("index", 0))


def _citation(script: Script, item: Item, index: int, content_index: int, at: int, annotation: dict[str, Any]) -> None:
    script.on(
        "response.output_text.annotation.added",
        item,
        index,
        annotation=annotation,
        annotation_index=at,
        content_index=content_index,
    )


def _refusal_part(script: Script, item: Item, index: int, content_index: int, part: dict[str, Any]) -> None:
    script.part("response.content_part.added", item, index, content_index, {**part, "refusal": ""})
    for piece in script.pieces(part["refusal"]):
        script.on("response.refusal.delta", item, index, content_index=content_index, delta=piece)
    script.on("response.refusal.done", item, index, content_index=content_index, refusal=part["refusal"])
    script.part("response.content_part.done", item, index, content_index, part)


def _reasoning(script: Script, item: Item, index: int) -> None:
    script.added(_reasoning_added(item), index)
    for summary_index, part in enumerate(item["summary"]):
        at = {"summary_index": summary_index}
        script.on("response.reasoning_summary_part.added", item, index, part={**part, "text": ""}, **at)
        script.deltas("response.reasoning_summary_text.delta", item, index, part["text"], **at)
        script.on("response.reasoning_summary_text.done", item, index, text=part["text"], **at)
        script.on("response.reasoning_summary_part.done", item, index, part=part, **at)
    for content_index, part in enumerate(item.get("content") or ()):
        script.part("response.content_part.added", item, index, content_index, {**part, "text": ""})
        for piece in script.pieces(part["text"]):
            script.on("response.reasoning_text.delta", item, index, content_index=content_index, delta=piece)
        script.on("response.reasoning_text.done", item, index, content_index=content_index, text=part["text"])
        script.part("response.content_part.done", item, index, content_index, part)
    script.done(item, index)


def _reasoning_added(item: Item) -> Item:
    added = {**item, "summary": []}
    if added.get("content"):
        added["content"] = []
    if blob := added.get("encrypted_content"):
        # what is sealed when the item begins is shorter than what is sealed when it is done (Spec: S8 j)
        added["encrypted_content"] = blob[: len(blob) // 8 * 4]
    return added


def _function_call(script: Script, item: Item, index: int) -> None:
    script.added({**item, "status": "in_progress", "arguments": ""}, index)
    script.deltas("response.function_call_arguments.delta", item, index, item["arguments"])
    script.on("response.function_call_arguments.done", item, index, arguments=item["arguments"])
    script.done(item, index)


def _custom_tool_call(script: Script, item: Item, index: int) -> None:
    script.added({**item, "status": "in_progress", "input": ""}, index)
    for piece in script.pieces(item["input"]):
        script.on("response.custom_tool_call_input.delta", item, index, delta=piece)
    script.on("response.custom_tool_call_input.done", item, index, input=item["input"])
    script.done(item, index)


def _hosted(script: Script, item: Item, index: int, added: Item, *phases: str) -> None:
    """Write a hosted tool's events: added, its phases, done."""
    script.added({**added, "status": "in_progress"} if "status" in added else added, index)
    for phase in phases:
        script.on(f"response.{item['type']}.{phase}", item, index)
    script.done(item, index)


def _head(item: Item, *keys: str) -> Item:
    return {key: item[key] for key in ("id", "type", "status", *keys) if key in item}


def _web_search(script: Script, item: Item, index: int) -> None:
    _hosted(script, item, index, _head(item), "in_progress", "searching", "completed")


def _file_search(script: Script, item: Item, index: int) -> None:
    _hosted(script, item, index, {**item, "results": None}, "in_progress", "searching", "completed")


def _image_generation(script: Script, item: Item, index: int) -> None:
    added = {**_head(item), "result": None}
    _hosted(script, item, index, added, "in_progress", "generating", "completed")


def _code_interpreter(script: Script, item: Item, index: int) -> None:
    script.added({**item, "status": "in_progress", "code": "", "outputs": None}, index)
    script.on("response.code_interpreter_call.in_progress", item, index)
    script.deltas("response.code_interpreter_call_code.delta", item, index, item["code"] or "")
    script.on("response.code_interpreter_call_code.done", item, index, code=item["code"] or "")
    script.on("response.code_interpreter_call.interpreting", item, index)
    script.on("response.code_interpreter_call.completed", item, index)
    script.done(item, index)


def _mcp_list_tools(script: Script, item: Item, index: int) -> None:
    phase = "failed" if item.get("error") else "completed"
    _hosted(script, item, index, {**item, "tools": []}, "in_progress", phase)


def _mcp_call(script: Script, item: Item, index: int) -> None:
    begun = {**item, "status": "in_progress", "arguments": "", "output": None, "error": None}
    script.added(begun, index)
    script.on("response.mcp_call.in_progress", item, index)
    padded = {} if script.padding is None else {"obfuscation": script.padding(item["arguments"])}
    script.on("response.mcp_call_arguments.delta", item, index, delta=item["arguments"], **padded)
    script.on("response.mcp_call_arguments.done", item, index, arguments=item["arguments"])
    script.on(f"response.mcp_call.{'failed' if item.get('error') else 'completed'}", item, index)
    script.done(item, index)


STREAMERS: dict[str, Callable[[Script, Item, int], None]] = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _function_call,
    "custom_tool_call": _custom_tool_call,
    "web_search_call": _web_search,
    "file_search_call": _file_search,
    "image_generation_call": _image_generation,
    "code_interpreter_call": _code_interpreter,
    "mcp_list_tools": _mcp_list_tools,
    "mcp_call": _mcp_call,
}
