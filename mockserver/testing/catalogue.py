"""The rules of the API's behaviour that docstrings cite (`Spec: R1.24`): what each says, who says so, how sure it is.

They are read once from `rules.json`; adding a rule is one entry in that file.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

import orjson


class Source(NamedTuple):
    """Who says so; `url` is None where nothing was published."""

    name: str
    url: str | None


class Entry(NamedTuple):
    """A rule: one sentence, its sources, and how sure it is: A measured, B documented, C inferred.

    `why` says why no fixed rule checks it, None where one does.
    """

    id: str
    sentence: str
    sources: tuple[Source, ...]
    confidence: Literal["A", "B", "C"]
    why: str | None = None


@cache
def catalogue() -> dict[str, Entry]:
    """Return every rule by its id, in the specification's order."""
    document = orjson.loads((files("mockserver.testing") / "rules.json").read_bytes())
    sources = {key: Source(**source) for key, source in document["sources"].items()}
    return {
        id: Entry(
            id,
            rule["sentence"],
            tuple(sources[key] for key in rule["source"]),
            rule["confidence"],
            rule.get("why"),
        )
        for id, rule in document["rules"].items()
    }
