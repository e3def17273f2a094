"""What a mock saw, for whoever looks at a failed test: calls, what came back, which line answered, why others did not.

`format_traffic` is the section of a failed test, `format_complaint` what fails a test that would pass.
"""

# How it works. A call is its head (what was called and what came back), then what was sent: short members by name, of
# the items only the newest whole (or the tools' outputs at the end), for that is what the turn was about; the rest by
# number and type. An error about
# something of an earlier call is followed by what became of that (`error_causes`). `LineAudit` tells which line
# answered, and why a line did not.
#
# What must stay true:
# * Text is the same with and without colours, so that a log of CI and a terminal say the same.
# * It reads from a mock that still runs and changes nothing.

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from mockserver.testing.error_causes import explain_error, is_tool_output
from mockserver.testing.line_audit import Audited, LineAudit, UnusedLine, is_answered, is_turn
from mockserver.wire.responses.encoding import json_compact
from mockserver.wire.responses.resources import item_text

if TYPE_CHECKING:
    from mockserver.journal.history import Call
    from mockserver.testing.journal import Exchange

Item = Mapping[str, Any]
Paint = Callable[[str, str], str]

MOST_CALLS = 20  # newest calls shown
MOST_LINES = 10  # unused lines shown
NEWEST = 2000  # characters of the newest item, and of what came back
MOST_OUTPUTS = 8  # outputs at the end of what was sent that are shown whole
MEMBER = 80  # characters of another member
CALLS_OF_TOOLS = ("function_call", "custom_tool_call")
SHOWN_APART = ("input", "items", "model", "stream")


def plain(text: str, style: str) -> str:
    """The text without its style."""
    return text


def ansi(text: str, style: str) -> str:
    """The text with its style, as terminals understand it."""
    from rich.color import ColorSystem
    from rich.style import Style

    return Style.parse(style).render(text, color_system=ColorSystem.STANDARD)


def format_traffic(mock: Audited, paint: Paint = plain, *, unused: bool = True) -> str:
    """The newest calls of a mock with what came back, the lines that were never used, the client's mistakes."""
    audit = LineAudit(mock)
    lines = list(_list_calls(audit, paint))
    if unused and audit.unused:
        lines += [paint("lines that were not used:", "yellow"), *_list_unused(audit, audit.unused)]
    if findings := mock.verdict():
        lines += [paint("mistakes of the client in terms of state:", "yellow"), *(f"  {found}" for found in findings)]
    return "\n".join(lines)


def note_traffic(error: BaseException, mock: Audited) -> None:
    """Add a mock's traffic to an exception, whose traceback shows it."""
    error.add_note(f"The mock's traffic:\n{format_traffic(mock)}")


def format_complaint(mock: Audited) -> str | None:
    """Why a test fails at its end: queued lines that were not used, turns that no line answered; None if it passes."""
    audit = LineAudit(mock)
    parts = []
    unanswered = audit.unanswered if audit.has_lines and not mock.allows_default else []
    if unanswered:
        were = "1 turn was" if len(unanswered) == 1 else f"{len(unanswered)} turns were"
        parts.append(f"{were} answered by no line of this test:")
        parts += [line for call in unanswered[:MOST_LINES] for line in _tell_unanswered(audit, call)]
        parts.append(
            "  Queue a reply for each turn, or let the default model answer: openai_mock.allow_default(), "
            "@pytest.mark.openai_mock(strict=False)."
        )
    if queued := [line for line in audit.unused if line.queued]:
        were = "1 line was" if len(queued) == 1 else f"{len(queued)} lines were"
        parts += [f"{were} queued for openai_mock and never used:", *_list_unused(audit, queued)]
    return "\n".join(parts) or None


def _tell_unanswered(audit: LineAudit, call: Exchange) -> Iterator[str]:
    who = "refused with 501" if call.status == 501 else "answered by the default model"
    yield f"  #{call.id} {who}: {_newest(audit, call)}"
    if why := audit.why_unanswered(call):
        yield f"    {why}"


def _list_unused(audit: LineAudit, unused: list[UnusedLine]) -> Iterator[str]:
    for line in unused[:MOST_LINES]:
        times = line.source.get("times") or 1
        often = f" (used {line.used} of {times} times)" if line.queued and times > 1 else ""
        why = audit.why_unused(line)
        yield f"  {line.place}: {_shorten(json_compact(line.source).decode(), 4 * MEMBER)}{often}"
        if why:
            yield f"    {why}"
    if len(unused) > MOST_LINES:
        yield f"  and {len(unused) - MOST_LINES} more"


# --- calls -----------------------------------------------------------------------------------------------------------


def _list_calls(audit: LineAudit, paint: Paint) -> Iterator[str]:
    calls = audit.calls
    if not calls:
        yield "no calls"
    if len(calls) > MOST_CALLS:
        yield f"({len(calls) - MOST_CALLS} earlier calls)"
    for call in calls[-MOST_CALLS:]:
        yield _head(audit, call, paint)
        if sent := _describe_request(audit, call):
            yield f"     sent {sent}"
        if about := explain_error(audit, call, describe_output):
            yield f"     {paint(about, 'yellow')}"


def _head(audit: LineAudit, call: Exchange, paint: Paint) -> str:
    """One line: what was called, what came back, what answered."""
    model = f" {call.model}" if is_turn(call) and call.model else ""
    status = paint(str(call.status), "green" if call.status < 400 else "bold red")
    words = [f"#{call.id} {call.method} {call.path}{model} -> {status}"]
    words += [call.response_id] if call.response_id else []
    words.append(_came_back(audit, call))
    if call.ended not in (None, "delivered"):
        words.append(f"({call.ended})")
    source = audit.source(call)
    words += [paint(f"[{source}]", "cyan")] if source else []
    return " ".join(word for word in words if word)


def _came_back(audit: LineAudit, call: Exchange) -> str:
    if call.error:
        code = call.error.get("code")
        return f"{code}: {call.error.get('message')}" if code else str(call.error.get("message"))
    known = audit.known[call.id]
    if not is_answered(call):
        return ""
    if known.node is None:
        return "(what it said is gone)"
    said = [text for item in known.output if (text := describe_output(item))]
    status = known.node.status if known.node.status not in ("", "completed") else ""
    reason = f"{status} ({known.incomplete})" if known.incomplete else status
    return " ".join([*([f"{reason}:"] if reason and said else [reason] if reason else []), ", ".join(said)]).strip()


def describe_output(item: Item) -> str:
    """An output item in a few words: what a message says, a call with its name and arguments."""
    kind = str(item.get("type", "message"))
    text = _shorten(item_text(dict(item)), NEWEST)
    if kind == "message":
        return _quote(text)
    if kind == "reasoning":
        return ""
    if kind in CALLS_OF_TOOLS:
        return f"{_describe_call(item, NEWEST)} {item.get('call_id')}"
    return f"{kind} {item.get('call_id') or ''} {text}".strip()


def _describe_call(item: Item, most: int) -> str:
    text = _shorten(item_text(dict(item)), most)
    return f"{item.get('name')}({_quote(text) if item['type'] == 'custom_tool_call' else text})"


def _describe_request(audit: LineAudit, call: Exchange) -> str:
    """What a call sent: short members by name, its newest items whole, the items before them by number and type."""
    if not isinstance(call.request, dict):
        return _shorten(call.body, NEWEST)
    known = audit.history.of_response
    members = [
        f"{name}={_member(name, value)}{_number_of(value, known)}"
        for name, value in call.request.items()
        if name not in SHOWN_APART and value
    ]
    members += ["store=false"] if call.request.get("store") is False else []
    members += ["stream=true"] if call.request.get("stream") else []
    return "; ".join(part for part in (" ".join(members), _newest(audit, call)) if part)


def _member(name: str, value: Any) -> str:
    if name == "tools" and isinstance(value, list):
        return json_compact([_tool_name(tool) for tool in value]).decode()
    return _shorten(json_compact(value).decode(), MEMBER)


def _number_of(value: Any, known: Mapping[str, Call]) -> str:
    """The number of the call that a member refers to by the id of its response."""
    return f" (#{known[value].id})" if isinstance(value, str) and value in known else ""


def _tool_name(tool: Any) -> Any:
    return tool.get("name") or tool.get("server_label") or tool.get("type") if isinstance(tool, dict) else tool


def _newest(audit: LineAudit, call: Exchange) -> str:
    """The newest item of a call, or the outputs at its end, for those belong together; what was before by number."""
    items = audit.known[call.id].items
    outputs = len(list(takewhile(is_tool_output, reversed(items[-MOST_OUTPUTS:]))))
    first = len(items) - max(outputs, 1)
    before = Counter(_kind(item) for item in items[: max(first, 0)])
    listed = ", ".join(f"{count} {kind}" for kind, count in before.items())
    newest = ", ".join([describe_input(item, audit.tool_calls) for item in items[max(first, 0) :]])
    return f"{newest}{f' (after {listed})' if listed else ''}"


def _kind(item: Item) -> str:
    return str(item.get("role")) if item["type"] == "message" and item.get("role") else str(item["type"])


def describe_input(item: Item, tool_calls: Mapping[str, Item]) -> str:
    """An item that a client sends, whole; an output with the call that it is of, by its `call_id`."""
    text = _shorten(item_text(dict(item)), NEWEST)
    if item["type"] == "message":
        return f"{item.get('role')}: {_quote(text)}"
    call = tool_calls.get(str(item.get("call_id")))
    if call is not None and call["type"] in CALLS_OF_TOOLS:
        item = {**item, "name": _describe_call(call, MEMBER)}
    name = " ".join(str(item[key]) for key in ("name", "call_id", "id") if item.get(key))
    return " ".join(word for word in (str(item["type"]), name, _quote(text) if text else "") if word)


def _quote(text: str) -> str:
    return json_compact(text).decode() if text else '""'


def _shorten(text: str, most: int) -> str:
    """The beginning and, above all, the end of a text that is too long."""
    return text if len(text) <= most else f"{text[: most // 4]}…{text[-(most - most // 4) :]}"
