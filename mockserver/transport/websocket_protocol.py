"""The server's side of a WebSocket: uvicorn's, which is quiet about a client's text that is none."""

from __future__ import annotations

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

INVALID_TEXT = 1007  # RFC 6455, 7.4.1: the type of a message and its content disagree


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol over websockets; it waits for a slow reader, and refuses in the app's own words."""

    _has_failed = False  # whether the connection was ended because of what the client sent

    async def send(self, message: ASGISendEvent) -> None:
        """Send; raises ConnectionResetError once the connection was ended, which the app does not know yet."""
        if self._has_failed:
            raise ConnectionResetError
        await super().send(message)

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
