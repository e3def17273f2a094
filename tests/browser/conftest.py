"""A browser for the viewer's tests: Debian's chromium by Playwright; a page that may neither err nor call elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.serving import Served, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

    from tests.browser.desk import Desk

# The step that runs these tests installs the extra `browser`; all others collect nothing here.
collect_ignore_glob = [] if find_spec("playwright") else ["test_*.py"]

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=20_000)  # a busy machine draws late

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving("--seed", "7") as server:
        yield server


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(20_000)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    watch = Watch(context)
    yield context
    context.close()
    watch.check()


class Watch:
    """Notes what a page of the viewer must never do: an error of its own, a request to another host, a dialog."""

    def __init__(self, context: BrowserContext) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.hosts: set[str] = set()
        context.on("console", self._said)
        context.on("weberror", lambda error: self.errors.append(f"{error.error}\n{error.error.stack}"))
        context.on("request", self._requested)
        context.on("dialog", lambda dialog: (self.errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _said(self, message: ConsoleMessage) -> None:
        # what a server that is away or a refused lever makes the browser say is no error of the page
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource: "):
            self.errors.append(message.text)

    def _requested(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("blob", "data") and parts.hostname != "127.0.0.1":
            self.requests.append(request.url)

    def check(self) -> None:
        assert not self.errors, self.errors
        assert not self.requests, self.requests


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def desk(served: Served, page: Page, request: pytest.FixtureRequest) -> Desk:
    """The viewer of a project of this test's own."""
    from tests.browser.desk import Desk

    return Desk(served, page, request.node.name)
