"""The cap on a turn's output: any reply, scripted or not, is cut to `max_output_tokens`.

Spec: R7.1, R7.5–R7.8, S8 g, T8.
"""

# How it works. The items of a reply are taken in their order as long as they fit. The first that does not is cut,
# if it is one that the service cuts: a message, a function call, a custom tool's call. Its text ends between two
# tokens, its status is incomplete, and nothing follows it. Whatever else does not fit is not made.
#
# What must stay true:
# * A reply that fits is paid with its end token, one that is cut without (T8); so a text of exactly the limit is
#   kept whole, and incomplete all the same (5 of 5 recordings).
# * The item that was cut is the only one that is incomplete. If it could not even begin, none is; so the status of
#   what stands before it is written out.
# * Log probabilities and citations of a text that is cut end where it ends.

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from mockserver.model.prompt import Item, Prompt, Reply
from mockserver.wire.responses.resources import place_of_citation
from mockserver.wire.tokens.context import output_tokens
from mockserver.wire.tokens.tokenizer import pieces
from mockserver.wire.tokens.tools import Count

_new = tuple.__new__  # makes one as Reply(...) does, without a call of Python's


def truncate_to_limit(reply: Reply, prompt: Prompt, count: Count) -> Reply:
    """Cut a reply to `max_output_tokens`; hosted calls beyond `max_tool_calls` are not made."""
    most = output_limit(prompt)
    if reply.error or reply.failed:
        return reply
    calls = prompt.request.get("max_tool_calls")
    if calls is not None:
        reply = _with_fewer_calls(reply, calls)
    if reply.incomplete is not None:
        reply = reply._replace(output=mark_cut(reply.output))
    if reply.usage.get("output_tokens", most + 1) <= most:
        return reply  # a script's own figure is taken at its word: what was recorded is not cut by our count
    length = output_tokens(reply.output, reply.reasoning_tokens, prompt.request, prompt.model, count)
    if length <= most:
        return _new(Reply, (*reply[:3], length, *reply[4:]))  # as _replace does, in a third of the time
    return _cut(reply, most, prompt, count)


def output_limit(prompt: Prompt) -> int:
    """The cap on output: the least of the request's, the model's, and the rest of the window. Spec: R7.1, R7.7."""
    model = prompt.model
    limit = prompt.request.get("max_output_tokens") or model.max_output_tokens
    return min(limit, model.max_output_tokens, max(model.context_window - prompt.input_tokens, 0))


def mark_cut(output: Sequence[Item]) -> tuple[Item, ...]:
    """The output of a turn that was cut off: its last item is incomplete, unless it says itself what it is. Spec: R7.6.

    A compaction item at the end was not being written when the turn was cut off.
    """
    last = next((at for at in range(len(output) - 1, -1, -1) if output[at]["type"] != "compaction"), None)
    if last is None or output[last]["type"] not in _CUTTERS or output[last].get("status"):
        return tuple(output)
    return (*output[:last], {**output[last], "status": "incomplete"}, *output[last + 1 :])


def _cut(reply: Reply, most: int, prompt: Prompt, count: Count) -> Reply:
    """A reply that is longer than `most` tokens, without what is too much."""
    model = prompt.model
    reasons = any(item["type"] == "reasoning" for item in reply.output)
    if model.rounds_reasoning and reasons and reply.reasoning_tokens >= most:
        # measured on the models that report multiples of 64: cut while it thinks, a turn reports nothing at all (T8)
        thoughts = tuple(item for item in reply.output if item["type"] == "reasoning")
        return reply._replace(output=thoughts[:1], reasoning_tokens=0, output_tokens=0, incomplete=_reason(reply))
    tokens = min(reply.reasoning_tokens, max(most - 2, 0))
    fitting: list[Item] = []

    def spare(item: Item) -> int:
        return most - output_tokens((*fitting, item), tokens, prompt.request, model, count)

    for item in reply.output:
        if spare(item) >= 0:
            fitting.append(item)
            continue
        cutter = _CUTTERS.get(item["type"])
        shorter = cutter(item, spare) if cutter else None
        fitting = [*fitting, shorter] if shorter else _complete(fitting)
        break
    return reply._replace(output=tuple(fitting), reasoning_tokens=tokens, incomplete=_reason(reply))


def _reason(reply: Reply) -> str:
    return reply.incomplete or "max_output_tokens"


def _complete(items: list[Item]) -> list[Item]:
    """Items of which none was cut, said so that nobody marks the last one."""
    return [
        {**item, "status": item.get("status") or "completed"} if item["type"] in _CUTTERS else item for item in items
    ]


# --- How much of an item fits -----------------------------------------------------------------------------------

Spare = Callable[[Item], int]


def _cut_message(item: Item, spare: Spare) -> Item | None:
    """The message with as much text as fits, None if not one token does."""
    message = {**item, "status": "incomplete", "content": []}
    for part in item.get("content") or ():
        key = "refusal" if part.get("type") == "refusal" else "text"
        whole = str(part.get(key) or "")
        text = _longest_prefix(whole, partial(_with_text, message, part, key), spare)
        if text:
            message = {**message, "content": [*message["content"], _cut_part(part, key, text)]}
        if text != whole:
            break
    return message if message["content"] else None


def _with_text(message: Item, part: Item, key: str, text: str) -> Item:
    return {**message, "content": [*message["content"], {**part, key: text}]}


def _cut_part(part: Item, key: str, text: str) -> Item:
    """A part with less text, and what was said about that text."""
    shorter = {**part, key: text}
    if part.get("annotations"):
        shorter["annotations"] = [one for one in part["annotations"] if place_of_citation(one) <= len(text)]
    if part.get("logprobs"):
        shorter["logprobs"] = _logprobs_of(part["logprobs"], len(text))
    return shorter


def _logprobs_of(logprobs: Sequence[Item], length: int) -> list[Item]:
    kept: list[Item] = []
    position = 0
    for one in logprobs:
        position += len(str(one.get("token")))
        if position > length:
            break
        kept.append(one)
    return kept


def _cut_call(item: Item, spare: Spare) -> Item | None:
    """The call with as much of its arguments as fits, None if not one token does. Spec: R7.6."""
    key = _ARGUMENTS[item["type"]]
    text = _longest_prefix(item[key], lambda text: {**item, "status": "incomplete", key: text}, spare)
    return {**item, "status": "incomplete", key: text} if text else None


_ARGUMENTS = {"function_call": "arguments", "custom_tool_call": "input"}
_CUTTERS: dict[str, Callable[[Item, Spare], Item | None]] = {
    "message": _cut_message,
    **dict.fromkeys(_ARGUMENTS, _cut_call),
}


def _longest_prefix(text: str, with_text: Callable[[str], Item], spare: Spare) -> str:
    """The longest start of a text, cut between tokens, with which an item fits; empty if none does."""
    parts = pieces(text)
    # what is left beside the frame is as many tokens, but where texts are escaped or tokens merge
    most = min(len(parts), max(spare(with_text("")), 0))
    if spare(with_text("".join(parts[:most]))) >= 0:
        return "".join(parts[:most])
    least = 0
    while most - least > 1:
        middle = (least + most) // 2
        if spare(with_text("".join(parts[:middle]))) >= 0:
            least = middle
        else:
            most = middle
    return "".join(parts[:least])


# --- Hosted calls -----------------------------------------------------------------------------------------------


def _with_fewer_calls(reply: Reply, most: int) -> Reply:
    """Drop the hosted calls beyond the limit; calls that the client runs are not counted. Spec: R7.8."""
    calls = [index for index, item in enumerate(reply.output) if item.get("type") in _HOSTED_CALLS]
    if len(calls) <= most:
        return reply
    gone = frozenset(calls[most:])
    left = [index for index in range(len(reply.output)) if index not in gone]
    cues = {str(new): reply.cues[str(old)] for new, old in enumerate(left) if str(old) in reply.cues}
    return reply._replace(output=tuple([reply.output[index] for index in left]), cues=cues)


_HOSTED_CALLS = frozenset(
    {"web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call"}
)
