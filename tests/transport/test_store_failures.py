"""A store that can't be written at run time: 503 in words, no traceback, nothing changed, and it passes by itself."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mockserver.journal.exchange import Call
from tests.support.asgi import ask
from tests.support.caller import PROJECT, Caller

BODY = json.dumps({"model": "gpt-4.1", "input": "hi"}).encode()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process holds the file for writing."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


@contextmanager
def full(call: Caller) -> Iterator[None]:
    """There is no room for another page."""
    connection = call.app.engine.store._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    yield
    connection.execute("PRAGMA max_page_count = 1000000")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("failure", ["locked", "full"])
def test_calls_are_refused_in_words_until_it_has_passed(
    tmp_path: Path, failure: str, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state.db"
    call = Caller(store=f"sqlite:///{path}", workers=workers)
    before = call.create("hi")
    with locked(path) if failure == "locked" else full(call):
        refusals = []
        for number in range(40):  # a large one, since a page may have room for small ones (4 KB)
            text = "word " * 4000 if failure == "full" else f"{number}"
            status, headers, body = ask(
                call.app, "POST", "/v1/responses", json.dumps({"model": "gpt-4.1", "input": text}).encode()
            )
            refusals.append((status, headers["x-should-retry"], json.loads(body)["error"]["type"]))
        assert set(refusals) == {(503, "true", "mock_error")}
        assert call("GET", f"/v1/responses/{before['id']}") == before, "what is read is read"
    assert "Traceback" not in caplog.text
    after = call.create("hi", previous_response_id=before["id"])
    assert after["status"] == "completed"
    assert len(call.levers.list_responses(PROJECT, limit=100, after=None)["data"]) == 2
    statuses = [one["status"] for one in call.journal(limit=1000)]
    assert statuses.count(503) == 40 and statuses[0] == statuses[-1] == 200


def test_health_says_so(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    call = Caller(store=f"sqlite:///{path}")
    with locked(path):
        status, headers, body = ask(call.app, "GET", "/_mock/health", b"")
        assert (status, headers["x-should-retry"]) == (503, "true") and b"locked by another process" in body
    status, _, body = ask(call.app, "GET", "/_mock/health", b"")
    assert status == 200 and json.loads(body)["store"] == "sqlite"


def test_a_stream_ends_although_its_turn_cannot_be_written_yet(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    call = Caller(store=f"sqlite:///{path}")
    call.levers.enqueue(PROJECT, [{"reply": {"text": "slow"}, "pacing": {"first_token": 60}}])
    answer, _ = call.app.answer(Call(body=json.dumps({"model": "gpt-4.1", "input": "a", "stream": True}).encode()))
    player: Any = answer.player
    with locked(path):
        while player.next() is not None:
            pass
    call.levers.advance_clock(PROJECT, 61)
    (stored,) = call.levers.list_responses(PROJECT, limit=10, after=None)["data"]
    assert stored["status"] == "completed"
