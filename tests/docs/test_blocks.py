"""Every block of every page does what it says: Sybil finds the blocks, and each chapter's are run in order."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.docs.evaluators import EVALUATORS, HEAVY, SYBIL, newcomer_environment, run_chapter
from tests.docs.pages import PAGES, chapter, commands, matches, title
from tests.support.serving import Served, serving

LOADED = openai  # once, for the programs of all pages
KEYS = ("any", "b", None)
BEFORE: dict[str, Any] = {"Journal": {"model": "gpt-5.5", "input": "hi"}}  # the turn that the page shows
CHAPTERS = list(
    dict.fromkeys(
        (page, chapter(document.text, example.start))
        for page in PAGES
        for document in [SYBIL.parse(page)]
        for example in document.examples()
        if (title(page), chapter(document.text, example.start)) not in HEAVY  # `tests/contract` runs them
    )
)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    """A server at the noon that the pages show."""
    with serving("--clock", "2026-11-20T12:00:00Z") as served:
        yield served


@pytest.fixture
def served(server: Served) -> Served:
    """The server, with nothing in the projects that the pages speak of."""
    for key in KEYS:
        server.control("POST", "/reset", {}, key=key)
    return server


@pytest.fixture
def environment(served: Served, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of whoever follows the pages, for this process as well."""
    environment = newcomer_environment(served.base_url)
    for name in os.environ.keys() - environment.keys():
        monkeypatch.delenv(name)
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "NO_PROXY"):
        monkeypatch.setenv(name, environment[name])
    return environment


def name_of(value: Any) -> str:
    return title(value) if isinstance(value, Path) else value.replace(" ", "-")


@pytest.mark.parametrize(("page", "heading"), CHAPTERS, ids=name_of)
def test_blocks_do_what_they_show(
    page: Path, heading: str, served: Served, environment: dict[str, str], tmp_path: Path
) -> None:
    if heading in BEFORE:
        assert served.request("POST", "/v1/responses", BEFORE[heading], key="any").status == 200
    run_chapter(page, heading, served, environment, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_every_block_has_a_language_that_is_checked(page: Path) -> None:
    fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.M)
    assert set(fences[::2]) <= EVALUATORS.keys() and not any(fences[1::2])
    assert len(list(SYBIL.parse(page).examples())) == len(fences) // 2


def test_a_command_goes_on_while_its_quotes_are_open() -> None:
    first, second = commands("$ curl -d '{\n  }' x\nshown\n$ ls  # it's all\n")
    assert first == ("curl -d '{\n  }' x", "shown\n")
    assert second == ("ls  # it's all", "")


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [('{"a": …}', '{\n  "a": 1\n}\n', True), ('["a", …]', '["b", "c"]', False), ("1 …", "1", True), ("", "x", False)],
)
def test_an_ellipsis_stands_for_anything(shown: str, printed: str, same: bool) -> None:
    assert matches(shown, printed) is same
