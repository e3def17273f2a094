"""The reason phrase of the upstream is relayed as it came, on a raw socket. RFC 9112 §4."""

from __future__ import annotations

from pathlib import Path

import pytest

from mockserver.config.settings import Settings
from proxy.app import ProxyApp
from proxy.cli import make_app
from tests.support.raw_upstream import Peer, RawUpstream, exchange, get, serving

LINES = [
    b"200 OK",
    b"200 Fine, thanks",
    b"200 ",
    b"429 Slow down",
    b"451 \xe9t\xe9",
    b"599 A Status Of Their Own",
    b"404 Nope",
]


def answer(line: bytes, framing: bytes = b"content-length: 2\r\n\r\nok") -> bytes:
    return b"HTTP/1.1 %b\r\n%b" % (line, framing)


def relayed(app: object, settings: Settings, path: str = "/v1/files") -> bytes:
    """The status line that a client gets."""
    with serving(app, settings) as port:
        return exchange(port, get(path)).partition(b"\r\n")[0]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize(
    "framing", [b"content-length: 2\r\n\r\nok", b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"]
)
def test_it_passes(line: bytes, framing: bytes) -> None:
    def behave(peer: Peer) -> None:
        peer.send(answer(line, framing))

    with RawUpstream({"/v1/files": behave}) as upstream:
        settings = Settings(upstream=upstream.url)
        assert relayed(make_app(settings), settings) == b"HTTP/1.1 " + line


def test_it_passes_in_auto_and_record_mode(tmp_path: Path) -> None:
    def behave(peer: Peer) -> None:
        peer.send(answer(b"200 Fine"))

    with RawUpstream({"/v1/files": behave}) as upstream:
        for mode in ("auto", "record"):
            settings = Settings(upstream=upstream.url, mode=mode, cassette=(str(tmp_path / f"{mode}.yaml"),))
            assert relayed(make_app(settings), settings) == b"HTTP/1.1 200 Fine", mode


def test_the_next_answer_of_the_connection_has_its_own() -> None:
    lines = iter((b"200 First", b"200 OK"))

    def behave(peer: Peer) -> None:
        peer.send(answer(next(lines)))

    with RawUpstream({"/v1/files": behave}) as upstream:
        settings = Settings(upstream=upstream.url)
        with serving(make_app(settings), settings) as port:
            both = exchange(port, get("/v1/files").replace(b"connection: close\r\n", b"") + get("/v1/files"))
    assert [line for line in both.split(b"\r\n") if b"HTTP/1.1" in line] == [
        b"HTTP/1.1 200 First",
        b"okHTTP/1.1 200 OK",
    ]


def test_answers_of_our_own_have_the_usual_one() -> None:
    settings = Settings()
    app = make_app(settings)
    assert isinstance(app, ProxyApp)
    assert relayed(app, settings, "/v1/models") == b"HTTP/1.1 200 OK"
