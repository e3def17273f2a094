"""Settings of recordings: how their values are read, and which of them a mode can't do without."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_FIELDS = re.compile(r"[+-][a-z_]+(,[+-][a-z_]+)*")


def read_factor(given: Any) -> float:
    """A number that is not negative; raises ValueError."""
    if isinstance(given, bool) or not 0 <= (factor := float(given)) < 1e9:
        raise ValueError
    return factor


def read_pattern(given: Any) -> str:
    """The text of a regular expression; raises ValueError."""
    if not isinstance(given, str) or not given:
        raise ValueError
    try:
        re.compile(given)
    except re.error:
        raise ValueError from None
    return given


def read_field(given: Any) -> str:
    """`+FIELD` or `-FIELD`, several with commas between them, or `-/REGEX/`; raises ValueError."""
    word = given.strip() if isinstance(given, str) else ""
    if len(word) > 3 and word.startswith("-/") and word.endswith("/"):
        read_pattern(word[2:-1])
    elif not _FIELDS.fullmatch(word):
        raise ValueError
    return word


# what a mode can't do without
NEEDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "mock": (),
    "forward": (("upstream", "--upstream URL"),),
    "record": (("upstream", "--upstream URL"), ("cassette", "--cassette FILE")),
    "replay": (("cassette", "--cassette FILE"),),
    "auto": (("upstream", "--upstream URL"), ("cassette", "--cassette FILE")),
    "shadow": (("upstream", "--upstream URL"),),
}


def missing_setting(mode: str, settings: object) -> str | None:
    """Return what a mode needs and these settings lack, None when nothing is missing."""
    lacking = [option for name, option in NEEDS[mode] if not getattr(settings, name)]
    return " and ".join(lacking) or None
