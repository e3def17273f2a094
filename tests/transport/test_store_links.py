"""Processes that share a store tell each other what happens, by whatever brings their texts; strangers do no harm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Thread

import pytest

from mockserver.config.settings import Settings
from mockserver.delivery.events import Body
from mockserver.engine import event_hub
from mockserver.engine.engine import Engine
from mockserver.engine.event_hub import EventStream
from mockserver.transport import store_links
from mockserver.transport.app import MockApp
from mockserver.transport.store_links import MOST_BYTES, Message, StoreLinks, decode
from tests.support.asgi import PING, ask
from tests.support.driving import NOON
from tests.support.patience import until


class Bus:
    """Brings each text to all, those who say it included, as PostgreSQL does."""

    def __init__(self) -> None:
        self.speakers: list[Speaker] = []
        self.said: list[str] = []

    def open(self, receive: Callable[[str], None], on_connected: Callable[[], None]) -> Speaker:
        return Speaker(self, receive, on_connected)

    def say(self, text: str) -> None:
        self.said.append(text)
        for speaker in list(self.speakers):
            speaker.texts.put(text)

    def kinds(self) -> list[str]:
        return [decode(text).kind for text in self.said]


class Speaker:
    """One process's way to the bus: what it hears comes in a thread of its own."""

    def __init__(self, bus: Bus, receive: Callable[[str], None], on_connected: Callable[[], None]) -> None:
        self._bus, self._receive, self.connect = bus, receive, on_connected
        self.texts: SimpleQueue[str | None] = SimpleQueue()
        self._thread = Thread(target=self._live, daemon=True)

    def _live(self) -> None:
        while (text := self.texts.get()) is not None:
            self._receive(text)

    def open(self) -> None:
        self._bus.speakers.append(self)
        self._thread.start()
        self.connect()

    def say(self, text: str) -> None:
        self._bus.say(text)

    def die(self) -> None:
        """End without a word."""
        self._bus.speakers.remove(self)
        self.texts.put(None)
        self._thread.join(60)

    def close(self) -> None:
        if self in self._bus.speakers:
            self.die()


class Process:
    """An app that is linked to others."""

    def __init__(self, bus: Bus) -> None:
        self.app = MockApp(Engine(Settings(clock=NOON)))
        self.woken: list[str | None] = []
        self.links = StoreLinks(self.app.engine, bus.open, self.woken.append)
        self.speaker = bus.speakers[-1]

    def create(self) -> None:
        assert ask(self.app, "POST", "/v1/responses", PING)[0] == 200

    def listen(self) -> EventStream:
        return self.app.engine.control.listen()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_hub, "LOOK_S", 0.01)


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def processes(bus: Bus) -> Iterator[list[Process]]:
    made = [Process(bus), Process(bus)]
    assert until(lambda: all(process.links._others for process in made))
    yield made
    for process in made:
        process.links.close()
        process.app.engine.close()


def names(stream: EventStream, found: list[str]) -> list[str]:
    """The names of the events that a listener has got so far, with those that wait for it now."""
    step = stream.next()
    text = step.data.decode() if isinstance(step, Body) else ""
    found += [line[7:] for line in text.splitlines() if line.startswith("event: ")]
    return found


def test_who_listens_to_one_hears_all_and_each_event_once(processes: list[Process], bus: Bus) -> None:
    first, second = processes
    first.create()
    assert "events" not in bus.kinds(), "nobody listens"
    heard, other = first.listen(), second.listen()
    assert not first.links._silent and not second.links._silent, "the other one tells before anything happens"
    first.create()
    second.create()
    for stream in (heard, other):
        found: list[str] = []
        assert until(lambda stream=stream, found=found: len(names(stream, found)) >= 6)
        assert sorted(found) == sorted(["exchange.began", "state", "exchange.ended"] * 2)
    assert names(heard, []) == names(other, []) == []


def test_numbers_of_exchanges_are_apart(processes: list[Process]) -> None:
    firsts = {process.app.engine.events._first_exchange for process in processes}
    assert len(firsts) == 2 and all(first + store_links.EXCHANGES_APART < 2**53 for first in firsts)


def test_a_clock_that_is_moved_wakes_the_others(processes: list[Process]) -> None:
    first, second = processes
    assert first.woken == second.woken == [None], "each may have missed something before it came"
    first.app.engine.control.advance_clock("p", 1)
    assert until(lambda: second.woken == [None, "p"])
    assert first.woken == [None], "its own app wakes its sockets itself"


def test_one_that_ends_or_was_killed_is_waited_for_no_more(
    processes: list[Process], bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = processes
    third = Process(bus)
    assert until(lambda: len(first.links._others) == 2)
    third.links.close()
    assert until(lambda: len(first.links._others) == 1)
    third.app.engine.close()
    second.speaker.die()
    monkeypatch.setattr(store_links, "PATIENCE_S", 0.01)
    stream = first.listen()
    assert first.links._others == set()
    first.create()
    found: list[str] = []
    assert until(lambda: "exchange.ended" in names(stream, found))


def test_one_that_comes_later_is_heard_too(processes: list[Process], bus: Bus) -> None:
    stream = processes[0].listen()
    late = Process(bus)
    assert until(lambda: late.app.engine.events.is_on), "it was asked to tell what happens"
    late.create()
    found: list[str] = []
    assert until(lambda: "exchange.ended" in names(stream, found))
    late.links.close()
    late.app.engine.close()


def test_telling_ends_when_nobody_asks_for_it_any_more(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_links, "FORGET_S", -1.0)
    monkeypatch.setattr(store_links, "HEAR_S", 0.01)
    first, second = Process(bus), Process(bus)
    assert until(lambda: first.links._others)
    stream = first.listen()
    assert until(lambda: bus.kinds().count("hear") >= 3), "it says again and again that it listens"
    stream.leave()
    assert until(lambda: not second.app.engine.events._guests)
    for process in (first, second):
        process.links.close()
        process.app.engine.close()


def test_who_was_cut_off_tells_its_listeners(processes: list[Process], bus: Bus) -> None:
    first, second = processes
    stream, found = first.listen(), list[str]()
    names(stream, found)
    assert found == []
    first.speaker.connect()
    assert names(stream, found) == ["lost"]
    assert bus.kinds()[-1] in ("hello", "hear", "heard") and first.woken == [None, None]
    second.create()
    assert until(lambda: "exchange.ended" in names(stream, found))


def test_long_texts_come_in_parts_and_whole(processes: list[Process], bus: Bus) -> None:
    first, second = processes
    for text in ("x" * MOST_BYTES, "x" * (MOST_BYTES + 1), "ü€😀" * 3000):
        before = len(bus.said)
        first.links._say("clock", text)
        assert until(lambda text=text: second.woken[-1] == text)
        assert all(len(said.encode()) < 8000 for said in bus.said[before:])


def test_what_strangers_say_is_dropped(processes: list[Process], bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = processes
    stream = first.listen()
    events = ["", "x", "id: 1-1", "id: 1-1\nevent: x\ndata: {", 'id: 1-1\nevent: x\ndata: ["y"]', "id\nx: 1"]
    for text in ("", "hello", "a b c d\n", "a b c\n", "a nothing 0\n", *[f"a events 0\n{text}" for text in events]):
        bus.say(text)
    monkeypatch.setattr(store_links, "MOST_HELD", 10)
    for text in ("12345678", "12345678", "12345678"):  # a part of something endless
        bus.say(Message("b", "clock", 9, text).encode())
    bus.say(Message("b", "clock", 0, "end").encode())
    assert until(lambda: second.woken[-1] == "12345678end")
    second.create()
    found: list[str] = []
    assert until(lambda: "exchange.ended" in names(stream, found))
