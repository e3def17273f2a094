"""Every link of the pages leads somewhere, and every path of the repository that they name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, anchors, blocks, section, title
from tests.support.serving import ROOT

READERS = {"tests/weather.yaml", ".github/workflows/test.yml"}  # of the reader's own repository
NAMED = re.compile(r"(?<![\w/.-])((?:mockserver|proxy|tests|fixtures|\.github|\.ci)/[\w./-]*)")


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]*)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{title(page)}: {link}"
        assert not anchor or anchor in anchors(target), f"{title(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_every_path_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = {path.rstrip(".") for span in re.findall(r"`+[^`]+`+", text) for path in NAMED.findall(span)}
    missing = {path for path in named if not (ROOT / path).exists()}
    assert missing - READERS == set()


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_every_module_that_is_run_exists(page: Path) -> None:
    for module in re.findall(r"python -m (tests[\w.]*)", page.read_text(encoding="utf-8")):
        path = module.replace(".", "/") + ".py"
        assert (ROOT / path).exists(), path


def test_the_rooms_of_the_house_exist() -> None:
    (house,) = blocks(section(".github/CONTRIBUTING.md", "The house"), "text")
    rooms = re.findall(r"^  ([a-z]+/) ", house, re.M)
    assert len(rooms) > 10
    paths = {f"mockserver/{room}" for room in rooms}
    assert {path for path in paths if not (ROOT / path).exists()} == set()
    assert all((ROOT / top).exists() for top in re.findall(r"^([a-z]+)/", house, re.M))
