import pytest

from tests.support.environments import agents_js, agents_python, clients, codex_program, node_client

__all__ = ["agents_js", "agents_python", "clients", "codex_program", "node_client"]

HEAVY = "heavy"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{HEAVY}: fetches hundreds of megabytes; run with `pytest -m {HEAVY}`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if HEAVY in config.option.markexpr:
        return
    heavy = [item for item in items if item.get_closest_marker(HEAVY)]
    if heavy:
        config.hook.pytest_deselected(items=heavy)  # told in the summary; CI runs them in a step of their own
        items[:] = [item for item in items if item not in heavy]
