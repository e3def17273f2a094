"""The recorder alone: what it writes from a tape, in which order, and what its own failures leave alone."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mockserver.config.settings import Settings
from mockserver.transport.abort import Abort
from proxy.cassettes.file import Appender, load
from proxy.cassettes.interaction import Interaction, Piece
from proxy.cassettes.redaction import NONE, Redactor, mark
from proxy.recorder import Recorder
from proxy.relay import Relay
from proxy.tape import LIMIT, Tape
from proxy.tape_interaction import LINE, interaction_of, redact_pieces
from proxy.target import Target

KEY = "sk-abcdefgh12345678"
PLAIN, JSON, SSE = b"text/plain", b"application/json", b"text/event-stream"


def scope(**more: Any) -> dict[str, Any]:
    http = {"type": "http", "method": "POST", "raw_path": b"/v1/files", "query_string": b"", "headers": []}
    return {**http, **more}


def fill(tape: Tape, kind: bytes, *chunks: bytes, coding: bytes | None = None, ends: bool = True) -> Tape:
    """A tape on which an answer was noted."""
    headers = [(b"content-type", kind)] + ([(b"content-encoding", coding)] if coding else [])
    tape.note_response({"type": "http.response.start", "status": 200, "headers": headers})
    for chunk in chunks:
        tape.note_response({"type": "http.response.body", "body": chunk, "more_body": True})
    if ends:
        tape.note_response({"type": "http.response.body", "body": b""})
    return tape


def recorded(kind: bytes, *chunks: bytes, coding: bytes | None = None, ends: bool = True) -> Interaction:
    return interaction_of(fill(Tape(scope(), 1, 0.0), kind, *chunks, coding=coding, ends=ends), Redactor())


def data_of(interaction: Interaction) -> list[bytes]:
    return [piece.data for piece in interaction.response.pieces]


# --- from a tape to an interaction ------------------------------------------------------------------------------------


def test_a_request_is_written_without_its_secrets() -> None:
    sent = [(b"authorization", f"Bearer {KEY}x".encode()), (b"accept", b"*/*")]
    tape = Tape(scope(headers=sent, raw_path=f"/v1/{KEY}x".encode(), query_string=b"token=abc&a=1"), 7, 1.23456)
    tape.note_request({"type": "http.request", "body": b"I am "})
    tape.note_request({"type": "http.request", "body": f"{KEY}x".encode()})
    tape.note_request({"type": "http.disconnect"})
    interaction = interaction_of(fill(tape, PLAIN, b"Hello"), Redactor())
    request = interaction.request
    assert (interaction.id, interaction.at, request.method, request.socket) == (7, 1.235, "POST", False)
    assert request.path == f"/v1/{mark(KEY + 'x')}" and request.query == f"token={mark('abc')}&a=1"
    assert request.body == f"I am {mark(KEY + 'x')}".encode() and request.headers == (("accept", "*/*"),)
    assert interaction.response.body == b"Hello" and interaction.response.ended == "complete"


def test_a_body_is_one_piece_and_a_stream_has_one_for_each_event() -> None:
    assert data_of(recorded(JSON, b'{"a":', b"1}")) == [b'{"a":1}']
    assert data_of(recorded(JSON)) == []
    assert data_of(recorded(SSE, b"data: 1\n\ndata: 2\n\n", b"data: 3\n\n")) == [
        b"data: 1\n\n",
        b"data: 2\n\n",
        b"data: 3\n\n",
    ]


def test_a_coding_is_taken_off_with_the_header_that_says_so() -> None:
    plain = recorded(JSON, gzip.compress(b"{}"), coding=b"gzip").response
    assert plain.body == b"{}" and plain.headers == (("content-type", "application/json"),)
    kept = recorded(JSON, b"odd", coding=b"br").response
    assert kept.body == b"odd" and kept.header("content-encoding") == "br"


def test_who_leaves_after_the_last_event_has_missed_nothing() -> None:
    """A stream that was cut is complete if its last event ends a turn; a body that was cut is not."""
    done = b'data: {"type":"response.completed"}\n\n'
    assert recorded(SSE, done, ends=False).response.ended == "complete"
    assert recorded(SSE, b'data: {"type":"response.created"}\n\n', ends=False).response.ended == "cut"
    assert recorded(PLAIN, b"half", ends=False).response.ended == "cut"


def test_a_secret_across_two_pieces_is_found() -> None:
    """The pieces are joined up to the end of the event, and come when the last of them came."""
    pieces = (Piece(1, b"data: 0\n\n"), Piece(2, b"data: sk-abcd"), Piece(3, b"efgh12345678\n\n"), Piece(4, b"rest"))
    clean = redact_pieces(pieces, Redactor(), NONE)
    marked = f"data: {mark(KEY)}\n\n".encode()
    assert clean == (Piece(1, b"data: 0\n\n"), Piece(3, marked), Piece(4, b"rest"))
    whole = redact_pieces(pieces[1:3], Redactor(), NONE)
    assert whole == (Piece(3, marked),)
    harmless = (pieces[0], pieces[3])
    assert redact_pieces(harmless, Redactor(), NONE) is harmless


# --- writing ----------------------------------------------------------------------------------------------------------


def test_a_recorder_without_a_file_numbers_and_tells_its_listeners() -> None:
    heard: list[Interaction] = []
    recorder = Recorder(None, Redactor(), offset=100.0)
    recorder.listeners.append(heard.append)
    assert recorder.earlier.interactions == () and recorder.seconds() >= 100.0
    for _ in range(2):
        recorder.keep_tapes([fill(recorder.begin(scope()), PLAIN, b"x")])
    recorder.keep_tapes([recorder.begin(scope())])  # never answered
    recorder.close()
    assert [one.id for one in heard] == [1, 2]
    assert recorder.health() == {"recorded": 2, "failures": 0, "last_failure": None}


def test_what_ends_together_is_written_in_one_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes the long way keeps its place; a disk that can't take all of them takes those that it can."""
    path = tmp_path / "talk.yaml"
    recorder = Recorder(Appender(path, None, 0), Redactor())
    sizes: list[int] = []
    write = os.pwrite

    def write_little(file: int, data: bytes, at: int) -> int:
        sizes.append(len(data))
        if len(data) > 600:
            raise OSError(28, "No space left on device")
        return write(file, data, at)

    texts = [b"1", b"2", KEY.encode(), b"3", b"x" * 600, b"4", b"y" * 600]
    monkeypatch.setattr(os, "pwrite", write_little)
    recorder.keep_tapes([fill(recorder.begin(scope()), PLAIN, text) for text in texts])
    recorder.close()
    monkeypatch.undo()
    assert [one.response.body for one in load(path).interactions] == [b"1", b"2", mark(KEY).encode(), b"3", b"4"]
    assert recorder.health() == {
        "recorded": 5,
        "failures": 2,
        "last_failure": "OSError: [Errno 28] No space left on device",
    }
    assert len(sizes) == 7  # two, the unusual one, all of the rest, and each of these


def test_what_has_ended_is_written_when_the_recorder_closes(tmp_path: Path) -> None:
    path = tmp_path / "talk.yaml"
    recorder = Recorder(Appender(path, None, 0), Redactor())

    async def end() -> None:
        recorder.keep_soon(fill(recorder.begin(scope()), PLAIN, b"x"))
        assert recorder.recorded == 0
        recorder.close()
        assert recorder.recorded == 1

    asyncio.run(end())
    assert [one.response.body for one in load(path).interactions] == [b"x"]


def test_a_listener_that_fails_is_counted_and_the_others_are_told() -> None:
    heard: list[Interaction] = []

    def fail(_: Interaction) -> None:
        raise ValueError("two\nlines")

    recorder = Recorder(None, Redactor())
    recorder.listeners += [fail, heard.append]
    for _ in range(2):
        recorder.keep_tapes([fill(recorder.begin(scope()), PLAIN, b"x")])
    assert len(heard) == 2
    assert recorder.health() == {"recorded": 2, "failures": 2, "last_failure": "ValueError: two lines"}


def test_a_tape_that_can_not_be_read_harms_nobody() -> None:
    recorder = Recorder(None, Redactor())
    broken = scope()
    del broken["raw_path"]
    recorder.keep_tapes([fill(recorder.begin(broken), PLAIN, b"x")])
    assert recorder.health() == {"recorded": 0, "failures": 1, "last_failure": "KeyError: 'raw_path'"}


@pytest.mark.parametrize("coding", [None, b"gzip"])
def test_what_is_large_is_written_by_a_thread_and_all_after_it_too(tmp_path: Path, coding: bytes | None) -> None:
    """In their order. Lines are kept whole, a line without an end is cut; a key is found where chunks meet."""
    path = tmp_path / "large.yaml"
    recorder = Recorder(Appender(path, None, 0), Redactor())
    parts = [b"x" * (LINE + 1), b"\n", *[b"line\n" * 10_000] * (LIMIT // 50_000 + 1), b"a sk-abcd", b"efgh12345678"]
    body = b"".join(parts)
    # stored, not packed: what is coded has to be large too
    sent = [gzip.compress(body, compresslevel=0)] if coding else parts
    large = fill(recorder.begin(scope()), PLAIN, *sent, coding=coding)
    large.note_request({"type": "http.request", "body": b"asked"})
    assert large.chunks.spilled
    recorder.keep_tapes([large])
    recorder.keep_tapes([fill(recorder.begin(scope()), PLAIN, b"small")])
    recorder.close()
    assert recorder.health() == {"recorded": 2, "failures": 0, "last_failure": None}
    first, second = load(path).interactions
    assert first.response.body == body.replace(KEY.encode(), mark(KEY).encode())
    assert first.response.header("content-encoding") is None and first.request.body == b"asked"
    assert (second.id, second.response.body) == (2, b"small")


def test_a_large_request_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "upload.yaml"
    recorder = Recorder(Appender(path, None, 0), Redactor())
    tape = recorder.begin(scope())
    for _ in range(2):
        tape.note_request({"type": "http.request", "body": b"up\n" * (LIMIT // 4)})
    assert tape.sent.spilled
    recorder.keep_tapes([fill(tape, PLAIN, b"taken", b"\n", coding=b"br", ends=False)])
    recorder.close()
    (interaction,) = load(path).interactions
    assert interaction.request.body == b"up\n" * (LIMIT // 4 * 2)
    assert interaction.response.body == b"taken\n" and interaction.response.header("content-encoding") == "br"
    assert interaction.response.ended == "cut"


def test_a_large_tape_that_can_not_be_read_is_counted() -> None:
    recorder = Recorder(None, Redactor())
    broken = scope()
    del broken["raw_path"]
    recorder.keep_tapes([fill(recorder.begin(broken), PLAIN, b"x" * (LIMIT + 1))])
    recorder.close()
    assert recorder.health() == {"recorded": 0, "failures": 1, "last_failure": "KeyError: 'raw_path'"}


# --- around a relay ---------------------------------------------------------------------------------------------------


class Answering(httpx.AsyncBaseTransport):
    """An upstream that answers in these chunks, and breaks off where one is None."""

    def __init__(self, *chunks: bytes | None) -> None:
        self._chunks = chunks

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async def stream() -> AsyncIterator[bytes]:
            for chunk in self._chunks:
                if chunk is None:
                    raise httpx.ReadError("gone")
                yield chunk

        return httpx.Response(201, headers=[(b"content-type", PLAIN)], stream=Stream(stream()))


class Stream(httpx.AsyncByteStream):
    """A body as a generator yields it."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks


def exchange(recorder: Recorder, *answer: bytes | None) -> list[dict[str, Any]]:
    """What a client is sent by a recording relay whose upstream answers like this."""
    sent: list[dict[str, Any]] = []
    coming = [{"type": "http.request", "body": b"asked"}]

    async def receive() -> dict[str, Any]:
        return coming.pop() if coming else await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        settings = Settings(upstream="http://up.test/v1")
        relay = Relay(settings, Target(settings), Answering(*answer), recorder=recorder)
        assert await relay(scope(), receive, send) is None

    asyncio.run(run())
    return sent


START = {"type": "http.response.start", "status": 201, "headers": [(b"content-type", PLAIN)]}


def body(data: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data} | ({"more_body": True} if more else {})


def test_what_passes_is_passed_on_and_kept() -> None:
    heard: list[Interaction] = []
    recorder = Recorder(None, Redactor())
    recorder.listeners.append(heard.append)
    assert exchange(recorder, b"Hel", b"lo") == [START, body(b"Hel"), body(b"lo"), body(b"", more=False)]
    with pytest.raises(Abort):
        exchange(recorder, b"Hello", None)
    assert [(one.request.body, one.response.status, one.response.ended) for one in heard] == [
        (b"asked", 201, "complete"),
        (b"asked", 201, "cut"),
    ]


def test_a_disk_that_is_full_while_an_answer_is_spooled_stops_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("proxy.tape.tempfile.TemporaryFile", fail)
    recorder = Recorder(None, Redactor())
    large = b"x" * (LIMIT + 1)
    assert exchange(recorder, large, b"Hello") == [START, body(large), body(b"Hello"), body(b"", more=False)]
    assert recorder.failures and "No space left" in str(recorder.last_failure)
