"""The README's recipes for clients that no other test needs: each runs in an environment that has the client."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.support.environments import interpreter, node_packages
from tests.support.readme import BLOCKS, Block
from tests.support.serving import ROOT, serving
from tests.test_readme import RECIPES, dealt, environment, named, run_test_file

FRAMEWORKS = ("openai-agents>=0.24,<0.25", "pydantic-ai-slim[openai]>=2.68,<3", "langchain-openai>=1.7,<2")
NODE = ("openai@^7", "typescript@^5.9", "@types/node@^22")
COMPILED = ("--strict", "--module", "nodenext", "--target", "es2022", "--types", "node", "--skipLibCheck")
LIMIT_S = 120


@pytest.fixture(scope="module")
def frameworks() -> Path:
    """The interpreter of an environment with this product, pytest and the frameworks."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return interpreter("recipes", "pytest>=8.3", *FRAMEWORKS, f"--editable={ROOT}", *needed)


@pytest.mark.heavy
@pytest.mark.parametrize("block", dealt(f"{RECIPES}::test_frameworks"), ids=named)
def test_frameworks(frameworks: Path, block: Block, tmp_path: Path) -> None:
    run_test_file(frameworks, block, tmp_path)


def test_typescript() -> None:
    block = BLOCKS["TypeScript: ts 1"]
    place = node_packages("recipes-node", *NODE)
    source, compiled = place / str(block.file), place / "compiled"
    source.write_text(block.text, encoding="utf-8")
    (place / "package.json").write_text('{"type": "module"}')
    run(place, str(place / "node_modules" / ".bin" / "tsc"), *COMPILED, "--outDir", str(compiled), str(source))
    with serving() as served:
        said = run(place, "node", "--test", str(compiled / f"{source.stem}.js"), base_url=served.base_url)
    assert "# pass 1" in said or "ℹ pass 1" in said, said


def run(place: Path, *command: str, base_url: str = "") -> str:
    """Run a command in a directory; it must end well. Returns what it printed."""
    done = subprocess.run(
        command, cwd=place, capture_output=True, text=True, timeout=LIMIT_S, env=environment(base_url)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
