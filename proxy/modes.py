"""What answers in each mode that has an upstream or a cassette, made when it is first needed.

A server without either pays for none of this: httpx, the client of WebSockets and YAML are imported here.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from starlette.types import Receive, Scope, Send

from mockserver.config.settings import MOCK_SETTINGS, SettingError, Settings
from mockserver.wire.errors.api import APIError, MockError

if TYPE_CHECKING:
    import httpx

    from proxy.cassette_pages import Listing
    from proxy.cassettes.interaction import Cassette
    from proxy.cassettes.matching import Library, Miss
    from proxy.cassettes.redaction import Redactor
    from proxy.recorder import Recorder
    from proxy.relay import OnEnd
    from proxy.replayer import Replayer, Sessions
    from proxy.shadow import Shadow
    from proxy.target import Target

log = logging.getLogger("understudy.proxy")

Answering = Callable[[Scope, Receive, Send], Awaitable[MockError | APIError | None]]


class Modes:
    """The answerers of one server. `open` makes those of its own mode, so that mistakes are found at the start."""

    def __init__(
        self, settings: Settings, transport: httpx.AsyncBaseTransport | None, on_end: OnEnd | None = None
    ) -> None:
        self.settings = settings
        self._given_transport, self._on_end = transport, on_end

    def open(self) -> None:
        """Make what the server's mode needs; raises SettingError."""
        made = {
            "record": ("recording_http", "recording_websocket"),
            "replay": ("replay_http", "replay_websocket"),
            "auto": ("auto_http", "auto_websocket"),
            "shadow": ("shadow_http", "shadow_websocket"),
        }
        for name in made.get(self.settings.default_mode, ()):
            getattr(self, name)
        if self.settings.upstream:
            _ = self.relays

    def find(self, answerer: str, kind: str) -> Answering:
        """What answers requests (`http`) or sockets (`websocket`); raises MockError where it can't be opened now."""
        try:
            answering: Answering = getattr(self, _NAMES[answerer, kind])
        except SettingError as error:
            raise MockError(f"{error}.", status=409) from None
        return answering

    async def close(self) -> None:
        """Let files and connections go."""
        # Nothing is awaited before the connections are closed: at the end of its life the app is not waited for.
        for name in ("recorder", "shadow"):
            if name in self.__dict__:
                getattr(self, name).close()
        if "transport" in self.__dict__:
            await self.transport.aclose()

    # --- upstream ------------------------------------------------------------------------------------------------

    @cached_property
    def transport(self) -> httpx.AsyncBaseTransport:
        """The way to the upstream."""
        from proxy.upstream import Upstream

        return self._given_transport or Upstream()

    @cached_property
    def target(self) -> Target:
        """Where the upstream is."""
        from proxy.target import Target

        return Target(self.settings)

    @cached_property
    def relays(self) -> tuple[Answering, Answering]:
        """What forwards requests, and sockets."""
        from proxy.relay import Relay
        from proxy.relay_websocket import WebSocketRelay

        relay = Relay(self.settings, self.target, self.transport, self._on_end)
        return relay, WebSocketRelay(self.settings, self.target)

    @property
    def relay_http(self) -> Answering:
        """What forwards requests."""
        return self.relays[0]

    @property
    def relay_websocket(self) -> Answering:
        """What forwards sockets."""
        return self.relays[1]

    # --- cassettes -----------------------------------------------------------------------------------------------

    @cached_property
    def redactor(self) -> Redactor:
        """What hides secrets, in recordings and in what is compared with them."""
        from proxy.cassettes.redaction import Redactor

        return Redactor(self.settings.redact)

    @cached_property
    def recorder(self) -> Recorder:
        """What records to the first cassette; raises SettingError when that can't be written."""
        from proxy.cassettes.file import Appender
        from proxy.recorder import Recorder

        now = time.time()
        appender = Appender(self.settings.cassette[0], self.settings.upstream, now)
        self._recorded_from = os.path.getsize(appender.path)
        return Recorder(appender, self.redactor, offset=max(0.0, now - appender.began))

    @cached_property
    def recording_http(self) -> Answering:
        """What forwards and records requests."""
        return self._record(self.recorder)

    def _record(self, recorder: Recorder) -> Answering:
        from proxy.relay import Relay

        return Relay(self.settings, self.target, self.transport, self._on_end, recorder)

    @cached_property
    def recording_websocket(self) -> Answering:
        """What forwards and records sockets."""
        from proxy.socket_recorder import RecordingWebSocketRelay

        return RecordingWebSocketRelay(self.relays[1], self.recorder)

    @cached_property
    def cassettes(self) -> list[Cassette]:
        """The cassettes, read; raises SettingError. What of them can't be used is logged."""
        from proxy.cassettes.file import load

        first: list[Cassette] = []
        if self.settings.default_mode == "auto":  # which begins the first one if it is not there yet
            first = [self.recorder.earlier]
        cassettes = [*first, *map(load, self.settings.cassette[len(first) :])]
        for cassette in cassettes:
            for problem in cassette.problems:
                log.warning("left out of %s: %s", cassette.path, problem)
        return cassettes

    @cached_property
    def library(self) -> Library:
        """The recordings by what they ask."""
        from proxy.cassettes.canonical import read_match
        from proxy.cassettes.matching import Library

        return Library(self.cassettes, read_match(self.settings.match))

    @cached_property
    def sessions(self) -> Sessions:
        """How far each caller is in the recordings."""
        from proxy.replayer import Sessions

        return Sessions(self.library, self.redactor, strict=self.settings.strict)

    @cached_property
    def replay_http(self) -> Replayer:
        """What answers requests from the recordings."""
        from proxy.replayer import Replayer

        return Replayer(self.sessions, self.settings.replay_speed, self.settings.max_body_bytes)

    @cached_property
    def replay_websocket(self) -> Answering:
        """What answers sockets from the recordings."""
        from proxy.replayer import WebSocketReplayer

        return WebSocketReplayer(self.sessions, self.settings.replay_speed)

    @cached_property
    def auto_http(self) -> Answering:
        """What answers requests from the recordings, else from the upstream, which is recorded."""
        from proxy.auto import AutoReplayer

        return AutoReplayer(self.sessions, self.recorder, self.relays[0], self.settings)

    @cached_property
    def auto_websocket(self) -> Answering:
        """The same for sockets."""
        from proxy.auto import AutoWebSocketReplayer

        return AutoWebSocketReplayer(self.sessions, self.recorder, self.relays[1], self.settings.replay_speed)

    @cached_property
    def shadow(self) -> Shadow:
        """What compares the upstream's answers with the mock's."""
        from proxy.shadow import Shadow

        mocks = {row: value for row in MOCK_SETTINGS if (value := getattr(self.settings, row)) is not None}
        return Shadow(Settings(**{**mocks, "store": "memory", "strict": False, "api_key": (), "scenario": ()}))

    @cached_property
    def shadowing(self) -> tuple[Answering, Answering]:
        """What forwards requests and sockets, and compares them afterwards."""
        from proxy.recorder import Recorder
        from proxy.socket_recorder import RecordingWebSocketRelay

        recorder = Recorder(None, self.redactor)
        recorder.listeners.append(self.shadow.check)
        return self._record(recorder), RecordingWebSocketRelay(self.relays[1], recorder)

    @property
    def shadow_http(self) -> Answering:
        """What forwards requests and compares them."""
        return self.shadowing[0]

    @property
    def shadow_websocket(self) -> Answering:
        """What forwards sockets and compares them."""
        return self.shadowing[1]

    @property
    def replayer(self) -> Replayer | None:
        """What answers requests from the recordings, None until it was needed."""
        return self.__dict__.get("replay_http")

    def misses(self) -> list[Miss]:
        """What was asked and not found, in order."""
        sessions = self.__dict__.get("sessions")
        return [] if sessions is None else list(sessions.misses)

    def _count_misses(self) -> int:
        sessions = self.__dict__.get("sessions")
        return 0 if sessions is None else sessions.missed

    def unused(self) -> list[str]:
        """The recordings that nobody asked for, in a line each."""
        sessions = self.__dict__.get("sessions")
        return [] if sessions is None else [f"{one.key.endpoint}: {one.place}" for one in sessions.unused()]

    def drift(self) -> list[dict[str, Any]]:
        """Where the mock would have answered differently than the upstream."""
        shadow = self.__dict__.get("shadow")
        return [] if shadow is None else shadow.groups()

    def clear_drift(self) -> None:
        """Forget what `drift` says."""
        if "shadow" in self.__dict__:
            self.shadow.clear()

    def sections(self) -> dict[str, Callable[..., Any]]:
        """What the control API says of this proxy, by name."""
        return {
            "recorder": self._health,
            "drift": self.drift,
            "clear_drift": self.clear_drift,
            "cassette_misses": self._count_misses,
            **({"interactions": self.list_interactions, "misses": self.list_misses} if self.settings.cassette else {}),
        }

    # --- what the viewer lists --------------------------------------------------------------------------------------

    @cached_property
    def listing(self) -> Listing:
        """The interactions of the cassettes, or of the one that is recorded to."""
        from proxy.cassette_pages import LibraryListing, RecordingListing

        if self.settings.default_mode != "record":
            return LibraryListing(self.library)
        return RecordingListing(self.recorder.earlier, self.settings.cassette[0], self._recorded_from)

    def list_interactions(self, after: int, used: bool | None) -> tuple[dict[str, int], Iterator[Any]]:
        """How many interactions there are and how many of them were not used, and those after a number."""
        from proxy.cassette_pages import list_interactions

        sessions = self.__dict__.get("sessions")
        uses, count = None if sessions is None else sessions.uses(), len(self.listing)
        totals = {"total": count, "unused": count - len(uses or ()), "misses": self._count_misses()}
        return totals, list_interactions(self.listing, uses, after, used)

    def list_misses(self, after: int) -> Iterator[Any]:
        """What no recording answered, after a number."""
        from proxy.cassette_pages import list_misses

        sessions = self.__dict__.get("sessions")
        return iter(()) if sessions is None else list_misses(sessions, after)

    def _health(self) -> dict[str, Any] | None:
        recorder = self.__dict__.get("recorder")
        return None if recorder is None else recorder.health()


_NAMES = {
    ("upstream", "http"): "relay_http",
    ("upstream", "websocket"): "relay_websocket",
    ("recorder", "http"): "recording_http",
    ("recorder", "websocket"): "recording_websocket",
    ("cassette", "http"): "replay_http",
    ("cassette", "websocket"): "replay_websocket",
    ("auto", "http"): "auto_http",
    ("auto", "websocket"): "auto_websocket",
    ("shadow", "http"): "shadow_http",
    ("shadow", "websocket"): "shadow_websocket",
}
