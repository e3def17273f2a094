"""The recipes of the pages for clients that no other test needs, and the chapters that take minutes.

Each recipe is a file of `fixtures/examples/`; it runs in an environment that has the client.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.evaluators import HEAVY, newcomer_environment, run_chapter
from tests.docs.pages import EXAMPLES
from tests.support.serving import ROOT, serving

COMPILED = ("--strict", "--module", "nodenext", "--target", "es2022", "--types", "node", "--skipLibCheck")
LIMIT_S = 600

pytestmark = pytest.mark.heavy


@pytest.mark.newest
@pytest.mark.parametrize("name", ["test_agents.py", "test_pydantic_ai.py", "test_langchain.py"])
def test_frameworks(frameworks: Path, name: str, tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / name, tmp_path)
    tests = len(re.findall(r"^def test_", (tmp_path / name).read_text(encoding="utf-8"), re.M))
    said = run(tmp_path, str(frameworks), "-m", "pytest", "-q", "-p", "no:cacheprovider", name)
    assert f"{tests} passed" in said, said


@pytest.mark.newest
def test_typescript(typescript_client: Path) -> None:
    place = typescript_client
    source, compiled = place / "weather.test.ts", place / "compiled"
    shutil.copy(EXAMPLES / source.name, source)
    (place / "package.json").write_text('{"type": "module"}')
    run(place, str(place / "node_modules" / ".bin" / "tsc"), *COMPILED, "--outDir", str(compiled), str(source))
    with serving() as served:
        said = run(place, "node", "--test", str(compiled / f"{source.stem}.js"), base_url=served.base_url)
    assert "# pass 1" in said or "ℹ pass 1" in said, said


@pytest.mark.newest
def test_ai_sdk(ai_sdk: tuple[Path, Path]) -> None:
    node, place = ai_sdk
    source = place / "ai_sdk.test.ts"
    shutil.copy(EXAMPLES / source.name, source)
    (place / "package.json").write_text('{"type": "module"}')
    with serving() as served:
        said = run(place, str(node), "--test", source.name, base_url=served.base_url)
    assert "# pass 1" in said or "ℹ pass 1" in said, said


@pytest.mark.parametrize(("page", "heading"), sorted(HEAVY))
def test_long_chapters_do_what_they_show(page: str, heading: str, tmp_path: Path) -> None:
    with serving() as served:
        run_chapter(ROOT / page, heading, served, newcomer_environment(served.base_url), tmp_path)


def run(place: Path, *command: str, base_url: str = "") -> str:
    """Run a command in a directory; it must end well. Returns what it printed."""
    done = subprocess.run(
        command, cwd=place, capture_output=True, text=True, timeout=LIMIT_S, env=newcomer_environment(base_url)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
