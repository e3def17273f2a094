"""The server's side of a WebSocket: uvicorn's, which is quiet about a client's text that is none.

Frames that leave together are one write: a text that another one follows at once says so (`more_frames`).
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

MOST_HELD = 65_536  # bytes of frames; with more, `send` waits for a slow reader again
INVALID_TEXT = 1007  # RFC 6455, 7.4.1: the type of a message and its content disagree


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol over websockets; it waits for a slow reader, and refuses in the app's own words."""

    _has_failed = False  # whether the connection was ended because of what the client sent
    _held = 0  # bytes of frames that wait for those that follow at once

    async def send(self, message: Any) -> None:
        """Send; raises ConnectionResetError once the connection was ended, which the app does not know yet."""
        if self._has_failed:
            raise ConnectionResetError
        if "more_frames" in message and self.handshake_complete and not (self.close_sent or self.disconnected):
            text = message["text"].encode()
            self._held += len(text)
            if self._held < MOST_HELD:
                self._hold(text)
                return
        self._held = 0
        await super().send(message)

    def _hold(self, text: bytes) -> None:
        # what was given to `conn` and not asked for with `data_to_send` leaves with the next frame that is
        try:
            self.conn.send_text(text)
        except InvalidState:
            raise ClientDisconnected from None

    def handle_parser_exception(self) -> None:
        """End the connection."""
        self._has_failed = True
        super().handle_parser_exception()

    def send_receive_event_to_app(self) -> None:
        """Hand a message on; one of text that is not UTF-8 ends the connection, as uvicorn's does with a traceback."""
        if self.curr_msg_data_type == "text" and not self.close_sent and not _is_text(b"".join(self.frames)):
            self.frames = []
            self.conn.send_close(INVALID_TEXT)
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()


def _is_text(data: bytes) -> bool:
    if data.isascii():  # nearly always, and looked at in no time
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
