"""The journal for tests: which calls were made, and assertions whose messages show what was sent instead."""

# How it works. `Exchanges` is a lazy view: each use reads the journal again, so `mock.journal.turns` can be
# kept in a variable and is never out of date. An assertion compares each call's body with the conditions
# (`differences`); an empty list means that it matches, and the nearest call is the one with the fewest
# differences.
#
# What must stay true:
# * A failed assertion says what was sent instead; a bare "not found" sends its reader to a debugger.
# * `assert_no_more` knows exchanges by number, time, path and body (`_mark`), because numbers begin again after
#   a reset.
# * Assertions hide their own frames (`__tracebackhide__`), so that pytest shows the line of the test.

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

import orjson

from mockserver.wire.responses.resources import item_text

if TYPE_CHECKING:
    from mockserver.testing.embedded_server import Host

PAGE = 1000  # what the control API lists at most
LONGEST = 120  # characters of a value in a message
MOST = 5  # differences shown of a call, and calls shown of a list


class Context:
    """What the model saw for a response: `items` with the `tokens` of each, `instructions`, `tools`.

    `input_tokens` is the cost of all of it (None for a response without usage), `dropped` are the ids of items that did
    not fit the window.
    """

    def __init__(self, seen: Mapping[str, Any]) -> None:
        self.items: list[dict[str, Any]] = seen["items"]
        self.tokens: list[int] = seen["tokens"]
        self.instructions: str | None = seen["instructions"]
        self.tools: list[dict[str, Any]] = seen["tools"]
        self.input_tokens: int | None = seen["input_tokens"]
        self.dropped: list[str] = seen["dropped"]

    @property
    def texts(self) -> list[str]:
        """The readable text of each item: what a message says, what a call passes, what a tool gave back."""
        return [item_text(item) for item in self.items]


class Sent(dict[str, Any]):
    """The body of a request, as a dict in which missing members read as None."""

    def __missing__(self, key: str) -> None:
        return None


class Exchange:
    """One call of the journal: the request, and what came of it.

    `request` is the parsed body, in which missing members read as None (it is None itself if the body is no JSON),
    `body` is its text, `error` the error of the answer, `line` the scripted line that answered a turn, `transport` one
    of `http`, `sse`, `websocket`, `ended` one of `delivered`, `disconnected`, `cut`, `closed` (None while the call is
    in progress), `at` the project's time in unix seconds, `seconds` its duration.
    """

    def __init__(self, document: Mapping[str, Any], read: Callable[..., Any]) -> None:
        self._document, self._read = document, read
        self.id: int = document["id"]
        self.at: float = document["at"]
        self.transport: str = document["transport"]
        self.method: str = document["method"]
        self.path: str = document["path"]
        self.query: str = document["query"]
        self.headers: dict[str, str] = document["headers"]
        self.body: str = document["body"]
        self.request: Any = Sent(document["request"]) if isinstance(document["request"], dict) else document["request"]
        self.status: int = document["status"]
        self.error: dict[str, Any] | None = document["error"]
        self.response_id: str | None = document["response_id"]
        self.line: dict[str, Any] | None = document["line"]
        self.faults: list[str] = document["faults"]
        self.changes: list[dict[str, str]] = document["changes"]
        self.events: int = document["events"]
        self.ended: str | None = document["ended"]
        self.seconds: float = document["duration_ms"] / 1000

    @property
    def context(self) -> Context | None:
        """What the model saw, None if the call is no turn or its context is lost."""
        for document in self._read(limit=1, after=self.id - 1, context="full")["data"]:
            if document["id"] == self.id and document["context"] is not None:
                return Context(document["context"])
        return None

    @property
    def model(self) -> str | None:
        """The requested model."""
        return self.request.get("model") if isinstance(self.request, dict) else None

    @property
    def _mark(self) -> tuple[Any, ...]:
        return self.id, self.at, self.path, self.body

    def __repr__(self) -> str:
        return f"#{self.id} {self.method} {self.path} → {self.status}"


class TurnExchange(Exchange):
    """A call of the journal that requested a response, as `Exchanges.turns` has it."""

    @property
    def context(self) -> Context:
        """What the model saw; raises AssertionError if it saw nothing, or if that is lost."""
        context = super().context
        if context is None:
            raise AssertionError(f"{self!r} has no context: it was refused, or its context is deleted")
        return context


E = TypeVar("E", bound=Exchange, covariant=True)


class Exchanges(Sequence[E]):
    """Calls in the order of their arrival, and assertions about them.

    A condition on a member of a request's body is a value, a pattern that occurs in it (`re.compile`), a function that
    is true for it, a type, `...` or `unittest.mock.ANY` for any value, None for null or absent, or any object that
    compares itself, such as those of dirty-equals. An object matches if it is a subset of the sent one; a list must
    have the same length.
    """

    def __init__(self, load: Callable[[], Sequence[E]], asserted: set[tuple[Any, ...]]) -> None:
        self._load, self._asserted = load, asserted

    # --- reading -----------------------------------------------------------------------------------------------

    @overload
    def __getitem__(self, index: int) -> E: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[E]: ...
    def __getitem__(self, index: int | slice) -> E | Sequence[E]:
        return self._load()[index]

    def __len__(self) -> int:
        return len(self._load())

    def __iter__(self) -> Iterator[E]:
        return iter(self._load())

    def __repr__(self) -> str:
        return repr(list(self))

    @property
    def last(self) -> E:
        """The latest call; raises AssertionError if there is none."""
        calls = self._load()
        if not calls:
            raise AssertionError("no call was made")
        return calls[-1]

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The parsed body of each call that has one."""
        return [call.request for call in self if isinstance(call.request, dict)]

    @property
    def turns(self) -> Exchanges[TurnExchange]:
        """The calls that requested a response, over any transport."""

        def select() -> list[TurnExchange]:
            from mockserver.journal.history import TURNS

            calls = self.filter(method="POST", path=TURNS)
            return [TurnExchange(call._document, call._read) for call in calls]

        return Exchanges(select, self._asserted)

    def filter(
        self,
        *,
        path: str | None = None,
        method: str | None = None,
        status: int | None = None,
        model: str | None = None,
        response_id: str | None = None,
        transport: str | None = None,
    ) -> Exchanges[E]:
        """The calls that match; `path` may be a pattern such as `/v1/conversations*`."""
        exact = {"method": method, "status": status, "model": model, "response_id": response_id, "transport": transport}
        wanted = {name: value for name, value in exact.items() if value is not None}

        def select() -> list[E]:
            return [
                call
                for call in self._load()
                if (path is None or fnmatchcase(call.path, path))
                and all(getattr(call, name) == value for name, value in wanted.items())
            ]

        return Exchanges(select, self._asserted)

    # --- asserting ---------------------------------------------------------------------------------------------

    def assert_sent(
        self, body: Mapping[str, Any] | None = None, /, *, times: int | None = None, **conditions: Any
    ) -> E:
        """Assert that a call was made whose body meets conditions (exactly `times` such calls); returns the last one.

        Conditions are keywords, or an object for names that can't be keywords.
        """
        __tracebackhide__ = True
        wanted = {**(body or {}), **conditions}
        calls = self._load()
        matching = [call for call in calls if not differences(wanted, call)]
        if len(matching) != times if times is not None else not matching:
            raise AssertionError(_unlike(wanted, calls, matching, times))
        self._asserted.update(call._mark for call in matching)
        return matching[-1] if matching else self.last

    def assert_sequence(self, *bodies: Mapping[str, Any]) -> list[E]:
        """Assert that calls with these bodies were made in this order, with or without others between; returns them."""
        __tracebackhide__ = True
        left = list(self._load())
        matched: list[E] = []
        for number, wanted in enumerate(bodies, start=1):
            index = next((place for place, call in enumerate(left) if not differences(wanted, call)), None)
            if index is None:
                after = f" after {matched[-1]}" if matched else ""
                raise AssertionError(f"Step {number} of {len(bodies)}{after}: {_unlike(wanted, left, [], None)}")
            matched.append(left[index])
            left = left[index + 1 :]
        self._asserted.update(call._mark for call in matched)
        return matched

    def assert_no_more(self) -> None:
        """Assert that an assertion has met every call so far; calls that only read (GET) are exempt."""
        __tracebackhide__ = True
        left = [call for call in self._load() if call.method != "GET" and call._mark not in self._asserted]
        if left:
            raise AssertionError(f"{_count_calls(left)} without an assertion:{_list_calls(left)}")

    def assert_nothing_sent(self) -> None:
        """Assert that no call was made."""
        __tracebackhide__ = True
        calls = self._load()
        if calls:
            raise AssertionError(f"Expected no call, found {_count_calls(calls)}:{_list_calls(calls)}")


class Journal(Exchanges[Exchange]):
    """All calls of a mock's project so far; the oldest are dropped beyond the journal's size."""

    def __init__(self, host: Host, project: str) -> None:
        super().__init__(self._read, set())
        self._host, self._project = host, project

    def _page(self, **how: Any) -> dict[str, Any]:
        return self._host.levers.journal(self._project, **how)

    def _read(self) -> list[Exchange]:
        exchanges: list[Exchange] = []
        after: int | None = None
        while True:
            page = self._page(limit=PAGE, after=after, context="none")
            exchanges += [Exchange(document, self._page) for document in page["data"]]
            if not page["has_more"]:
                return exchanges
            after = page["last_id"]

    def clear(self) -> None:
        """Delete all calls, and forget which of them assertions have met."""
        self._host.levers.clear_journal(self._project)
        self.forget_assertions()

    def forget_assertions(self) -> None:
        """Forget which calls assertions have met, so that `assert_no_more` starts over."""
        self._asserted.clear()


class Finding(NamedTuple):
    """A client's mistake: the rule, a sentence, the ids of the calls that show it, the ids of the items involved.

    The ids of calls are those of the journal's exchanges.
    """

    rule: str
    sentence: str
    exchanges: tuple[int, ...]
    items: tuple[str, ...]

    def __repr__(self) -> str:
        calls = ", ".join(f"#{id}" for id in self.exchanges)
        return f"{self.rule} ({calls}): {self.sentence}"


# --- conditions: what differs ---------------------------------------------------------------------------------------

_ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "nothing"})()


def differences(wanted: Mapping[str, Any], call: Exchange) -> list[str]:
    """The places where a call's body differs from what is wanted, one line each; empty if it matches."""
    if not wanted:
        return []
    if not isinstance(call.request, dict):
        return [f"the body: expected a JSON object, found {_short(call.body)}"]
    return [line for key, value in wanted.items() for line in _unmet(key, value, call.request.get(key, _ABSENT))]


def _unmet(path: str, wanted: Any, actual: Any) -> Iterator[str]:
    """Yield each place below a path where a value differs from what is wanted."""
    if isinstance(wanted, Mapping) and isinstance(actual, dict):
        for key, value in wanted.items():
            yield from _unmet(f"{path}.{key}", value, actual.get(key, _ABSENT))
    elif isinstance(wanted, list | tuple) and isinstance(actual, list) and len(wanted) == len(actual):
        for index, (value, there) in enumerate(zip(wanted, actual, strict=True)):
            yield from _unmet(f"{path}[{index}]", value, there)
    elif not _holds(wanted, actual):
        yield f"{path}: expected {_format(wanted)}, found {_format(actual)}"


def _holds(wanted: Any, actual: Any) -> bool:
    if _is_anything(wanted):
        return actual is not _ABSENT
    if _compares_itself(wanted):
        return bool(wanted == (None if actual is _ABSENT else actual))
    if actual is _ABSENT:
        return wanted is None
    if isinstance(wanted, re.Pattern):
        return isinstance(actual, str) and wanted.search(actual) is not None
    if isinstance(wanted, type):
        return isinstance(actual, wanted)
    if callable(wanted):
        return bool(wanted(actual))
    return wanted == actual and (type(wanted) is type(actual) or (_number(wanted) and _number(actual)))


def _is_anything(wanted: Any) -> bool:
    # not imported: whoever passes ANY has done that, and for others it is the largest import of a mock
    mock = sys.modules.get("unittest.mock")
    return wanted is ... or (mock is not None and wanted is mock.ANY)


def _compares_itself(wanted: Any) -> bool:
    """Whether a condition is an object, or a class, that says itself what it is equal to, as those of dirty-equals."""
    if isinstance(wanted, type):
        return type(wanted).__eq__ is not type.__eq__
    own = type(wanted).__eq__ is not object.__eq__
    return own and not isinstance(wanted, _VALUES) and not callable(wanted)


# conditions that mean what the docs say, and JSON's own values, which `==` takes too easily: 1 == True
_VALUES = (str, int, float, list, tuple, Mapping, re.Pattern, type(None))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _format(value: Any) -> str:
    if value is _ABSENT:
        return "nothing"
    if _is_anything(value):
        return "any value"
    if _compares_itself(value):
        return repr(value)
    if isinstance(value, re.Pattern):
        return f"/{value.pattern}/"
    if callable(value):
        return getattr(value, "__name__", None) or repr(value)
    return _short(value)


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else _json(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return repr(value)


def _unlike(
    wanted: Mapping[str, Any], calls: Sequence[Exchange], matching: Sequence[Exchange], times: int | None
) -> str:
    """The message for calls of which none, or not as many as wanted, meet the conditions."""
    conditions = ", ".join(f"{key}={_format(value)}" for key, value in wanted.items()) or "any body"
    if matching:
        return f"Expected {times} × {conditions}; {_count_calls(matching)}:{_list_calls(matching)}"
    first = f"No call was sent with {conditions}" if times is None else f"Expected {times} × {conditions}; no call"
    if not calls:
        return f"{first}; no call was made."
    nearest = min(reversed(calls), key=lambda call: len(differences(wanted, call)))
    unmet = differences(wanted, nearest)
    lines = [*unmet[:MOST], *([f"and {len(unmet) - MOST} more"] if len(unmet) > MOST else [])]
    return f"{first}. Nearest of {len(calls)}: {nearest!r}" + "".join(f"\n  {line}" for line in lines)


def _count_calls(calls: Sequence[Exchange]) -> str:
    return "1 call" if len(calls) == 1 else f"{len(calls)} calls"


def _list_calls(calls: Sequence[Exchange]) -> str:
    lines = [f"\n  {call!r} {_short(call.body)}" for call in calls[:MOST]]
    return "".join([*lines, f"\n  and {len(calls) - MOST} more" if len(calls) > MOST else ""])
