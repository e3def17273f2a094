"""What there is to see of a process from outside."""

from __future__ import annotations

import os


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as listed:
        return [int(word) for word in listed.read().split()]


def serves(pid: int) -> bool:
    """Whether a process is there and holds a socket that listens."""
    try:
        return any(
            os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:") for number in os.listdir(f"/proc/{pid}/fd")
        )
    except OSError:
        return False
