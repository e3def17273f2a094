"""Items as they arrive: each type's canonical events, as functions in one table. Spec: S8, S9.

Adding an item type that streams is one function and one row of `STREAMERS`; a type without a row is added and done.
What a stream shows beyond its items are `Cues`, by output index: `partial_images` (base64 texts of an image on its
way), `compacting` (how often a compaction says that it goes on), `audio_chunks` and `audio_transcript` (of a message
that is spoken), `logprobs` (a message's log probabilities before they are rounded, a list for each part).
"""

# How it works. An item is finished before its stream is written. Each type has one function that takes the item
# apart again: first the item as it looks when it has only begun, then what fills it piece by piece, then the item
# as it is.
#
# What must stay true:
# * One item after the other: the next is added when the one before is done. Only listings of MCP tools overlap,
#   where all begin before the first ends (S8).
# * The deltas of a text add up to it, and its `finish_item` event repeats it. Clients build their output from either.
# * `add_item` shows what the service shows: a call without its arguments, an image without its result, a sealed item
#   with a shorter blob (19 of 20 recordings). The table in S8 says it for each type. The order of events within a
#   type is the recorded one, not a logical one.
# * Padding is asked for in the order of the events, and only for the types that the service pads (S6): a custom
#   tool's input and a refusal are not, which is why some functions write `script.on` where others write
#   `script.deltas`.
# * Sequence numbers are the length of the list so far; nothing is ever put in between.

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mockserver.wire.responses import events
from mockserver.wire.responses.event_list import EventList, TextDeltas, Told, tokens_of
from mockserver.wire.responses.events import Padding
from mockserver.wire.responses.resources import place_of_citation

Item = dict[str, Any]
Cues = Mapping[str, Mapping[str, Any]]


class EventWriter:
    """The events of one turn as they are written, numbered from 0."""

    def __init__(
        self,
        pieces: Callable[[str], list[str]],
        padding: Padding | None,
        cues: Cues | None = None,
        *,
        message_status: str = "in_progress",
    ) -> None:
        self.events = EventList()
        self.pieces = pieces
        self.padding = padding
        self.cues = cues or {}
        self.message_status = message_status  # of a message that has only begun

    @property
    def number(self) -> int:
        """The next event's sequence number. Spec: S5."""
        return len(self.events)

    def lifecycle(self, type: str, response: dict[str, Any]) -> None:
        """Write an event that carries the whole response."""
        self.events.append(events.lifecycle(type, response, self.number))

    def add_item(self, item: Item, index: int) -> None:
        """Write `response.output_item.added`."""
        self.events.append(events.output_item("response.output_item.added", item, index, self.number))

    def finish_item(self, item: Item, index: int) -> None:
        """Write `response.output_item.done`."""
        self.events.append(events.output_item("response.output_item.done", item, index, self.number))

    def part(self, type: str, item: Item, index: int, content_index: int, part: dict[str, Any]) -> None:
        """Write `response.content_part.added` or `.done`."""
        self.events.append(events.content_part(type, item["id"], index, content_index, part, self.number))

    def on(self, type: str, item: Item, index: int, **fields: Any) -> None:
        """Write an event about an item."""
        self.events.append(events.on_item(type, item["id"], index, self.number, **fields))

    def bare(self, type: str, **fields: Any) -> None:
        """Write an event that names no item."""
        self.events.append(events.bare(type, self.number, **fields))

    def text_deltas(
        self, item_id: str, index: int, content_index: int, pieces: list[str], logprobs: Sequence[Any] = ()
    ) -> None:
        """Write one padded `response.output_text.delta` per piece, each with the same log probabilities."""
        tokens = tokens_of(pieces)
        fillers = None if self.padding is None else self.padding.fill(tokens.pads)
        row = TextDeltas(item_id, index, content_index, tokens, fillers, self.number)
        shown = list(logprobs)
        self.events.add(Told([{**event, "logprobs": shown} for event in row.tell(0, len(row))]) if shown else row)

    def deltas(self, type: str, item: Item, index: int, text: str, **fields: Any) -> None:
        """Write one padded delta per token of a text."""
        for piece in self.pieces(text):
            if self.padding is not None:
                fields["obfuscation"] = self.padding(piece)
            self.on(type, item, index, delta=piece, **fields)


def stream_items(script: EventWriter, items: Sequence[Item]) -> None:
    """Write the events of all items of a turn, one item after the other; only tool listings overlap. Spec: S8, S9."""
    begun: list[tuple[Item, int]] = []
    for index, item in enumerate(items):
        if item["type"] == "mcp_list_tools":
            _begin_listing(script, item, index)
            begun.append((item, index))
            continue
        _end_listings(script, begun)
        stream_item(script, item, index)
    _end_listings(script, begun)


def stream_item(script: EventWriter, item: Item, index: int) -> None:
    """Write the events of one finished item."""
    STREAMERS.get(item["type"], _write_item)(script, item, index)


def _write_item(script: EventWriter, item: Item, index: int) -> None:
    script.add_item(item, index)
    script.finish_item(item, index)


def _message(script: EventWriter, item: Item, index: int) -> None:
    script.add_item({**item, "status": script.message_status, "content": []}, index)
    for content_index, part in enumerate(item["content"]):
        stream_part = _refusal_part if part["type"] == "refusal" else _text_part
        stream_part(script, item, index, content_index, part)
    if script.cues:
        _write_audio(script, script.cues.get(str(index), {}))
    script.finish_item(item, index)


def _write_audio(script: EventWriter, cues: Mapping[str, Any]) -> None:
    """Write what is heard of a message: its sound, then the words. These events name no item. Spec: S16."""
    if "audio_chunks" in cues:
        for chunk in cues["audio_chunks"]:
            script.bare("response.audio.delta", delta=chunk)
        script.bare("response.audio.done")
    if "audio_transcript" in cues:
        for piece in script.pieces(cues["audio_transcript"]):
            script.bare("response.audio.transcript.delta", delta=piece)
        script.bare("response.audio.transcript.done")


def _text_part(script: EventWriter, item: Item, index: int, content_index: int, part: dict[str, Any]) -> None:
    script.part("response.content_part.added", item, index, content_index, {**part, **_EMPTY_TEXT})
    logprobs = _precise_logprobs(script, index, content_index, part) if part["logprobs"] else part["logprobs"]
    if logprobs or part["annotations"]:
        _slow_text_deltas(script, item, index, content_index, {**part, "logprobs": logprobs})
    else:
        script.text_deltas(item["id"], index, content_index, script.pieces(part["text"]))
    script.on(
        "response.output_text.done",
        item,
        index,
        content_index=content_index,
        logprobs=logprobs,
        text=part["text"],
    )
    # measured: the part that is done never repeats the log probabilities, the item that is done does (S6.1)
    script.part(
        "response.content_part.done", item, index, content_index, {**part, "logprobs": []} if logprobs else part
    )


_EMPTY_TEXT: dict[str, Any] = {"annotations": [], "logprobs": [], "text": ""}


def _precise_logprobs(script: EventWriter, index: int, content_index: int, part: dict[str, Any]) -> list[Any]:
    """A part's log probabilities in full precision, those of the item where nothing else is known. Spec: S6.1."""
    by_part = script.cues.get(str(index), {}).get("logprobs", ())
    precise: list[Any] = by_part[content_index] if content_index < len(by_part) else []
    return precise or part["logprobs"]


def _slow_text_deltas(script: EventWriter, item: Item, index: int, content_index: int, part: dict[str, Any]) -> None:
    """Write the deltas of a text that has log probabilities or citations, each citation at its place. Spec: S8 a."""
    logprobs = part["logprobs"]
    # By index, for openai-node refuses a citation that skips one: whoever scripts them out of the order of the text
    # gets a citation later than its place, after the one before it.
    citations = [*enumerate(part["annotations"])]
    pieces = _pieces_with_logprobs(script, part) if logprobs else _pieces_with_citations(script, part)
    position = 0
    per_piece = len(logprobs) == len(pieces)
    for at, piece in enumerate(pieces):
        position += len(piece)
        script.text_deltas(item["id"], index, content_index, [piece], logprobs[at : at + 1] if per_piece else [])
        while citations and place_of_citation(citations[0][1]) <= position:
            _citation(script, item, index, content_index, *citations.pop(0))  # before the deltas that follow
    for citation in citations:
        _citation(script, item, index, content_index, *citation)


def _pieces_with_logprobs(script: EventWriter, part: dict[str, Any]) -> list[str]:
    """The tokens that the log probabilities name; a delta is a token, whoever counted it. Spec: S6.1."""
    tokens = [str(one.get("token")) for one in part["logprobs"]]
    return tokens if "".join(tokens) == part["text"] else script.pieces(part["text"])


def _pieces_with_citations(script: EventWriter, part: dict[str, Any]) -> list[str]:
    """The tokens of a text, but what cites a page in one piece. Spec: S6.1."""
    text, pieces, position = part["text"], [], 0
    for annotation in sorted(part["annotations"], key=place_of_citation):
        start, end = annotation.get("start_index", 0), min(annotation.get("end_index", 0), len(text))
        if annotation.get("type") == "url_citation" and position <= start < end:
            pieces += [*script.pieces(text[position:start]), text[start:end]]
            position = end
    return [*pieces, *script.pieces(text[position:])]


def _citation(
    script: EventWriter, item: Item, index: int, content_index: int, at: int, annotation: dict[str, Any]
) -> None:
    script.on(
        "response.output_text.annotation.added",
        item,
        index,
        annotation=annotation,
        annotation_index=at,
        content_index=content_index,
    )


def _refusal_part(script: EventWriter, item: Item, index: int, content_index: int, part: dict[str, Any]) -> None:
    script.part("response.content_part.added", item, index, content_index, {**part, "refusal": ""})
    for piece in script.pieces(part["refusal"]):
        script.on("response.refusal.delta", item, index, content_index=content_index, delta=piece)
    script.on("response.refusal.done", item, index, content_index=content_index, refusal=part["refusal"])
    script.part("response.content_part.done", item, index, content_index, part)


def _reasoning(script: EventWriter, item: Item, index: int) -> None:
    script.add_item(_reasoning_at_start(item), index)
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
    script.finish_item(item, index)


def _reasoning_at_start(item: Item) -> Item:
    added = {**item, "summary": []}
    if added.get("content"):
        added["content"] = []
    if blob := added.get("encrypted_content"):
        added["encrypted_content"] = _partial_blob(blob)
    return added


def _partial_blob(blob: str) -> str:
    """Return what is sealed when an item begins: it is shorter than when the item is done. Spec: S8 j."""
    return blob[: len(blob) // 8 * 4]


def _compaction(script: EventWriter, item: Item, index: int) -> None:
    script.add_item({**item, "encrypted_content": _partial_blob(item["encrypted_content"])}, index)
    for _ in range(script.cues.get(str(index), {}).get("compacting", 0)):
        script.on("response.compaction.compacting", item, index)
    script.finish_item(item, index)


def _function_call(script: EventWriter, item: Item, index: int) -> None:
    script.add_item({**item, "status": "in_progress", "arguments": ""}, index)
    script.deltas("response.function_call_arguments.delta", item, index, item["arguments"])
    script.on("response.function_call_arguments.done", item, index, arguments=item["arguments"])
    script.finish_item(item, index)


def _custom_tool_call(script: EventWriter, item: Item, index: int) -> None:
    script.add_item({**item, "status": "in_progress", "input": ""}, index)
    for piece in script.pieces(item["input"]):
        script.on("response.custom_tool_call_input.delta", item, index, delta=piece)
    script.on("response.custom_tool_call_input.done", item, index, input=item["input"])
    script.finish_item(item, index)


def _call(script: EventWriter, item: Item, index: int) -> None:
    """Write an item that has no events of its own: begun, without what comes last, then done as a whole."""
    script.add_item({**item, "status": "in_progress", **_NOT_YET.get(item["type"], {})}, index)
    script.finish_item(item, index)


_NOT_YET: dict[str, Item] = {
    "local_shell_call": {"action": {"type": "exec", "command": [], "env": {}}},
    "tool_search_call": {"arguments": {}},
}


def _program_output(script: EventWriter, item: Item, index: int) -> None:
    """Write a program's output, whose status can't be in progress: no type of the client has that. Spec: I7."""
    script.add_item({**item, "result": ""}, index)
    script.finish_item(item, index)


def _apply_patch(script: EventWriter, item: Item, index: int) -> None:
    """Write a patch; the service streams the diff in events that no client knows, so it comes with the done item."""
    operation = item["operation"]
    begun = {**operation, "diff": ""} if "diff" in operation else operation
    script.add_item({**item, "status": "in_progress", "operation": begun}, index)
    script.finish_item(item, index)


def _shell_call(script: EventWriter, item: Item, index: int) -> None:
    action = item["action"]
    script.add_item({**item, "status": "in_progress", "action": {**action, "commands": []}}, index)
    for at, command in enumerate(action["commands"]):
        place = {"command_index": at, "output_index": index}
        script.bare("response.shell_call_command.added", command="", **place)
        for piece in script.pieces(command):
            padded = {} if script.padding is None else {"obfuscation": script.padding(piece)}
            script.bare("response.shell_call_command.delta", delta=piece, **padded, **place)
        script.bare("response.shell_call_command.done", command=command, **place)
    script.finish_item(item, index)


def _shell_call_output(script: EventWriter, item: Item, index: int) -> None:
    script.add_item({**item, "status": "in_progress", "output": []}, index)
    for at, output in enumerate(item["output"]):
        said = {key: output[key] for key in ("stderr", "stdout") if output.get(key)}
        if said:
            script.on("response.shell_call_output_content.delta", item, index, command_index=at, delta=said)
        script.on("response.shell_call_output_content.done", item, index, command_index=at, output=[output])
    script.finish_item(item, index)


def _write_hosted_tool(script: EventWriter, item: Item, index: int, added: Item, *phases: str) -> None:
    """Write a hosted tool's events: added, its phases, done; a call that failed is never completed."""
    script.add_item({**added, "status": "in_progress"}, index)
    for phase in phases:
        if phase != "completed" or item["status"] != "failed":
            script.on(f"response.{item['type']}.{phase}", item, index)
    script.finish_item(item, index)


def _head(item: Item, *keys: str) -> Item:
    return {key: item[key] for key in ("id", "type", "status", *keys) if key in item}


def _web_search(script: EventWriter, item: Item, index: int) -> None:
    _write_hosted_tool(script, item, index, _head(item), "in_progress", "searching", "completed")


def _file_search(script: EventWriter, item: Item, index: int) -> None:
    begun = {**item, "queries": [], "results": None}
    _write_hosted_tool(script, item, index, begun, "in_progress", "searching", "completed")


def _image_generation(script: EventWriter, item: Item, index: int) -> None:
    script.add_item({**_head(item), "status": "in_progress"}, index)
    script.on("response.image_generation_call.in_progress", item, index)
    script.on("response.image_generation_call.generating", item, index)
    look = {key: item[key] for key in ("background", "output_format", "quality", "size") if item.get(key)}
    for at, image in enumerate(script.cues.get(str(index), {}).get("partial_images", ())):
        shown = {"partial_image_b64": image, "partial_image_index": at, **look}
        script.on("response.image_generation_call.partial_image", item, index, **shown)
    if item["status"] != "failed":
        script.on("response.image_generation_call.completed", item, index)
    script.finish_item(item, index)


def _code_interpreter(script: EventWriter, item: Item, index: int) -> None:
    outputs: list[Any] | None = None if item["outputs"] is None else []  # they are a list wherever they are included
    script.add_item({**item, "status": "in_progress", "code": "", "outputs": outputs}, index)
    script.on("response.code_interpreter_call.in_progress", item, index)
    script.deltas("response.code_interpreter_call_code.delta", item, index, item["code"] or "")
    script.on("response.code_interpreter_call_code.done", item, index, code=item["code"] or "")
    script.on("response.code_interpreter_call.interpreting", item, index)
    if item["status"] != "failed":
        script.on("response.code_interpreter_call.completed", item, index)
    script.finish_item(item, index)


def _mcp_list_tools(script: EventWriter, item: Item, index: int) -> None:
    _begin_listing(script, item, index)
    _end_listings(script, [(item, index)])


def _begin_listing(script: EventWriter, item: Item, index: int) -> None:
    script.add_item({key: value for key, value in {**item, "tools": []}.items() if key != "error"}, index)
    script.on("response.mcp_list_tools.in_progress", item, index)


def _end_listings(script: EventWriter, begun: list[tuple[Item, int]]) -> None:
    """Write the ends of listings that run side by side; `begun` is empty then."""
    for item, index in begun:
        script.on(f"response.mcp_list_tools.{'failed' if item.get('error') else 'completed'}", item, index)
        script.finish_item(item, index)
    begun.clear()


def _mcp_call(script: EventWriter, item: Item, index: int) -> None:
    begun = {**item, "status": "in_progress", "arguments": "", "output": None, "error": None}
    script.add_item(begun, index)
    script.on("response.mcp_call.in_progress", item, index)
    padded = {} if script.padding is None else {"obfuscation": script.padding(item["arguments"])}
    script.on("response.mcp_call_arguments.delta", item, index, delta=item["arguments"], **padded)
    script.on("response.mcp_call_arguments.done", item, index, arguments=item["arguments"])
    script.on(f"response.mcp_call.{'failed' if item.get('error') else 'completed'}", item, index)
    script.finish_item(item, index)


STREAMERS: dict[str, Callable[[EventWriter, Item, int], None]] = {
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
    "compaction": _compaction,
    "shell_call": _shell_call,
    "shell_call_output": _shell_call_output,
    "apply_patch_call": _apply_patch,
    "program_output": _program_output,
    **dict.fromkeys(("computer_call", "local_shell_call", "tool_search_call", "tool_search_output"), _call),
}
