"""How tests are run: how many examples, in how many processes, which are left out. `README.md` beside says more."""

from __future__ import annotations

import gc
import os

import pytest

from tests.support.authorities import share_authorities
from tests.support.bytecode import import_share, keep_bytecode
from tests.support.environments import FIXTURES
from tests.support.examples import register_profiles

keep_bytecode()
register_profiles()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="attack for about an hour (tests/attack), and walk far over PostgreSQL"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        import_share(session.config.args, int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw")), workers)


def pytest_collection_finish() -> None:
    share_authorities()
    gc.freeze()  # ten thousand tests and their modules stay: the collector need not look at them again and again


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at the markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FIXTURES.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.clients)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Run in this process what shows what it prints, and single files, which are done before workers would start.

    Where all is run, there is one worker more than cores: tests wait for servers of theirs a third of the time.
    """
    few = all(".py" in argument for argument in config.args)
    if few or config.option.capture == "no" or config.option.markexpr == "bench":
        return 0
    if not config.option.markexpr.startswith("not ") or "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return (os.cpu_count() or 1) + 1
