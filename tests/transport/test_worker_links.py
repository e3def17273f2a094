"""Links between workers: one answers for all, one hears all, who has no key is not answered."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from mockserver.config.settings import Settings
from mockserver.delivery.events import Body
from mockserver.engine import event_hub
from mockserver.engine.engine import Engine
from mockserver.engine.event_hub import EventStream
from mockserver.transport import worker_links
from mockserver.transport.app import MockApp
from mockserver.transport.worker_links import SAMPLE, MeetingPoint, WorkerLinks
from tests.support.asgi import PING, ask
from tests.support.driving import NOON
from tests.support.patience import PATIENCE_S, until
from tests.support.processes import children, serves
from tests.support.serving import FROZEN, Served, serving

KEY = b"k" * 32


class Worker:
    """An app of this process that is linked to others."""

    def __init__(self, directory: Path, key: bytes = KEY) -> None:
        self.app = MockApp(Engine(Settings(clock=NOON)))
        self.links = WorkerLinks(self.app.engine, MeetingPoint(str(directory), key))

    def create(self) -> None:
        assert ask(self.app, "POST", "/v1/responses", PING)[0] == 200

    def listen(self) -> EventStream:
        return self.app.engine.control.listen()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_links, "RESCAN_S", 0.01)
    monkeypatch.setattr(event_hub, "LOOK_S", 0.01)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[list[Worker]]:
    made = [Worker(tmp_path), Worker(tmp_path)]
    yield made
    for worker in made:
        worker.links.close()
        worker.app.engine.close()


def read(stream: EventStream) -> list[str]:
    """The names of the events that wait for a listener."""
    step = stream.next()
    text = step.data.decode() if isinstance(step, Body) else ""
    return [line[7:] for line in text.splitlines() if line.startswith("event: ")]


def collect(stream: EventStream, count: int) -> list[str]:
    """The names of so many events, whenever they come."""
    found: list[str] = []
    assert until(lambda: _extend(found, stream) >= count)
    return found


def _extend(found: list[str], stream: EventStream) -> int:
    found += read(stream)
    return len(found)


def test_one_answers_for_all(workers: list[Worker]) -> None:
    first, second = workers
    first.create()
    second.create()
    assert requests_of(first.links.ask_samples()) == [1]
    first.links.close()
    assert requests_of(second.links.ask_samples()) == [1]  # a counter never falls


def requests_of(samples: list[Any]) -> list[int]:
    return [sum(count for _, count in one["counters"]["requests"]) for one in samples]


def test_what_a_dead_worker_has_told_stays_counted_and_is_nothing_that_there_is(
    workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = workers
    first.create()
    listening = first.listen()
    assert requests_of(second.links.ask_samples()) == [1]
    first.create()  # it dies before anybody asks for this one
    first.links._listener.close()
    for _ in range(2):
        [sample] = second.links.ask_samples()
        assert requests_of([sample]) == [1]
        assert not any(sample["gauges"].values())
    listening.leave()


def test_a_worker_that_is_asked_has_written_down_what_it_tells(workers: list[Worker], tmp_path: Path) -> None:
    first, second = workers
    first.create()
    second.links.ask_samples()
    written = [json.loads(file.read_text()) for file in tmp_path.glob("*.counted")]
    assert sorted(requests_of(written)) == [0, 1], "its own too: another worker may be asked the next time"


def test_a_worker_that_was_killed_is_left_out(workers: list[Worker], tmp_path: Path) -> None:
    (tmp_path / "dead").write_text(str(tmp_path / "nobody"))
    assert len(workers[0].links.ask_samples()) == 1


def test_a_worker_that_does_not_answer_is_left_out(workers: list[Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_links, "PATIENCE_S", 0.01)
    asked = Event()
    monkeypatch.setattr(workers[1].links, "_take_sample", asked.wait)
    assert workers[0].links.ask_samples() == []
    asked.set()


def test_who_has_no_key_is_not_answered(workers: list[Worker], tmp_path: Path) -> None:
    address = workers[0].links._own.read_text()
    with pytest.raises(AuthenticationError):
        Client(address, authkey=b"guessed")
    with Client(address, authkey=KEY) as connection:
        connection.send_bytes(SAMPLE)
        assert json.loads(connection.recv_bytes())["info"]["mode"] == "mock"


def test_who_listens_to_one_hears_all_and_each_event_once(workers: list[Worker]) -> None:
    first, second = workers
    heard, other = first.listen(), second.listen()
    assert until(lambda: all(worker.app.engine.events._guests for worker in workers))
    first.create()
    second.create()
    wanted = ["exchange.began", "state", "exchange.ended"] * 2
    assert sorted(collect(heard, 6)) == sorted(collect(other, 6)) == sorted(wanted)
    assert read(heard) == read(other) == []


def test_once_nobody_listens_the_others_are_not_heard_any_more(
    workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_hub, "RESUME_S", -1.0)
    monkeypatch.setattr(event_hub, "LOOK_EVERY", 1)
    monkeypatch.setattr(event_hub, "SILENCE_S", 0.0)
    monkeypatch.setattr(worker_links, "PATIENCE_S", 0.01)
    first, second = workers
    stream = first.listen()
    assert until(lambda: second.app.engine.events._guests)
    stream.leave()
    assert until(lambda: not second.app.engine.events._guests)
    second.create()
    assert not second.app.engine.events.is_on


def test_served_workers_count_and_tell_together(tmp_path: Any) -> None:
    with serving(*FROZEN, "--store", f"sqlite:///{tmp_path}/s.db", "--workers", "2") as served:
        with httpx.stream("GET", f"{served.origin}/_mock/events", timeout=PATIENCE_S) as stream:
            lines = stream.iter_lines()
            assert next(lines) == ": understudy"
            for _ in range(8):
                assert served.request("POST", "/v1/responses", {"model": "gpt-4.1", "input": "x"}).status == 200
            assert "event: exchange.ended" in lines
        text = served.request("GET", "/_mock/metrics").body.decode()
        assert (
            'understudy_requests_total{answered_by="default_model",endpoint="/v1/responses",method="POST",status="200",'
            'transport="http"} 8.0' in text
        )


@pytest.mark.slow
def test_no_counter_falls_when_a_worker_is_killed(tmp_path: Any) -> None:
    with serving(*FROZEN, "--store", f"sqlite:///{tmp_path}/s.db", "--workers", "2") as served:
        for _ in range(12):
            assert served.request("POST", "/v1/responses", {"model": "gpt-4.1", "input": "x"}).status == 200
        assert until(lambda: counted(served) == 12)
        killed = [pid for pid in children(served.pid) if serves(pid)]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        assert until(lambda: "another takes its place" in served.logged())
        assert served.request("POST", "/v1/responses", {"model": "gpt-4.1", "input": "x"}).status == 200
        assert counted(served) == 13


def counted(served: Served) -> float:
    """How many requests the metrics tell of."""
    text = served.request("GET", "/_mock/metrics").body.decode()
    lines = [line for line in text.splitlines() if line.startswith("understudy_requests_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
