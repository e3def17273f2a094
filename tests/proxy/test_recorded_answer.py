"""A recorded answer leaves in one write where nothing is to be waited for, and is the same as one sent in pieces."""

from __future__ import annotations

import json
import logging
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.transport.app import create_app
from mockserver.transport.http import BY_NAME, WHOLE, WhenWhole, Whole
from proxy.app import ProxyApp
from proxy.cassettes.document import format_head, format_interaction
from proxy.cassettes.interaction import Head, Interaction, Piece, Request, Response
from tests.support.patience import until
from tests.support.raw_upstream import connect, exchange, read_all, serving

JSON = ("content-type", "application/json")
SSE = ("Content-Type", "text/event-stream; charset=utf-8")
EVENTS = [b'event: a\ndata: {"n":%d}\n\n' % number for number in range(4)]
LONG = b'{"long": "%b"}' % (b"x" * 70_000)
ANSWERS = {
    "plain": Response(200, (JSON, ("x-request-id", "req_1")), (Piece(0.2, b'{"id": "resp_1"}'),)),
    "error": Response(429, (JSON,), (Piece(0.1, b'{"error": {"message": "slow down"}}'),)),
    "stream": Response(200, (SSE,), tuple(Piece(0.1 * at, data) for at, data in enumerate(EVENTS)), streamed=True),
    "stream at once": Response(200, (SSE,), tuple(Piece(0.3, data) for data in EVENTS), streamed=True),
    "silent pieces": Response(200, (SSE,), (Piece(0.1, b""), Piece(0.2, b"data: x\n\n")), streamed=True),
    "two pieces": Response(200, (JSON,), (Piece(0.1, b"{"), Piece(0.2, b"}"))),
    "own case": Response(200, (("Content-Type", "application/json"), ("X-Odd", "\xe9")), (Piece(0, b"{}"),)),
    "framing": Response(200, (JSON, ("Connection", "close")), (Piece(0, b"{}"),)),
    "unusual name": Response(200, (JSON, ("x_odd", "1")), (Piece(0, b"{}"),)),
    "nothing": Response(200, (JSON,)),
    "no content": Response(204, (), (Piece(0, b""),)),
    "long": Response(200, (JSON,), (Piece(0, LONG),)),
    "cut": Response(200, (SSE,), (Piece(0, EVENTS[0]),), streamed=True, ended="cut"),
}
SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/v1/responses",
    "raw_path": b"/v1/responses",
    "query_string": b"",
    "http_version": "1.1",
}
AT_ONCE = {"plain", "error", "stream", "stream at once", "silent pieces", "two pieces", "own case"}


def body_of(name: str) -> bytes:
    return json.dumps({"model": "gpt-4.1", "input": name}).encode()


def write_cassette(path: Path) -> None:
    asked = [(Request("POST", "/v1/responses", body=body_of(name)), answer) for name, answer in ANSWERS.items()]
    documents = [format_interaction(Interaction(number, 0.0, *one)) for number, one in enumerate(asked, 1)]
    path.write_text("".join([format_head(Head()), *documents]))


@pytest.fixture(scope="module")
def cassette(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("answers") / "answers.yaml"
    write_cassette(path)
    return str(path)


def make_app(cassette: str, **options: Any) -> tuple[ProxyApp, Any]:
    """A proxy that replays, and the engine of the mock behind it."""
    settings = Settings(mode="replay", cassette=(cassette,), log_level="warning", **options)
    mock = create_app(Settings(log_level="warning"))
    return ProxyApp(mock, settings), mock.engine


def hide_offer(app: Any) -> Any:
    """An app that does not see what its server offers."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "extensions": {}}, receive, send)

    return serve


def ask(name: str, *lines: str, method: str = "POST", version: str = "1.1") -> bytes:
    body = body_of(name)
    head = [f"{method} /v1/responses HTTP/{version}", "host: localhost", f"content-length: {len(body)}", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


def talk(port: int, *requests: bytes) -> bytes:
    """All that a server sends for requests on one connection, of which the last ends it."""
    with connect(port) as sock:
        # together: some answers end the connection, and what came after that would be refused by a reset
        sock.sendall(b"".join(requests))
        return read_all(sock)


CLOSE = "connection: close"


@pytest.mark.parametrize("name", [*ANSWERS, "never recorded"])
def test_both_ways_give_the_same_bytes(cassette: str, name: str) -> None:
    heads: list[dict[str, Any]] = [
        {"lines": (CLOSE,)},
        {"lines": ("Connection: Close, x",)},
        {"lines": ("connection: keep-alive", CLOSE)},
        {"lines": (), "version": "1.0"},
        {"lines": (CLOSE,), "method": "HEAD"},
    ]
    answers = []
    for wrap in (lambda app: app, hide_offer):
        with serving(wrap(make_app(cassette)[0])) as port:
            one = [exchange(port, ask(name, *head.pop("lines"), **head)) for head in [dict(head) for head in heads]]
            # and on a connection that stays open, where a stream's chunks come without the head's last line
            one.append(talk(port, ask(name), ask(name, "connection: keep-alive"), ask(name, CLOSE)))
            answers.append([re.sub(rb"\r\ndate: [^\r]+", b"", answer) for answer in one])
    assert answers[0] == answers[1]
    assert all(one.startswith(b"HTTP/1.1 ") for one in answers[0])


class Offer:
    """A server's offer, and what an app makes of it."""

    def __init__(self, app: ProxyApp, *headers: tuple[bytes, bytes]) -> None:
        self.app, self.headers = app, [(b"host", b"localhost"), *headers]
        self.written: list[tuple[int, bytes, bytes, bool]] = []
        self.sent: list[Any] = []

    def ask(self, name: str) -> bool:
        """Whether a request was answered within the call."""
        body = body_of(name)
        headers = [*self.headers, (b"content-length", b"%d" % len(body))]
        scope = {**SCOPE, "headers": headers, BY_NAME: dict(headers)}
        scope["extensions"] = {WHOLE: Whole((self._receive, self._send), self._respond)}
        self._body, before = body, len(self.written)
        answering = self.app(scope, self._receive, self._send)
        rest = answering.answer(body) if isinstance(answering, WhenWhole) else answering
        if rest is not None:
            with suppress(StopIteration):
                rest.__await__().send(None)  # nothing here waits
        return len(self.written) > before

    async def _receive(self) -> Any:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)

    def _respond(self, *given: Any) -> None:
        self.written.append(given)


def test_an_answer_leaves_in_one_write_if_it_can(cassette: str) -> None:
    offer = Offer(make_app(cassette)[0])
    names = [name for name in ANSWERS if name != "cut"]
    assert {name for name in names if offer.ask(name)} == AT_ONCE
    assert not offer.ask("never recorded") and offer.sent[-2]["status"] == 501
    paced = Offer(make_app(cassette, replay_speed=1e6)[0])
    assert not paced.ask("nothing")
    closing = Offer(make_app(cassette)[0], (b"connection", b"close"))
    assert closing.ask("stream at once") and closing.ask("plain") and not closing.ask("stream")


def test_who_is_not_let_in_is_told_so(cassette: str) -> None:
    app, _ = make_app(cassette, api_key=("sk-right",))
    assert not Offer(app).ask("plain")
    assert Offer(app, (b"authorization", b"Bearer sk-right")).ask("plain")


def entries(engine: Any, count: int) -> list[dict[str, Any]]:
    """What the journal has of each call, except for times."""
    project = engine.project(None, None)

    def read() -> list[Any]:
        exchanges = engine.journal.read(project, limit=100, after=None)
        return [one for one in exchanges if one is not None]

    assert until(lambda: len(read()) >= count)
    return [{key: value for key, value in one.items() if key not in ("at", "duration_ms")} for one in read()]


@pytest.mark.parametrize("listens", [False, True])
def test_the_journal_has_the_same_of_both_ways(cassette: str, listens: bool) -> None:
    names = [*ANSWERS, "never recorded", "plain"]
    kept = []
    for wrap in (lambda app: app, hide_offer):
        app, engine = make_app(cassette)
        stream = engine.control.listen() if listens else None
        with serving(wrap(app)) as port:
            for name in names:
                exchange(port, ask(name, CLOSE))
            kept.append((entries(engine, len(names)), dict(engine.journal.metrics.requests)))
        if stream is not None:
            events = stream.next().data
            assert events.count(b"event: exchange.began") == events.count(b"event: exchange.ended") == len(names)
            stream.leave()
    assert kept[0] == kept[1]
    assert [one["answered_by"] for one in kept[0][0]][-2:] == ["cassette miss", "cassette #1"]


class Lines(logging.Handler):
    """The lines of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def test_the_log_has_a_line_of_each_call(cassette: str) -> None:
    app, _ = make_app(cassette)
    app.logs_requests = True
    handler, log = Lines(), logging.getLogger("understudy.access")
    with serving(app) as port:
        log.addHandler(handler)  # a server sets up logging when it begins
        try:
            for name in ("plain", "cut", "never recorded"):
                exchange(port, ask(name, CLOSE))
            assert until(lambda: len(handler.lines) == 3)
        finally:
            log.removeHandler(handler)
    told = [re.fullmatch(r"POST /v1/responses - (\d+) \d+\.\d ms, cassette", line) for line in handler.lines]
    assert [line and line[1] for line in told] == ["200", "200", "501"]
