"""Which calls get a thread, how many of one caller, and frames of a WebSocket among them.

What another call does meanwhile is decided by events, not by time.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from threading import Event, current_thread
from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.model.default_model import SeededModel
from mockserver.model.prompt import Prompt, Reply
from mockserver.transport.threads import MOST_THREADS, SWITCH_S, Kind, Threads
from mockserver.transport.websocket import Socket
from mockserver.websocket.session import WebSocketSession
from mockserver.wire.requests.bodies import HEAVY
from tests.support.driving import NOON
from tests.support.patience import PATIENCE_S

LARGE = "pebble " * (HEAVY // 7 + 1)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    async def within_patience() -> Any:
        return await asyncio.wait_for(main, PATIENCE_S)

    return asyncio.run(within_patience())


@pytest.mark.parametrize(("kind", "most"), [("write", 1), ("read", 1), ("short", MOST_THREADS // 2)])
def test_one_project_never_has_all_threads(kind: Kind, most: int) -> None:
    threads, go = Threads(), Event()
    begun: list[str] = []

    def hold(name: str) -> str:
        begun.append(name)
        assert go.wait(PATIENCE_S)
        return name

    async def main() -> None:
        calls = [asyncio.ensure_future(threads.run(lambda: hold("one"), kind, project="one")) for _ in range(20)]
        other = asyncio.ensure_future(threads.run(lambda: hold("other"), kind, project="other"))
        while "other" not in begun:
            await asyncio.sleep(0)
        assert begun.count("one") <= most
        assert ("one" in threads.in_progress) is (kind != "short"), "short calls in threads keep nobody off the loop"
        assert "third" not in threads.in_progress
        go.set()
        assert await asyncio.gather(*calls, other) == ["one"] * 20 + ["other"]
        assert "one" not in threads.in_progress

    run(main())


def test_what_is_raised_in_a_thread_reaches_the_caller() -> None:
    threads = Threads()

    def fail() -> None:
        raise KeyError("deliberate")

    with pytest.raises(KeyError, match="deliberate"):
        run(threads.run(fail, "read"))
    assert None not in threads.in_progress


def test_a_server_has_its_threads_take_turns_sooner() -> None:
    before = sys.getswitchinterval()
    Threads().share_fairly()
    shared = sys.getswitchinterval()
    sys.setswitchinterval(before)
    assert shared == pytest.approx(SWITCH_S)


# --- frames -----------------------------------------------------------------------------------------------------------


class Watched:
    """A model that notes in which thread each turn was answered; a turn that says so waits until it is let go."""

    may_be_asked_again = True

    def __init__(self) -> None:
        self.threads: list[str] = []
        self.entered, self.go = Event(), Event()

    def respond(self, prompt: Prompt) -> Reply:
        self.threads.append(current_thread().name)
        if "hold" in prompt.request.get("metadata", {}):
            self.entered.set()
            assert self.go.wait(PATIENCE_S)
        return SeededModel().respond(prompt)

    @property
    def apart(self) -> list[bool]:
        return [name.startswith("understudy") for name in self.threads]


ENDS = ('{"type":"response.completed"', '{"type":"error"')


class Peer:
    """The client's side of a socket that is called as a server calls it."""

    def __init__(self, engine: Engine, threads: Threads, project: str = "p") -> None:
        self.sent: list[Any] = []
        self._frames: asyncio.Queue[Any] = asyncio.Queue()
        self.session = WebSocketSession(engine, project)
        self.socket = Socket(self.session, self._frames.get, self._send, threads, project)
        self.serving = asyncio.ensure_future(self.socket.serve())

    async def _send(self, message: Any) -> None:
        self.sent.append(message)

    def put(self, input: str = "x", **fields: Any) -> None:
        frame = {"type": "response.create", "model": "gpt-4.1", "input": input, **fields}
        self._frames.put_nowait({"type": "websocket.receive", "text": json.dumps(frame)})

    @property
    def ends(self) -> list[dict[str, Any]]:
        """The last events of the turns that are over."""
        texts = [message["text"] for message in self.sent if message.get("text", "").startswith(ENDS)]
        return [json.loads(text) for text in texts]

    async def until(self, count: int) -> list[dict[str, Any]]:
        while len(self.ends) < count:
            await asyncio.sleep(0)
        return self.ends

    async def leave(self) -> None:
        self._frames.put_nowait({"type": "websocket.disconnect"})
        await self.serving


def mock(**settings: Any) -> tuple[Engine, Watched]:
    model = Watched()
    return Engine(Settings(**{"clock": NOON, **settings}), model=model), model


def test_a_large_frame_is_answered_in_a_thread_with_the_same_events() -> None:
    def play(limit: int) -> tuple[list[Any], list[bool]]:
        engine, model = mock()

        async def main() -> list[Any]:
            peer = Peer(engine, Threads())
            peer.put(instructions=LARGE)
            await peer.until(1)
            peer.put("and?", previous_response_id=peer.ends[0]["response"]["id"])
            await peer.until(2)
            peer.put(instructions=LARGE, store=False, previous_response_id="resp_none")
            await peer.until(3)
            await peer.leave()
            return [message.get("text") for message in peer.sent]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mockserver.wire.requests.bodies.HEAVY", limit)
            return run(main()), model.apart

    (sent, apart), (same, never) = play(HEAVY), play(10**9)
    assert (apart, never) == ([True, False], [False, False])
    assert sent == same
    assert json.loads(sent[-1])["error"]["code"] == "previous_response_not_found"


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_others_are_answered_while_a_large_frame_is_in_progress(store: str, tmp_path: Any) -> None:
    engine, model = mock(store=store if store == "memory" else f"sqlite:///{tmp_path}/s.db")

    async def main() -> None:
        threads = Threads()
        peer, other = Peer(engine, threads), Peer(engine, threads, "q")
        peer.put(instructions=LARGE, metadata={"hold": "1"})
        peer.put("second", stream_id="b")
        while not model.entered.is_set():
            await asyncio.sleep(0)
        other.put()
        await other.until(1)
        assert engine.create_response("q", b'{"model":"gpt-4.1","input":"y"}').turn.final["status"] == "completed"
        assert not peer.ends, "a session is used by one thread at a time"
        model.go.set()
        await peer.until(2)
        await peer.leave()
        await other.leave()

    run(main())
    engine.close()


def test_a_large_frame_that_waits_for_its_lane_begins_in_a_thread() -> None:
    engine, model = mock()
    engine.control.enqueue("p", [{"reply": {"text": "one two"}, "pacing": {"first_token": 0.01}}])

    async def main() -> None:
        peer = Peer(engine, Threads())
        peer.put("first")
        peer.put(instructions=LARGE)
        await peer.until(2)
        await peer.leave()

    run(main())
    assert model.apart == [True]


def test_a_client_that_leaves_meanwhile_leaves_after_it() -> None:
    engine, model = mock()

    async def main() -> None:
        peer = Peer(engine, Threads())
        peer.put(instructions=LARGE, metadata={"hold": "1"})
        while not model.entered.is_set():
            await asyncio.sleep(0)
        peer.serving.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not peer.serving.done()
        model.go.set()
        with pytest.raises(asyncio.CancelledError):
            await peer.serving
        assert peer.socket._work is None

    run(main())
    (entry,) = engine.control.journal("p", limit=10)["data"]
    assert (entry["status"], entry["ended"]) == (200, "disconnected")
