"""What an option takes: a kind says it in words, and reads a text or a Python value."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from mockserver.config.pacing import Pacing, make_pacing, parse_pacing
from mockserver.config.recordings import read_factor, read_field, read_pattern
from mockserver.config.switches import parse_assignment, parse_value

FLAG_WORDS: Mapping[str, bool] = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,4000}")  # int() also reads "1_0" and digits of other scripts


class Kind(NamedTuple):
    """What an option takes in words, and its reader: text or Python value in, setting out; raises ValueError."""

    takes: str
    read: Callable[[Any], Any]


def _read_text(given: Any) -> str:
    text = os.fspath(given)
    if not isinstance(text, str) or not text:
        raise ValueError
    return text


def _read_choice(choices: Sequence[str], given: Any) -> str:
    if given not in choices:
        raise ValueError
    return str(given)


def _read_whole(least: float, most: float, given: Any) -> int:
    number = int(given) if isinstance(given, str) and _WHOLE_NUMBER.fullmatch(given) else given
    if type(number) is not int or not least <= number <= most:
        raise ValueError
    return number


def _read_seconds(given: Any) -> float:
    if isinstance(given, bool) or not 0 < (seconds := float(given)) < 1e9:
        raise ValueError
    return seconds


def _read_flag(given: Any) -> bool:
    if isinstance(given, bool):
        return given
    if not isinstance(given, str) or given.lower() not in FLAG_WORDS:
        raise ValueError
    return FLAG_WORDS[given.lower()]


def _read_upstream(given: Any) -> str:
    text = _read_text(given)
    parts = urlsplit(text)  # raises ValueError itself, and so does `port`
    usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and text.isascii()
    if not usable or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError
    return text.rstrip("/")


_STORES = ("sqlite:///", "postgresql://", "postgres://")


def _read_store(given: Any) -> str:
    text = _read_text(given)
    if text != "memory" and not any(text.startswith(start) and text != start for start in _STORES):
        raise ValueError
    return text


LATEST = 0xFFFFFFFF  # 2106-02-07T06:28:15Z: ids hold the second of their making in 32 bits
TIMES = "an ISO time from 1970 to 2106-02-07 such as 2026-11-20T12:00:00Z"


def parse_time(text: str) -> float:
    """Parse an ISO 8601 time (UTC when it names no zone) to unix seconds; raises ValueError, also out of range."""
    return _seconds_since_1970(datetime.fromisoformat(text))


def _seconds_since_1970(moment: datetime) -> float:
    return check_moment((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def check_moment(seconds: float) -> float:
    """A time in unix seconds that a clock may show; raises ValueError for one before 1970 or after `LATEST`."""
    if not 0 <= seconds <= LATEST:
        raise ValueError
    return seconds


def _read_clock(given: Any) -> float | None:
    if isinstance(given, str):
        return None if given == "system" else parse_time(given)
    if isinstance(given, datetime):
        return _seconds_since_1970(given)
    if type(given) not in (int, float):
        raise ValueError
    return float(check_moment(given))


def _read_pacing(given: Any) -> Pacing:
    return parse_pacing(given) if isinstance(given, str) else make_pacing(given)


def _read_assignment(given: Any) -> tuple[str, str]:
    """Read `NAME=VALUE`, or a pair as a Python mapping has it, as the switch and its value as text."""
    return parse_assignment(given) if isinstance(given, str) else parse_value(*given)


def one_of(choices: Sequence[str]) -> Kind:
    return Kind("takes one of " + ", ".join(choices), partial(_read_choice, choices))


TEXT = Kind("takes a value that is not empty", _read_text)
FLAG = Kind("takes true or false", _read_flag)
PORT = Kind("takes a port from 0 to 65535", partial(_read_whole, 0, 65535))
COUNT = Kind("takes a whole number, 0 or more", partial(_read_whole, 0, float("inf")))
POSITIVE = Kind("takes a whole number, 1 or more", partial(_read_whole, 1, float("inf")))
INTEGER = Kind("takes a whole number", partial(_read_whole, float("-inf"), float("inf")))
SECONDS = Kind("takes a number of seconds above 0", _read_seconds)
FACTOR = Kind("takes a number, 0 or more", read_factor)
PATTERN = Kind("takes a regular expression", read_pattern)
FIELD = Kind("takes +FIELD to compare a field of a request or -FIELD to ignore it", read_field)
UPSTREAM = Kind("takes a URL such as https://api.openai.com/v1", _read_upstream)
STORE = Kind("takes memory, sqlite:///FILE or postgresql://USER@HOST/DATABASE", _read_store)
CLOCK = Kind(f"takes system or {TIMES}", _read_clock)
PACING = Kind("takes FIRST_TOKEN_S:TOKENS_PER_S, such as 0.3:60", _read_pacing)
INSTANT = Pacing()
SWITCH = Kind("takes NAME=VALUE", _read_assignment)
