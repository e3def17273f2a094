"""Workers: they end with their parent, however that ends, and one that dies is told of and replaced."""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import Any

import pytest

from mockserver.transport import workers
from tests.support.patience import until
from tests.support.serving import FROZEN, Served, serving


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as listed:
        return [int(word) for word in listed.read().split()]


def serves(pid: int) -> bool:
    """Whether a process is there and holds a socket that listens."""
    try:
        return any(
            os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:") for number in os.listdir(f"/proc/{pid}/fd")
        )
    except OSError:
        return False


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
    assert workers.make_in_worker(lambda: "app") == "app"  # type: ignore[arg-type, return-value, comparison-overlap]
    assert ended.wait(10)
    assert signals == [(os.getpid(), signal.SIGTERM)]
