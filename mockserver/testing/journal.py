"""What a test asks of the journal: which calls were made, and assertions that tell what was found instead."""

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import orjson

from mockserver.model.prompt import item_text

if TYPE_CHECKING:
    from mockserver.testing.embedded_server import Host

PAGE = 1000  # what the control API lists at most
LONGEST = 120  # characters of a value in a message
MOST = 5  # differences that are told of a call, and calls of a list


class Context:
    """What the model saw for a response: `items` with the `tokens` of each, `instructions`, `tools`.

    `input_tokens` is what all of it cost (None for a response without usage), `dropped` the ids of items that did not
    fit the window.
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

    `request` is the parsed body, in which members that were left out read as None (it is None itself where there is no
    JSON), `body` its text, `error` the error that was answered, `line` the scripted line that answered a turn,
    `transport` one of `http`, `sse`, `websocket`, `ended` one of `delivered`, `disconnected`, `cut`, `closed` (None
    while it is under way), `at` the project's time in unix seconds, `seconds` how long it took.
    """

    def __init__(self, told: Mapping[str, Any], read: Callable[..., Any]) -> None:
        self.told, self._read = told, read
        self.id: int = told["id"]
        self.at: float = told["at"]
        self.transport: str = told["transport"]
        self.method: str = told["method"]
        self.path: str = told["path"]
        self.query: str = told["query"]
        self.headers: dict[str, str] = told["headers"]
        self.body: str = told["body"]
        self.request: Any = Sent(told["request"]) if isinstance(told["request"], dict) else told["request"]
        self.status: int = told["status"]
        self.error: dict[str, Any] | None = told["error"]
        self.response_id: str | None = told["response_id"]
        self.line: dict[str, Any] | None = told["line"]
        self.faults: list[str] = told["faults"]
        self.changes: list[dict[str, str]] = told["changes"]
        self.events: int = told["events"]
        self.ended: str | None = told["ended"]
        self.seconds: float = told["duration_ms"] / 1000

    @property
    def context(self) -> Context | None:
        """What the model saw, None if the call is no turn or its context is lost."""
        for told in self._read(limit=1, after=self.id - 1)["data"]:
            if told["id"] == self.id and told["context"] is not None:
                return Context(told["context"])
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


class Exchanges(Sequence[Exchange]):
    """Calls in the order in which they came, and what can be asserted of them.

    A condition on a member of a request's body is its value, or a pattern that occurs in it (`re.compile`), a function
    that holds of it, a type, `...` for any value, None for null or absent; an object is a subset of what was sent, a
    list has as many elements.
    """

    def __init__(self, found: Callable[[], Sequence[Exchange]], asserted: set[tuple[Any, ...]]) -> None:
        self._found, self._asserted = found, asserted

    # --- reading -----------------------------------------------------------------------------------------------

    @overload
    def __getitem__(self, index: int) -> Exchange: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Exchange]: ...
    def __getitem__(self, index: int | slice) -> Exchange | Sequence[Exchange]:
        return self._found()[index]

    def __len__(self) -> int:
        return len(self._found())

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self._found())

    def __repr__(self) -> str:
        return repr(list(self))

    @property
    def last(self) -> Exchange:
        """The latest call; raises AssertionError if there is none."""
        found = self._found()
        if not found:
            raise AssertionError("no call was made")
        return found[-1]

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The parsed body of each call that has one."""
        return [one.request for one in self if isinstance(one.request, dict)]

    @property
    def turns(self) -> Exchanges:
        """The calls that requested a response, over any transport."""
        return self.filter(method="POST", path="/v1/responses")

    def filter(
        self,
        *,
        path: str | None = None,
        method: str | None = None,
        status: int | None = None,
        model: str | None = None,
        response_id: str | None = None,
        transport: str | None = None,
    ) -> Exchanges:
        """The calls that match; `path` may be a pattern such as `/v1/conversations*`."""
        given = {"method": method, "status": status, "model": model, "response_id": response_id, "transport": transport}
        wanted = {name: value for name, value in given.items() if value is not None}

        def select() -> list[Exchange]:
            return [
                one
                for one in self._found()
                if (path is None or fnmatchcase(one.path, path))
                and all(getattr(one, name) == value for name, value in wanted.items())
            ]

        return Exchanges(select, self._asserted)

    # --- asserting ---------------------------------------------------------------------------------------------

    def assert_sent(
        self, body: Mapping[str, Any] | None = None, /, *, times: int | None = None, **conditions: Any
    ) -> Exchange:
        """Assert that a call was made whose body meets conditions (exactly `times` such calls); returns the last one.

        Conditions are keywords, or an object for names that are none.
        """
        __tracebackhide__ = True
        wanted = {**(body or {}), **conditions}
        calls = self._found()
        matching = [one for one in calls if not differences(wanted, one)]
        if len(matching) != times if times is not None else not matching:
            raise AssertionError(_unlike(wanted, calls, matching, times))
        self._asserted.update(one._mark for one in matching)
        return matching[-1] if matching else self.last

    def assert_sequence(self, *bodies: Mapping[str, Any]) -> list[Exchange]:
        """Assert that calls with these bodies were made in this order, with or without others between; returns them."""
        __tracebackhide__ = True
        left = list(self._found())
        found: list[Exchange] = []
        for number, wanted in enumerate(bodies, start=1):
            at = next((place for place, one in enumerate(left) if not differences(wanted, one)), None)
            if at is None:
                behind = f" behind {found[-1]}" if found else ""
                raise AssertionError(f"Step {number} of {len(bodies)}{behind}: {_unlike(wanted, left, [], None)}")
            found.append(left[at])
            left = left[at + 1 :]
        self._asserted.update(one._mark for one in found)
        return found

    def assert_no_more(self) -> None:
        """Assert that an assertion has met every call so far; calls that only read (GET) are exempt."""
        __tracebackhide__ = True
        left = [one for one in self._found() if one.method != "GET" and one._mark not in self._asserted]
        if left:
            raise AssertionError(f"{_count_calls(left)} more than was asserted:{_list_calls(left)}")

    def assert_nothing_sent(self) -> None:
        """Assert that there was no call at all."""
        __tracebackhide__ = True
        calls = self._found()
        if calls:
            raise AssertionError(f"{_count_calls(calls)} though there should be none:{_list_calls(calls)}")


class Journal(Exchanges):
    """All calls of a mock's project so far; the oldest are dropped beyond the journal's size."""

    def __init__(self, host: Host, project: str) -> None:
        super().__init__(self._read, set())
        self._host, self._project = host, project

    def _page(self, **how: Any) -> dict[str, Any]:
        return self._host.levers.journal(self._project, **how)

    def _read(self) -> list[Exchange]:
        found: list[Exchange] = []
        after: int | None = None
        while True:
            page = self._page(limit=PAGE, after=after, context=False)
            found += [Exchange(one, self._page) for one in page["data"]]
            if not page["has_more"]:
                return found
            after = page["last_id"]

    def clear(self) -> None:
        """Forget all calls, and what was asserted of them."""
        self._host.levers.clear_journal(self._project)
        self.forget_assertions()

    def forget_assertions(self) -> None:
        """Forget which calls assertions have met, so that `assert_no_more` starts over."""
        self._asserted.clear()


class Finding(NamedTuple):
    """What a client did wrong: the rule, a sentence, the ids of the calls it shows in, those of the items it is about.

    The calls are the journal's, by their `id`.
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


def differences(wanted: Mapping[str, Any], one: Exchange) -> list[str]:
    """The places where a call's body differs from what is wanted, one line each; empty if it matches."""
    if not wanted:
        return []
    if not isinstance(one.request, dict):
        return [f"the body: expected a JSON object, found {_short(one.body)}"]
    return [line for key, value in wanted.items() for line in _unmet(key, value, one.request.get(key, _ABSENT))]


def _unmet(path: str, wanted: Any, found: Any) -> Iterator[str]:
    """Yield each place below a path where a value differs from what is wanted."""
    if isinstance(wanted, Mapping) and isinstance(found, dict):
        for key, value in wanted.items():
            yield from _unmet(f"{path}.{key}", value, found.get(key, _ABSENT))
    elif isinstance(wanted, list | tuple) and isinstance(found, list) and len(wanted) == len(found):
        for at, (value, there) in enumerate(zip(wanted, found, strict=True)):
            yield from _unmet(f"{path}[{at}]", value, there)
    elif not _holds(wanted, found):
        yield f"{path}: expected {_format(wanted)}, found {_format(found)}"


def _holds(wanted: Any, found: Any) -> bool:
    if found is _ABSENT:
        return wanted is None
    if wanted is ...:
        return True
    if isinstance(wanted, re.Pattern):
        return isinstance(found, str) and wanted.search(found) is not None
    if isinstance(wanted, type):
        return isinstance(found, wanted)
    if callable(wanted):
        return bool(wanted(found))
    return wanted == found and (type(wanted) is type(found) or (_number(wanted) and _number(found)))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _format(value: Any) -> str:
    if value is _ABSENT:
        return "nothing"
    if value is ...:
        return "any value"
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
        return f"{first}; there was no call at all."
    nearest = min(reversed(calls), key=lambda one: len(differences(wanted, one)))
    found = differences(wanted, nearest)
    lines = [*found[:MOST], *([f"and {len(found) - MOST} more"] if len(found) > MOST else [])]
    return f"{first}. Nearest of {len(calls)}: {nearest!r}" + "".join(f"\n  {line}" for line in lines)


def _count_calls(calls: Sequence[Exchange]) -> str:
    return "1 call" if len(calls) == 1 else f"{len(calls)} calls"


def _list_calls(calls: Sequence[Exchange]) -> str:
    lines = [f"\n  {one!r} {_short(one.body)}" for one in calls[:MOST]]
    return "".join([*lines, f"\n  and {len(calls) - MOST} more" if len(calls) > MOST else ""])
