"""Every citation of the specification in code and documents: `python -m tests.support.citations` counts them.

A citation is a rule (`R1.24`, `E60`, `S8 i`, `R4.16 A`), a group (`R4.*`, `R7`), a range (`R1.20–R1.32`,
`WE1 to WE8`), a section (`errors §3 step 6`) or a page (`wire.md`); the name of a test may hold one
(`test_R1_24_unknown_parent`). Each has to be found by `understudy explain`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mockserver.conformance.explain import resolve
from mockserver.conformance.rule_catalog import pages, specification

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").is_file())
SUFFIXES = frozenset((".py", ".md", ".yaml", ".yml", ".mjs", ".js", ".html", ".json", ".jsonl"))
# The rules themselves, and what makes up rules to see that they are missed.
_EXCEPT = frozenset(("rules.json", "test_citations.py"))
# Not ours to read: what builds and editors leave behind, and bodies that a server wrote.
_SKIPPED = frozenset(("__pycache__", "node_modules", "build", "dist", "cassettes", "upgrades"))
# What looks like a citation and is none: rules made up by tests of citations, codes of the linter and of others.
NO_CITATIONS = frozenset(("R0.1", "R0.2", "R0.7", "R1.99", "R1.399", "R99.1", "E731", "E501", "F401"))

_RULE = r"(?:R\d+\.\*|R\d+(?:\.\d+b?)?|WE\d+|[EPFWOICNTSX]\d+(?:\.\d+)?)"
_BEFORE = r"(?<![\w.%#/\\$&=@*-])"
_CITED = re.compile(
    rf"{_BEFORE}(?P<first>{_RULE})"
    rf"(?:(?: ?[–-] ?| to )(?P<last>{_RULE})|(?P<parts> ?\(?[a-j](?:, [a-j])*\)?| [A-D]))?(?![\w*]|\.\d)"
)
_IN_NAME = re.compile(
    r"(?<=_)(?:R(?P<section>\d+)_(?P<number>\d+b?)|(?P<rule>WE\d+|[EPFWOICNTSX]\d+)(?P<part>[a-j]?))(?=_|\b)"
)
_STEPS = re.compile(r"(?P<page>\w+)(?:\.md)? §(?P<section>\d+) steps? (?P<first>\d+)(?:(?:[–-]| to )(?P<last>\d+))?")
_SECTIONS = re.compile(r"(?P<page>\w+)(?:\.md)?,? (?P<list>§\d+(?:\.\d+)?(?:(?:, | and | to |[–-])§?\d+(?:\.\d+)?)*)")
_FOREIGN = re.compile(r"RFC \d+ §[\d.]+")


class Citation(NamedTuple):
    """A citation in a file, and the rules or sections that it names: none if it can't be looked up."""

    path: str
    line: int
    text: str
    names: tuple[str, ...]


def files() -> Iterator[Path]:
    """Yield every file of the repository that may cite, except the rules themselves."""
    for path in sorted(ROOT.rglob("*")):
        inside = path.relative_to(ROOT)
        hidden = any(part.startswith(".") and part not in (".ci", ".github") for part in inside.parts)
        if path.suffix in SUFFIXES and not hidden and not _SKIPPED & set(inside.parts) and path.name not in _EXCEPT:
            yield path


def citations(path: Path) -> Iterator[Citation]:
    """Yield what a file cites, line by line."""
    where = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for text, names in cited(line):
            yield Citation(where, number, text, names)


def cited(line: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each citation of a line with what it names."""
    for match in _CITED.finditer(line):
        if not NO_CITATIONS & {match["first"], match["last"]}:
            yield match[0], _rules(match)
    for name in re.findall(r"\bdef (test_\w+)", line):
        for match in _IN_NAME.finditer(name):
            id = f"R{match['section']}.{match['number']}" if match["section"] else match["rule"] + match["part"]
            yield f"{name}: {id}", resolve(id)
    if "§" in line or ".md" in line:
        yield from _places(line)


def _rules(match: re.Match[str]) -> tuple[str, ...]:
    first, last, parts = match["first"], match["last"], match["parts"]
    if last and _family(first) != _family(last):  # two rules, as the id of a test joins them
        both = (resolve(first), resolve(last))
        return (*both[0], *both[1]) if all(both) else ()
    if last:
        return resolve(f"{first}-{last}")
    letters = re.findall("[a-jA-D]", parts or "")
    of_parts = [resolve(first + letter) for letter in letters]
    if letters and any(of_parts):
        return tuple(name for names in of_parts for name in names) if all(of_parts) else ()
    return resolve(first)  # what follows was a word, such as the article


def _family(rule: str) -> str:
    return rule.rstrip("0123456789.b*")


def _places(line: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    line = _FOREIGN.sub("", line)
    for match in _STEPS.finditer(line):
        steps = range(int(match["first"]), int(match["last"] or match["first"]) + 1)
        found = [resolve(f"{match['page']} §{match['section']} step {step}") for step in steps]
        yield match[0], tuple(name for names in found for name in names) if all(found) else ()
    line = _STEPS.sub("", line)
    for match in _SECTIONS.finditer(line):
        numbers = re.findall(r"\d+(?:\.\d+)?", match["list"])
        found = [resolve(f"{match['page']} §{number}") for number in numbers]
        known = match["page"] in pages() and all(found)
        yield match[0], tuple(name for names in found for name in names) if known else ()
    for lone in re.findall(r"§\d+(?:\.\d+)?", _SECTIONS.sub("", line)):
        yield lone, ()
    for page in re.findall(rf"\b({'|'.join(pages())})\.md\b", line):
        yield f"{page}.md", resolve(page)


@cache
def all_citations() -> tuple[Citation, ...]:
    """Return every citation of the repository."""
    return tuple(one for path in files() for one in citations(path))


def main() -> int:
    """Print how many citations there are and which can't be looked up; returns 1 if there is one of these."""
    lost = [one for one in all_citations() if not one.names]
    for one in lost:
        print(f"{one.path}:{one.line}: {one.text}")
    rules = {name for one in all_citations() for name in one.names} & set(specification())
    print(f"{len(all_citations())} citations of {len(rules)} rules, {len(lost)} can't be looked up")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
