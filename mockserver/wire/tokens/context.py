"""How a context is written into the prompt, and what that costs: `usage` and `/responses/input_tokens`.

Pure functions over plain dicts; the tokenizer comes in as `count`, except for the few models that have an older one. A
`Tally` is the cost of a context so far; adding an item never reads the items before it.
Spec: T1, T2, T3, T7, T8, T9, T10, T12.
"""

# Where the figures come from. They were fitted on recorded traffic of 2025-03 to 2026-08 and then confirmed on
# other recordings: of 163 calls with text, functions, schemas, tool history, chains and conversations 147 are
# exact, and each of the other 16 has a known reason; of a second body of 2026, 179 of 179 texts and 76 of 82 calls
# with tools on C are (T14). `C` is chat markup (gpt-4o, gpt-4.1 and older), `H` is Harmony (all that reason).
#
# Measured: the frames of messages, calls, outputs and answers, the priming, schemas, reasoning items, the compact
# call (7 of 7) and what a compaction item costs later (4 of 4). Assumed to be like functions: custom tools.
# Guessed: the frame of hosted calls (`OTHER`), files that can't be read, most hosted tools.
#
# What must stay true:
# * Adding an item never looks at the items before it: a Tally holds the little that the next item may need, which
#   is the names of open calls (an output is billed with the name of its call) and whether a call would follow an
#   answer.
# * The frame of a call depends on whether the server knows it, which is whether it has an id (T7).
# * Reasoning is kept apart from all else: how much of it counts depends on where the last user message is (T9),
#   and on what the next request asks for.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from mockserver.wire.catalog import Model
from mockserver.wire.responses.encoding import json_compact
from mockserver.wire.tokens.images import FILE_TOKENS, file_text, images_tokens, rule_of
from mockserver.wire.tokens.tokenizer import count_cl100k
from mockserver.wire.tokens.tools import Count, definitions_tokens, forced_call, format_tokens, tools_tokens

Item = Mapping[str, Any]
Hidden = Callable[[Item], int]

# Frames, in tokens. What stands in the context, as it is read again on every turn:
PRIMING = {"C": 3, "H": 2}  # once per request: the beginning of the answer (Spec: T3)
MESSAGE = 4  # user, system, developer, and the instructions
ASSISTANT = {"C": 4, "H": 6}  # one more on models with phases, as commentary or before a call
CALL = {"C": 11, "H": 13}  # a call that the server knows (Spec: T7)
CALL_WITHOUT_ID = {"C": 8, "H": 10}  # one that was replayed without its id
CALL_WITHOUT_ID_GPT_5_4 = 13  # the one model that was seen to differ
OUTPUT = {"C": 3, "H": 7}
OTHER = {"C": 11, "H": 13}  # a guess: hosted calls are taken for functions (Spec: T12)
REASONING = 2  # beside the hidden tokens, exact since gpt-5.2 (Spec: T8, T9)
COMPACTION = 80  # beside the hidden summary, exact in 4 of 4 follow-ups (Spec: T10)
COMPACT_CALL = 93  # exact in 7 of 7 calls of POST /responses/compact
# What a turn writes, as `output_tokens` counts it (Spec: T8):
ANSWER = {"C": 1, "H": 4}
ANSWER_WITH_TOOLS = {"C": 2, "H": 4}  # one more on C, nothing on H
ANSWER_AS_JSON = {"C": 1, "H": 7}
ANSWER_AS_JSON_WITH_TOOLS = {"C": 4, "H": 7}
ANSWER_O3_MINI = 1
REFUSAL_ON_C = 2  # with or without tools (5 of 5); on H a refusal is taken for a text
BEFORE_CALL = {"C": 0, "H": 7}  # text that a call follows
NEW_CALL = {"C": 8, "H": 11}  # less than the same call costs later, when it is read (T7)
FORCED_CALL = 1  # beside its arguments: the head of a forced call was in the prompt (T5, on C, 23 of 23)
SEVERAL_CALLS = {"C": 11, "H": 14}  # beside one JSON of all calls (7 of 7)
END = 1  # the end token, which is missing where the limit cut an item off
ROUNDING = 64  # older models report reasoning in such steps, rounded down
# By prefix of the model's row, the first match counts; measured for gpt-5.6, gpt-5 and gpt-5.4 (Spec: T12).
_ADDITIONAL_TOOLS = (
    *(("gpt-5.4", 85), ("gpt-5.5", 85), ("gpt-5.6", 82), ("gpt-6", 82)),
    *(("gpt-daybreak", 82), ("chat-latest", 82), ("", 84)),
)
# What the model wrote and what came back, by item type; these texts are counted, the frame is a guess (Spec: T12).
_WRITTEN: dict[str, tuple[str, ...]] = {
    "web_search_call": ("action",),
    "file_search_call": ("queries",),
    "code_interpreter_call": ("code",),
    "image_generation_call": ("revised_prompt",),
    "computer_call": ("action", "actions"),
    "mcp_call": ("name", "arguments"),
    "mcp_approval_request": ("name", "arguments"),
    "tool_search_call": ("arguments",),
    "shell_call": ("action",),
    "local_shell_call": ("action",),
    "apply_patch_call": ("operation",),
    "program": ("code",),
}
_CAME_BACK: dict[str, tuple[str, ...]] = {
    "file_search_call": ("results",),
    "code_interpreter_call": ("outputs",),
    "mcp_call": ("output", "error"),
    "mcp_list_tools": ("tools",),
    "mcp_approval_response": ("approve", "reason"),
    "computer_call_output": (),
    "shell_call_output": ("output",),
    "local_shell_call_output": ("output",),
    "apply_patch_call_output": ("status", "output"),
    "program_output": ("result",),
}
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_OUTPUTS = ("function_call_output", "custom_tool_call_output")


def no_hidden_tokens(item: Item) -> int:
    """Return 0: the default for callers that keep no hidden lengths."""
    return 0


_new = tuple.__new__  # makes one as Tally(...) does, without a call of Python's


class Tally(NamedTuple):
    """The cost of a context in tokens, for one cost class of models, ready to be extended.

    `total` is everything but reasoning; `reasoning_now` is the reasoning since the last user message and
    `reasoning_before` what came earlier (Spec: T9). `pending` holds (call_id, name, namespace) of calls without an
    output yet; `answered` says that the last item is an assistant message which a call would raise by one (Spec: T3).
    """

    total: int = 0
    reasoning_now: int = 0
    reasoning_before: int = 0
    pending: tuple[tuple[str, str, str | None], ...] = ()
    answered: bool = False


@lru_cache(maxsize=1024)
def cost_class(model: Model) -> str:
    """A name for all that tallies depend on: models of one class have equal tallies. Spec: T2, T3, T7, T12."""
    rule = rule_of(model)
    image = f"{rule.base}.{rule.tile}.{rule.factor}.{rule.item}"
    return (
        f"{model.family}{model.cl100k:d}/{model.phase:d}/{_call_without_id(model)}/{_additional_tools(model)}/{image}"
    )


def add(tally: Tally, items: Iterable[Item], model: Model, count: Count, hidden: Hidden = no_hidden_tokens) -> Tally:
    """The tally of a context that goes on with these items.

    A call without the key `id` is one the server does not know. `hidden` gives the tokens that an item does not show:
    the length of a reasoning item's thoughts, of a compaction item's summary. Spec: T3, T7, T9, T10.
    """
    if model.cl100k:
        count = count_cl100k
    if not tally.pending and isinstance(items, list) and len(items) == 1:
        only = items[0]  # one message is what most requests bring and most turns answer: no counter is set up for it
        if only.get("type") == "message" and only.get("role") in _SPEAKERS:
            return _add_message(tally, only, model, count)
    counter = _Counter(tally, model, count, hidden)
    for item in items:
        counter.after_answer, counter.answered = counter.answered, False
        _ADDERS.get(item.get("type", "message"), _Counter._other)(counter, item)
    calls = counter.pending.items()
    # a tuple, for a tally may be shared: two requests can go on from one context at once
    pending = tuple([(call_id, *call) for call_id, call in calls]) if calls else ()
    return Tally(counter.total, counter.reasoning_now, counter.reasoning_before, pending, counter.answered)


_SPEAKERS = frozenset({"user", "assistant"})


def _add_message(tally: Tally, item: Item, model: Model, count: Count) -> Tally:
    total, reasoning_now, reasoning_before, pending, _ = tally
    total += _message_tokens(item, model, count)
    if item["role"] == "user":
        return _new(Tally, (total, 0, reasoning_before + reasoning_now, pending, False))
    answered = model.phase and item.get("phase") != "commentary"
    return _new(Tally, (total, reasoning_now, reasoning_before, pending, answered))


def _message_tokens(item: Item, model: Model, count: Count) -> int:
    text = content_tokens(item.get("content"), model, count)
    if item.get("role") != "assistant":
        return text + MESSAGE
    return text + ASSISTANT[model.family] + (model.phase and item.get("phase") == "commentary")


class _Counter:
    """One run of `add`: the tally's fields while they change; `after_answer` is `answered` before an item."""

    __slots__ = (
        "after_answer",
        "answered",
        "count",
        "hidden",
        "model",
        "pending",
        "reasoning_before",
        "reasoning_now",
        "total",
    )

    def __init__(self, start: Tally, model: Model, count: Count, hidden: Hidden) -> None:
        self.model, self.count, self.hidden = model, count, hidden
        self.total, self.answered, self.after_answer = start.total, start.answered, False
        self.reasoning_now, self.reasoning_before = start.reasoning_now, start.reasoning_before
        self.pending: dict[str, tuple[str, str | None]] = {}
        for call_id, name, namespace in start.pending:
            self.pending[call_id] = (name, namespace)

    def _message(self, item: Item) -> None:
        role = item.get("role")
        self.total += _message_tokens(item, self.model, self.count)
        if role == "assistant":
            self.answered = self.model.phase and item.get("phase") != "commentary"
        elif role == "user":
            self.reasoning_before += self.reasoning_now
            self.reasoning_now = 0

    def _call(self, item: Item) -> None:
        name, namespace = str(item.get("name")), item.get("namespace")
        frame = self._frame(item)
        self.pending[str(item.get("call_id"))] = (name, namespace)
        self.total += frame + _call_text_tokens(item, self.count) + self.after_answer

    def _frame(self, item: Item) -> int:
        known = item.get("id")
        if self.pending and self.model.family == "C":
            # Parallel calls cost what a call without id costs, known or not (5 of 5). That a call is one of several is
            # seen with the second: then the first has been paid too much.
            paid = CALL["C"] if known and len(self.pending) == 1 else CALL_WITHOUT_ID["C"]
            return 2 * CALL_WITHOUT_ID["C"] - paid
        return CALL[self.model.family] if known else _call_without_id(self.model)

    def _output(self, item: Item) -> None:
        # an output is read with the name of its call, which only the call itself says
        known = self.pending.pop(str(item.get("call_id")), None)
        name, namespace = known or (str(item.get("name") or ""), item.get("namespace"))
        self.total += OUTPUT[self.model.family] + content_tokens(item.get("output"), self.model, self.count)
        if namespace:
            self.total += self.count(f"{namespace}.{name}") - 1
        elif name:
            self.total += self.count(name if self.model.family == "C" else "." + name)

    def _reasoning(self, item: Item) -> None:
        self.reasoning_now += self.hidden(item) + REASONING

    def _compaction(self, item: Item) -> None:
        # all that was counted before is gone, as it is neither read nor billed any more (Spec: R5.4)
        self.total = self.hidden(item) + COMPACTION
        self.reasoning_now = self.reasoning_before = 0

    def _additional_tools(self, item: Item) -> None:
        tools = item.get("tools") or ()
        self.total += definitions_tokens(tools, self.model, self.count) + _additional_tools(self.model)

    def _count_found_tools(self, item: Item) -> None:
        loaded = [{**tool, "defer_loading": False} for tool in item.get("tools") or ()]
        self.total += OUTPUT[self.model.family] + definitions_tokens(loaded, self.model, self.count)

    def _other(self, item: Item) -> None:
        kind = str(item.get("type"))
        written, came_back = _WRITTEN.get(kind), _CAME_BACK.get(kind)
        if written is not None:
            self.total += OTHER[self.model.family] + _texts_tokens(item, written, self.count)
        if came_back is not None:
            self.total += OUTPUT[self.model.family] + _texts_tokens(item, came_back, self.count)
        if kind == "computer_call_output":
            self.total += images_tokens([item.get("output") or {}], self.model)


_ADDERS: dict[str, Callable[[_Counter, Item], None]] = {
    "message": _Counter._message,
    "reasoning": _Counter._reasoning,
    "compaction": _Counter._compaction,
    "additional_tools": _Counter._additional_tools,
    "tool_search_output": _Counter._count_found_tools,
    **dict.fromkeys(_CALLS, _Counter._call),
    **dict.fromkeys(_OUTPUTS, _Counter._output),
}


def _call_without_id(model: Model) -> int:
    if model.row.startswith("gpt-5.4"):
        return CALL_WITHOUT_ID_GPT_5_4
    return CALL_WITHOUT_ID[model.family]


@lru_cache(maxsize=1024)
def _additional_tools(model: Model) -> int:
    return next(tokens for prefix, tokens in _ADDITIONAL_TOOLS if model.row.startswith(prefix))


def _call_text_tokens(item: Item, count: Count) -> int:
    """The tokens of a call's name and arguments, whether written now or read later. Spec: T7."""
    name, namespace = item.get("name"), item.get("namespace")
    recipient = count(f" to={namespace}.{name}") - 3 if namespace else count(f".{name}")
    return recipient + count(_arguments(item))


def _arguments(call: Item) -> str:
    """What a call brings its tool, as text: JSON, or a custom tool's input."""
    return _as_text(call.get(_CALLS[call["type"]]))


def _texts_tokens(item: Item, keys: Iterable[str], count: Count) -> int:
    values = [item.get(key) for key in keys]
    return sum(count(_as_text(value)) for value in values if value is not None)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json_compact(value).decode()


_TEXTS = frozenset({"input_text", "output_text"})


def content_tokens(content: Any, model: Model, count: Count) -> int:
    """Return what a message's content or a tool's output costs: texts joined, images and files. Spec: T3, T12."""
    if content is None or isinstance(content, str):
        return count(content or "")
    if len(content) == 1 and content[0].get("type") in _TEXTS:  # as nearly all are
        return count(content[0].get("text") or "")
    texts, images, total = [], [], 0
    for part in content:
        kind = part.get("type")
        if kind in ("input_image", "computer_screenshot"):
            images.append(part)
        elif kind == "input_file":
            text = file_text(part)
            texts.append(text or "")
            total += FILE_TOKENS if text is None else 0
        else:
            texts.append(part.get("refusal" if kind == "refusal" else "text") or "")
    total += count(texts[0] if len(texts) == 1 else "".join(texts))
    return total + images_tokens(images, model) if images else total


def input_tokens(request: Mapping[str, Any], tally: Tally, model: Model, count: Count) -> int:
    """Return `usage.input_tokens` of a request whose whole context, own input included, has this tally. Spec: T3–T9."""
    if model.cl100k:
        count = count_cl100k
    tools = request.get("tools") or ()
    total = PRIMING[model.family] + tally.total + _reasoning_tokens(request, tally, model)
    total += instructions_tokens(request, count)
    if tools:
        total += tools_tokens(tools, request, model, count)
    text_format = (request.get("text") or {}).get("format")
    return total + format_tokens(text_format, model, count) if text_format else total


def instructions_tokens(request: Mapping[str, Any], count: Count) -> int:
    """Return what the instructions of a request cost, wherever they are rendered. Spec: T3, R1.47."""
    instructions = request.get("instructions")
    return count(_as_text(instructions)) + MESSAGE if instructions else 0


def _reasoning_tokens(request: Mapping[str, Any], tally: Tally, model: Model) -> int:
    if not model.reasoning:
        return 0
    return tally.reasoning_now + (tally.reasoning_before if reasoning_read(request, model) == "all_turns" else 0)


def reasoning_read(request: Mapping[str, Any], model: Model) -> str:
    """Return whose reasoning the model reads, `current_turn` or `all_turns`; empty for one without. Spec: T9."""
    asked = (request.get("reasoning") or {}).get("context")
    return (model.reasoning_context if asked in (None, "auto") else asked) or ""


def compact_input_tokens(
    request: Mapping[str, Any],
    items: Sequence[Item],
    model: Model,
    count: Count,
    hidden: Hidden = no_hidden_tokens,
) -> int:
    """Return `usage.input_tokens` of a `/responses/compact` call; an earlier compaction is free. Spec: T10."""
    last = max((number for number, item in enumerate(items) if item.get("type") == "compaction"), default=-1)
    bare = {"instructions": request.get("instructions")}
    return input_tokens(bare, add(Tally(), items[last + 1 :], model, count, hidden), model, count) + COMPACT_CALL


def output_tokens(
    output_items: Sequence[Item], reasoning_tokens: int, request: Mapping[str, Any], model: Model, count: Count
) -> int:
    """Return `usage.output_tokens` for these new items; a compaction pass is not included. Spec: T8.

    An item with status `incomplete` was cut off, and is paid without its end token.
    """
    if model.cl100k:
        count = count_cl100k
    if len(output_items) == 1 and output_items[0].get("type") == "message":  # as most are
        return reasoning_tokens + _answer_tokens(output_items[0], request, model, count)
    items = [item for item in output_items if item.get("type") != "compaction"]
    total, last = reasoning_tokens + _calls_tokens(items, request, model, count), len(items) - 1
    for number, item in enumerate(items):
        kind = item.get("type")
        if kind == "message" and number == last:
            total += _answer_tokens(item, request, model, count)
        elif kind == "message":
            total += content_tokens(item.get("content"), model, count) + BEFORE_CALL[model.family]
        elif kind == "reasoning":
            total += 0 if model.row.startswith("o3-mini") else REASONING
        elif kind in _WRITTEN:
            total += NEW_CALL[model.family] + _texts_tokens(item, _WRITTEN[str(kind)], count)
    return total


def _answer_tokens(item: Item, request: Mapping[str, Any], model: Model, count: Count) -> int:
    """The tokens of the message that ends a turn."""
    tokens = content_tokens(item.get("content"), model, count) + _answer(item, request, model)
    return tokens - END if item.get("status") == "incomplete" else tokens


def _answer(item: Item, request: Mapping[str, Any], model: Model) -> int:
    if model.row.startswith("o3-mini"):
        return ANSWER_O3_MINI
    if model.family == "C":
        for part in item.get("content") or ():  # a loop: no generator is set up for it
            if part.get("type") == "refusal":
                return REFUSAL_ON_C
    tools, text = request.get("tools"), request.get("text")
    if text and (text.get("format") or {}).get("type") == "json_schema":
        return (ANSWER_AS_JSON_WITH_TOOLS if tools else ANSWER_AS_JSON)[model.family]
    return (ANSWER_WITH_TOOLS if tools else ANSWER)[model.family]


def _calls_tokens(items: Sequence[Item], request: Mapping[str, Any], model: Model, count: Count) -> int:
    """The tokens of the calls that the client runs: of one, or of several that are written as one JSON. Spec: T8."""
    calls = [item for item in items if item.get("type") in _CALLS]
    if not calls:
        return 0
    if len(calls) > 1:
        tokens = SEVERAL_CALLS[model.family] + count(_tool_uses(calls))
    elif forced_call(request, model) == calls[0].get("name"):
        tokens = FORCED_CALL + count(_arguments(calls[0]))
    else:
        tokens = NEW_CALL[model.family] + _call_text_tokens(calls[0], count)
    return tokens - END if calls[-1].get("status") == "incomplete" else tokens


def _tool_uses(calls: Sequence[Item]) -> str:
    """Several calls as the model writes them: names and arguments in one compact JSON."""
    uses = [f'{{"recipient_name":{_recipient(call)},"parameters":{_parameters(call)}}}' for call in calls]
    return f'{{"tool_uses":[{",".join(uses)}]}}'


def _recipient(call: Item) -> str:
    path = [call["namespace"], call.get("name")] if call.get("namespace") else [call.get("name")]
    return json_compact("functions." + ".".join(map(str, path))).decode()


def _parameters(call: Item) -> str:
    arguments = _arguments(call)
    if call["type"] == "custom_tool_call":
        return json_compact(arguments).decode()
    try:
        return json_compact(orjson.loads(arguments)).decode()
    except orjson.JSONDecodeError:
        return arguments  # such as those of a call that was cut


def round_reasoning(reasoning_tokens: int, model: Model) -> int:
    """Return `reasoning_tokens` as the model reports it: rounded down to 64 by the older ones. Spec: T8."""
    return reasoning_tokens // ROUNDING * ROUNDING if model.rounds_reasoning else reasoning_tokens
