"""The proxy: decide per request, forward byte for byte, record, replay, or hand over to the mock.

Imports `mockserver`; never the reverse. Tests import `Proxy` and `save_journal` from here, loaded on their first use.
Start reading at `app.py`, then `modes.py`, `relay.py` and `recorder.py`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxy.testing import Proxy, save_journal

__all__ = ["Proxy", "save_journal"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("proxy.testing"), name)
