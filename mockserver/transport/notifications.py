"""A connection to PostgreSQL on which a process hears what the others say, and says what they shall hear."""

# How it works. One thread has one connection, apart from those of the store: whoever listens must be there all the
# time. It sleeps until the server has something for it, or until somebody here has something to say, which a byte
# over a pair of sockets tells it. `NOTIFY` brings a text to all connections that listen, this one included.
#
# What must stay true:
# * A connection that breaks is opened again, for as long as it takes; `on_connected` is called each time, for nobody
#   knows what was said meanwhile.
# * What waits to be said is bounded in bytes; beyond that the oldest is dropped.
# * Nothing here may fail a call: whoever says something does not wait, and is told of no failure.

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from threading import Event, Lock, Thread
from typing import Any

from psycopg import Connection, Error, OperationalError, connect

CHANNEL = "understudy"
OPEN_S = 5  # how long it is waited for a connection
RETRY_S = 0.5  # before another one is tried
MOST_WAITING = 4 * 1024 * 1024  # bytes that are yet to be said
AT_ONCE = 64  # texts in one round trip
# a server that is gone without a word is noticed after half a minute
KEEPALIVE: dict[str, Any] = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}


class Notifications:
    """Says and hears short texts; `receive` is called with each that anybody has said, in a thread of its own."""

    def __init__(self, url: str, receive: Callable[[str], None], on_connected: Callable[[], None]) -> None:
        self._url, self._receive, self._on_connected = url, receive, on_connected
        self._waiting: deque[str] = deque()
        self._bytes = 0
        self._lock = Lock()
        self._end = Event()
        self._here, self._there = socket.socketpair()
        self._here.setblocking(False)  # a pair that is full has something to read: that is all it has to tell
        self._thread = Thread(target=self._live, name="understudy: notifications", daemon=True)

    def open(self) -> None:
        """Begin to hear, as soon as the server is there."""
        self._thread.start()

    def say(self, text: str) -> None:
        """Have all processes told a text of less than 8000 bytes, soon; any thread may call this."""
        with self._lock:
            self._bytes += len(text)
            self._waiting.append(text)
            while self._bytes > MOST_WAITING:
                self._bytes -= len(self._waiting.popleft())
        self._wake()

    def close(self) -> None:
        """Say what waits, if that is possible now, and hear no more."""
        self._end.set()
        self._wake()
        self._thread.join(RETRY_S + OPEN_S)
        self._here.close()
        self._there.close()

    def _wake(self) -> None:
        with suppress(OSError):  # it is full, which is as good, or closed
            self._here.send(b".")

    def _take(self) -> list[str]:
        """Take what waits, as much as is said at once."""
        with self._lock:
            texts = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            self._bytes -= sum(map(len, texts))
            return texts

    def _put_back(self, texts: list[str]) -> None:
        with self._lock:
            self._waiting.extendleft(reversed(texts))
            self._bytes += sum(map(len, texts))

    def _live(self) -> None:
        while not self._end.is_set():
            with (
                suppress(Error),
                connect(
                    self._url, autocommit=True, application_name=CHANNEL, connect_timeout=OPEN_S, **KEEPALIVE
                ) as connection,
            ):
                connection.execute(f"LISTEN {CHANNEL}")
                self._on_connected()
                self._exchange(connection)
            self._end.wait(RETRY_S)

    def _exchange(self, connection: Connection[Any]) -> None:
        """Say and hear until the end, or until the connection breaks, which raises Error."""
        pgconn = connection.pgconn
        with DefaultSelector() as selector:
            selector.register(pgconn.socket, EVENT_READ)
            selector.register(self._there, EVENT_READ)
            while True:
                is_last = self._end.is_set()  # before the last look at what waits
                self._say_waiting(connection)
                while (notification := pgconn.notifies()) is not None:
                    self._receive(notification.extra.decode(errors="replace"))
                if is_last:
                    return
                for key, _ in selector.select():
                    if key.fileobj is self._there:
                        self._there.recv(4096)
                    else:
                        pgconn.consume_input()

    def _say_waiting(self, connection: Connection[Any]) -> None:
        while texts := self._take():
            calls = [f"pg_notify('{CHANNEL}', ${number})" for number in range(1, len(texts) + 1)]
            # not by a cursor, which would take away what has come meanwhile
            connection.pgconn.exec_params(f"SELECT {', '.join(calls)}".encode(), [text.encode() for text in texts])
            if connection.closed:  # no socket any more, of which the selector could tell
                self._put_back(texts)
                raise OperationalError
