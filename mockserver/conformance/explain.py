"""The command `understudy explain`: the sentence of a cited rule, its sources, and its confidence.

Exit status 0, or 2 for an unknown name. It reads `rules.json` itself, because importing the conformance kit would take
longer than the whole look-up.
"""

# How it works. Each name is reduced to a key (`_key`), and `_names` maps a key to the rules and sections that
# it stands for: a rule with its parts, or the members of a family, section or page. The words of the command
# line are joined as long as they make a known name, because names may have spaces (`S8 i`, `errors §3 step 6`).
#
# What must stay true: every name that a docstring or a page cites is found here, in any spelling that a reader
# would type; an unknown one is answered with the nearest names.

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

UNKNOWN = 2
USAGE = """usage: understudy explain RULE [RULE ...]

Says what a rule means, who says so, and how sure it is.

  understudy explain R1.24 E60         two rules
  understudy explain R1                all rules of section R1
  understudy explain R1.20-R1.32       a range
  understudy explain errors §3 step 6  a section of the specification
"""
CONFIDENCE = {"A": "measured", "B": "documented", "C": "inferred"}
_INDENT = 10
_WIDEST = 110
_LONGEST = 4  # words of a name: errors §3 step 6
_RANGE = re.compile(r"(?P<first>[A-Z]+\d+(?:\.\d+)?b?) ?[-–] ?(?P<last>[A-Z]+\d+(?:\.\d+)?b?)", re.IGNORECASE)


@cache
def document() -> Mapping[str, Mapping[str, Any]]:
    """The specification: its `sources`, `pages`, `sections` and `rules`."""
    specification: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("rules.json").read_bytes())
    return specification


def _key(name: str) -> str:
    """The form in which names are compared: `S8 (i)` equals `s8i`, and `errors.md §3` equals `errors 3`."""
    return re.sub(r"\.md\b|[\s()§]", "", name).casefold()


@cache
def _names() -> Mapping[str, tuple[str, ...]]:
    """Each comparable name, with the names of the rules and sections that it stands for."""
    rules, sections, pages = (document()[part] for part in ("rules", "sections", "pages"))
    groups_by_key: dict[str, list[str]] = {
        _key(page): [section for section in sections if section.startswith(page + " ")] for page in pages
    }
    for id in rules:
        # A rule belongs to its family (R), to its section (R1) and, being a part, to its rule (S8 of S8 i).
        family = re.match("[A-Z]+", id)
        groups = {family[0] if family else id, id.partition(".")[0], id.partition(" ")[0]}
        for group in groups:
            groups_by_key.setdefault(_key(group), []).append(id)
    for name in (*rules, *sections):
        parts = [section for section in groups_by_key.get(_key(name), ()) if section != name and name in rules]
        groups_by_key[_key(name)] = [name, *parts]
    return {key: tuple(names) for key, names in groups_by_key.items()}


def resolve(name: str) -> tuple[str, ...]:
    """The rules or sections that a name stands for, none for an unknown name.

    A name is a rule (`R1.24`, `S8 i`), a group of rules (`R1`, `R4.*`, `E`), a range (`R1.20–R1.32`), a section of
    the specification (`errors §3 step 6`) or one of its pages (`errors.md`); capitals don't matter.
    """
    if match := _RANGE.fullmatch(name):
        ids = list(document()["rules"])
        first, last = (_names().get(_key(match[end]), ("",))[0] for end in ("first", "last"))
        if first in ids and last in ids:
            return tuple(id for id in ids[ids.index(first) : ids.index(last) + 1] if " " not in id)
        return ()
    return _names().get(_key(name.removesuffix(".*")), ())


def main(words: Sequence[str]) -> int:
    """Print what each of the rules says; returns the exit status."""
    if not words or any(word in ("-h", "--help") for word in words):
        print(USAGE, end="", file=sys.stdout if words else sys.stderr)
        return 0 if words else UNKNOWN
    resolved: list[tuple[str, ...]] = []
    rest = list(words)
    while rest:
        # A name may have spaces, so the longest that is one wins: `S8 i` before `S8`.
        size = next((size for size in range(_LONGEST, 0, -1) if resolve(" ".join(rest[:size]))), 0)
        if not size:
            print(f"understudy explain: error: there is no rule {rest[0]!r}{_hint(rest[0])}", file=sys.stderr)
            return UNKNOWN
        resolved.append(resolve(" ".join(rest[:size])))
        del rest[:size]
    width = max(40, min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns))
    for names in resolved:
        for line in _lines(names, width):
            print(line)
    return 0


def _hint(name: str) -> str:
    ids = {id.casefold(): id for id in (*document()["rules"], *document()["pages"])}
    close = [ids[one] for one in get_close_matches(name.casefold(), ids, n=3)]
    return f"; the nearest are {', '.join(close)}" if close else "; rules are named such as R1.24, E60 or S8"


def _lines(names: Sequence[str], width: int) -> Iterable[str]:
    """Yield a rule with all that is known of it, or each of several with its sentence alone."""
    rules, sections = document()["rules"], document()["sections"]
    whole = all(
        part.startswith((f"{names[0]} ", f"{names[0]}.")) for part in names[1:]
    )  # one rule, maybe with its parts
    for name in names:
        yield from _wrap(name, rules[name]["sentence"] if name in rules else sections[name], width)
        if whole and name == names[0] and name in rules:
            for text in _facts(rules[name]):
                yield from _wrap("", text, width)


def _facts(rule: Mapping[str, Any]) -> Iterable[str]:
    sources = [document()["sources"][key] for key in rule["source"]]
    kinds = " and ".join(dict.fromkeys(source["kind"] for source in sources))
    origins = "; ".join(
        f"{origin['name']} <{origin['url']}>" if origin["url"] else origin["name"] for origin in sources
    )
    yield f"source: {kinds} – {origins}"
    yield f"confidence: {rule['confidence']}, {CONFIDENCE[rule['confidence']]}"
    if "switch" in rule:
        yield f"switch: {', '.join(rule['switch'])}"
    if "mock" in rule:
        yield f"this mock {rule['mock']}"


def _wrap(name: str, text: str, width: int) -> list[str]:
    head = f"{name:<{_INDENT - 1}} "
    return textwrap.wrap(
        text,
        width,
        initial_indent=head,
        subsequent_indent=" " * _INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
