"""Text frames that are no text: the connection ends with 1007 (RFC 6455 §8.1), and the log says nothing of it."""

from __future__ import annotations

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.serving import FROZEN, KEY, serving


@pytest.mark.parametrize("data", [b'{"type": "\xcc"}', b"\xff", "ü".encode()[:1]])
def test_text_that_is_not_utf8_ends_the_connection(data: bytes) -> None:
    with serving(*FROZEN) as served:
        address = f"ws://127.0.0.1:{served.port}/v1/responses"
        with connect(address, additional_headers={"authorization": f"Bearer {KEY}"}) as wire:
            wire.send(data, text=True)
            with pytest.raises(ConnectionClosed) as ended:
                wire.recv(30)
        assert ended.value.rcvd is not None and ended.value.rcvd.code == 1007
        served.stop()
        assert "Invalid" not in served.logged()


def test_text_outside_ascii_is_read() -> None:
    with serving(*FROZEN) as served:
        address = f"ws://127.0.0.1:{served.port}/v1/responses"
        with connect(address, additional_headers={"authorization": f"Bearer {KEY}"}) as wire:
            wire.send('{"type": "grün"}')
            assert "gr" in str(wire.recv(30))
