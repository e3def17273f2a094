"""The environments of the clients, and the names of the clients of which a test failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

from tests.support.environments import (
    FIXTURES,
    agents_js,
    agents_python,
    ai_sdk,
    clients,
    codex_program,
    frameworks,
    inprocess_python,
    mitmdump,
    node_client,
    pyright,
    typescript_client,
    vcr_pythons,
    xdist_python,
)

__all__ = [
    "agents_js",
    "agents_python",
    "ai_sdk",
    "clients",
    "codex_program",
    "frameworks",
    "inprocess_python",
    "mitmdump",
    "node_client",
    "pyright",
    "typescript_client",
    "vcr_pythons",
    "xdist_python",
]
SECTION = "Clients of this test"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say beside a failure which clients the test ran: a release that breaks is seen by its name."""
    report = yield
    if report.failed:
        used = [client for name in getattr(item, "fixturenames", ()) for client in FIXTURES.get(name, ())]
        if used:
            report.sections.append((SECTION, "\n".join(map(str, used))))
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Count the failures of each client."""
    reports = [report for outcome in ("failed", "error") for report in terminalreporter.getreports(outcome)]
    sections = [text for report in reports for name, text in report.sections if name == SECTION]
    failures = Counter(name for text in sections for name in text.splitlines())
    if failures:
        terminalreporter.section("clients of the failures")
        for name, count in sorted(failures.items()):
            terminalreporter.line(f"{name}: {count}")
