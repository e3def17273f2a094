"""Memory is given back after resets, by a served app."""

from __future__ import annotations

import asyncio
import ctypes
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.transport import app as app_module
from mockserver.transport.app import MockApp
from mockserver.transport.heap import trim_heap
from mockserver.wire import catalog
from mockserver.wire.tokens import tokenizer
from tests.support.patience import until


def test_freed_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace(malloc_trim=given.append))
    trim_heap()
    assert given == [0]


def test_what_is_only_remembered_to_be_quick_is_forgotten_first() -> None:
    """A text of a caller who has gone; what is made once for all (a cache without a bound) stays."""
    tokenizer.count("a text that somebody has sent")
    bounded, unbounded = tokenizer._count_short, catalog._by_name
    unbounded()
    assert bounded.cache_info().currsize and unbounded.cache_info().currsize
    urlsplit("http://a.cache/of/somebody/else")
    known = urlsplit.cache_info().currsize  # type: ignore[attr-defined]
    trim_heap()
    assert not bounded.cache_info().currsize and unbounded.cache_info().currsize
    assert urlsplit.cache_info().currsize == known  # type: ignore[attr-defined]
    assert tokenizer.count("a text that somebody has sent") == 6


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace())
    trim_heap()


def test_many_resets_give_back_once(monkeypatch: pytest.MonkeyPatch) -> None:
    trims: list[str] = []
    monkeypatch.setattr(app_module, "trim_heap", lambda: trims.append("trimmed"))
    monkeypatch.setattr(app_module, "TRIM_AFTER_S", 0)
    app = MockApp(Engine(Settings()))

    async def reset() -> None:
        for number in range(20):
            app.engine.control.reset(f"p{number}")
        await asyncio.to_thread(until, lambda: trims)

    async def live() -> None:
        told: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        await told.put({"type": "lifespan.startup"})
        sent: list[object] = []

        async def send(message: object) -> None:
            sent.append(message)

        life = asyncio.ensure_future(app({"type": "lifespan"}, told.get, send))  # type: ignore[arg-type]
        while not sent:
            await asyncio.sleep(0)
        await reset()
        assert trims == ["trimmed"]
        trims.clear()
        await reset()
        assert trims == ["trimmed"]
        trims.clear()
        monkeypatch.setattr(app_module, "TRIM_AFTER_S", 3600)
        monkeypatch.setattr(app_module, "LATEST_TRIM_S", 0)
        app._trim(app._loop.time())
        await asyncio.to_thread(until, lambda: trims)
        assert trims == ["trimmed"], "resets that do not end put it off no longer"
        await told.put({"type": "lifespan.shutdown"})
        await life

    asyncio.run(live())
