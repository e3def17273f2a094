"""The lanes of one WebSocket connection: what starts now and what waits, as a plain automaton. Spec: R4.9.

A lane plays one turn at a time and keeps the order in which its frames came; lanes run beside each other, up to 16
turns in flight, and what is over that waits for its turn in the order of arrival. Nothing here knows a clock, a socket
or what a frame means.
"""

# How it works. Each lane has a queue and is idle or busy. A lane that is idle and has something to do stands in
# `_ready`, a heap ordered by the arrival of its first frame, and starts when fewer than 16 turns are in flight. So
# there are two events only, a frame that arrives and a lane that is released, and each returns what starts because
# of it.
#
# What must stay true:
# * A lane stands in the heap once at most, and never while it is busy: it is pushed when its first frame comes while
#   it is idle, or when it is released with frames left, and nowhere else.
# * Nothing is refused but a 33rd name. More than 16 in flight is no error, it waits. Spec: R4.9, WE3.
# * A lane is never forgotten, also when it is empty: the limit counts the names of a connection's whole life.
# * The order is total: frames are numbered as they arrive, so the same frames start in the same order on every run.

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import Any, NamedTuple

from mockserver.wire.requests import frames
from mockserver.wire.requests.frames import Lane

MOST_IN_FLIGHT = 16


class Start(NamedTuple):
    """Begin to answer this frame on this lane."""

    lane: Lane
    frame: Any


class Lanes:
    """Which lanes there are, which are busy, and what waits for each."""

    def __init__(self, most_in_flight: int = MOST_IN_FLIGHT, most_lanes: int = frames.MOST_LANES) -> None:
        self._most_in_flight, self._most_lanes = most_in_flight, most_lanes
        self._waiting: dict[Lane, deque[tuple[int, Any]]] = {None: deque()}
        self._busy: set[Lane] = set()
        self._ready: list[tuple[int, str, Lane]] = []  # idle lanes with something to do, by arrival
        self._arrived = 0
        self.waiting = 0

    @property
    def in_flight(self) -> int:
        """How many turns are being played."""
        return len(self._busy)

    def submit(self, lane: Lane, frame: Any) -> list[Start]:
        """Take a frame in; returns what starts because of it. Raises WE3 for one distinct name too many."""
        queue = self._waiting.get(lane)
        if queue is None:
            if len(self._waiting) > self._most_lanes:  # `>`, for the default lane is among them and is not counted
                raise frames.stream_limit_reached()
            queue = self._waiting[lane] = deque()
        if not (queue or self._ready) and lane not in self._busy and len(self._busy) < self._most_in_flight:
            self._busy.add(lane)  # as nearly always: nothing waits, and what comes starts
            return [Start(lane, frame)]
        self._arrived += 1
        queue.append((self._arrived, frame))
        self.waiting += 1
        if lane not in self._busy and len(queue) == 1:  # with more in it, the lane stands in the heap already
            heappush(self._ready, (self._arrived, lane or "", lane))
        return self._start_ready()

    def release_lane(self, lane: Lane) -> list[Start]:
        """Note that a lane's turn is over; returns what starts because of it."""
        self._busy.remove(lane)
        queue = self._waiting[lane]
        if queue:
            heappush(self._ready, (queue[0][0], lane or "", lane))
        return self._start_ready()

    def waiting_frames(self) -> list[Any]:
        """What has not begun, lane by lane."""
        return [frame for queue in self._waiting.values() for _, frame in queue]

    def _start_ready(self) -> list[Start]:
        starts = []
        while self._ready and len(self._busy) < self._most_in_flight:
            lane = heappop(self._ready)[2]
            self._busy.add(lane)
            self.waiting -= 1
            starts.append(Start(lane, self._waiting[lane].popleft()[1]))
        return starts
