"""Background responses under OpenAI's clients, within one process and across two that share a file.

Spec: R6.1–R6.9, R2.9–R2.13, R1.13, S11, S12.5.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.environments import OPENAI
from tests.support.examples import first_of
from tests.support.patience import until
from tests.support.raw_http import connect, read_on, request
from tests.support.serving import Served, serving

PROGRAM = Path(__file__).with_name("background.py")
LIMIT_S = 600
MODEL = "gpt-4.1"


class Variant(NamedTuple):
    """One way to run the program."""

    openai: int
    kind: str
    processes: int

    def __str__(self) -> str:
        return f"openai{self.openai}-{self.kind}-{self.processes}"


VARIANTS = [
    Variant(3, "sync", 1),
    Variant(3, "async", 1),
    Variant(2, "sync", 1),
    Variant(3, "sync", 2),
    Variant(3, "async", 2),
    Variant(2, "async", 2),
]


def ran(python: Path, *arguments: str, key: str) -> subprocess.CompletedProcess[str]:
    """Run the program as the project of a key."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "UNDERSTUDY_"))}
    told = {"OPENAI_API_KEY": key, "NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [str(python), str(PROGRAM), *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**inherited, **told},
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('background') / 'state.db'}"


@pytest.fixture(scope="module")
def one(store: str) -> Iterator[Served]:
    with serving("--seed", "7", "--store", store) as served:
        yield served


@pytest.fixture(scope="module")
def other(store: str) -> Iterator[Served]:
    with serving("--seed", "7", "--store", store) as served:
        yield served


Runs = Mapping[Variant, "Future[subprocess.CompletedProcess[str]]"]


@pytest.fixture(scope="module")
def runs(one: Served, other: Served, clients: Mapping[int, Path]) -> Iterator[Runs]:
    """All runs, some of them at once; a key of its own makes each a project of its own."""
    pool = ThreadPoolExecutor(max_workers=3)

    def start(variant: Variant) -> Future[subprocess.CompletedProcess[str]]:
        origins = [one.origin, other.origin][: variant.processes]
        kind = ["--async"] if variant.kind == "async" else []
        return pool.submit(ran, clients[variant.openai], *origins, *kind, key=f"background-{variant}")

    yield {variant: start(variant) for variant in VARIANTS}
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_background(runs: Runs, variant: Variant) -> None:
    done = runs[variant].result(LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"done with openai {OPENAI[variant.openai].version}")
    assert done.stderr == ""


def test_a_process_finishes_what_another_began_that_was_killed(store: str, clients: Mapping[int, Path]) -> None:
    with serving("--seed", "7", "--store", store) as doomed:
        begun = ran(clients[3], doomed.origin, "--begin", key="killed")
        doomed.kill()
    assert begun.returncode == 0, begun.stderr
    id, number = begun.stdout.split()[:2]
    with serving("--seed", "7", "--store", store) as heir:
        done = ran(clients[3], heir.origin, "--end", id, "--after", number, key="killed")
    assert done.returncode == 0, done.stdout + done.stderr


# --- a conversation that a turn of another process holds ------------------------------------------------------------

HOUR_S = 3600  # longer than a test runs: the clock is moved past it
LOCKED = {
    "message": "Another process is currently operating on this conversation. Please retry in a few seconds.",
    "type": "invalid_request_error",
    "param": "conversation",
    "code": "conversation_locked",
}


def ask(served: Served, method: str, path: str, body: Any = None) -> Any:
    reply = served.request(method, path, body)
    assert reply.status == 200, reply.body
    return reply.json


def take(served: Served, conversation: str) -> tuple[int, Any]:
    """Try to run a turn in a conversation; returns the status and the error."""
    reply = served.request("POST", "/v1/responses", {"model": MODEL, "input": "x", "conversation": conversation})
    return reply.status, reply.json["error"]


def freed(served: Served, conversation: str) -> None:
    """Wait until a conversation is free; until then it must be locked."""
    found: list[tuple[int, Any]] = []

    def taken() -> bool:
        found.append(take(served, conversation))
        return found[-1] == (200, None)

    assert until(taken), "still locked"
    assert all(one == (400, LOCKED) for one in found[:-1])


def hold(served: Served, seconds: float, **fields: Any) -> tuple[str, bytes]:
    """Return a conversation, and a streamed request of a turn in it that takes so long."""
    conversation = ask(served, "POST", "/v1/conversations", {})["id"]
    line = {"reply": {"text": "held"}, "pacing": {"first_token": seconds}}
    served.control("POST", "/script", {"lines": [line]})
    turn = {"model": MODEL, "input": "hold", "conversation": conversation, "stream": True, **fields}
    return conversation, request("POST", "/v1/responses", turn)


def held(served: Served, conversation: str) -> list[str]:
    items = ask(served, "GET", f"/v1/conversations/{conversation}/items?order=asc")["data"]
    return [item["content"][0]["text"] for item in items]


def test_a_turn_of_one_process_locks_its_conversation_for_the_other(one: Served, other: Served) -> None:
    """Spec: R2.12, E67."""
    conversation, turn = hold(one, HOUR_S)
    with connect(one.port) as sock:
        sock.sendall(turn)
        read_on(sock, until=b"event: response.in_progress\n")
        assert take(other, conversation) == (400, LOCKED) == take(one, conversation)
        assert held(other, conversation) == []
        other.control("POST", "/clock/advance", {"seconds": HOUR_S})
        read_on(sock, until=b"event: response.completed\n")
    assert take(other, conversation) == (200, None)
    assert held(one, conversation)[:2] == ["hold", "held"]


@pytest.mark.parametrize("how", first_of(["killed", "cut"]))
def test_the_lock_goes_when_the_turns_time_is_over_whatever_became_of_its_process(
    store: str, other: Served, how: str
) -> None:
    """Spec: R2.11, R9.20."""
    with serving("--seed", "7", "--store", store) as served:
        conversation, turn = hold(served, HOUR_S)
        with connect(served.port) as sock:
            sock.sendall(turn)
            read_on(sock, until=b"event: response.in_progress\n")
            if how == "killed":
                served.kill()
        assert take(other, conversation) == (400, LOCKED)
        other.control("POST", "/clock/advance", {"seconds": HOUR_S})
        assert take(other, conversation) == (200, None)
    assert held(other, conversation)[:2] == ["hold", "held"]


def test_a_disconnect_that_cancels_frees_the_conversation_for_the_other(store: str, other: Served) -> None:
    """Spec: R2.13, R9.20."""
    with serving("--seed", "7", "--store", store, "--set", "on_disconnect=cancel") as served:
        conversation, turn = hold(served, 30)
        with connect(served.port) as sock:
            sock.sendall(turn)
            read_on(sock, until=b"event: response.in_progress\n")
            assert take(other, conversation) == (400, LOCKED)
        freed(other, conversation)
    assert held(other, conversation)[0] == "x"


def test_cancelling_elsewhere_frees_the_conversation(one: Served, other: Served) -> None:
    """Spec: R2.13."""
    conversation, turn = hold(one, 30, background=True)
    with connect(one.port) as sock:
        sock.sendall(turn)
        seen = read_on(sock, until=b'"status":"queued"')
        id = seen.partition(b'"response":{"id":"')[2].partition(b'"')[0].decode()
        assert take(other, conversation) == (400, LOCKED)
        assert ask(other, "POST", f"/v1/responses/{id}/cancel")["status"] == "cancelled"
        assert take(one, conversation) == (200, None) == take(other, conversation)
