"""Several processes that serve one port: the one that watches over them, and what each does when that one is gone."""

# A worker that outlived its parent would keep the port, and a restart would find it in use. The parent can't see to
# that: it may be killed. So each worker watches its end of a pipe that multiprocessing holds open in the parent, and
# which the system closes, however the parent ends.

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Awaitable, Callable
from multiprocessing import parent_process
from multiprocessing.connection import wait
from threading import Thread

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.supervisors import Multiprocess

from mockserver.transport.http import WORKERS
from mockserver.transport.worker_links import MeetingPoint

log = logging.getLogger("understudy")


class Workers(Multiprocess):
    """The parent of the workers: one that died is told in the log, and another takes its place."""

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have ended."""
        before = list(self.processes)
        super().keep_subprocess_alive()
        for worker, now in zip(before, self.processes, strict=True):
            if now is not worker:
                log.warning("worker %s has ended (%s), another takes its place", worker.pid, worker.exitcode)


def make_in_worker(make_app: Callable[[], ASGIApp], place: MeetingPoint) -> ASGIApp:
    """The app of a worker, which ends like at a SIGTERM once its parent is gone, and is told where the others are."""
    Thread(target=_end_with_parent, daemon=True).start()
    app = make_app()

    def with_place(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            scope[WORKERS] = place
        return app(scope, receive, send)

    return with_place


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
