"""`python -m mockserver`: the mock alone. What serves is imported when something is served."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mockserver.config.settings import Settings, load, settings_of_program
from mockserver.transport.command_line import (
    CONTEXT,
    EPILOG,
    ServeCommand,
    explicit_options,
    run,
    settings_options,
    start_server,
    version_option,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def make_app(settings: Settings) -> ASGIApp:
    """Return the mock's ASGI app as it is served: guarded and dated."""
    from mockserver.transport.app import create_app
    from mockserver.transport.common_headers import CommonHeaders
    from mockserver.transport.guard import Guard

    return CommonHeaders(Guard(create_app(settings), settings))


def serve(**options: Any) -> int:
    """Serve with the options of the command line and the environment until a signal; returns the exit status.

    Variables of the proxy mean nothing here and may be set for the other program: they are left out, not refused.
    """
    foreign = {row.variable for row in settings_of_program(proxy=True)}
    foreign -= {row.variable for row in settings_of_program(proxy=False)}
    environment = {name: value for name, value in os.environ.items() if name not in foreign}
    return start_server(load(explicit_options(options), environment), make_app)


program = ServeCommand(
    "mockserver",
    callback=serve,
    params=[*settings_options(proxy=False), version_option()],
    help="The mock of /v1/responses and /v1/conversations alone, on a local port.",
    epilog=EPILOG,
    context_settings=CONTEXT,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return run(program, argv, "python -m mockserver")


if __name__ == "__main__":
    sys.exit(main())
