"""An upstream that is the server itself is refused before anything is bound."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from mockserver.config.settings import SettingError, Settings
from proxy import loops
from proxy.loops import refuse_loop

OTHERS = "203.0.113.7"  # TEST-NET-3: nobody's


@pytest.mark.parametrize(
    ("upstream", "settings"),
    [
        ("http://127.0.0.1:4010/v1", {}),
        ("http://localhost:4010", {}),
        ("http://127.0.0.1:4010/v1", {"host": "0.0.0.0"}),
        ("http://127.0.0.1:80", {"port": 80}),
        ("http://127.0.0.1", {"port": 80}),
        ("https://127.0.0.1", {"port": 443}),
    ],
)
def test_a_way_back_is_refused(upstream: str, settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=r"--upstream http.* leads back to this server.*--port"):
        refuse_loop(Settings(upstream=upstream, **settings))


@pytest.mark.parametrize(
    ("upstream", "settings"),
    [
        (None, {}),
        ("http://127.0.0.1:4011/v1", {}),
        ("http://127.0.0.1:4010/v1", {"port": 0}),
        ("http://127.0.0.2:4010/v1", {}),
        ("http://api.invalid:4010/v1", {}),
        (f"http://{OTHERS}:4010/v1", {"host": "0.0.0.0"}),
        ("https://api.openai.com/v1", {}),
    ],
)
def test_other_upstreams_are_not(
    upstream: str | None, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def resolve(host: str, *args: Any, **more: Any) -> Any:
        if host.endswith(".invalid"):  # a resolver of somebody's network may know it
            raise socket.gaierror
        return real(host, *args, **more)

    monkeypatch.setattr(loops.socket, "getaddrinfo", resolve)
    refuse_loop(Settings(upstream=upstream, **settings))


def test_a_wildcard_in_ipv6_is_a_way_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"six.test": "::1", "::": "::"}
    monkeypatch.setattr(loops, "_addresses", lambda host, port: {found[host]})
    monkeypatch.setattr(loops, "_is_of_this_machine", lambda address: address == "::1")
    with pytest.raises(SettingError):
        refuse_loop(Settings(upstream="http://six.test:4010", host="::"))
