"""How hard the attacks are: minutes by default, about an hour with `--long`."""

from __future__ import annotations

import pytest

LONG = 25  # times as much


@pytest.fixture(scope="session")
def times(request: pytest.FixtureRequest) -> int:
    """How many times as much as usual is tried."""
    return LONG if request.config.getoption("--long") else 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/attack" in item.path.as_posix():
            item.add_marker(pytest.mark.attack)
