"""Clients of the tests share the authorities that they would trust: none of them leaves this machine."""

from __future__ import annotations

import sys
from functools import cache


def share_authorities() -> None:
    """Let all clients of `openai` share a TLS context: to load a system's 144 authorities takes each of them 45 ms."""
    if "httpx2" in sys.modules:
        import httpcore2

        httpcore2.default_ssl_context = cache(httpcore2.default_ssl_context)
