"""The names that the testing room gives out."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mockserver import testing


@pytest.mark.parametrize("name", testing.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(testing, name).__name__ == name
    assert getattr(testing, name).__doc__


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = testing.nothing


def test_asking_for_none_of_them_loads_nothing() -> None:
    code = "import sys, mockserver.testing; print({'hypothesis', 'httpx', 'mockserver.engine.engine'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
