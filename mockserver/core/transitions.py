"""The statuses of a response, what moves it from one to another, and who is refused to: a table. Spec: O6, R6.3, R6.4.

    foreground  in_progress → completed | incomplete | failed      (the client leaves: cancelled, if the switch says so)
    background  queued → in_progress → completed | incomplete | failed
                queued | in_progress  – cancel →  cancelled

A response in the foreground that still runs is not there for any call (R9.21).
"""

# Why a table: what may happen to a response depends on how it was created, its status and what happens, and many
# places need to know a part of that. Tests walk the whole product of the three and compare it with what calls
# really do. Whoever sets a status asks here first; what the table doesn't know raises LookupError, which is a
# mistake of the mock and never an answer to a client.

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from mockserver.wire.errors import api as errors
from mockserver.wire.errors.api import APIError

FOREGROUND, BACKGROUND = "foreground", "background"
MODES = {False: FOREGROUND, True: BACKGROUND}  # by the request's `background`
QUEUED, IN_PROGRESS = "queued", "in_progress"
COMPLETED, INCOMPLETE, FAILED, CANCELLED = "completed", "incomplete", "failed", "cancelled"
RUN = (COMPLETED, INCOMPLETE, FAILED)
ENDED = (*RUN, CANCELLED)
ABSENT = ""  # not there: before it is created, after it is deleted


class TransitionKey(NamedTuple):
    """Something that happens to a response: in which way it was created, its status then, and what happens."""

    way: str
    status: str
    by: str


Refusal = Callable[[str, str], APIError]  # of (id, status)

MOVES: Mapping[tuple[str, str, str], tuple[str, ...]] = {
    TransitionKey(FOREGROUND, ABSENT, "create"): (IN_PROGRESS,),
    TransitionKey(FOREGROUND, IN_PROGRESS, "end"): RUN,
    TransitionKey(FOREGROUND, IN_PROGRESS, "leave"): (CANCELLED,),
    TransitionKey(FOREGROUND, IN_PROGRESS, "steer"): (INCOMPLETE,),
    TransitionKey(BACKGROUND, ABSENT, "create"): (QUEUED,),
    TransitionKey(BACKGROUND, QUEUED, "start"): (IN_PROGRESS,),
    TransitionKey(BACKGROUND, IN_PROGRESS, "end"): RUN,
    TransitionKey(BACKGROUND, QUEUED, "cancel"): (CANCELLED,),
    TransitionKey(BACKGROUND, IN_PROGRESS, "cancel"): (CANCELLED,),
    TransitionKey(BACKGROUND, CANCELLED, "cancel"): (CANCELLED,),
    **{TransitionKey(way, status, "delete"): (ABSENT,) for way in MODES.values() for status in ENDED},
    **{TransitionKey(BACKGROUND, status, "forget"): (ABSENT,) for status in ENDED},
}


def _not_found(id: str, status: str) -> APIError:
    return errors.response_not_found(id)


def _synchronous(id: str, status: str) -> APIError:
    return errors.cannot_cancel_synchronous()


def _already_over(id: str, status: str) -> APIError:
    return errors.cannot_cancel(status)


def _in_flight(id: str, status: str) -> APIError:
    return errors.cannot_delete_in_flight()


REFUSALS: Mapping[tuple[str, str, str], Refusal] = {
    TransitionKey(FOREGROUND, IN_PROGRESS, "cancel"): _not_found,
    TransitionKey(FOREGROUND, IN_PROGRESS, "delete"): _not_found,
    **{TransitionKey(FOREGROUND, status, "cancel"): _synchronous for status in ENDED},
    **{TransitionKey(BACKGROUND, status, "cancel"): _already_over for status in RUN},
    TransitionKey(BACKGROUND, QUEUED, "delete"): _in_flight,
    TransitionKey(BACKGROUND, IN_PROGRESS, "delete"): _in_flight,
}


@lru_cache(maxsize=256)  # every turn asks, and there are few answers
def transition(way: str, status: str, by: str, *, id: str = "", to: str | None = None) -> str:
    """The status to which something moves a response, the one that `to` says where there are several.

    Raises the refusal of a call that the table refuses, and LookupError for what it does not know.
    """
    at = (way, status, by)  # equal to an At, and made in a third of the time: every turn asks
    after = MOVES.get(at)
    if after is None:
        if at in REFUSALS:
            raise REFUSALS[at](id, status)
        raise LookupError(f"{by} does not move a response in the {way} from {status or 'nowhere'}")
    if to is None:
        to = after[0]
    if to not in after:
        raise LookupError(f"{by} does not move a response in the {way} from {status} to {to}")
    return to
