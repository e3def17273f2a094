"""The documents of usual turns, as `exchange.document_of` writes them, from a template that it has written once."""

# Why: a store on disk writes a document for every turn, and most of it is the same each time. To fill a template takes
# half as long as to lay it out, redact and encode it member by member.
#
# What must stay true: these are the same bytes. So the template is `document_of`'s own, of an exchange with marks in
# place of what differs, and whatever has other members than that is left to it. Nothing in the template looks like a
# secret, and what does so never goes on after the end of a text: only what is filled in is looked through.

from __future__ import annotations

from functools import cache
from typing import Any

import orjson

from mockserver.config.redaction import clean
from mockserver.core.turn import Figures, SerializedTurn
from mockserver.journal import redaction
from mockserver.journal.exchange import LONGEST, Call, Exchange, Seen, changes_of, document_of, list_changes
from mockserver.journal.relayed import TURNS

_ENDED, _NOTHING = "delivered", (None, None, None)

# the model, its instructions, the ids of the response before it and of its conversation, what is billed
Usual = tuple[str, Any, str | None, str | None, Figures]


def document_of_turn(exchange: Exchange) -> bytes | None:
    """The document of a stored turn that was answered as usual, None for any other exchange."""
    call, at, id = exchange.call, exchange.at, exchange.response_id
    if at is None or id is None or exchange.ended != _ENDED or exchange.status != 200:
        return None
    if exchange.misses or exchange.faults or (exchange.error, exchange.line, exchange.relayed) != _NOTHING:
        return None
    if (call.method, call.path) != TURNS or call.query or len(call.body) > LONGEST:
        return None
    usual = _find_usual(exchange.saw)
    if usual is None:
        return None
    model, instructions, previous, conversation, (read, cached, output) = usual
    text, secrets = redaction.clean_text(call.body.decode(errors="replace"))
    headers = redaction.headers(call.headers)
    changes, told = orjson.dumps(list_changes(changes_of(exchange))), b"null"
    if instructions is not None:
        told = orjson.dumps(redaction.redact_noting(instructions, secrets))
    numbers = orjson.dumps((at, round(exchange.seconds * 1000, 3), exchange.started))
    time, duration, began = numbers[1:-1].split(b",")
    document = _template() % (
        time,
        exchange.transport.encode(),
        headers.written,
        orjson.dumps(text),
        orjson.dumps(id),
        changes,
        exchange.events,
        duration,
        began,
        orjson.dumps(model),
        told,
        read,
        b"null" if previous is None else orjson.dumps(previous),
        b"null" if conversation is None else orjson.dumps(conversation),
        cached,
        output,
    )
    document = redaction.replace_known(document, [*secrets, *headers.secrets])
    # no escape of JSON makes a sign, or hides one
    if headers.has_signs or redaction.has_signs(text + (changes + told).decode()):
        return clean(document.decode()).encode()
    return document


def _find_usual(saw: Seen | SerializedTurn | dict[str, Any] | None) -> Usual | None:
    """What a usual turn went on from, was told and has cost, None for any other."""
    if isinstance(saw, SerializedTurn):
        usual = saw.model, saw.instructions, saw.previous_response_id, saw.conversation, saw.figures
    elif isinstance(saw, Seen):
        model, told, tools, usage, incomplete, status, previous, conversation, transformations, dropped, node = saw
        if tools != [] or usage is None or incomplete or status != "completed" or transformations or dropped or node:
            return None
        figures = usage["input_tokens"], usage["input_tokens_details"]["cached_tokens"], usage["output_tokens"]
        usual = model, told, previous, None if conversation is None else conversation["id"], figures
    else:
        return None
    model, told, previous, talk, _ = usual
    if not redaction.is_harmless(model) or not (told is None or (type(told) is str and len(told) <= LONGEST)):
        return None
    if not (previous is None or redaction.is_harmless(previous)) or not (talk is None or redaction.is_harmless(talk)):
        return None
    return usual


@cache
def _template() -> bytes:
    """The document of a turn with places for what differs, in the order in which it stands there."""
    usage = {"input_tokens": 70007, "input_tokens_details": {"cached_tokens": 90009}, "output_tokens": 110011}
    seen = Seen("a-model", "a-task", [], usage, None, "completed", "a-parent", {"id": "a-talk"}, None, (), None)
    call = Call(*TURNS, body=b"a-body")
    turn = Exchange(call, "a-transport", 50005.5, 10001.5, events=30003, ended=_ENDED, seconds=40.0045, saw=seen)
    turn.response_id = "a-response"
    written = document_of(turn)
    for mark, place in _MARKS:
        assert written.count(mark) == 1, mark
        written = written.replace(mark, place)
    return written


_MARKS = (
    (b"10001.5", b"%b"),
    (b"a-transport", b"%b"),
    (b'"headers":{}', b'"headers":%b'),
    (b'"a-body"', b"%b"),
    (b'"a-response"', b"%b"),
    (b'"changes":[]', b'"changes":%b'),
    (b"30003", b"%d"),
    (b"40004.5", b"%b"),
    (b"50005.5", b"%b"),
    (b'"a-model"', b"%b"),
    (b'"a-task"', b"%b"),
    (b"70007", b"%d"),
    (b'"a-parent"', b"%b"),
    (b'"a-talk"', b"%b"),
    (b"90009", b"%d"),
    (b"110011", b"%d"),
)
