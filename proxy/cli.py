"""The command `understudy`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from mockserver.settings import Settings, load
from mockserver.transport.app import create_app
from mockserver.transport.serve import USAGE_ERROR, Program
from proxy import scenario, snapshot
from proxy.app import ProxyApp
from proxy.rules import refuse_unbuilt

COMMANDS = {
    "serve": "one process: the proxy, the mock, the control API and the viewer (the default)",
    "verify": "replays recorded exchanges through the mock and prints where it would have answered differently",
    "conform": "runs the state rules against any server that speaks the two APIs",
    "scenario": "validates scenario files, prints the JSON Schema of the format",
    "snapshot": "says what two snapshots differ in",
    "cassette": "lists recorded exchanges; finds secrets and truncated exchanges",
}
BUILT = frozenset(("serve", "scenario", "snapshot", "conform"))


def proxy_app(settings: Settings) -> ProxyApp:
    """Return the proxy with the mock in it."""
    refuse_unbuilt(settings)
    return ProxyApp(create_app(settings), settings)


def worker_app() -> ProxyApp:
    """Return the app of a worker process, from the environment."""
    return proxy_app(load({}, os.environ))


def program() -> Program:
    """Return what `understudy serve` runs."""
    commands = "; ".join(
        f"{name}: {does}{'' if name in BUILT else ' [not built yet]'}" for name, does in COMMANDS.items()
    )
    return Program(
        name="understudy",
        description="A local OpenAI-compatible proxy with a deterministic, stateful mock.",
        factory=proxy_app,
        factory_name="proxy.cli:worker_app",
        proxy=True,
        epilog=f"commands: {commands}",
    )


def conform(words: Sequence[str]) -> int:
    """Run `understudy conform`; what it needs is loaded only now, for serving needs none of it."""
    from mockserver.testing import conform as command

    return command.main(words)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    command = words[0] if words and words[0] in COMMANDS else None
    if command is not None and command not in BUILT:
        print(f"understudy: {command} is not built yet", file=sys.stderr)
        return USAGE_ERROR
    if command == "scenario":
        return scenario.main(words[1:])
    if command == "snapshot":
        return snapshot.main(words[1:])
    if command == "conform":
        return conform(words[1:])
    return program().run(words[1:] if command else words)


if __name__ == "__main__":
    sys.exit(main())
