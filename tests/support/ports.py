"""Ports for servers that are not ours, which can't be asked to choose one."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
