"""The rules of the API's behaviour that docstrings cite (`Spec: R1.24`): their sentences, sources and confidence.

They are read once from `rules.json`; to add a rule, add an entry to that file. `understudy explain` prints them.
"""

# What must stay true: `rules.json` is the only copy of the specification in the repository. Docstrings cite
# ids, and a test resolves each of them here, so a rule can't be renamed without its citations.

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson

# What a server can be judged by: rules about state and sockets. The other families (E, S, W, …) are the bytes and
# figures that these rules rest on; a part such as `R4.16 A` is judged with its rule.
_JUDGED = re.compile(r"R\d+\.\d+b?|X\d+|WE\d+")


class Source(NamedTuple):
    """The origin of a rule; `url` is None where nothing was published."""

    name: str
    url: str | None


class Entry(NamedTuple):
    """A rule: one or two sentences, its sources, and how sure it is: A measured, B documented, C inferred.

    `why` says why no fixed rule checks it, None where one does. `kinds` are those of the sources (measured, documented,
    types, reported, imitation, guess, design), `switches` control the rule in the mock, and `differs` says where the
    mock differs from today's API. `profile` is that of a rule that servers are judged by: state or wire.
    """

    id: str
    sentence: str
    sources: tuple[Source, ...]
    confidence: Literal["A", "B", "C"]
    why: str | None = None
    kinds: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    differs: str | None = None
    profile: str = ""


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(Path(__file__).with_name("rules.json").read_bytes())
    return document


@cache
def specification() -> dict[str, Entry]:
    """Every rule of every family by its id, in the specification's order."""
    known = _document()["sources"]
    sources = {key: Source(source["name"], source["url"]) for key, source in known.items()}
    return {
        id: Entry(
            id,
            rule["sentence"],
            tuple(sources[key] for key in rule["source"]),
            rule["confidence"],
            rule.get("why"),
            tuple(dict.fromkeys(known[key]["kind"] for key in rule["source"])),
            tuple(rule.get("switch", ())),
            rule.get("mock"),
            rule.get("profile", ""),
        )
        for id, rule in _document()["rules"].items()
    }


@cache
def catalogue() -> dict[str, Entry]:
    """The rules that a server is judged by, by id, in the specification's order."""
    return {id: entry for id, entry in specification().items() if _JUDGED.fullmatch(id)}


def sections() -> dict[str, str]:
    """The sections of the specification's pages with their contents, by names such as `errors §3 step 6`."""
    contents: dict[str, str] = _document()["sections"]
    return contents


def pages() -> dict[str, str]:
    """The specification's pages with their subjects."""
    subjects: dict[str, str] = _document()["pages"]
    return subjects
