"""`python -m mockserver`: the mock alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from starlette.types import ASGIApp

from mockserver.settings import Settings, load
from mockserver.transport.app import create_app
from mockserver.transport.guard import Guard
from mockserver.transport.serve import Program
from mockserver.transport.stamp import Stamp


def guarded(settings: Settings) -> ASGIApp:
    """Return the mock's ASGI app as it is served: guarded and dated."""
    return Stamp(Guard(create_app(settings), settings))


def worker_app() -> ASGIApp:
    """Return the app of a worker process, from the environment."""
    return guarded(load({}, PROGRAM.environment()))


PROGRAM = Program(
    name="python -m mockserver",
    description="The mock of /v1/responses and /v1/conversations alone, on a local port.",
    factory=guarded,
    factory_name="mockserver.__main__:worker_app",
    proxy=False,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the mock until a signal; returns the exit status."""
    return PROGRAM.run(argv)


if __name__ == "__main__":
    sys.exit(main())
