"""Texts between processes over PostgreSQL: they come in order, whatever they hold, also after the server was away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import psycopg
import pytest

from mockserver.transport import notifications
from mockserver.transport.notifications import Notifications
from tests.support.patience import PATIENCE_S, until
from tests.support.postgres import PostgresServer, server

__all__ = ["server"]

pytestmark = pytest.mark.services


class Heard:
    """What one connection has heard, and how often it was connected."""

    def __init__(self, url: str) -> None:
        self.texts: list[str] = []
        self.times = 0
        self.connected = Event()
        self.line = Notifications(url, self.texts.append, self._count)

    def _count(self) -> None:
        self.times += 1
        self.connected.set()


@contextmanager
def connected(server: PostgresServer) -> Iterator[Heard]:
    heard = Heard(server.url)
    heard.line.open()
    assert heard.connected.wait(PATIENCE_S)
    yield heard
    heard.line.close()


def test_texts_come_to_all_in_order(server: PostgresServer) -> None:
    texts = [f"{number} 'quoted' \\ \"ü€😀\"\n" for number in range(500)]
    with connected(server) as one, connected(server) as other:
        for text in texts:
            one.line.say(text)
        assert until(lambda: len(one.texts) == len(other.texts) == 500)
        assert one.texts == other.texts == texts


def test_the_last_words_are_heard(server: PostgresServer) -> None:
    with connected(server) as one:
        with connected(server) as other:
            other.line.say("gone")
        assert until(lambda: one.texts == ["gone"])


def test_a_text_that_is_refused_keeps_none_from_those_after_it(server: PostgresServer) -> None:
    with connected(server) as one:
        one.line.say("x" * 9000)
        assert until(lambda: not one.line._waiting)
        one.line.say("short")
        assert until(lambda: one.texts == ["short"])


@pytest.mark.parametrize("how", ["terminated", "restarted"])
def test_a_connection_that_broke_is_opened_again(server: PostgresServer, how: str) -> None:
    with connected(server) as one:
        one.connected.clear()
        if how == "terminated":
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'understudy'"
                )
        else:
            server.stop("immediate")
            one.line.say("meanwhile")
            server.start()
        assert one.connected.wait(PATIENCE_S)
        one.line.say("after")
        assert until(lambda: "after" in one.texts) and one.times >= 2
        assert how == "terminated" or one.texts == ["meanwhile", "after"], "nothing that waited is lost"


def test_what_waits_is_bounded(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "MOST_WAITING", 25)
    heard = Heard(server.url)
    for number in range(10):
        heard.line.say(f"text number {number}"[:10] + str(number))
    heard.line.open()
    assert until(lambda: heard.texts == ["text numbe8", "text numbe9"])
    heard.line.close()


def test_a_server_that_is_not_there_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "RETRY_S", 0.01)
    heard = Heard("postgresql://nobody@127.0.0.1:1/x")
    heard.line.open()
    for _ in range(70_000):  # more than a pair of sockets holds
        heard.line.say("x")
    heard.line.close()
    heard.line.say("too late")
    assert heard.texts == []
