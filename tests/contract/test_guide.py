"""The guide under both generations of OpenAI's client, sync and async, directly and through a forwarding instance."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.client_programs import LIMIT_S, chosen_variants, run_guide
from tests.support.environments import OPENAI
from tests.support.serving import Served, serving


class Variant(NamedTuple):
    """One way to run the guide."""

    openai: int
    kind: str
    checks: str
    way: str

    def __str__(self) -> str:
        return f"openai{self.openai}-{self.kind}-{self.checks}-{self.way}"

    @property
    def options(self) -> list[str]:
        """The options of the program."""
        return ["--async"] * (self.kind == "async") + ["--strict"] * (self.checks == "strict")


VARIANTS = [Variant(*one) for one in product((3, 2), ("sync", "async"), ("plain", "strict"), ("direct", "forwarded"))]


def mark_newest(variant: Variant) -> Any:
    """One variant of each generation is enough to see what a new release breaks."""
    chosen = (variant.kind, variant.checks, variant.way) == ("async", "strict", "direct")
    return pytest.param(variant, marks=[pytest.mark.newest] * chosen)


@pytest.fixture(scope="module")
def mock() -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.fixture(scope="module")
def forwarding(mock: Served) -> Iterator[Served]:
    with serving("serve", "--upstream", mock.base_url) as served:
        yield served


Runs = Mapping[Variant, "Future[subprocess.CompletedProcess[str]]"]


@pytest.fixture(scope="module")
def runs(
    mock: Served, forwarding: Served, clients: Mapping[int, Path], request: pytest.FixtureRequest
) -> Iterator[Runs]:
    """All runs that were chosen, some of them at once; a key of its own makes each a project of its own."""
    base_urls = {"direct": mock.base_url, "forwarded": forwarding.base_url}
    pool = ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2))

    def start(variant: Variant) -> Future[subprocess.CompletedProcess[str]]:
        way = (clients[variant.openai], base_urls[variant.way], mock.origin, *variant.options)
        return pool.submit(run_guide, *way, key=f"guide-{variant}")

    yield {variant: start(variant) for variant in chosen_variants(request)}
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("variant", [mark_newest(variant) for variant in VARIANTS], ids=str)
def test_guide(runs: Runs, variant: Variant) -> None:
    done = runs[variant].result(LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("all ")
    assert f" openai {OPENAI[variant.openai].version}" in done.stdout.splitlines()[-1]
    assert done.stderr == ""
