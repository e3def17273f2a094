"""Law 5 of cassettes: a faithful upstream shows no drift, in `shadow` and in `verify`, for programs of the machine.

How many mistakes of an upstream are found is measured by `python -m tests.shadow_mutants`.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from mockserver.config.settings import Settings
from mockserver.conformance.drivers import NOON, EngineDriver, HTTPDriver
from mockserver.conformance.machine.random_walk import walk
from mockserver.engine.engine import Engine
from proxy import Proxy
from proxy.cassettes.file import parse
from proxy.journal_cassette import write_journal
from proxy.verify import Verifier
from tests.support.cassettes import mock_upstream
from tests.support.examples import part_of

STEPS = 25
PROGRAMS = 200


class ClientOverHTTP(HTTPDriver):
    """A client of an API, whose clock it can't move."""

    def __init__(self, base_url: str, key: str) -> None:
        super().__init__(base_url, key)
        self.controls, self.sockets = False, True

    def _has_controls(self) -> bool:
        return False


class Client(EngineDriver):
    """The same without a server."""

    controls = False


def shadowed(seeds: Iterable[int]) -> list[dict[str, object]]:
    """The drift of programs that talk to a mock through a proxy in mode `shadow`."""
    with mock_upstream() as (_, upstream), Proxy(mode="shadow", upstream=upstream) as proxy:
        for seed in seeds:
            driver = ClientOverHTTP(proxy.base_url, f"sk-shadow-{seed:012d}")
            walk(driver, seed, STEPS)
            driver.close()
        return proxy.drift()


def test_a_faithful_upstream_shows_no_drift() -> None:
    assert shadowed(range(part_of(10))) == []


@pytest.mark.slow
def test_a_faithful_upstream_shows_no_drift_in_200_programs() -> None:
    assert shadowed(range(PROGRAMS)) == []


@pytest.mark.parametrize("first", range(0, part_of(PROGRAMS), 10))
def test_what_the_mock_said_is_verified_without_drift(first: int) -> None:
    for seed in range(first, first + 10):
        engine = Engine(Settings(clock=NOON))
        walk(Client(engine), seed, STEPS)
        cassette = parse(b"".join(write_journal(engine.journal.answers(None))), "walk")
        verifier = Verifier()
        verifier.check_all(cassette)
        assert verifier.checked > STEPS and verifier.drift.groups() == [] == list(cassette.problems)
        verifier.close()
        engine.close()
