"""Workers: they end with their parent, however that ends, and one that dies is told of and replaced."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from uvicorn.supervisors.multiprocess import SIGNALS

from mockserver.transport import workers
from mockserver.transport.http import WORKERS
from mockserver.transport.worker_links import MeetingPoint
from mockserver.transport.workers import Workers
from tests.support.patience import until
from tests.support.processes import children, serves
from tests.support.serving import FROZEN, Served, serving


def answer(served: Served) -> int:
    return served.request("GET", "/v1/models").status


def test_they_end_with_a_parent_that_is_killed(tmp_path: Any) -> None:
    with serving(*FROZEN, "--store", f"sqlite:///{tmp_path / 'state.db'}", "--workers", "2") as served:
        assert answer(served) == 200
        mine = children(served.pid)
        served.kill()
        assert len(mine) >= 2
        assert until(lambda: not any(serves(pid) for pid in mine))
        with socket.create_server(("127.0.0.1", served.port)):
            pass  # the port is free


def test_one_that_dies_is_told_of_and_replaced(tmp_path: Any) -> None:
    with serving(*FROZEN, "--store", f"sqlite:///{tmp_path / 'state.db'}", "--workers", "2") as served:
        assert answer(served) == 200
        dead = next(pid for pid in children(served.pid) if serves(pid))
        os.kill(dead, signal.SIGKILL)
        assert until(lambda: f"worker {dead} has ended (-9)" in served.logged())
        assert answer(served) == 200


class Gone:
    """A parent whose pipe is closed."""

    def __init__(self) -> None:
        self.sentinel, writing = os.pipe()
        os.close(writing)


def test_a_worker_whose_parent_is_gone_ends_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, signals = threading.Event(), []

    def kill(pid: int, number: int) -> None:
        signals.append((pid, number))
        ended.set()

    monkeypatch.setattr(workers, "parent_process", Gone)
    monkeypatch.setattr(os, "kill", kill)
    seen: list[Any] = []
    place = MeetingPoint("/nowhere", b"")
    app = workers.make_in_worker(lambda: lambda scope, receive, send: seen.append(scope), place)  # type: ignore[arg-type, return-value, func-returns-value]
    for kind in ("lifespan", "http"):
        app({"type": kind}, None, None)  # type: ignore[arg-type, unused-coroutine]
    assert seen == [{"type": "lifespan", WORKERS: place}, {"type": "http"}]
    assert ended.wait(10)
    assert signals == [(os.getpid(), signal.SIGTERM)]


def test_a_process_without_a_parent_of_ours_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    signals: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: signals.append(number))
    workers._end_with_parent()  # this process was started by a shell or a test runner, not by multiprocessing
    assert signals == []


# --- the parent, in this process --------------------------------------------------------------------------------------


async def serve_nothing(scope: Any, receive: Any, send: Any) -> None:
    """An app without answers; its workers only have to be there."""


@pytest.fixture
def parent() -> Iterator[Workers]:
    """A parent of one worker, whose handlers of signals are taken back at the end."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    config = uvicorn.Config(serve_nothing, lifespan="off", log_config=None, timeout_worker_healthcheck=60)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        watching = Workers(config, [listener])
        try:
            watching.init_processes()
            yield watching
        finally:
            for worker in watching.processes:
                worker.kill()
                worker.join()
            for number, handler in handlers.items():
                signal.signal(number, handler)


def end(parent: Workers) -> int:
    """Kill the only worker, and wait until it is gone."""
    (worker,) = parent.processes
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    return worker.pid


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if (one.name, one.levelno) == ("understudy", logging.WARNING)]


def test_the_parent_tells_of_a_dead_worker_and_starts_another(
    parent: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    dead = end(parent)
    parent.keep_subprocess_alive()
    assert warnings(caplog) == [f"worker {dead} has ended (-9), another takes its place"]
    (worker,) = parent.processes
    assert worker.pid not in (None, dead)
    parent.keep_subprocess_alive()
    assert len(warnings(caplog)) == 1 and parent.processes == [worker], "one that lives is left alone"


def test_a_parent_that_ends_replaces_nobody(parent: Workers, caplog: pytest.LogCaptureFixture) -> None:
    dead = end(parent)
    parent.should_exit.set()
    parent.keep_subprocess_alive()
    assert [worker.pid for worker in parent.processes] == [dead] and warnings(caplog) == []
