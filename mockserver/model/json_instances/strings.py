"""Strings for instances: by format, by pattern, by the property's name, else a few words of the right length."""

# A pattern is answered by walking its parse tree and writing something at each node. The tree says nothing of
# what a lookahead or a word boundary forbids, so each text is matched against the pattern, and other draws are
# tried.
#
# What must stay true:
# * The same schema and key always give the same text; words and names keep their order, since each is chosen by
#   index.
# * Every loop is bounded (`_TRIES`, `_LONGEST`), because patterns come from requests: `(a*)*` or `x{1000000}`
#   must end.
# * A format counts before a pattern, a pattern before a name; the first candidate that fits wins.

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from typing import Any

from mockserver.model.json_instances.budget import CHARACTERS, FREE_WAYS, WAYS, Budget, BudgetSpent
from mockserver.model.seeded_random import choose, draw

# The standard library's own parser is private, so it has no types; writing another one would be another dialect.
_PARSER: Any = import_module("re._parser")
# Their order is part of every answer: a word inserted here changes the answers of earlier versions.
_WORDS = (
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "haven",
    "indigo",
    "juniper",
    "kelp",
    "lilac",
    "maple",
    "north",
    "olive",
    "pearl",
    "quartz",
    "river",
    "sable",
    "tulip",
    "umber",
    "violet",
    "willow",
    "yarrow",
    "zephyr",
)
_BY_NAME: Mapping[str, tuple[str, ...]] = {
    "city": ("Paris", "Lisbon", "Nairobi", "Kyoto", "Oslo"),
    "location": ("Paris, France", "Lisbon, Portugal", "Nairobi, Kenya", "Kyoto, Japan", "Oslo, Norway"),
    "country": ("France", "Portugal", "Kenya", "Japan", "Norway"),
    "timezone": ("Europe/Paris", "Europe/Lisbon", "Africa/Nairobi", "Asia/Tokyo", "Europe/Oslo"),
    "language": ("French", "Portuguese", "Swahili", "Japanese", "Norwegian"),
    "currency": ("EUR", "KES", "JPY", "NOK", "USD"),
    "name": ("Ada", "Grace", "Alan", "Edsger", "Barbara"),
    "email": ("ada@example.com", "grace@example.com", "alan@example.com"),
    "url": ("https://example.com/amber", "https://example.com/birch", "https://example.com/cedar"),
    "date": ("2026-03-14", "2026-06-21", "2026-10-05"),
}
_TRIES = 64  # texts written for one pattern; most take one, lookaheads some
MOST_WAYS = 500_000  # of dividing a text that are tried: some hundredths of a second
_MOST_DOUBLINGS = 32  # more than enough to pass that
_LONGEST = 20_000  # characters of a text, also if a schema requires more


def text(schema: Mapping[str, Any], key: str, name: str, budget: Budget | None = None) -> str:
    """A string for a schema of type string; `name` is the name of its property. Raises BudgetSpent.

    The first candidate within the schema's lengths and pattern counts: format, pattern, name, plain words.
    """
    shortest = _length(schema.get("minLength"), 0)
    longest = _length(schema.get("maxLength"), _LONGEST)
    budget = budget or Budget()
    budget.spend(shortest // CHARACTERS)
    pattern = schema.get("pattern")
    for candidate in _candidates(schema, key, name, shortest, longest, budget):
        if shortest <= len(candidate) <= longest and _fits(pattern, candidate, budget):
            return candidate
    return _words(key, shortest, longest)


def _length(value: Any, default: int) -> int:
    return min(int(value), _LONGEST) if isinstance(value, int | float) and value >= 0 else default


@lru_cache(maxsize=512)
def _compile(pattern: Any) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern) if isinstance(pattern, str) else None
    except (re.error, OverflowError, RecursionError):
        return None


def _fits(pattern: Any, text: str, budget: Budget) -> bool:
    """Whether a text matches; any does where it could take for ever to find out, and where there is no pattern."""
    compiled = _compile(pattern)
    return compiled is None or searches(compiled, pattern, text, budget)


def searches(compiled: re.Pattern[str], pattern: str, text: str, budget: Budget) -> bool:
    """Whether a text matches, or could take long to search; raises BudgetSpent."""
    ways = search_ways(pattern, len(text))
    if ways > MOST_WAYS:
        return True
    budget.spend(max(ways - FREE_WAYS, 0) // WAYS)
    return compiled.search(text) is not None


def takes_long(pattern: str, length: int) -> bool:
    """Whether to search a text of a length with a valid pattern may take long."""
    return search_ways(pattern, length) > MOST_WAYS


@lru_cache(maxsize=4096)
def search_ways(pattern: str, length: int) -> int:
    """How many ways to divide a text of a length among a pattern's repeats a search may try; counted up to `MOST_WAYS`.

    A row of repeats is no exponential thing, but `a*a*a*b` tries 170 million ways to divide a thousand letters.
    """
    if may_explode(pattern):
        return MOST_WAYS + 1
    tree = _PARSER.parse(pattern)
    first = tree[0] if len(tree) else None
    is_anchored = first is not None and str(first[1]).startswith("AT_BEGINNING") and not tree.state.flags & re.MULTILINE
    return _ways(tree, length) * (1 if is_anchored else length + 1)


def _ways(tree: Any, length: int) -> int:
    """In how many ways a pattern may divide a text, at most; counted up to a little more than `MOST_WAYS`."""
    ways = 1
    for operation, argument in tree:
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, inner = int(argument[0]), int(argument[1]), _ways(argument[2], length)
            ways *= 1 + min(most - least, length)
            if inner > 1:
                ways *= inner ** min(most, length, _MOST_DOUBLINGS)
        elif name == "BRANCH":
            ways *= sum(_ways(branch, length) for branch in argument[1])
        else:
            for part in _parts(name, argument):
                ways *= _ways(part, length)
        ways = min(ways, MOST_WAYS + 1)
    return ways


@lru_cache(maxsize=512)
def may_explode(pattern: str) -> bool:
    """Whether to search with a valid pattern may take exponential time: open repeats inside an open repeat.

    The standard library tries every way to divide a text among them, and lets no other thread go on meanwhile.
    """
    return _explodes(_PARSER.parse(pattern), inside=False)


def _explodes(tree: Any, *, inside: bool) -> bool:
    for operation, argument in tree:
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            is_open = int(argument[1]) - int(argument[0]) > 1
            if (is_open and inside) or _explodes(argument[2], inside=inside or int(argument[1]) > 1):
                return True
        elif name == "BRANCH":
            if inside or any(_explodes(branch, inside=inside) for branch in argument[1]):
                return True
        elif any(_explodes(part, inside=inside) for part in _parts(name, argument)):
            return True
    return False


def _parts(operation: str, argument: Any) -> list[Any]:
    """The patterns inside one that is no repeat and no alternative."""
    if operation == "SUBPATTERN":
        return [argument[3]]
    if operation in ("ASSERT", "ASSERT_NOT"):
        return [argument[1]]
    if operation == "POSSESSIVE_REPEAT":
        return [argument[2]]
    if operation == "GROUPREF_EXISTS":
        return [part for part in argument[1:] if part is not None]
    return [argument] if operation == "ATOMIC_GROUP" else []


def _candidates(
    schema: Mapping[str, Any], key: str, name: str, shortest: int, longest: int, budget: Budget
) -> list[str]:
    form, pattern = schema.get("format"), schema.get("pattern")
    texts = [_FORMATS[form](key)] if isinstance(form, str) and form in _FORMATS else []
    if isinstance(pattern, str):
        text = matching(pattern, key, shortest, longest, budget)
        texts += [] if text is None else [text]
    if name.lower() in _BY_NAME:
        texts.append(choose(key, _BY_NAME[name.lower()]))
    return [*texts, choose(key, _WORDS)]


def _words(key: str, shortest: int, longest: int) -> str:
    first = draw(key, len(_WORDS))
    words: list[str] = [_WORDS[first]]
    length = len(words[0])
    while length < shortest:
        words.append(_WORDS[(first + len(words)) % len(_WORDS)])
        length += 1 + len(words[-1])
    return " ".join(words)[:longest]


def _two(key: str, first: int, last: int) -> str:
    return f"{first + draw(key, last - first + 1):02}"


def _date(key: str) -> str:
    return f"2026-{_two(key + 'm', 1, 12)}-{_two(key + 'd', 1, 28)}"


def _time(key: str) -> str:
    return f"{_two(key + 'H', 0, 23)}:{_two(key + 'M', 0, 59)}:{_two(key + 'S', 0, 59)}Z"


def _uuid(key: str) -> str:
    digits = "".join(f"{draw(f'{key}{part}', 1 << 32):08x}" for part in range(4))
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


_FORMATS: Mapping[str, Callable[[str], str]] = {
    "date": _date,
    "time": _time,
    "date-time": lambda key: f"{_date(key)}T{_time(key)}",
    "duration": lambda key: f"PT{1 + draw(key, 59)}M",
    "email": lambda key: f"{choose(key, _WORDS)}@example.com",
    "hostname": lambda key: f"{choose(key, _WORDS)}.example.com",
    # 192.0.2.0/24 and 2001:db8::/32 are reserved for documentation (RFC 5737, RFC 3849): nobody is called by them.
    "ipv4": lambda key: f"192.0.2.{1 + draw(key, 254)}",
    "ipv6": lambda key: f"2001:db8::{1 + draw(key, 0xFFFE):x}",
    "uuid": _uuid,
    "uri": lambda key: f"https://example.com/{choose(key, _WORDS)}",
    "url": lambda key: f"https://example.com/{choose(key, _WORDS)}",
    "uri-reference": lambda key: f"/{choose(key, _WORDS)}",
    "json-pointer": lambda key: f"/{choose(key, _WORDS)}",
    "regex": lambda key: f"^{choose(key, _WORDS)}$",
    "byte": lambda key: "YW1iZXI=",
    "base64": lambda key: "YW1iZXI=",
    "decimal": lambda key: f"{draw(key, 1000)}.{draw(key + 'c', 100):02}",
}


def matching(
    pattern: str, key: str, shortest: int = 0, longest: int = _LONGEST, budget: Budget | None = None
) -> str | None:
    """A text that matches a regular expression, None if this simple generator can't find one. Spec: R11.6.

    Raises BudgetSpent where the budget is the caller's.
    """
    if _compile(pattern) is None:
        return None
    if budget is None:
        with suppress(BudgetSpent):
            return matching(pattern, key, shortest, longest, Budget())
        return None
    tree = _PARSER.parse(pattern)
    written = 0
    for number in range(_TRIES):
        candidate = _Maker(f"{key}~{number}", shortest + number // 8, budget).write(tree)
        if shortest <= len(candidate) <= longest and _fits(pattern, candidate, budget):
            return candidate
        written += len(candidate)
        if written > _LONGEST:
            break
    return None


class _Maker:
    """Writes one text along a parsed regular expression; `wanted` is the length it grows open repeats to."""

    def __init__(self, key: str, wanted: int, budget: Budget) -> None:
        self._key = key
        self._budget = budget
        self._wanted = wanted
        self._steps = 0
        self._length = 0
        self._groups: dict[int, str] = {}

    def write(self, tree: Any) -> str:
        return "".join(self._one(str(operation), argument) for operation, argument in tree)

    def _draw(self, below: int) -> int:
        self._steps += 1
        return draw(f"{self._key}{self._steps}", below)

    def _one(self, operation: str, argument: Any) -> str:
        self._budget.spend(1)
        match operation:
            case "LITERAL":
                return self._grow(chr(argument))
            case "NOT_LITERAL":
                return self._grow("b" if chr(argument) == "a" else "a")
            case "ANY":
                return self._grow(chr(ord("a") + self._draw(26)))
            case "IN":
                return self._grow(self._member(argument))
            case "BRANCH":
                return self.write(argument[1][self._draw(len(argument[1]))])
            case "SUBPATTERN":
                text = self.write(argument[3])
                self._groups[argument[0]] = text
                return text
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                return self._repeat(*argument)
            case "ATOMIC_GROUP":
                return self.write(argument)
            case "GROUPREF":
                return self._grow(self._groups.get(argument, ""))
        return ""

    def _grow(self, text: str) -> str:
        self._length += len(text)
        return text

    def _repeat(self, least: int, most: Any, tree: Any) -> str:
        times = least + self._draw(min(int(most) - least, 5) + 1)
        written: list[str] = []
        while len(written) < times or (len(written) < most and self._length < self._wanted):
            if self._length + self._steps + len(written) > _LONGEST:
                break
            written.append(self.write(tree))
        return "".join(written)

    def _member(self, members: list[tuple[Any, Any]]) -> str:
        listed = [(str(operation), argument) for operation, argument in members]
        if listed[0][0] == "NEGATE":
            allowed = [character for character in _PLAIN if not any(_in(character, member) for member in listed[1:])]
            return allowed[self._draw(len(allowed))] if allowed else ""
        operation, argument = listed[self._draw(len(listed))]
        if operation == "RANGE":
            return chr(argument[0] + self._draw(argument[1] - argument[0] + 1))
        if operation == "CATEGORY":
            allowed = [character for character in _PLAIN if _in(character, (operation, argument))]
            return allowed[self._draw(len(allowed))]
        return chr(argument)


# What negated sets and classes are answered from; readable characters come first.
_PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_- .,:/\n"
_CATEGORIES: Mapping[str, Callable[[str], bool]] = {
    "DIGIT": str.isdigit,
    "SPACE": str.isspace,
    "WORD": lambda one: one.isalnum() or one == "_",
}


def _in(character: str, member: tuple[str, Any]) -> bool:
    operation, argument = member
    if operation == "RANGE":
        return argument[0] <= ord(character) <= argument[1]
    if operation == "CATEGORY":
        kind = str(argument).removeprefix("CATEGORY_")
        return _CATEGORIES[kind.removeprefix("NOT_")](character) != kind.startswith("NOT_")
    return ord(character) == argument
