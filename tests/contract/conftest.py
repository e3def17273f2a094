import pytest

from tests.contract.environments import agents_js, agents_python, clients, codex_program, node_client

__all__ = ["agents_js", "agents_python", "clients", "codex_program", "node_client"]

HEAVY = "heavy"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{HEAVY}: fetches hundreds of megabytes; run with `pytest -m {HEAVY}`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if HEAVY not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker(HEAVY):
                item.add_marker(pytest.mark.skip(reason=f"fetches a lot; run with -m {HEAVY}"))
