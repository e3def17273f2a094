"""Every status with everything that can happen: what the table allows happens, all else is refused. Spec: O6."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from mockserver.core.lifecycle import POLLED_S
from mockserver.core.transitions import (
    ABSENT,
    BACKGROUND,
    CANCELLED,
    COMPLETED,
    ENDED,
    FAILED,
    FOREGROUND,
    IN_PROGRESS,
    INCOMPLETE,
    MODES,
    MOVES,
    QUEUED,
    REFUSALS,
    TransitionKey,
    transition,
)
from mockserver.wire.errors.api import APIError
from tests.support.api import Api
from tests.support.driving import Driver, summary

REPLIES: dict[str, dict[str, Any]] = {
    COMPLETED: {"text": "one two"},
    INCOMPLETE: {"text": "one two", "incomplete": "max_output_tokens"},
    FAILED: {"failed": {"code": "server_error", "message": "m"}},
    CANCELLED: {"text": "one two"},
}
FIRST_TOKEN, LONG = 10, 600  # seconds
STATUSES = (ABSENT, QUEUED, IN_PROGRESS, *ENDED)
# what a client, its leaving, or the clock can do to a response; `steer` belongs to sockets
EVENTS = ("cancel", "delete", "leave", "start", "end")


class Scene:
    """One response, brought into a status through public calls and the clock alone."""

    def __init__(self, way: str, status: str, ends: str = COMPLETED, *, stored: bool = True) -> None:
        self.drive = Driver(set=(("on_disconnect", "cancel"),))
        self.stored = stored
        self.way = way
        self.id = "resp_never"
        reply = REPLIES.get(status, REPLIES[ends])
        self.drive.script({"reply": reply, "pacing": {"first_token": FIRST_TOKEN, "tokens_per_second": 0.05}})
        if status == ABSENT:
            return
        self.create()
        if status == CANCELLED:
            self.does("leave" if way == FOREGROUND else "cancel")
        elif status in ENDED:
            self.does("end")
        elif status == IN_PROGRESS and way == BACKGROUND:
            self.does("start")

    def create(self) -> None:
        body = {"model": "gpt-4.1", "input": "u", "background": self.way == BACKGROUND, "store": self.stored}
        self.id = self.drive.engine.create_response("p", json.dumps(body).encode()).id

    def does(self, by: str) -> None:
        engine = self.drive.engine
        happens: dict[str, Callable[[], Any]] = {
            "create": self.create,
            "cancel": lambda: Api(engine).cancel_response("p", self.id),
            "delete": lambda: Api(engine).delete_response("p", self.id),
            "leave": lambda: engine.leave("p", self.id),
            "start": lambda: self.drive.advance(seconds=FIRST_TOKEN),
            "end": lambda: self.drive.advance(seconds=LONG),
            "forget": lambda: self.drive.advance(seconds=LONG + POLLED_S),
        }
        happens[by]()

    @property
    def status(self) -> str:
        """What a client sees; a response in the foreground that still runs is not there (R9.21)."""
        try:
            return self.drive.get(self.id)["status"]
        except APIError:
            return ABSENT


def shown(way: str, status: str) -> str:
    return ABSENT if (way, status) == (FOREGROUND, IN_PROGRESS) else status


@pytest.mark.parametrize(
    ("way", "status"), [one for one in product(MODES.values(), STATUSES) if one != (FOREGROUND, QUEUED)]
)
def test_every_status_is_reached(way: str, status: str) -> None:
    assert Scene(way, status).status == shown(way, status)


@pytest.mark.parametrize(("at", "to"), [(at, to) for at, after in MOVES.items() for to in after if at.by != "steer"])
def test_what_is_allowed_happens(at: TransitionKey, to: str) -> None:
    scene = Scene(at.way, at.status, ends=to if to in REPLIES else COMPLETED, stored=at.by != "forget")
    scene.does(at.by)
    assert scene.status == shown(at.way, to)
    assert transition(at.way, at.status, at.by, to=to) == to


ERRORS = {
    (FOREGROUND, IN_PROGRESS, "cancel"): (404, "Response with id '{id}' not found."),
    (FOREGROUND, IN_PROGRESS, "delete"): (404, "Response with id '{id}' not found."),
    (FOREGROUND, COMPLETED, "cancel"): (400, "Cannot cancel a synchronous response."),
    (FOREGROUND, INCOMPLETE, "cancel"): (400, "Cannot cancel a synchronous response."),
    (FOREGROUND, FAILED, "cancel"): (400, "Cannot cancel a synchronous response."),
    (FOREGROUND, CANCELLED, "cancel"): (400, "Cannot cancel a synchronous response."),
    (BACKGROUND, COMPLETED, "cancel"): (400, "Cannot cancel a completed response."),
    (BACKGROUND, INCOMPLETE, "cancel"): (400, "Cannot cancel a incomplete response."),
    (BACKGROUND, FAILED, "cancel"): (400, "Cannot cancel a failed response."),
    (BACKGROUND, QUEUED, "delete"): (400, "Cannot delete an in-flight response."),
    (BACKGROUND, IN_PROGRESS, "delete"): (400, "Cannot delete an in-flight response."),
}


@pytest.mark.parametrize("at", REFUSALS)
def test_what_is_refused_says_so_and_changes_nothing(at: TransitionKey) -> None:
    """Spec: E75, E76, E77, E81."""
    scene = Scene(at.way, at.status)
    before = scene.drive.engine.control.snapshot("p")
    with pytest.raises(APIError) as caught:
        scene.does(at.by)
    status, message = ERRORS[at]
    assert summary(caught.value) == (status, message.format(id=scene.id), None, None)
    assert scene.drive.engine.control.snapshot("p") == before
    with pytest.raises(APIError):
        transition(at.way, at.status, at.by, id=scene.id)


@pytest.mark.parametrize("at", [TransitionKey(*one) for one in product(MODES.values(), STATUSES, EVENTS)])
def test_what_the_table_does_not_know_changes_nothing(at: TransitionKey) -> None:
    if at in MOVES or at in REFUSALS or (at.way, at.status) == (FOREGROUND, QUEUED):
        return
    if at == TransitionKey(BACKGROUND, QUEUED, "end"):  # the clock passes both ends at once: two moves
        return
    scene = Scene(at.way, at.status)
    before = scene.drive.get(scene.id) if scene.status != ABSENT else None
    if at.status == ABSENT and at.by in ("cancel", "delete"):
        with pytest.raises(APIError, match="not found"):
            scene.does(at.by)
    else:
        scene.does(at.by)
    assert scene.status == shown(at.way, at.status)
    assert before is None or scene.drive.get(scene.id) == before
    if at.by not in ("cancel", "delete"):
        with pytest.raises(LookupError):
            transition(at.way, at.status, at.by)


def test_a_move_to_somewhere_else_is_a_mistake() -> None:
    with pytest.raises(LookupError, match="foreground"):
        transition(FOREGROUND, IN_PROGRESS, "end", to=CANCELLED)


def test_nothing_is_both_allowed_and_refused() -> None:
    assert not MOVES.keys() & REFUSALS.keys()
    assert ERRORS.keys() == REFUSALS.keys()
