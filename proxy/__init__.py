"""The proxy: decide per request, forward byte for byte, record, replay, or hand over to the mock.

Imports `mockserver`; never the reverse. Tests import `Proxy` from here, which is loaded on its first use.
Start reading at `app.py`, then `modes.py`, `relay.py` and `recorder.py`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxy.testing import Proxy

__all__ = ["Proxy"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("proxy.testing").Proxy
