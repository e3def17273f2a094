"""The short way from a tape to a document: it writes what the long way writes, or nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cassettes.document import format_interaction, read_interaction
from proxy.cassettes.redaction import Redactor
from proxy.plain_document import LONGEST_HEAD, format_plain
from proxy.tape import Tape
from proxy.tape_interaction import interaction_of
from tests.support.examples import examples

KEY = "sk-abcdefgh12345678"
JSON, SSE = b"application/json", b"text/event-stream; charset=utf-8"
Pairs = Sequence[tuple[bytes, bytes]]


def tape_of(
    *chunks: bytes,
    kind: bytes = JSON,
    sent: bytes = b'{"model":"gpt-5.5","input":"Hi"}',
    request: Pairs = ((b"authorization", b"Bearer sk-abcdefgh12345678x"), (b"accept", b"*/*"), (b"cookie", b"a")),
    response: Pairs = ((b"X-Request-Id", b"req_1"), (b"Set-Cookie", b"b"), (b"date", b"now")),
    path: bytes = b"/v1/responses",
    query: bytes = b"",
    step: float = 0.0123,
    ends: bool = True,
) -> Tape:
    """A tape of one exchange, its chunks `step` seconds apart."""
    scope: Any = {"type": "http", "method": "POST", "raw_path": path, "query_string": query, "headers": [*request]}
    tape = Tape(scope, 7, 1.25)
    tape.note_request({"type": "http.request", "body": sent})
    headers = [*([(b"Content-Type", kind)] if kind else []), *response]
    tape.note_response({"type": "http.response.start", "status": 200, "headers": headers})
    for number, chunk in enumerate(chunks):
        tape.chunks.add(tape.started + number * step, chunk)
    tape.complete = ends
    return tape


def long_way(tape: Tape, redactor: Redactor) -> str:
    return format_interaction(interaction_of(tape, redactor))


EVENTS = (b'event: a\ndata: {"x": "\xc3\xa9 \\\\n\\n \\" "}\n\n', b"data: [1]\n\n", b": keep-alive\n\n")
ORDINARY = {
    "JSON": tape_of(b'{\n  "id": "resp_1",\n  "text": "\xe2\x80\xa8 tab\t"\n}'),
    "JSON in two chunks": tape_of(b'{"a":', b"1}"),
    "no body, no headers, no request body": tape_of(kind=b"", response=(), request=(), sent=b""),
    "a text": tape_of(b" \n odd\n", sent=b"no JSON", query=b"limit=2&token=abc", path=b"/v1/files/%20"),
    "bytes": tape_of(b"\xff\x00", kind=b"audio/mpeg", sent=b"\xfe"),
    "a stream": tape_of(*EVENTS, kind=SSE),
    "a stream that came at once": tape_of(*EVENTS, kind=SSE, step=0.0),
    "events in one chunk": tape_of(EVENTS[0] + EVENTS[1], EVENTS[2], kind=SSE),
    "several chunks of events": tape_of(EVENTS[2], b"".join(EVENTS), EVENTS[0] * 2, EVENTS[1], kind=SSE),
    "empty events": tape_of(b"\n\n\n\n", b"\n\ndata: 1\n\n", kind=SSE),
    "a body that was cut": tape_of(b"half", ends=False),
    "a head that is not remembered": tape_of(b"{}", query=b"q=" + b"x" * LONGEST_HEAD),
    "a second content type": tape_of(b"{}", response=((b"content-type", SSE),)),
    "an address and a question": tape_of(b'{"text":"a = b? ada@test.example"}', sent=b'{"input":"Who, and why?"}'),
    "percent signs": tape_of(b"100 % %b", response=((b"x-%b", b"%s"),)),
    "percent signs in a stream": tape_of(b"data: %b %\n\n", b"data: 100 %%\n\n", kind=SSE),
    "an empty header": tape_of(b"{}", response=((b"x-empty", b""),)),
}
NOT_ORDINARY = {
    "a key in the body": tape_of(b"{}", sent=f'{{"input":"{KEY}"}}'.encode()),
    "a key in the answer": tape_of(KEY.encode()),
    "the caller's key in the answer": tape_of(
        b"not mine-0123456789?", request=((b"Authorization", b"mine-0123456789"),)
    ),
    "a key across two chunks": tape_of(b"sk-abcd", b"efgh12345678"),
    "a key in a header": tape_of(b"{}", response=((b"x-echo", KEY.encode()),)),
    "a parameter of a URL": tape_of(b'{"url":"https://files.test/a?x=1&Sig=0123456789abc"}'),
    "a password in a URL": tape_of(b'{"url":"https:\\/\\/me:pw-0123456789@files.test"}'),
    "a coding": tape_of(b"{}", response=((b"content-encoding", b"br"),)),
    "a header with quotes": tape_of(b"{}", response=((b"x-odd", b'"\\'),)),
    "a header with a line break": tape_of(b"{}", response=((b"x-odd", b"a\nb"),)),
    "a header of other characters": tape_of(b"{}", response=((b"x-odd", b"\xe9"),)),
    "an empty line of its own kind": tape_of(EVENTS[0] * 2, b"data: 1\r\n\r\ndata: 2\n\n", kind=SSE),
    "a third line break": tape_of(EVENTS[0] * 2, EVENTS[1] + b"\n", EVENTS[2], kind=SSE),
    "a third line break at the end": tape_of(EVENTS[0] * 2, EVENTS[1] + b"\n", kind=SSE),
    "the border at the beginning of an event": tape_of(EVENTS[0] + b"\x7fdata: 2\n\n", EVENTS[1], kind=SSE),
    "a key in an event": tape_of(EVENTS[0], f"data: {KEY}\n\n".encode(), kind=SSE),
    "a key in an event in another case": tape_of(b'data: {"API_Key":"abcdefgh"}\n\n', kind=SSE),
    "a long s": tape_of("data: ba\u017fic abcdefgh\n\n".encode(), kind=SSE),
    "a Kelvin sign": tape_of("data: s\u212a-abcdefgh\n\n".encode(), kind=SSE),
    "a password in an event": tape_of(b"data: https://me:pw-0123456789@files.test\n\n", kind=SSE),
    "a key in a request for a stream": tape_of(EVENTS[0], kind=SSE, sent=f'{{"input":"{KEY}"}}'.encode()),
    "half an event in a chunk": tape_of(b"data: 1\n", b"\ndata: 2\n\n", kind=SSE),
    "a stream that was cut": tape_of(*EVENTS, kind=SSE, ends=False),
    "a stream without events": tape_of(kind=SSE),
    "a stream that is no text": tape_of(b"data: \xff\n\n", kind=SSE),
    "the border in an event": tape_of(b"data: \x7f\n\n", b"data: 2\n\n", kind=SSE),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_what_is_ordinary_is_written_as_the_long_way_writes_it(name: str) -> None:
    redactor = Redactor()
    document = format_plain(ORDINARY[name], redactor)
    assert document is not None and document.decode() == long_way(ORDINARY[name], redactor)
    text = document.decode()
    assert KEY not in text and read_interaction(text.removeprefix("---\n")).id == 7


@pytest.mark.parametrize("name", NOT_ORDINARY)
def test_all_else_takes_the_long_way(name: str) -> None:
    assert format_plain(NOT_ORDINARY[name], Redactor()) is None
    assert KEY not in long_way(NOT_ORDINARY[name], Redactor())


def test_patterns_of_the_user_are_looked_for_the_long_way() -> None:
    assert format_plain(tape_of(b"{}"), Redactor(["Ada"])) is None


# --- any tape ---------------------------------------------------------------------------------------------------------

_NASTY = [
    "\n",
    "\r\n",
    "\n\n",
    "\t",
    "\x00",
    "\x7f",
    "\x85",
    "\u2028",
    "\ufeff",
    "é",
    "😀",
    '"',
    "\\",
    "\\n",
    "\\u001f",
]
_WORDS = [
    "a",
    " ",
    "data: ",
    "event: x",
    "0.5",
    "{",
    "}",
    "[",
    "]",
    ":",
    "-",
    "# ",
    "@",
    "=",
    "?",
    "sk-",
    KEY,
    "Bearer ",
]
TEXTS = st.lists(st.sampled_from(_NASTY + _WORDS * 2), max_size=12).map(lambda parts: "".join(parts).encode())
VALUES = st.dictionaries(
    st.sampled_from(["model", "input", "a b", "authorization"]), TEXTS.map(bytes.decode), max_size=3
)
JSONS = VALUES.map(json.dumps).map(str.encode) | VALUES.map(lambda value: json.dumps(value, indent=2).encode())
BODIES = TEXTS | JSONS | st.binary(max_size=20)
PLAIN_EVENT = st.sampled_from([b"data: 1\n\n", b'event: a\ndata: {"a": "\xc3\xa9 \\n\\n %b"}\n\n', *EVENTS])
EVENT = (TEXTS | JSONS).map(lambda data: b"data: " + data + b"\n\n") | PLAIN_EVENT
ODD = st.sampled_from([b"", b"\n", b"\n\n", b"\r\n\r\n", b"\x7f", b"\x7f\n\n", b"\\n\n"])
CHUNK = EVENT | st.lists(EVENT | ODD, min_size=2, max_size=4).map(b"".join)  # on a busy machine events come together
STREAMS = st.lists(CHUNK, max_size=6) | st.lists(
    st.lists(PLAIN_EVENT, min_size=1, max_size=3).map(b"".join), max_size=6
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"x-request-id", b"X-Echo", b"Set-Cookie", b"content-type", b"x-odd"]),
        st.sampled_from([b"req_1", b"", b'"', b"\xe9", b"max-age=3; x?", KEY.encode(), b"text/plain"]),
    ),
    max_size=3,
)


@examples(400)
@given(
    streamed=st.booleans(),
    chunks=st.lists(BODIES, max_size=3),
    events=STREAMS,
    sent=BODIES,
    response=HEADERS,
    step=st.floats(0, 3),
    ends=st.booleans(),
)
def test_any_tape_is_written_as_the_long_way_writes_it(streamed, chunks, events, sent, response, step, ends) -> None:
    """Bytes for bytes, or not at all; a document is read back as what the tape held."""
    redactor = Redactor()
    kind = SSE if streamed else JSON
    tape = tape_of(*(events if streamed else chunks), kind=kind, sent=sent, response=response, step=step, ends=ends)
    document = format_plain(tape, redactor)
    written = long_way(tape, redactor)
    assert document in (None, written.encode())
    assert read_interaction(written.removeprefix("---\n")).response.body == interaction_of(tape, redactor).response.body
