"""What an operator sees of exchanges that have ended: counters, read at a scrape, and a line each in the log.

A line has method, path, model, status, milliseconds and who answered. A served process has it at `--log-level info`,
the default; a mock inside a test has none. Control calls have no line.
"""

# Exchanges of the same labels are one series. Why not the counters of a library: one increment with labels takes it two
# microseconds, and a turn has ten. Here a turn is one look-up, and `transport.metrics` renders the text when somebody
# asks.
#
# What must stay true:
# * The number of label values is bounded, whatever clients send: a path is one of the API's own or `other`, a model is
#   a row of the catalogue or `other`, a method is a common one or `other`.
# * Each exchange is counted once, when it ends, also those of callers who were not let in and without a journal. So the
#   counts of a project's journal add up to those here.
# * Neither query nor header nor body gets into a line of the log, for all may hold secrets; and a line is one line,
#   whatever a client puts into a path. What the mock does not answer has a line of the relay's.

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable
from functools import lru_cache
from operator import add
from threading import Lock
from time import time
from typing import NamedTuple
from urllib.parse import quote

from mockserver.config.settings import Settings
from mockserver.journal.exchange import Exchange, describe_source
from mockserver.wire import catalog
from mockserver.wire.paths import DOUBLED, MOCKED

BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
OTHER = "other"
_METHODS = frozenset(("GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"))
# what may follow a collection, or an object of it; any other word is an id
_OPERATIONS = frozenset("input_items cancel compact input_tokens items content search file_batches files".split())
MOST_KNOWN = 256  # labels of turns as they come in, which may be of any number
MOST_PARTS = 4  # of a path, after its collection

Counts = dict[tuple[str, ...], int]


class Histogram:
    """How many durations fell into each bucket, the last one without an end, and their sum."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum += seconds


class Histograms(dict[tuple[str, ...], Histogram]):
    """Histograms by the values of their labels."""

    def merge(self, key: tuple[str, ...], other: Histogram) -> None:
        """Add what another histogram has counted."""
        mine = self.setdefault(key, Histogram())
        mine.counts = list(map(add, mine.counts, other.counts))
        mine.sum += other.sum


class Series:
    """What exchanges of the same labels have in common: how many, how long, and the tokens of those that were `billed`.

    `whole` are the durations of answers that left at once, `first` and `all` those of answers that took time.
    """

    __slots__ = ("all", "billed", "cached", "count", "first", "input", "output", "whole")

    def __init__(self) -> None:
        self.count = self.billed = self.input = self.cached = self.output = 0
        self.whole, self.first, self.all = Histogram(), Histogram(), Histogram()


# endpoint, method, transport, status, answerer; for a turn its model and the status of its response, else None
Labels = tuple[str, str, str, int, str, str | None, str | None]


class Metrics:
    """What one engine has answered since it began."""

    def __init__(self) -> None:
        # one look-up for an exchange, and not one for each counter: these are told apart when somebody asks
        self._series: dict[Labels, Series] = {}
        self._known: dict[Labels, Series] = {}  # by labels as they come in
        self.faults: Counts = {}  # kind
        self.misses = self.streams = 0
        self._lock = Lock()  # calls that are answered in threads end at the same time

    def count(self, exchange: Exchange) -> None:
        """Count an exchange that has ended, or note that one goes on after its first bytes."""
        with self._lock:
            seconds, first, turn = exchange.seconds, exchange.first_bytes_s, exchange.turn
            if exchange.ended is None:
                if first is None:
                    exchange.first_bytes_s = seconds
                    self.streams += 1
                return
            call, model, status, figures = exchange.call, None, None, None
            answerer = "mock" if turn is None else "default_model"
            if exchange.line is not None or exchange.faults or exchange.relayed is not None or exchange.misses:
                answerer = self._count_unusual(exchange, answerer)
            elif first is not None:
                self.streams -= 1
            if turn is not None:
                model, status, figures = turn.model, turn.public_status, turn.figures
            place = call.path, call.method, exchange.transport, exchange.status, answerer, model, status
            series = self._known.get(place) or self._find(place, is_turn=turn is not None)
            series.count += 1
            if figures is not None:
                read, cached, written = figures
                series.billed += 1
                series.input += read
                series.cached += cached
                series.output += written
            if first is None:
                whole = series.whole
                whole.counts[bisect_left(BUCKETS_S, seconds)] += 1  # as `add` does
                whole.sum += seconds
            else:
                series.first.add(first)
                series.all.add(seconds)

    def _count_unusual(self, exchange: Exchange, otherwise: str) -> str:
        """Count what few exchanges have, and say who answered."""
        if exchange.first_bytes_s is not None and exchange.relayed is None:
            self.streams -= 1
        for kind in exchange.faults:
            self.faults[kind,] = self.faults.get((kind,), 0) + 1
        if exchange.misses:
            self.misses += 1
        if exchange.line is not None:
            return "queue" if exchange.line["place"] == "queue" else "scenario"
        if exchange.faults:
            return "fault"
        return otherwise if exchange.relayed is None else exchange.relayed.answerer

    def count_forwarded(self, path: str, labels: tuple[str, str, int, str], first_s: float, seconds: float) -> None:
        """Count a call of which no more is known: `labels` are method, transport, status and answerer."""
        with self._lock:
            series = self._find((path, *labels, None, None), is_turn=False)
            series.count += 1
            series.first.add(first_s)
            series.all.add(seconds)

    def _find(self, place: Labels, *, is_turn: bool) -> Series:
        """The series of exchanges whose labels are given as they came in: those of a series are of a bounded number."""
        path, method, transport, http_status, answerer, model, status = place
        method = method if method in _METHODS else OTHER
        about_turn = (_find_model(model), status or OTHER) if is_turn else (None, None)
        key = endpoint_of(path), method, transport, http_status, answerer, *about_turn
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = Series()
        if is_turn and len(self._known) < MOST_KNOWN:
            self._known[place] = series
        return series

    @property
    def requests(self) -> Counts:
        """How many calls, by endpoint, method, transport, status and answerer."""
        counts: Counts = {}
        for (path, method, transport, status, answerer, _, _), series in self._list():
            key = path, method, transport, str(status), answerer
            counts[key] = counts.get(key, 0) + series.count
        return counts

    @property
    def turns(self) -> Counts:
        """How many responses, by endpoint, model, transport, status of the response and answerer."""
        counts: Counts = {}
        for (path, _, transport, _, answerer, model, status), series in self._list():
            if model is not None and status is not None:
                key = path, model, transport, status, answerer
                counts[key] = counts.get(key, 0) + series.count
        return counts

    @property
    def tokens(self) -> Counts:
        """How many tokens, by model and kind."""
        counts: Counts = {}
        for (*_, model, _), series in self._list():
            if model is None or not series.billed:
                continue
            for kind, count in (("input", series.input), ("cached", series.cached), ("output", series.output)):
                counts[model, kind] = counts.get((model, kind), 0) + count
        return counts

    @property
    def first_bytes(self) -> Histograms:
        """How long it took until the first bytes of an answer were made, by endpoint and transport."""
        return self._merge(lambda series: series.first)

    @property
    def durations(self) -> Histograms:
        """How long it took until an answer was made whole, by endpoint and transport."""
        return self._merge(lambda series: series.all)

    def _merge(self, timed: Callable[[Series], Histogram]) -> Histograms:
        histograms = Histograms()
        for (path, _, transport, *_), series in self._list():
            histograms.merge((path, transport), series.whole)
            histograms.merge((path, transport), timed(series))
        return histograms

    def _list(self) -> list[tuple[Labels, Series]]:
        with self._lock:
            return list(self._series.items())


def _find_model(name: str | None) -> str:
    """The row of a model; of a name that is long, and came from a client, without remembering it."""
    return _model_of(name) if name is None or len(name) <= catalog.LONGEST_NAME else _model_of.__wrapped__(name)


@lru_cache(maxsize=1024)
def _model_of(name: str | None) -> str:
    """The row of the catalogue that a model is; fine-tunes are counted with their base."""
    known = catalog.resolve(name) if isinstance(name, str) else None
    return OTHER if known is None else known.row


@lru_cache(maxsize=1024)
def endpoint_of(path: str) -> str:
    """A path of the API with `{id}` in place of ids, or `other`."""
    segments = path.split("/")
    collection, rest = "/".join(segments[:3]), segments[3:]
    if collection not in (*MOCKED, *DOUBLED) or len(rest) > MOST_PARTS:
        return OTHER
    # ids and operations take turns, or there would be more of these than the API has
    if any(part not in _OPERATIONS for part in rest[1::2]):
        return OTHER
    named = [part if at % 2 or part in _OPERATIONS else "{id}" for at, part in enumerate(rest)]
    return "/".join([collection, *named])


# --- The log ---------------------------------------------------------------------------------------------------------

log = logging.getLogger("understudy.access")
LEVELS = ("info", "debug")  # levels of the log at which requests are told
NOBODY = "-"


class AccessLine(NamedTuple):
    """What the log says of a request; as text its parts in this order."""

    method: str
    path: str
    model: str
    status: int
    ms: float
    answered_by: str

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.model} {self.status} {self.ms:.1f} ms, {self.answered_by}"


# What every line's record says besides the line and its time: every formatter of `logging` finds what it may read.
_SAME = logging.LogRecord("understudy.access", logging.INFO, __file__, 0, "", None, None).__dict__


class AccessRecord(logging.LogRecord):
    """The record of a line, without what `logging` asks the system for each time: thread, process, task, file."""

    def __init__(self, line: AccessLine) -> None:
        created = time()
        self.__dict__ = {**_SAME, "msg": line, "created": created, "msecs": created % 1 * 1000}


def is_logging(settings: Settings) -> bool:
    """Whether a served process tells its requests."""
    return settings.log_level in LEVELS


def log_exchange(exchange: Exchange) -> None:
    """Tell a request that the mock has answered."""
    call, turn = exchange.call, exchange.turn
    model = NOBODY if turn is None else turn.model
    source = describe_source(exchange.line, exchange.faults, is_turn=turn is not None) or NOBODY
    log_request(call.method, call.path, exchange.status, exchange.seconds, source, model=model)


def log_request(method: str, path: str, status: int, seconds: float, source: str, *, model: str = NOBODY) -> None:
    """Tell a request that `source` has answered."""
    tell(AccessLine(method, _write_in_one(path), _write_in_one(model), status, round(seconds * 1000, 1), source))


def tell(line: AccessLine) -> None:
    """Write a line to the log."""
    # without `log.info`, which looks for the place in the code that calls it: a third of what a line costs
    if log.isEnabledFor(logging.INFO):
        log.handle(AccessRecord(line))


def _write_in_one(text: str) -> str:
    return text if text.isprintable() and " " not in text else quote(text)
