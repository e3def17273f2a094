"""The server's side of a WebSocket: uvicorn's, which is quiet about a client's text that is none.

It has an extension of ASGI (`FRAMES`, in the scope's `extensions`): a message of this type holds several `texts`, each
in UTF-8, which leave in one write.
"""

# A turn is one short frame in. The library's parser, which is in Python and reads a frame piece by piece, takes a tenth
# of the turn for it; so data that is just one such frame is read here, where the parser waits for a frame to begin. And
# the connection is not read on once two messages wait, and not already once one does, as uvicorn has it: to stop and to
# go on are system calls, and nearly every message is taken at once.

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import apply_mask
from websockets.protocol import State

from mockserver.transport.http import FRAMES
from mockserver.transport.websocket import ANSWER
from mockserver.wire.responses.event_list import frame_head, with_heads

INVALID_TEXT = 1007  # RFC 6455, 7.4.1: the type of a message and its content disagree
MOST_UNREAD = 1  # messages that the app has not taken; with more of them the connection is not read on
_NOT_SHORT = frozenset((*range(0x80), 0xFF))  # second bytes of frames without a mask, and of those of 64 KB and more
_NO_SCOPE: Any = {"extensions": {}}  # before a handshake
MOST_WRITTEN = 65_536  # bytes at once; then a slow reader is waited for


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol over websockets; it waits for a slow reader, and refuses in the app's own words."""

    _has_failed = False  # whether the connection was ended because of what the client sent
    _is_between = False  # whether the next byte begins a frame and a message, of a connection without extensions
    _answer: Callable[[bytes, Callable[[bytes], object]], Any] | None = None  # the app's, see `ANSWER`

    async def send(self, message: Any) -> None:
        """Send; raises ConnectionResetError once the connection was ended, which the app does not know yet."""
        if self._has_failed:
            raise ConnectionResetError
        if message["type"] == FRAMES:
            if not self._try_send(message["texts"]):
                await self._send_texts(message["texts"])
        else:
            await super().send(message)
            self._answer = message.get(ANSWER, self._answer)  # not of a connection that was lost meanwhile

    def _try_send(self, texts: Sequence[bytes]) -> bool:
        """Send texts if they are few and nothing has to be waited for."""
        if not self.writable.is_set() or self.disconnected or self.conn.state is not State.OPEN:
            return False
        if sum(map(len, texts)) > MOST_WRITTEN:
            return False
        self.transport.write(self._frame(texts))
        return True

    async def _send_texts(self, texts: Sequence[bytes]) -> None:
        rows = [texts] if sum(map(len, texts)) <= MOST_WRITTEN else _cut(texts)
        for row in rows:
            await self.writable.wait()
            if self.disconnected or self.conn.state is not State.OPEN:  # the connection was closed meanwhile
                raise ClientDisconnected
            self.transport.write(self._frame(row))

    def _frame(self, texts: Sequence[bytes]) -> bytes:
        """The frames of texts; without an extension (compression) they are the texts with a head before each."""
        conn = self.conn
        if not conn.extensions:
            return b"".join([*conn.data_to_send(), *with_heads(texts, frame_head)])
        for text in texts:
            conn.send_text(text)
        return b"".join(conn.data_to_send())

    def handle_connect(self, event: Any) -> None:
        """Have the app answer a handshake; it learns that several frames can be sent at once."""
        super().handle_connect(event)
        if not self.close_sent:  # else it was refused, and no app is asked
            extensions: Any = self.scope["extensions"]
            extensions[FRAMES] = self.receive, self.send

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the app, and let it go: a connection and its socket would hold each other."""
        self._answer = None
        getattr(self, "scope", _NO_SCOPE)["extensions"].pop(FRAMES, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a text in one piece without the library's parser."""
        text = self._read_plain(data) if self._is_between else None
        if text is None:
            super().data_received(data)
            self._is_between = self._waits_for_frame()
            return
        can_write = self.writable.is_set() and not self.disconnected  # and is open, or there were no text
        if can_write and self._answer is not None and self.queue.empty() and _is_text(text):
            left = self._answer(text, self.transport.write)
            if left is not None:
                self.queue.put_nowait(left)
            return
        self.curr_msg_data_type, self.frames = "text", [text]
        self.send_receive_event_to_app()

    def _read_plain(self, data: bytes) -> bytes | None:
        """The text of data that is one frame, final, masked and short; None for any other. RFC 6455 §5.2."""
        size = len(data) - 6
        if size < 0 or data[0] != 0x81 or self.conn.state is not State.OPEN:
            return None
        length, start = data[1] & 0x7F, 2
        if length == 126:
            length, start, size = int.from_bytes(data[2:4]), 4, size - 2
        if length != size or data[1] in _NOT_SHORT or size > self.config.ws_max_size:
            return None
        return apply_mask(data[start + 4 :], data[start : start + 4])

    def _waits_for_frame(self) -> bool:
        """Whether the library's parser has read all that came, and no part of a message; it waits at a known place."""
        conn = self.conn
        if conn.extensions or conn.current_size is not None:
            return False
        place: Any = conn.parser
        for _ in range(2):  # the server's parser waits in the one of both sides, that one in the reader
            place = getattr(place, "gi_yieldfrom", None)
        return getattr(place, "__name__", "") == "at_eof"

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
        was_paused, self.read_paused = self.read_paused, True  # so that uvicorn's does not stop reading yet
        super().send_receive_event_to_app()
        self.read_paused = was_paused
        if not (was_paused or self.close_sent) and self.queue.qsize() > MOST_UNREAD:  # a client's close is still read
            self.read_paused = True
            self.transport.pause_reading()


def _cut(texts: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Rows of texts, each ended by the one that makes it reach `MOST_WRITTEN` bytes."""
    start = size = 0
    for stop, text in enumerate(texts, 1):
        size += len(text)
        if size >= MOST_WRITTEN or stop == len(texts):
            yield texts[start:stop]
            start, size = stop, 0


def _is_text(data: bytes) -> bool:
    if data.isascii():  # nearly always, and looked at in no time
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
