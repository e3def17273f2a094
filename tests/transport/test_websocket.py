"""Sockets served by a real server: handshake, frames on the wire, age, limits, leaving. Spec: R4.*, X1 to X3."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
import threading
import urllib.request
from itertools import chain, pairwise
from typing import Any

import pytest
import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.transport.abort import Abort
from mockserver.transport.websocket import Socket
from mockserver.websocket.session import WebSocketSession
from mockserver.wire.requests.bodies import HEAVY
from mockserver.wire.responses.event_list import frame_head
from tests.support import virtual_time
from tests.support.api import Api
from tests.support.driving import NOON, text_of
from tests.support.patience import settled, until
from tests.support.sockets import PATIENCE_S, Place, served

SLOW = {"pacing": {"first_token": 0.05, "tokens_per_second": 50}}
STUCK = {"pacing": {"first_token": 1000}}


@pytest.fixture(scope="module")
def place() -> Any:
    with served() as place:
        yield place


def refusal(place: Place, **options: Any) -> Any:
    """Return the HTTP answer to a handshake that is refused."""
    with pytest.raises(InvalidStatus) as caught, place.open(**options):
        pass
    return caught.value.response


def error_of(response: Any) -> dict[str, Any]:
    return json.loads(response.body)["error"]


# --- Handshake ---------------------------------------------------------------------------------------------------


def test_R4_1_nothing_but_a_bearer_is_needed(place: Place) -> None:
    """Spec: R4.1, X1, X2, X3."""
    codex = {"OpenAI-Beta": "responses_websockets=2026-02-06", "x-client-request-id": "1", "x-codex-window-id": "w"}
    with place.open(additional_headers=codex) as wire:
        head = {name.lower() for name in wire.socket.response.headers}  # type: ignore[union-attr]
        assert "x-request-id" not in head
        assert wire.socket.subprotocol is None
        assert wire.nothing_came()  # no greeting
        assert wire.turn()["status"] == "completed"


@pytest.mark.parametrize("compression", ["deflate", None])
def test_X1_compression_is_the_clients_choice(place: Place, compression: str | None) -> None:
    with place.open(compression=compression) as wire:
        assert bool(wire.socket.protocol.extensions) is (compression is not None)
        assert text_of(wire.turn("word " * 5000)["output"][0]).startswith("Mock reply to: word word")


def test_X1_clients_that_offer_window_bits_get_deflate(place: Place) -> None:
    offered = [ClientPerMessageDeflateFactory(client_max_window_bits=True)]
    with place.open(extensions=offered) as wire:
        assert wire.socket.protocol.extensions
        assert wire.turn()["status"] == "completed"


def test_E99_other_paths(place: Place) -> None:
    for path in ("/v1/conversations", "/v1/responses/resp_1"):
        response = refusal(place, path=path)
        assert response.status_code == 404
        assert error_of(response)["message"] == f"Invalid URL (GET {path})"
    response = refusal(place, path="/v1/realtime")  # Spec: P24
    assert (response.status_code, error_of(response)["type"]) == (501, "mock_error")


def test_E90_E91_the_same_authentication_as_over_http() -> None:
    with served(api_key=("right",)) as place:
        missing, wrong = refusal(place, key=None), refusal(place, key="wrong-key-of-mine")
        assert missing.status_code == wrong.status_code == 401
        assert error_of(missing)["message"] == "Missing bearer or basic authentication in header"
        assert error_of(wrong)["code"] == "invalid_api_key"
        assert wrong.headers["content-type"] == "application/json"
        assert wrong.headers["x-request-id"].startswith("req_")
        with place.open(key="right") as wire:
            assert wire.turn()["status"] == "completed"


def test_R4_1_switched_off_it_is_426() -> None:
    with served(set=(("websocket", "off"),)) as place:
        response = refusal(place)
        assert response.status_code == 426
        assert error_of(response)["type"] == "mock_error"
        assert response.headers["x-should-retry"] == "false"


def test_projects_are_those_of_http(place: Place) -> None:
    with place.open(key="one") as wire:
        id = wire.turn()["id"]
    with place.open(key="one", additional_headers={"OpenAI-Project": "p"}) as wire:
        assert wire.turn(previous_response_id=id)["error"]["code"] == "previous_response_not_found"
    with place.open(key="one") as wire:
        assert wire.turn(previous_response_id=id)["status"] == "completed"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:3000"}, 403),  # pages of other servers on this machine, too
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://page.test"}, 101),  # --allow-host
        ({"Origin": "http://{own}"}, 101),
        ({}, 101),
    ],
)
def test_no_web_page_opens_a_socket(headers: dict[str, str], status: int) -> None:
    with served(allow_host=("page.test",)) as place:
        sent = {name: value.format(own=f"127.0.0.1:{place.port}") for name, value in headers.items()}
        if status == 101:
            with place.open(additional_headers=sent) as wire:
                assert wire.turn()["status"] == "completed"
        else:
            assert refusal(place, additional_headers=sent).status_code == 403


# --- Frames ------------------------------------------------------------------------------------------------------


def test_R4_3_one_text_frame_per_event_and_no_sentinel(place: Place) -> None:
    with place.open() as wire:
        wire.create("é")
        got = [wire.socket.recv(PATIENCE_S)]
        while '"type":"response.completed"' not in str(got[-1]):
            got.append(wire.socket.recv(PATIENCE_S))
        assert all(isinstance(frame, str) and "\n" not in frame for frame in got)
        assert [json.loads(frame)["sequence_number"] for frame in got] == list(range(len(got)))
        assert any("é" in str(frame) for frame in got), "raw UTF-8"
        assert wire.nothing_came()


def test_binary_frames_are_read_like_text(place: Place) -> None:
    with place.open() as wire:
        wire.send(json.dumps({"type": "response.create", "model": "gpt-4.1", "input": "x"}).encode())
        assert wire.until("response.completed")


def test_R4_18_bad_frames_leave_the_socket_open(place: Place) -> None:
    """Spec: R4.13, R4.18, X11."""
    with place.open() as wire:
        for bad in ("{", "[]", b"\xff", json.dumps({"type": "nope"})):
            wire.send(bad)
            assert wire.next()["status"] == 400
        assert wire.turn(previous_response_id="resp_none")["error"]["code"] == "previous_response_not_found"
        assert wire.turn()["status"] == "completed"


def test_fragments_are_one_frame(place: Place) -> None:
    with place.open() as wire:
        frame = json.dumps({"type": "response.create", "model": "gpt-4.1", "input": "abc"})
        wire.socket.send(iter([frame[:10], frame[10:30], frame[30:]]))
        assert wire.until("response.completed")


def test_R4_9_lanes_interleave_by_their_pacing(place: Place) -> None:
    place.engine.control.enqueue(place.project, [{"reply": {"text": "one two three four five"}, **SLOW}] * 2)
    with place.open() as wire:
        wire.create("a", stream_id="a")
        wire.create("b", stream_id="b")
        wire.create("c", stream_id="c")
        wire.create("a again", stream_id="a")
        got: list[dict[str, Any]] = []
        while sum(event["type"] == "response.completed" for event in got) < 4:
            got.append(wire.next())
    order = [event["stream_id"] for event in got]
    changes = sum(one != other for one, other in pairwise(order))
    assert changes > 6, "a and b alternate"
    ends = [event["stream_id"] for event in got if event["type"] == "response.completed"]
    assert ends[0] == "c", "what takes no time is not held up"
    for lane in "abc":
        numbers = [event["sequence_number"] for event in got if event["stream_id"] == lane]
        assert numbers == [*range(len(numbers))] or numbers.count(0) == 2


def test_a_paced_turn_is_written_before_its_end_is_read(place: Place) -> None:
    place.engine.control.enqueue(place.project, [{"reply": {"text": "one two"}, **SLOW}])
    with place.open() as wire:
        id = wire.turn()["id"]
        assert Api(place.engine).retrieve_response(place.project, id)


def test_R4_16_steering_over_the_wire(place: Place) -> None:
    line = {"reply": {"output": [{"type": "message", "text": "one"}, {"type": "message", "text": "two"}]}, **STUCK}
    place.engine.control.enqueue(place.project, [line])
    with place.open() as wire:
        wire.create("go", model="gpt-6-astra", store=False)
        id = wire.until("response.in_progress")[0]["response"]["id"]
        wire.send({"type": "response.steer", "previous_response_id": id, "input": "instead"})
        got = wire.until("response.completed")  # a turn that waits for its first token stops at once
    kinds = [event["type"] for event in got]
    assert kinds[:3] == ["response.steer.accepted", "response.incomplete", "response.created"]
    assert text_of(got[-1]["response"]["output"][-1]) == "Mock reply to: instead [2 items in context]"


# --- Age, limits, leaving ----------------------------------------------------------------------------------------


def advance(place: Place, **body: float) -> None:
    url = f"http://127.0.0.1:{place.port}/_mock/clock/advance"
    asked = urllib.request.Request(url, json.dumps(body).encode(), {"authorization": "Bearer k"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=PATIENCE_S) as answer:
        assert answer.status == 200


def test_R4_12_sixty_minutes_on_the_projects_clock(place: Place) -> None:
    """Spec: R4.12, WE4."""
    place.engine.control.enqueue(place.project, [{"reply": {"text": "x"}, **STUCK}])
    with place.open() as wire, place.open(key="other") as other:
        wire.create()
        wire.until("response.in_progress")
        advance(place, seconds=3599)
        assert wire.nothing_came()
        advance(place, seconds=1)
        last = wire.next()
        assert last["error"]["code"] == "websocket_connection_limit_reached"
        assert list(last) == ["type", "error", "status"]
        with pytest.raises(ConnectionClosed) as caught:
            wire.next()
        assert caught.value.rcvd
        assert caught.value.rcvd.code == 1000
        assert other.turn()["status"] == "completed", "another project's clock did not move"


def test_R4_12_a_running_clock_closes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mockserver.websocket.session.LIFETIME_S", 0.2)
    with served(clock=None) as place, place.open() as wire:
        assert wire.next()["error"]["code"] == "websocket_connection_limit_reached"
        with pytest.raises(ConnectionClosed):
            wire.next()


def test_R4_12_a_clock_that_another_process_moves_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr("mockserver.transport.app.POLL_S", 0.05)
    with served(workers=2, store=f"sqlite:///{tmp_path}/x.db") as place, place.open() as wire:
        elsewhere = Engine(Settings(clock=NOON, store=f"sqlite:///{tmp_path}/x.db"))
        elsewhere.control.advance_clock(place.project, 3600)
        assert wire.next()["error"]["code"] == "websocket_connection_limit_reached"


def test_R4_17_closing_the_socket_is_the_only_stop(place: Place) -> None:
    """Spec: R4.17, R9.20."""
    conversation = json.loads(Api(place.engine).create_conversation(place.project, b"{}"))["id"]
    place.engine.control.enqueue(place.project, [{"reply": {"text": "x"}, **STUCK}])
    with place.open() as wire:
        wire.create(conversation=conversation)
        wire.until("response.in_progress")
        wire.send({"type": "response.cancel"})
        assert wire.next()["error"]["code"] == "invalid_value"
    with place.open() as wire:
        locked = wire.turn(conversation=conversation)
        assert locked["error"]["code"] == "conversation_locked", "switch on_disconnect: continue"
        advance(place, seconds=1001)
        assert wire.turn(conversation=conversation)["status"] == "completed"


@pytest.mark.parametrize("how", ["close", "vanish"])
def test_R9_20_a_client_that_vanishes_releases_what_it_holds(how: str) -> None:
    with served(set=(("on_disconnect", "cancel"),)) as place:
        conversation = json.loads(Api(place.engine).create_conversation(place.project, b"{}"))["id"]
        place.engine.control.enqueue(place.project, [{"reply": {"text": "x"}, **STUCK}])
        with place.open() as wire:
            wire.create(conversation=conversation)
            wire.until("response.in_progress")
            if how == "vanish":
                wire.socket.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                wire.socket.socket.shutdown(sockets.SHUT_RDWR)
        with place.open() as wire:
            last: dict[str, Any] = {}

            def released() -> bool:
                last.update({"status": None}, **wire.turn(conversation=conversation))
                return last["status"] == "completed" or last["error"]["code"] != "conversation_locked"

            assert until(released)
            assert last["status"] == "completed"


def test_X3_pings_are_answered(place: Place) -> None:
    with place.open() as wire:
        assert wire.socket.ping().wait(PATIENCE_S)


def test_a_frame_over_the_limit_closes_with_1009() -> None:
    with served(max_body_bytes=10_000) as place, place.open() as wire:
        assert wire.turn("x" * 9_000)["status"] == "completed"
        with pytest.raises(ConnectionClosed) as caught:
            wire.turn("x" * 11_000)
        assert caught.value.rcvd
        assert caught.value.rcvd.code == 1009


def test_a_server_that_ends_says_so() -> None:
    """Spec: R4.19: 1012 is a code that clients recover from."""
    with served() as place:
        with place.open() as wire:
            wire.turn()
            done = threading.Event()
            caught: list[Any] = []

            def listen() -> None:
                try:
                    wire.next()
                except ConnectionClosed as closed:
                    caught.append(closed.rcvd and closed.rcvd.code)
                done.set()

            threading.Thread(target=listen, daemon=True).start()
            place.stop()
            assert done.wait(PATIENCE_S)
        assert caught == [1012]


@pytest.mark.slow  # 120,000 frames
def test_a_slow_reader_gets_back_pressure() -> None:
    """Nothing piles up: while nobody reads, turns are not even begun."""
    with served() as place, place.open(max_queue=1) as wire:
        place.engine.control.enqueue(place.project, [{"reply": {"text": "word " * 10_000}}] * TURNS)
        for _ in range(TURNS):
            wire.create()

        def begun() -> int:
            return len(place.engine.control.list_responses(place.project, limit=100, after=None)["data"])

        assert 0 < settled(begun, lambda: advance(place, seconds=1)) < TURNS
        for _ in range(TURNS):
            assert wire.until("response.completed")
        assert begun() == TURNS


TURNS = 12  # each some megabytes of frames, together more than the buffers of two sockets hold


def test_asgi_the_reader_stops_while_too_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mockserver.websocket.session.MOST_WAITING", 3)
    engine = Engine(Settings(clock=NOON))
    engine.control.enqueue("p", [{"reply": {"text": "x"}, "pacing": {"first_token": 0.1}}])
    frame = json.dumps({"type": "response.create", "model": "gpt-4.1", "input": "x"})
    unread = [{"type": "websocket.receive", "text": frame}] * 9
    sent: list[Any] = []
    waiting: list[int] = []

    async def run() -> None:
        connection = WebSocketSession(engine, "p")
        all_sent = asyncio.Event()

        async def receive() -> Any:
            waiting.append(connection._lanes.waiting)
            if unread:
                return unread.pop()
            await all_sent.wait()
            return {"type": "websocket.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if sum("response.completed" in str(one.get("text")) for one in sent) == 9:
                all_sent.set()

        await Socket(connection, receive, send).serve()

    virtual_time.run(run())
    assert max(waiting) < 3
    assert sent[0] == {"type": "websocket.accept"}


def test_asgi_a_client_gone_while_the_reader_waits_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mockserver.websocket.session.MOST_WAITING", 1)
    engine = Engine(Settings(clock=NOON))
    engine.control.enqueue("p", [{"reply": {"text": "x"}, "pacing": {"first_token": 0.05}}])
    frame = json.dumps({"type": "response.create", "model": "gpt-4.1", "input": "x"})
    unread = [{"type": "websocket.receive", "text": frame}] * 3
    accepted: list[Any] = []

    async def receive() -> Any:
        return unread.pop() if unread else {"type": "websocket.disconnect"}

    async def send(message: Any) -> None:
        if accepted:
            raise OSError("gone")
        accepted.append(message)

    virtual_time.run(Socket(WebSocketSession(engine, "p"), receive, send).serve())


def test_sockets_leave_nothing_behind(place: Place) -> None:
    async def many() -> None:
        url = f"ws://127.0.0.1:{place.port}/v1/responses"
        opened = await asyncio.gather(*(websockets.connect(url, proxy=None) for _ in range(50)))
        await asyncio.gather(*(one.close() for one in opened))

    asyncio.run(many())
    assert until(lambda: not place.app._sockets)


# --- Faults, and what goes wrong, on a socket that is called as a server calls it ------------------------------------

CREATE = json.dumps({"type": "response.create", "model": "gpt-4.1", "input": "x"})


class Caller:
    """The server's side of one socket: frames to be read, messages that were sent."""

    run: Any = None  # what runs a session that may wait for a store

    def __init__(self, *faults: dict[str, Any], frames: int = 1, paced: bool = False, **settings: Any) -> None:
        self.engine = Engine(Settings(clock=NOON, **settings))
        self.engine.control.set_faults("p", list(faults))
        if paced:
            self.engine.control.enqueue("p", [{"reply": {"text": "one two"}, "pacing": {"first_token": 5}}] * frames)
        self.unread = [{"type": "websocket.receive", "text": CREATE}] * frames
        self.sent: list[Any] = []

    def serve(self) -> None:
        """Serve until the socket ends; a client that has read all it wanted waits for the close."""
        virtual_time.run(Socket(WebSocketSession(self.engine, "p"), self._receive, self._send).serve())

    async def _receive(self) -> Any:
        return self.unread.pop() if self.unread else await asyncio.Event().wait()

    async def _send(self, message: Any) -> None:
        self.sent.append(message)

    def answer_now(self, *frames: str) -> list[Any]:
        """Give frames to a socket that waits for one, and then its end; returns what each is answered with, or left."""

        async def talk() -> None:
            socket = Socket(WebSocketSession(self.engine, "p"), queue.get, self._send, is_direct=True, run=self.run)
            served = asyncio.ensure_future(socket.serve())
            await asyncio.sleep(0)
            for frame in frames:
                written: list[bytes] = []
                left = socket.answer_now(frame.encode(), written.append)
                answers.append(written if left is None else left)
                if left is not None:
                    queue.put_nowait(left)
                    await asyncio.sleep(0)
            queue.put_nowait({"type": "websocket.disconnect", "code": 1000})
            await served

        queue: asyncio.Queue[Any] = asyncio.Queue()
        answers: list[Any] = []
        virtual_time.run(talk())
        return answers

    @property
    def ended(self) -> list[str | None]:
        """How the journal says that the turns ended."""
        return [one["ended"] for one in self.engine.control.journal("p")["data"]]


def test_asgi_a_plain_turn_is_answered_within_the_servers_call() -> None:
    """What leaves then is what leaves otherwise, and so is what is written down."""
    now, otherwise = Caller(), Caller(frames=2)
    answers = now.answer_now(CREATE, CREATE)
    otherwise.unread.insert(0, {"type": "websocket.disconnect", "code": 1000})
    otherwise.serve()
    told = [one["text"].encode() for one in otherwise.sent if "text" in one]
    assert b"".join(chain(*answers)) == b"".join([frame_head(len(text)) + text for text in told])
    journals = [one.engine.control.journal("p")["data"] for one in (now, otherwise)]
    for exchange in chain(*journals):
        exchange["duration_ms"] = exchange["began"] = None
    assert journals[0] == journals[1] and len(journals[0]) == 2
    assert [message["type"] for message in now.sent] == ["websocket.accept"]


LANE = json.dumps({"type": "response.create", "model": "gpt-4.1", "input": "x", "stream_id": "a"})


@pytest.mark.parametrize(
    "frame", ["{", LANE, json.dumps({"type": "response.create", "model": "no-such", "input": "x"})]
)
def test_asgi_what_is_no_plain_turn_is_sent_by_the_task_that_reads(frame: str) -> None:
    caller = Caller()
    (left,) = caller.answer_now(frame)
    assert left["type"] == "websocket.receive" and "bytes" not in left
    assert caller.sent[1:]


@pytest.mark.parametrize("way", ["long", "waits"])
def test_asgi_a_frame_that_keeps_others_waiting_is_not_answered_at_once(way: str) -> None:
    async def run(do: Any, *given: Any) -> Any:
        return do(*given)

    caller, frame = Caller(), CREATE
    if way == "long":
        frame = CREATE.replace('"x"', json.dumps("x" * HEAVY))
    else:
        caller.run = run
    assert caller.answer_now(frame) == [{"type": "websocket.receive", "bytes": frame.encode()}]


def test_asgi_a_frame_beside_a_turn_that_takes_time_waits_for_the_task_that_reads() -> None:
    """What is done for it changes that turn, and nothing may come between."""
    caller = Caller(paced=True)
    first, second, third = caller.answer_now(LANE, CREATE, CREATE)
    assert "bytes" not in first
    assert second == third == {"type": "websocket.receive", "bytes": CREATE.encode()}


def test_asgi_a_socket_that_reads_no_more_for_now_answers_nothing_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WebSocketSession, "is_congested", True)
    caller = Caller()

    async def talk() -> None:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        socket = Socket(WebSocketSession(caller.engine, "p"), queue.get, caller._send, is_direct=True)
        served = asyncio.ensure_future(socket.serve())
        queue.put_nowait({"type": "websocket.receive", "text": "{"})
        await virtual_time.until_idle()
        assert "bytes" in (socket.answer_now(CREATE.encode(), caller.sent.append) or {})
        served.cancel()
        await asyncio.wait([served])

    virtual_time.run(talk())
    assert len(caller.sent) == 2


def test_asgi_a_fault_of_the_mock_in_an_answer_at_once_ends_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(WebSocketSession, "on_turn_end", fail)
    with pytest.raises(ZeroDivisionError):
        Caller().answer_now(CREATE)


@pytest.mark.parametrize("paced", [True, False])
def test_asgi_a_fault_closes_the_socket_with_its_code(paced: bool) -> None:
    fault = {"do": {"close_socket": 4001}, "at": {"event": "response.in_progress"}}
    caller = Caller(fault, paced=paced)
    caller.serve()
    kinds = [json.loads(one["text"])["type"] for one in caller.sent if "text" in one]
    assert kinds == ["response.created", "response.in_progress"]
    assert caller.sent[-1] == {"type": "websocket.close", "code": 4001}
    assert caller.ended == ["closed"]


@pytest.mark.parametrize("paced", [True, False])
def test_asgi_a_fault_drops_the_connection_without_a_close(paced: bool) -> None:
    caller = Caller({"do": "cut", "at": {"event": "response.created"}}, paced=paced)
    with pytest.raises(Abort):
        caller.serve()
    assert [one["type"] for one in caller.sent] == ["websocket.accept", "websocket.send"]
    assert caller.ended == ["cut"]


def test_asgi_a_turn_that_is_cut_ends_those_beside_it() -> None:
    caller = Caller({"do": "cut", "at": {"event": "response.completed"}, "times": 1}, paced=True)
    beside = json.dumps({**json.loads(CREATE), "stream_id": "b"})
    caller.engine.control.enqueue("p", [{"reply": {"text": "later"}, "pacing": {"first_token": 1000}}])
    caller.unread.insert(0, {"type": "websocket.receive", "text": beside})
    with pytest.raises(Abort):
        caller.serve()
    assert sorted(map(str, caller.ended)) == ["cut", "disconnected"]


def test_asgi_a_malformed_event_is_a_frame_of_broken_json() -> None:
    caller = Caller(
        {"do": "malformed", "at": {"event": "response.created"}},
        {"do": {"close_socket": 1011}, "at": {"event": "response.completed"}},
    )
    caller.serve()
    broken, after = caller.sent[1]["text"], caller.sent[2]["text"]
    assert broken.startswith('{"type":"response.created"')
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken)
    assert json.loads(after)["type"] == "response.in_progress"


def test_asgi_a_server_that_is_cancelled_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    caller = Caller(paced=True)

    async def run() -> None:
        serving = asyncio.ensure_future(
            Socket(WebSocketSession(caller.engine, "p"), caller._receive, caller._send).serve()
        )
        await virtual_time.until_idle()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving

    virtual_time.run(run())
    assert caller.ended == ["disconnected"]
    assert not caplog.records


def test_asgi_a_fault_of_the_mock_in_a_paced_turn_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caller = Caller(paced=True)
    monkeypatch.setattr(WebSocketSession, "commit", lambda *_: 1 / 0)

    async def run() -> None:
        serving = asyncio.ensure_future(
            Socket(WebSocketSession(caller.engine, "p"), caller._receive, caller._send).serve()
        )
        await virtual_time.sleep(100)
        serving.cancel()
        await asyncio.wait([serving])

    virtual_time.run(run())
    assert "ZeroDivisionError" in caplog.text


def test_asgi_a_steered_turn_that_waits_stops_at_once_and_others_wait_on() -> None:
    """Spec: R4.16 A."""
    engine = Engine(Settings(clock=NOON))
    line = {"reply": {"output": [{"type": "message", "text": "one"}]}, **STUCK}
    engine.control.enqueue("p", [line, line])
    sent: list[dict[str, Any]] = []

    async def run() -> None:
        inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        async def receive() -> Any:
            frame = await inbox.get()
            return (
                {"type": "websocket.receive", "text": json.dumps(frame)} if frame else {"type": "websocket.disconnect"}
            )

        async def send(message: Any) -> None:
            if "text" in message:
                sent.append(json.loads(message["text"]))

        serving = asyncio.ensure_future(Socket(WebSocketSession(engine, "p"), receive, send).serve())
        for lane in "ab":
            inbox.put_nowait({**json.loads(CREATE), "model": "gpt-6-astra", "stream_id": lane})
        await virtual_time.until_idle()
        id = next(one["response"]["id"] for one in sent if one["stream_id"] == "a")
        inbox.put_nowait({"type": "response.steer", "previous_response_id": id, "input": "instead"})
        await virtual_time.until_idle()
        inbox.put_nowait({})
        await serving

    virtual_time.run(run())
    kinds = {lane: [one["type"] for one in sent if one["stream_id"] == lane] for lane in "ab"}
    assert kinds["a"][2:5] == ["response.steer.accepted", "response.incomplete", "response.created"]
    assert kinds["a"][-1] == "response.completed"
    assert kinds["b"] == ["response.created", "response.in_progress"]
