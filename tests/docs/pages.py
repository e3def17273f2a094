"""The pages of the documentation, their blocks, and the files that blocks show.

A block below a comment such as `<!-- fixtures/examples/weather.yaml -->` shows that file. `python -m tests.docs.pages`
copies the files into their blocks, and the table of switches into its page.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

from mockserver.config.switches import SWITCHES
from tests.support.serving import ROOT

EXAMPLES = ROOT / "fixtures" / "examples"
NAMES = (
    "README.md",
    "mockserver/README.md",
    "mockserver/testing/README.md",
    "mockserver/conformance/README.md",
    "proxy/README.md",
    "tests/README.md",
    ".github/CONTRIBUTING.md",
    ".github/CHANGELOG.md",
)
PAGES = tuple(ROOT / name for name in NAMES if (ROOT / name).exists())
FENCES = FencedCodeBlockLexer(".+", {"language": "arguments", "source": "source"})

_INCLUDES = re.compile(r"(<!-- (fixtures/\S+) -->\n```(\w+)\n)(.*?)(?<=\n)```\n", re.S)
_INCLUDED = re.compile(r"<!-- (fixtures/\S+) -->\n\Z")
_TABLE = re.compile(r"(\n\| switch \| values \| decides \|\n\|---\|---\|---\|\n)(?:\|.*\n)*")
_PRINTS = re.compile(r"^ *print\(.*\)  # (.*)$", re.M)


class Command(NamedTuple):
    """A command of a console block, and what the page shows below it; nothing if it shows none of the output."""

    line: str
    output: str


def title(page: Path) -> str:
    """The page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def chapter(text: str, position: int) -> str:
    """The heading of the first or second level above a position."""
    headings = re.findall(r"^##? (.+)$", _without_blocks(text[:position]), re.M)
    return headings[-1] if headings else ""


def section(page: str, heading: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    text = (ROOT / page).read_text(encoding="utf-8")
    level, begins = re.search(rf"^(#+) {re.escape(heading)}\n", text, re.M).group(1, 0)  # type: ignore[union-attr]
    return re.split(rf"^#{{1,{len(level)}}} ", text.partition(begins)[2], maxsplit=1, flags=re.M)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without their heads."""
    found, lines = [], text.splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        if line.startswith("| ") and not line.startswith("|---") and above.startswith("|"):
            found.append([cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found


def blocks(text: str, language: str) -> list[str]:
    """The blocks of a language in a text."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.S | re.M)


def anchors(page: Path) -> set[str]:
    """What a link to a heading of a page may say after its #."""
    headings = re.findall(r"^#+ (.*)$", _without_blocks(page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def included(text: str, position: int) -> str | None:
    """The file that the block at a position shows, None for a block of the page itself."""
    comment = _INCLUDED.search(text, 0, position)
    return comment[1] if comment else None


def inclusions(page: Path) -> list[tuple[str, str]]:
    """The files that a page shows, each with the content of its block."""
    return [(match[2], match[4]) for match in _INCLUDES.finditer(page.read_text(encoding="utf-8"))]


def prints(program: str) -> list[str]:
    """What a program prints, as the comments after its `print` calls say."""
    return _PRINTS.findall(program)


def commands(text: str) -> list[Command]:
    """The commands of a console block; a command goes on as long as its quotes are open."""
    parts = re.split(r"^\$ ", text, flags=re.M)[1:]
    return [_command(part.splitlines(keepends=True)) for part in parts]


def _command(lines: list[str]) -> Command:
    length = next(n for n in range(1, len(lines) + 1) if _is_complete("".join(lines[:n])))
    return Command("".join(lines[:length]).rstrip("\n"), "".join(lines[length:]))


def _is_complete(line: str) -> bool:
    try:
        return bool(shlex.split(line, comments=True))
    except ValueError:
        return False


def matches(shown: str, printed: str) -> bool:
    """Whether a command printed what a page shows: `…` stands for anything, white space does not count."""
    parts = re.sub(r"\s+", "", shown).split("…")
    return bool(re.fullmatch(".*?".join(map(re.escape, parts)), re.sub(r"\s+", "", printed), re.S))


def switch_rows() -> list[str]:
    """The rows of the table of switches."""
    found = []
    for name, switch in SWITCHES.items():
        values = ", ".join(value if " " in value else f"`{value}`" for value in switch.values)
        found.append(f"| `{name}` | {values} | {switch.meaning} |")
    return found


def refresh(text: str) -> str:
    """A page's text with the files and the table of today."""
    text = _INCLUDES.sub(lambda match: f"{match[1]}{(ROOT / match[2]).read_text(encoding='utf-8')}```\n", text)
    return _TABLE.sub(lambda match: match[1] + "".join(f"{row}\n" for row in switch_rows()), text)


def _without_blocks(text: str) -> str:
    return re.sub(r"^```.*?(?:^```$|\Z)", "", text, flags=re.S | re.M)


def main() -> None:
    """Write every page anew."""
    for page in PAGES:
        page.write_text(refresh(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
