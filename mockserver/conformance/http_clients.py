"""HTTP clients of the kit."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cache

import httpx


def new_client(timeout_s: float, headers: Mapping[str, str] | None = None) -> httpx.Client:
    """Return a client that ignores the environment: a proxy there would come between the kit and its server."""
    return httpx.Client(timeout=timeout_s, headers=headers, trust_env=False, verify=_tls_context())


@cache
def _tls_context() -> ssl.SSLContext:
    """Load the authorities once, not for each client: that takes longer (12 to 45 ms) than most calls."""
    return httpx.create_ssl_context(trust_env=False)
