"""No web page spends the user's key or reads the control API."""

from __future__ import annotations

import pytest

from mockserver.config.settings import Settings
from mockserver.transport.guard import host_allowlist, refusal

HOSTS = host_allowlist(Settings(host="192.168.1.5", allow_host=("mock.test", "Port.test:99", "::2")))


def verdict(*pairs: tuple[str, str]) -> int | None:
    error = refusal([(name.encode(), value.encode("latin-1")) for name, value in pairs], HOSTS)
    return error and error.status


LET_IN = (
    "localhost",
    "LOCALHOST:4010",
    "localhost.",
    "app.localhost:1",
    "127.0.0.1:4010",
    "127.9.9.9",
    "[::1]:4010",
    "192.168.1.5:4010",
    "mock.test:80",
    "port.test",
    "[::2]:1",
)
KEPT_OUT = (
    "evil.test",
    "evil.test:4010",
    "localhost.evil.test",
    "127.0.0.1.evil.test",
    "mock.test.evil.test",
    "evil.test@localhost",
    "localhost/evil",
    "localhost:port",
    "localhost:99999",
    "10.0.0.1",
    "0.0.0.0",
    "[::1",
    "",
    "\xe9",
)


@pytest.mark.parametrize("host", LET_IN)
def test_host_let_in(host: str) -> None:
    assert verdict(("host", host)) is None
    assert verdict(("host", "localhost"), ("origin", f"http://{host}")) is None
    assert verdict(("host", "localhost"), ("origin", f"https://{host}"), ("sec-fetch-site", "same-site")) is None


@pytest.mark.parametrize("host", KEPT_OUT)
def test_host_kept_out(host: str) -> None:
    assert verdict(("host", host)) == 403
    assert verdict(("host", "localhost"), ("host", host)) == 403
    assert verdict(("host", "localhost"), ("origin", f"https://{host}")) == 403


@pytest.mark.parametrize("origin", ["null", "", "file://", "localhost", "chrome-extension://localhost", "//localhost"])
def test_origin_kept_out(origin: str) -> None:
    assert verdict(("host", "localhost"), ("origin", origin)) == 403


def test_fetch_metadata() -> None:
    assert verdict(("host", "localhost"), ("sec-fetch-site", "cross-site")) == 403
    assert verdict(("host", "localhost"), ("sec-fetch-site", "none")) is None


def test_request_without_host() -> None:
    assert verdict() == 403


def test_wildcard_is_no_name() -> None:
    assert host_allowlist(Settings(host="0.0.0.0")) == frozenset()
