"""A socket's turn is answered within its server's call where nothing is to be waited for, and the same as otherwise."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import chain, repeat
from types import MappingProxyType
from typing import Any, NamedTuple
from zlib import decompressobj

import pytest

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.transport.app import MockApp
from mockserver.transport.websocket import Socket
from mockserver.wire.requests.bodies import HEAVY
from proxy.app import ProxyApp
from tests.support.driving import NOON
from tests.support.patience import until
from tests.support.raw_upstream import connect, read_all, serving

HANDSHAKE = (
    b"GET /v1/responses HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer k\r\n"
)
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"
TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
ENDS = re.compile(rb'^\{"type":"(error|response\.(completed|failed|incomplete|steer\.\w+|inject\.\w+))"')
Sent = bytes | Callable[[str], bytes]


def frame(payload: bytes | str, head: int = TEXT, *, masked: bool = True) -> bytes:
    """A frame of a client's. RFC 6455 §5.2."""
    data = payload.encode() if isinstance(payload, str) else payload
    mask = b"\x01\x02\x03\x04" if masked else b""
    size, bit, length = len(data), 0x80 * masked, b""
    if size < 126:
        length = bytes([bit | size])
    else:
        length = bytes([bit | 127]) + size.to_bytes(8) if size > 65_535 else bytes([bit | 126]) + size.to_bytes(2)
    if masked:
        data = bytes([byte ^ mask[at % 4] for at, byte in enumerate(data)])
    return bytes([head]) + length + mask + data


def create(input: Any = "hello", **fields: Any) -> bytes:
    """A frame that asks for a response."""
    return frame(json.dumps({"type": "response.create", "model": "gpt-4.1", "input": input, **fields}))


CREATE = json.dumps({"type": "response.create", "model": "gpt-4.1", "input": "x"})


def stand_between(app: Any) -> Any:
    """An app behind somebody who sees all messages, of whom the server does not know."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, lambda: receive(), lambda message: send(message))

    return serve


def hide_offers(app: Any) -> Any:
    """An app that does not see what its server offers."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        kept = {name: it for name, it in scope.get("extensions", {}).items() if not name.startswith("understudy.")}
        await app({**scope, "extensions": kept}, receive, send)

    return serve


def steer(id: str) -> bytes:
    """A frame that steers a response."""
    return frame(json.dumps({"type": "response.steer", "previous_response_id": id, "input": "instead"}))


class Talk(NamedTuple):
    """What a client sends, each after what came before was answered, and how many turns leave at once: None is any.

    The end of a turn that takes time may not be over when the client has it.

    What it sends may be made of the latest response's id. `answers` are how many answers each has, one unless told.
    `lines` are of the project's script, `faults` are its faults, `head` are lines of the handshake.
    """

    sent: tuple[Sent, ...]
    at_once: int | None = 0
    answers: tuple[int, ...] = ()
    lines: tuple[Any, ...] = ()
    faults: tuple[Any, ...] = ()
    settings: Mapping[str, Any] = MappingProxyType({})
    head: bytes = b""


TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
CALL = {"type": "function_call", "name": "f", "call_id": "c1", "arguments": {}}
GIVEN = [{"type": "function_call_output", "call_id": "c1", "output": "1"}]
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
FORMAT = {"format": {"type": "json_schema", "name": "n", "strict": True, "schema": SCHEMA}}
USER = [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]
PACED = {"reply": {"text": "one two three"}, "pacing": {"first_token": 0.05, "tokens_per_second": 100}}
ASTRA = {"model": "gpt-6-astra"}
INJECT = frame('{"type":"response.inject","response_id":"resp_x","input":[]}')


def more(**fields: Any) -> Sent:
    """A frame that goes on from the latest response."""
    return lambda id: create("more", previous_response_id=id, **fields)


def struck(do: Any, event: str | None = None) -> dict[str, Any]:
    """The talk of a fault that strikes the second turn of three."""
    at = {} if event is None else {"at": {"event": event}}
    return {
        "sent": (create(), create("strike"), create("after")),
        "faults": ({"when": {"input_contains": "strike"}, "do": do, **at},),
    }


TALKS = {
    "turns": Talk((create(), create("grün 🌳"), create("word " * 40), create("")), 3),
    "a chain": Talk((create(), more(), create(previous_response_id="resp_x"), more()), 3),
    "not stored": Talk((create(store=False), more(store=False)), 2),
    "warm-up": Talk((create(generate=False), more()), 2),
    "members": Talk((create(metadata={"a": "b"}, instructions="Be brief.", temperature=0.5, user="u"), create()), 2),
    "not padded": Talk((create(stream_options={"include_obfuscation": False}), create()), 2),
    "tools": Talk(
        (create(tools=[TOOL]), lambda id: create(GIVEN, tools=[TOOL], previous_response_id=id)),
        2,
        lines=({"reply": {"output": [CALL]}},),
    ),
    "items": Talk((create(USER), create(USER, reasoning={"effort": "low"}, model="gpt-5")), 2),
    "a schema": Talk((create(text=FORMAT), create()), 2),
    "cut short": Talk((create("word " * 40, max_output_tokens=16), create()), 2),
    "line ends": Talk((create(), create("a\n\u2028b")), 2, lines=({"reply": {"text": "a\n\r\u2028\x85 b\n"}},)),
    "background": Talk((create(background=True), create()), 1),
    "refused": Talk((*map(frame, ("{", "[]", "{}", '{"type":"x"}')), create(model="no-such"), create(3), create()), 1),
    "steered late": Talk((create(**ASTRA), steer, more(**ASTRA)), 2),
    "not addressed": Talk((create(), lambda id: steer("resp_x"), INJECT, create()), 2),
    "lanes": Talk((create(stream_id="a"), create(stream_id="b"), create()), 1),
    "two in one segment": Talk((create() + create("second"), create("third")), 1, (2,)),
    "in fragments": Talk((frame(CREATE[:9], 0x01), frame(CREATE[9:], 0x80), create()), 1, (0,)),
    "binary": Talk((frame(CREATE, BINARY), create()), 1),
    "pings": Talk((frame(b"p", PING), create(), frame(b"q", PING) + create(), frame(b"", PONG) + create()), 1, (0,)),
    "a ping within a message": Talk(
        (frame(CREATE[:9], 0x01) + frame(b"p", PING) + frame(CREATE[9:], 0x80), create()), 1
    ),
    "halves": Talk((create()[:9], create()[9:], create()), 1, (0,)),
    "closed with a turn": Talk((create(), create() + frame(b"\x03\xe8", CLOSE)), 1),
    "not masked": Talk((create(), frame("{}", masked=False)), 1),
    "not UTF-8": Talk((create(), frame(b"\xff")), 1),
    "reserved bits": Talk((create(), frame("{}", 0xC1)), 1),
    "too long": Talk((create(), create("x" * 3000)), 1, settings={"max_body_bytes": 2048}),
    "heavy": Talk((create("x" * HEAVY), create()), None),
    "a heavy answer": Talk((create(), create()), None, lines=({"reply": {"text": "word " * 1000}},)),
    "paced": Talk((create(), create("second")), None, lines=(PACED,)),
    "a turn after a paced one": Talk((create(), create("b"), create("c")), None, (0, 2), lines=(PACED,)),
    "compressed": Talk((create(), create("word " * 40)), head=DEFLATE),
    "nothing retained": Talk((create(), more()), 2, settings={"set": (("zdr", "on"),)}),
    "no padding": Talk((create(), create()), 2, settings={"set": (("obfuscation", "off"),)}),
    "an error": Talk(**struck({"error": 503}), at_once=2),
    "a failure": Talk((create(), create()), 1, lines=({"reply": {"error": {"code": "server_error", "message": "x"}}},)),
    "a malformed event": Talk(**struck("malformed", "response.in_progress"), at_once=2),
    "an event less": Talk(**struck("drop_event", "response.in_progress"), at_once=3),
    "a delay": Talk(**struck({"delay": 0.05}), at_once=None),
    "closed": Talk(**struck({"close_socket": 4001}, "response.in_progress"), at_once=1),
    "dropped": Talk(**struck("cut", "response.created"), at_once=1),
}
WAYS = {"as it is": lambda app: app, "wrapped": stand_between, "without offers": hide_offers}


class Client:
    """A client of one socket, and all bytes that came."""

    def __init__(self, port: int, head: bytes) -> None:
        self.sock = connect(port)
        self.sock.sendall(HANDSHAKE + head + b"\r\n")
        self.came, self.read = b"", 0
        while b"\r\n\r\n" not in self.came:
            self.came += self.sock.recv(1 << 20)
        self.read = self.came.index(b"\r\n\r\n") + 4
        self.latest, self.answers, self.is_closed = "", 0, False

    def wait(self, answers: int) -> None:
        """Read until so many answers came, or the end."""
        while self.answers < answers and not self.is_closed:
            while (payload := self._next()) is not None:
                self.latest = (*re.findall(rb'"response":\{"id":"([^"]+)"', payload), self.latest.encode())[0].decode()
                self.answers += bool(ENDS.search(payload))
            if self.answers < answers and not self.is_closed:
                self.is_closed = not (data := self._receive())
                self.came += data

    def _receive(self) -> bytes:
        try:
            return self.sock.recv(1 << 20)
        except ConnectionResetError:
            return b""

    def _next(self) -> bytes | None:
        """What is in the next frame, None while it has not come. RFC 6455 §5.2."""
        head = self.came[self.read : self.read + 10]
        if len(head) < 2:
            return None
        size, start = head[1], self.read + 2
        if size > 125:
            wide = 2 if size == 126 else 8
            size, start = int.from_bytes(head[2 : 2 + wide]), start + wide
        if len(self.came) < start + size:
            return None
        self.read = start + size
        data = self.came[start : self.read]
        self.is_closed |= head[0] == CLOSE
        return decompressobj(-15).decompress(data + b"\0\0\xff\xff") if head[0] & 0x40 else data

    def end(self) -> bytes:
        """Say goodbye; returns all that came."""
        with suppress(OSError), self.sock:
            self.sock.sendall(frame(b"\x03\xe8", CLOSE))
            self.came += read_all(self.sock)
        return self.came


class Account(NamedTuple):
    """What a talk leaves behind."""

    bytes: bytes
    journal: list[dict[str, Any]]
    lines: list[str]
    figures: tuple[Any, ...]


class Lines(logging.Handler):
    """The lines of the log, except for times."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(re.sub(r"[\d.]+ ms", "… ms", record.getMessage()))


def hold(talk: Talk, wrap: Callable[[Any], Any]) -> Account:
    """Have a talk with a server of its own."""
    settings = Settings(**{"clock": NOON, "port": 0, "log_level": "info", **talk.settings})
    engine = Engine(settings)
    project = engine.project("Bearer k", None)
    engine.control.enqueue(project, list(talk.lines))
    engine.control.set_faults(project, list(talk.faults))
    handler, log = Lines(), logging.getLogger("understudy.access")
    engine.journal.is_logged = True
    with serving(wrap(ProxyApp(MockApp(engine), settings)), settings) as port:
        log.addHandler(handler)
        try:
            client, expected = Client(port, talk.head), 0
            for segment, answers in zip(talk.sent, chain(talk.answers, repeat(1)), strict=False):
                if client.is_closed:
                    break
                client.sock.sendall(segment(client.latest) if callable(segment) else segment)
                expected += answers
                client.wait(expected)
            came = client.end()
            assert until(lambda: not engine_is_busy(engine, project))
        finally:
            log.removeHandler(handler)
    journal = engine.control.journal(project)["data"]
    told = [{key: value for key, value in one.items() if key not in ("began", "at", "duration_ms")} for one in journal]
    metrics = engine.journal.metrics
    return Account(
        came, told, sorted(handler.lines), (dict(metrics.requests), dict(metrics.turns), dict(metrics.tokens))
    )


def engine_is_busy(engine: Engine, project: str) -> bool:
    """Whether the account of a call is still to be closed."""
    return any(one["ended"] is None for one in engine.control.journal(project)["data"])


@pytest.mark.parametrize("name", TALKS)
def test_all_ways_give_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    talk, answered = TALKS[name], list[bool]()

    def answer_now(socket: Socket, *given: Any) -> Any:
        left = ANSWER_NOW(socket, *given)
        answered.append(left is None)
        return left

    monkeypatch.setattr(Socket, "answer_now", answer_now)
    first, second, third = [hold(talk, wrap) for wrap in WAYS.values()]
    assert first == second
    assert first == third
    assert talk.at_once is None or sum(answered) == talk.at_once
    assert len(first.lines) == len(first.journal) > 1
    assert first.bytes.count(b"HTTP/1.1 101 ") == 1


def test_a_server_that_ends_says_so_by_all_ways() -> None:
    told = []
    for wrap in WAYS.values():
        settings = Settings(clock=NOON, port=0)
        with serving(wrap(ProxyApp(MockApp(Engine(settings)), settings)), settings) as port:
            client = Client(port, b"")
            client.sock.sendall(create())
            client.wait(1)
        told.append(client.came + read_all(client.sock))
        client.sock.close()
    assert told[0] == told[1] == told[2]
    assert told[0].endswith(b"\x88\x02\x03\xf4")  # 1012


ANSWER_NOW = Socket.answer_now
