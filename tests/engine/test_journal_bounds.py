"""The journal has a bound of bytes, and no failure of it touches an answer. Spec: R15.7 (a journal can be read)."""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.engine.journal_ring import PACKED_FROM, JournalRing
from mockserver.journal.exchange import LONGEST, Call, Exchange
from mockserver.journal.relayed import RelayedAnswer
from mockserver.transport.http import Chunk, chunks
from tests.support.caller import PROJECT, Caller
from tests.support.examples import first_of

MB = 1024 * 1024


def control(call: Caller, path: str) -> tuple[int, Any]:
    """A control call as it comes over a socket."""
    path, _, query = path.partition("?")
    answer, _ = call.app.answer(Call("GET", path, b"", None, parse_qsl(query)))
    body = (
        answer.body
        if answer.player is None
        else b"".join(chunk.data for chunk in chunks(answer) if isinstance(chunk, Chunk))
    )
    return answer.status, json.loads(body)


def image(number: int, size: int) -> str:
    return base64.b64encode(hashlib.shake_256(b"%d" % number).digest(size)).decode()


def ask_about(call: Caller, picture: str, **fields: Any) -> Any:
    content = [{"type": "input_image", "image_url": f"data:image/png;base64,{picture}", "detail": "auto"}]
    return call.create([{"role": "user", "content": content}], model="gpt-4.1", **fields)


def weight(call: Caller) -> int:
    """The bytes that the journal of a store in memory takes."""
    return call.app.engine.journal._entries.bytes


@pytest.mark.parametrize("store", first_of([False, True]))
def test_large_images_are_kept_by_length_and_hash(store: bool) -> None:
    """60 unstored turns with an image of 3 MB took 360 MB."""
    call = Caller()
    pictures = [image(number, 3 * MB) for number in range(3)]
    for number in range(12):
        ask_about(call, pictures[number % 3], store=store)
    assert weight(call) < 12 * 16 * 1024
    one = call.last(context="full")
    digest = hashlib.sha256(pictures[2].encode()).hexdigest()
    shown = f"data:image/png;base64,[{len(pictures[2])} bytes, sha256 {digest}]"
    assert one["request"]["input"][0]["content"][0]["image_url"] == shown
    if not store:
        assert one["context"]["items"][0]["content"][0]["image_url"] == shown


def test_identical_images_are_kept_once() -> None:
    call = Caller()
    picture = image(1, 100_000)
    for _ in range(40):
        ask_about(call, picture, store=False)
    assert len(picture) < weight(call) < len(picture) + 40 * 16 * 1024
    assert call.last()["request"]["input"][0]["content"][0]["image_url"].endswith(picture)
    call.levers.clear_journal(PROJECT)
    assert weight(call) == 0 and not call.app.engine.journal._entries._texts


def test_the_oldest_of_all_projects_go_beyond_the_bound_of_bytes() -> None:
    """200 refused bodies of 1 MB took 390 MB."""
    call = Caller(journal_bytes=4 * MB)
    for number in range(60):
        text = f"{number} " + "word " * 50_000
        call("POST", "/v1/responses", {"model": "gpt-4.1", "input": text, "bogus": number})
        call.app.answer(Call("GET", "/v1/models", headers={b"authorization": b"Bearer other"}))
        assert weight(call) <= 4 * MB
    numbers = [one["id"] for one in call.journal(limit=1000)]
    assert 8 < len(numbers) < 20 and numbers == list(range(61 - len(numbers), 61))
    other = call.app.engine.project("Bearer other", None)
    assert len(call.levers.journal(other, limit=1000)["data"]) in (len(numbers), len(numbers) + 1)


@pytest.mark.parametrize("many", [False, True], ids=["long", "many"])
@pytest.mark.parametrize("where", ["memory", "sqlite"])
def test_headers_count_as_well_as_bodies(where: str, tmp_path: Path, *, many: bool) -> None:
    """A head may have 64 KB: 16,000 entries of them took 1 GB, as each was taken for 3 KB."""
    store = "memory" if where == "memory" else f"sqlite:///{tmp_path}/state.db"
    call, most = Caller(store=store, journal_bytes=4 * MB), 4 * MB
    for number in range(300):
        headers = {b"authorization": b"Bearer sk-%d" % (number % 150)}
        if many:
            headers |= {b"x-%d-%d" % (number, place): b"" for place in range(500)}
        else:
            headers[b"x-note"] = b"%d" % number * 20_000
        body = b'{"model":"gpt-4.1","input":"hi"}' if number % 2 else b'{"model":"none","input":"hi"}'
        call.app.answer(Call("POST", "/v1/responses", body, headers=headers))
    journal = call.app.engine.journal
    entries = journal._entries
    waiting = entries._journals.values() if isinstance(entries, JournalRing) else entries._waiting.values()
    exchanges = [one for some in waiting for one in getattr(some, "exchanges", some)]
    held = sum(heads_of(one.call) + sum(map(len, one.document or ())) for one in exchanges)
    assert 0 < held <= (most if where == "memory" else most // 8)
    answers = journal.answers(None)
    assert 0 < sum(heads_of(one.call) for one in answers) <= most // 16


def heads_of(call: Call) -> int:
    """The bytes of what a call's headers consist of, by Python's own account."""
    return sum(map(sys.getsizeof, call.headers)) + sum(map(sys.getsizeof, call.headers.values()))


def test_a_body_beyond_the_cut_has_its_length_and_hash() -> None:
    call = Caller()
    body = json.dumps({"model": "gpt-4.1", "input": "word " * MB, "bogus": 1}).encode()
    call("POST", "/v1/responses", body)
    digest = hashlib.sha256(body).hexdigest()
    kept = call.last()["body"]
    assert kept == f"{body[:LONGEST].decode()}… [cut, {len(body)} bytes in all, sha256 {digest}]"


@pytest.mark.parametrize("store", [True, False])
def test_instructions_beyond_the_cut_have_their_length_and_hash_too(*, store: bool) -> None:
    """They stand in the body already; of a stored response all of them can be read."""
    call = Caller()
    instructions = "secret of the word " * 40_000
    response = call.create("x", instructions=instructions, store=store)
    digest = hashlib.sha256(instructions.encode()).hexdigest()
    cut = f"{instructions[:LONGEST]}… [cut, {len(instructions)} bytes in all, sha256 {digest}]"
    assert call.last(context="full")["context"]["instructions"] == cut
    assert weight(call) < 3 * LONGEST
    if store:
        assert call.levers.context(PROJECT, response["id"])["instructions"] == instructions


def test_no_journal_of_no_bytes() -> None:
    call = Caller(journal_bytes=0)
    call.create()
    assert call.journal() == []


def test_weights_add_up() -> None:
    call = Caller(journal=20)
    for number in range(30):
        call.create("x" * (number * 2000), store=number % 2 == 0)
        call.levers.enqueue(PROJECT, [{"reply": {"text": image(number % 5, 6000)}}])
    entries = call.app.engine.journal._entries
    exchanges = entries._journals[PROJECT].exchanges
    texts = {piece for one in exchanges for piece in (one.document or ())[1::2]}
    assert {text for text, _ in entries._texts.values()} == texts
    assert weight(call) == sum(one.weight for one in exchanges) + sum(map(len, texts))
    assert all(one.document is not None for one in exchanges if len(one.call.body) >= PACKED_FROM)


def test_pages_of_a_file_are_bounded_by_bytes(tmp_path: Path) -> None:
    call = Caller(store=f"sqlite:///{tmp_path}/state.db", journal_bytes=MB)
    for number in range(100):
        call("POST", "/v1/responses", {"model": "gpt-4.1", "input": f"{number} " + "word " * 10_000, "bogus": 1})
    pages = call.app.engine.store.records(f"{PROJECT}/journal")
    assert sum(len(page.doc) for page in pages) < 1.25 * MB
    numbers = [one["id"] for one in call.journal(limit=1000)]
    assert 10 < len(numbers) < 30 and numbers == list(range(101 - len(numbers), 101))


# --- failures --------------------------------------------------------------------------------------------------------

DEEP = b'{"authorization":"Xyz-1","x":' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"}"


def stores(tmp_path: Path) -> Iterator[dict[str, Any]]:
    yield {}
    yield {"store": f"sqlite:///{tmp_path}/state.db"}
    yield {"store": f"sqlite:///{tmp_path}/shared.db", "workers": 2}


@pytest.mark.parametrize("deep", [DEEP, b'{"authorization":' * 5000, b"[" * 100_000, b'{"a":' * 20_000 + b"1"])
def test_a_deep_body_costs_nobody_an_answer_or_an_entry(tmp_path: Path, deep: bytes) -> None:
    """A refused body of 2 KB made the next journal read a 500, and an innocent later create with SQLite."""
    rounds = 80 if deep is DEEP else 5  # more than a page of the journal, for the one that is quick
    for settings in stores(tmp_path):
        call = Caller(**settings)
        for _ in range(rounds):
            assert call("POST", "/v1/responses", deep)["error"]["type"] == "invalid_request_error"
            assert call.create("innocent")["status"] == "completed"
        journal = call.journal(limit=1000)
        assert [one["status"] for one in journal] == [400, 200] * rounds
        assert "Xyz-1" not in json.dumps(journal)
        _, answer = control(call, "/_mock/journal?limit=1000")
        assert len(answer["data"]) == 2 * rounds and answer["data"][0]["request"] is None


def test_what_cannot_be_redacted_is_kept_as_its_length_and_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> Any:
        raise RecursionError

    call = Caller()
    monkeypatch.setattr("mockserver.journal.redaction.clean_text", fail)
    body = b'{"model": "gpt-4.1", "input": "hi"}'
    call("POST", "/v1/responses", body)
    one = call.last()
    assert one["body"] == f"unreadable, {len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()}"
    assert (one["path"], one["status"], one["request"], one["context"]) == ("/v1/responses", 200, None, None)


def test_a_store_that_refuses_the_journal_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What waited was popped before it was written, and the answer was a 500 although the turn was stored."""
    call = Caller(store=f"sqlite:///{tmp_path}/state.db")
    store = call.app.engine.store
    apply = store.apply

    def refuse(project: str, changes: Any) -> None:
        if project.endswith("/journal"):
            raise sqlite3.OperationalError("database or disk is full")
        apply(project, changes)

    with monkeypatch.context() as patch:
        patch.setattr(store, "apply", refuse)
        for _ in range(200):
            assert call.create("hi")["status"] == "completed"
    assert len(caplog.records) == 1 and "database or disk is full" in caplog.text and "Traceback" not in caplog.text
    assert [one["id"] for one in call.journal(limit=1000)] == list(range(1, 201))


def test_what_waits_for_a_store_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = Caller(store=f"sqlite:///{tmp_path}/state.db", journal=100)
    store = call.app.engine.store
    apply = store.apply

    def refuse(project: str, changes: Any) -> None:
        if project.endswith("/journal"):
            raise sqlite3.OperationalError("database or disk is full")
        apply(project, changes)

    with monkeypatch.context() as patch:
        patch.setattr(store, "apply", refuse)
        for _ in range(500):
            call("GET", "/v1/models")
        assert len(call.app.engine.journal._entries._waiting[PROJECT]) <= 101
    assert [one["id"] for one in call.journal(limit=1000)] == list(range(401, 501))


def test_what_another_has_answered_is_weighed_kept_as_it_came_and_no_part_of_the_verdict() -> None:
    engine = Engine(Settings())
    exchange = Exchange.begin(Call("POST", "/v1/responses", b'{"model":"gpt-4.1","input":"x"}', "p"), 0.0)
    exchange.relayed = RelayedAnswer("cassette", 0.0)
    exchange.relayed.add(b"x" * 100_000)
    exchange.ended = "delivered"
    engine.journal.note("p", exchange)
    assert exchange.document is None and engine.journal.bytes > 100_000
    assert engine.control.verdict("p") == []
    [shown] = engine.control.journal("p")["data"]
    assert (shown["answered_by"], len(shown["answer"]), shown["context"]) == ("cassette", 100_000, None)
