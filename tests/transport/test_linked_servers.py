"""Servers that share a PostgreSQL hear of each other: events, clocks that are moved, turns in the background."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

import httpx
import psycopg
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support.patience import PATIENCE_S, until
from tests.support.postgres import PostgresServer, server, url
from tests.support.serving import FROZEN, Served, serving

__all__ = ["server", "url"]

pytestmark = pytest.mark.services

TURN = {"model": "gpt-4.1", "input": "hi"}
SLOW = ("--pacing", "30:1")  # the first token after thirty seconds
KEY = {"authorization": "Bearer test"}
Events = Iterator[tuple[str, dict[str, Any]]]
LISTENERS = "FROM pg_stat_activity WHERE application_name = 'understudy'"


@contextmanager
def two(url: str, *options: str) -> Iterator[tuple[Served, Served]]:
    """Two servers on one database that have found each other."""
    with serving(*FROZEN, "--store", url, *options) as one, serving(*FROZEN, "--store", url, *options) as other:
        assert until(lambda: ask(url, f"SELECT count(*) {LISTENERS} AND query LIKE '%pg_notify%'") == 2)
        yield one, other


def ask(url: str, query: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        return (connection.execute(query).fetchone() or (None,))[0]


@contextmanager
def listening(served: Served) -> Iterator[Events]:
    """The events of a server, from now on: their names and data."""
    with httpx.stream("GET", f"{served.origin}/_mock/events", timeout=PATIENCE_S) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": understudy"
        yield _events(lines)


def _events(lines: Iterator[str]) -> Events:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


def take(events: Events, count: int) -> list[tuple[str, dict[str, Any]]]:
    return [next(events) for _ in range(count)]


def create(served: Served, **more: Any) -> Any:
    reply = served.request("POST", "/v1/responses", {**TURN, **more})
    assert reply.status == 200, reply.body
    return reply.json


@contextmanager
def socket_to(served: Served) -> Iterator[ClientConnection]:
    where = served.base_url.replace("http", "ws", 1) + "/responses"
    with connect(where, additional_headers=KEY, proxy=None) as socket:
        yield socket


def test_who_listens_to_one_hears_what_happens_at_the_other(url: str) -> None:
    with two(url) as (one, other), listening(one) as heard, listening(other) as overheard:
        made = [create(one), create(other)]
        other.control("POST", "/clock/advance", {"seconds": 60})
        for events in (heard, overheard):  # each once, and all there are: the clock's is the last
            found = take(events, 7)
            names = sorted(name for name, _ in found)
            assert names == ["clock", *["exchange.began", "exchange.ended", "state"] * 2] or sorted(names) == names
            assert names.count("exchange.ended") == names.count("state") == 2 and names.count("clock") == 1
            ended = [data["response_id"] for name, data in found if name == "exchange.ended"]
            assert sorted(ended) == sorted(response["id"] for response in made)
            numbers = [data["exchange"] for name, data in found if name == "exchange.began"]
            assert len(set(numbers)) == 2


def test_a_long_event_comes_whole(url: str) -> None:
    """NOTIFY takes 8000 bytes; a reset with many changes is one event of more."""
    with two(url) as (one, other), listening(one) as heard:
        items = [{"type": "message", "role": "user", "content": f"{number}"} for number in range(20)]
        given = {"conversations": [{"items": items, "metadata": {"n": f"{n}"}} for n in range(90)]}
        other.control("PUT", "/scenario", {"given": given, "lines": []})
        name, data = next(heard)
        assert name == "state" and len(data["changes"]) >= 90 and len(json.dumps(data)) > 8000


def test_a_clock_that_is_moved_at_one_closes_an_old_socket_at_the_other(url: str) -> None:
    """Spec: R4.12."""
    with two(url) as (one, other), socket_to(other) as socket:
        socket.send(json.dumps({"type": "response.create", **TURN}))
        while json.loads(socket.recv(PATIENCE_S))["type"] != "response.completed":
            pass
        one.control("POST", "/clock/advance", {"seconds": 3600})
        error = json.loads(socket.recv(PATIENCE_S))
        assert error["error"]["code"] == "websocket_connection_limit_reached"


def test_a_clock_that_is_moved_at_one_ends_turns_and_expires_responses_at_the_other(url: str) -> None:
    with two(url, *SLOW) as (one, other):
        begun = create(one, background=True)
        assert other.request("GET", f"/v1/responses/{begun['id']}").json["status"] in ("queued", "in_progress")
        assert one.control("POST", "/clock/advance", {"seconds": 3600})["completed"] == [begun["id"]]
        assert other.request("GET", f"/v1/responses/{begun['id']}").json["status"] == "completed"
        assert begun["id"] in one.control("POST", "/clock/advance", {"seconds": 31 * 86_400})["expired"]
        assert other.request("GET", f"/v1/responses/{begun['id']}").status == 404


@pytest.mark.parametrize("end", ["clock", "cancel"])
def test_a_turn_that_begins_at_one_is_streamed_at_the_other_until_somebody_ends_it(url: str, end: str) -> None:
    """Spec: S12.5."""
    with two(url, *SLOW) as (one, other), begin(one) as (id, own):
        path = f"/v1/responses/{id}"
        with httpx.stream("GET", f"{other.origin}{path}?stream=true", headers=KEY, timeout=PATIENCE_S) as away:
            elsewhere = _events(away.iter_lines())
            assert next(elsewhere)[0] == "response.created"
            if end == "clock":
                one.control("POST", "/clock/advance", {"seconds": 3600})
            else:
                assert one.request("POST", f"{path}/cancel", {}).json["status"] == "cancelled"
            for events in (own, elsewhere):
                names = [name for name, _ in events]
                assert ("response.completed" in names) == (end == "clock")
        status = {"clock": "completed", "cancel": "cancelled"}[end]
        assert {served.request("GET", path).json["status"] for served in (one, other)} == {status}


@contextmanager
def begin(served: Served) -> Iterator[tuple[str, Events]]:
    """A turn in the background whose stream has begun: its id, and the rest of the stream."""
    turn = {**TURN, "background": True, "stream": True}
    with httpx.stream("POST", f"{served.base_url}/responses", json=turn, headers=KEY, timeout=PATIENCE_S) as answer:
        events = _events(answer.iter_lines())
        yield next(events)[1]["response"]["id"], events


def test_a_link_that_breaks_is_mended(server: PostgresServer, url: str) -> None:
    """Who listens is told that something may be missing, and hears what happens from then on."""
    with two(url) as (one, other), listening(one) as heard, Collector(heard) as found:

        def hears_anew() -> bool:
            create_if_possible(other)
            names = [name for name, _ in found.events]
            return "lost" in names and "exchange.ended" in names[names.index("lost") :]

        create(other)
        assert until(lambda: "exchange.ended" in dict(found.events))
        assert ask(url, f"SELECT count(pg_terminate_backend(pid)) {LISTENERS}") == 2
        assert until(hears_anew)
        server.stop("immediate")
        found.events.clear()
        server.start()
        assert until(hears_anew)


def create_if_possible(served: Served) -> None:
    assert served.request("POST", "/v1/responses", TURN).status in (200, 503)


class Collector:
    """Collects what a listener hears, in a thread."""

    def __init__(self, heard: Events) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._thread = Thread(target=self._collect, args=(heard,), daemon=True)

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        pass  # it ends with its stream

    def _collect(self, heard: Events) -> None:
        with suppress(Exception):  # its stream is closed under it
            for event in heard:
                self.events.append(event)


def test_workers_of_one_server_tell_each_event_once(url: str) -> None:
    with serving(*FROZEN, "--store", url, "--workers", "2") as served:
        assert until(lambda: ask(url, f"SELECT count(*) {LISTENERS} AND query LIKE '%pg_notify%'") == 2)
        with listening(served) as heard:
            made = [create(served)["id"] for _ in range(8)]
            served.control("POST", "/clock/advance", {"seconds": 60})
            found = []
            while len([name for name, _ in found if name == "exchange.ended"]) < 8 or "clock" not in dict(found):
                found.append(next(heard))
            ended = [data["response_id"] for name, data in found if name == "exchange.ended"]
            assert sorted(ended) == sorted(made)
