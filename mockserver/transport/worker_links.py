"""Links between the workers of one server: a scrape of one has the counts of all, a listener of one hears all.

Each worker listens on a local socket of its own, whose address stands in a directory that the parent has made.
"""

# Why not the parent: it only watches over processes, and may be busy doing so. Why not the store: an event that nobody
# will read again would be written to a file. So the worker that was asked asks the others.
#
# What must stay true:
# * Only workers of the same parent are answered: the directory is its user's, and the key in it is asked for.
# * A worker that does not answer is left out, after `PATIENCE_S` at most: what waits for it is an event loop.
# * No counter ever falls (Prometheus takes that for a restart): a worker writes down what it has counted before it
#   tells it, beside its address, and that stands for it when it is dead or does not answer.
# * A worker hears of the others only while somebody listens to it, and passes on only what happened in itself. Else two
#   that listen to each other would never stop.
# * Nothing is pickled: what comes over a link is JSON, or text of an event.

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, NamedTuple

from mockserver.delivery.events import Body, Wait
from mockserver.engine.engine import Engine
from mockserver.transport.metrics import Sample, counts_of, sample

PATIENCE_S = 1.0
RESCAN_S = 1.0  # how often it is looked for workers that have taken another's place
SAMPLE, EVENTS = b"sample", b"events"
COUNTED = ".counted"  # what a worker has counted stands in a file that is called so
EXCHANGES_APART = 1_000_000  # numbers of exchanges that a worker has for itself
FAILURES = (OSError, EOFError, AuthenticationError)


class MeetingPoint(NamedTuple):
    """Where the workers of one server find each other, and the key that they show."""

    directory: str
    key: bytes


class WorkerLinks:
    """What one worker tells the others, and asks them."""

    def __init__(self, engine: Engine, place: MeetingPoint) -> None:
        self._engine, self._place = engine, place
        self._own = Path(place.directory) / secrets.token_hex(8)
        self._listener = Listener(authkey=place.key)
        self._counting = Lock()
        self._heard: set[str] = set()  # addresses of workers whose events come in
        self._is_open = True
        _write(self._own, str(self._listener.address))
        engine.events.number_exchanges_from(os.getpid() * EXCHANGES_APART)
        engine.events.on_heard = self._start_hearing
        self._start(self._accept)

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        Thread(target=work, args=arguments, name="understudy: workers", daemon=True).start()

    def close(self) -> None:
        """Be found no longer."""
        self._is_open = False
        self._take_sample()
        self._own.unlink(missing_ok=True)
        self._listener.close()

    # --- what the others ask ------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while self._is_open:
            try:
                connection = self._listener.accept()
            except FAILURES:  # somebody without the key, or this is the end
                continue
            self._start(self._answer, connection)

    def _answer(self, connection: Connection) -> None:
        with connection, suppress(*FAILURES):
            if connection.recv_bytes() == SAMPLE:
                connection.send_bytes(json.dumps(self._take_sample()).encode())
            else:
                self._tell(connection)

    def _take_sample(self) -> Sample:
        """What this worker has counted, written down for the time when it can't be asked any more."""
        with self._counting:  # or an older sample might be written after a newer one
            taken = sample(self._engine)
            with suppress(OSError):  # a full disk is no reason to tell nothing
                _write(self._own.with_suffix(COUNTED), json.dumps(counts_of(taken)))
        return taken

    def _tell(self, connection: Connection) -> None:
        """Send what happens here until the other has enough."""
        stream = self._engine.events.listen_as_worker()
        try:
            while self._is_open and (step := stream.next()) is not None:
                if isinstance(step, Wait):
                    time.sleep(step.seconds)
                else:  # a sign of life too: it shows that the other is still there
                    connection.send_bytes(step.data if isinstance(step, Body) else b":\n\n")
        finally:
            stream.leave()

    # --- what is asked of the others ----------------------------------------------------------------------------

    def ask_samples(self) -> list[Sample]:
        """What the other workers have counted, those that are dead too."""
        self._take_sample()
        live = {file.name: asked for file, address in self._others() if (asked := self._ask_sample(address))}
        return [*live.values(), *self._read_counts(live)]

    def _ask_sample(self, address: str) -> Sample | None:
        with suppress(*FAILURES), Client(address, authkey=self._place.key) as connection:
            connection.send_bytes(SAMPLE)
            if connection.poll(PATIENCE_S):
                told: Sample = json.loads(connection.recv_bytes())
                return told
        return None

    def _read_counts(self, live: Collection[str]) -> Iterator[Sample]:
        """What those have written down that did not answer."""
        for file in sorted(Path(self._place.directory).glob(f"*{COUNTED}")):
            if file.stem not in live and file.stem != self._own.name:
                with suppress(OSError):
                    yield json.loads(file.read_text(encoding="utf-8"))

    def _others(self) -> Iterator[tuple[Path, str]]:
        """The files of the others, with the address in each."""
        for file in sorted(Path(self._place.directory).iterdir()):
            if file != self._own and not file.suffix:
                with suppress(FileNotFoundError):  # it has just ended
                    yield file, file.read_text(encoding="utf-8")

    def _start_hearing(self) -> None:
        """Have the events of all others come in; returns when they do, so that whoever listens misses none."""
        for begun in self._hear_others():
            begun.wait(PATIENCE_S)
        self._start(self._hear_all)

    def _hear_all(self) -> None:
        while self._is_open and self._engine.events.is_heard:
            self._hear_others()
            time.sleep(RESCAN_S)

    def _hear_others(self) -> list[Event]:
        """Begin to hear those that are not heard yet; returns what is set when that has begun."""
        begun = []
        for _, address in self._others():
            if address not in self._heard:
                self._heard.add(address)
                begun.append(Event())
                self._start(self._hear, address, begun[-1])
        return begun

    def _hear(self, address: str, begun: Event) -> None:
        events = self._engine.events
        try:
            with Client(address, authkey=self._place.key) as connection:
                connection.send_bytes(EVENTS)
                while self._is_open and events.is_heard:
                    if connection.poll(PATIENCE_S):
                        for block in connection.recv_bytes().split(b"\n\n"):
                            events.relay(block)
                        begun.set()  # its greeting has come
        except FAILURES:
            pass  # it has ended; another one takes its place
        finally:
            self._heard.discard(address)
            begun.set()


def _write(file: Path, text: str) -> None:
    """Write a file in one step: nobody reads half of it."""
    part = file.with_name(f"{file.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)
