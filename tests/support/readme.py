"""The README's fenced blocks, each with a name: its nearest heading, its language, which of those it is."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tests.support.serving import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = "```"


class Block(NamedTuple):
    """A fenced block: `chapter` is the heading of the second level, `heading` the nearest one."""

    chapter: str
    heading: str
    language: str
    number: int
    text: str

    @property
    def name(self) -> str:
        """What it is called in the table of `test_readme.py`."""
        return f"{self.heading}: {self.language} {self.number}"

    @property
    def file(self) -> str | None:
        """The file that its first line names in a comment."""
        named = re.match(r"(?:#|//) ([\w./-]+\.\w+)$", self.text.partition("\n")[0])
        return named[1] if named else None

    @property
    def shown(self) -> list[str]:
        """What a program prints, as the comments behind its `print` say."""
        return re.findall(r"^ *print\(.*\)  # (.*)$", self.text, re.M)


class Command(NamedTuple):
    """A command of a console block, and what it prints; nothing where the README shows none of it."""

    line: str
    output: str


def _blocks() -> Iterator[Block]:
    chapter = heading = ""
    seen: Counter[tuple[str, str]] = Counter()
    lines = iter(TEXT.splitlines())
    for line in lines:
        if titled := re.match(r"(#+) (.*)", line):
            heading = titled[2]
            chapter = heading if len(titled[1]) <= 2 else chapter
        elif line.startswith(FENCE):
            language = line.removeprefix(FENCE) or "text"
            seen[heading, language] += 1
            inside = [one + "\n" for one in iter(lambda: next(lines), FENCE)]
            yield Block(chapter, heading, language, seen[heading, language], "".join(inside))


BLOCKS: Mapping[str, Block] = {block.name: block for block in _blocks()}


def commands(text: str) -> list[Command]:
    """Return the commands of a console block; one goes on as long as its quotes are open."""
    found: list[Command] = []
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        lines = part.splitlines(keepends=True)
        length = next(n for n in range(1, len(lines) + 1) if _complete("".join(lines[:n])))
        found.append(Command("".join(lines[:length]).rstrip("\n"), "".join(lines[length:])))
    return found


def _complete(line: str) -> bool:
    try:
        return bool(shlex.split(line, comments=True))
    except ValueError:
        return False


def looks_like(shown: str, printed: str) -> bool:
    """Say whether what was printed is what is shown, where `…` stands for anything and white space for none."""
    parts = re.sub(r"\s+", "", shown).split("…")
    return bool(re.fullmatch(".*?".join(map(re.escape, parts)), re.sub(r"\s+", "", printed), re.S))
