"""The metrics of a server as Prometheus reads them: the engine's counters, and what there is at this moment.

`sample` is what one process knows, as a JSON value; `render` writes the samples of all workers as one text.
"""

# What must stay true: prometheus-client is imported at the first scrape, for it takes longer to import than most
# servers take to start. Its own registry is not used: it belongs to the process, and two engines of one process never
# meet.

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from time import perf_counter
from typing import Any

from mockserver.engine.engine import Engine
from mockserver.engine.telemetry import BUCKETS_S, Counts, Histograms
from mockserver.version import __version__
from mockserver.wire.errors.api import MockError

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

Sample = dict[str, Any]

# name → what it says, the names of its labels
COUNTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "requests": (
        "Calls to the public API and response.create frames.",
        ("endpoint", "method", "transport", "status", "answered_by"),
    ),
    "turns": ("Responses that were answered.", ("endpoint", "model", "transport", "status", "answered_by")),
    "tokens": ("Tokens of turns: input (cached ones included), cached, output.", ("model", "kind")),
    "faults": ("Faults that struck.", ("kind",)),
    "near_misses": ("Turns that no line answered though there were lines.", ()),
    "cassette_misses": ("Calls that no cassette could answer.", ()),
    "recorder_failures": ("Exchanges that could not be recorded.", ()),
}
HISTOGRAMS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "first_byte_seconds": ("Time until the first bytes of an answer were made.", ("endpoint", "transport")),
    "duration_seconds": ("Time until an answer was made whole.", ("endpoint", "transport")),
}
GAUGES: Mapping[str, str] = {
    "streams": "Answers in progress after their first bytes.",
    "background_turns": "Turns in progress that the clock ends.",
    "open_sockets": "WebSockets that are open.",
    "busy_lanes": "Lanes of WebSockets on which a turn is played.",
    "drift_findings": "Groups of differences that mode shadow has found.",
    "journal_bytes": "Memory of the journal in this process; for a store in a file, of what waits to be written.",
    "event_listeners": "Who listens to live events.",
    "store_probe_seconds": "How long it took to begin a transaction just now; NaN when the store can't be written.",
}
# what workers that share a store see alike: the largest of what they say; anything else is their sum
SHARED = frozenset(("background_turns", "store_probe_seconds"))


def sample(engine: Engine) -> Sample:
    """What this process knows: counters, histograms and gauges by name, with lists of label values and numbers."""
    metrics, sections = engine.journal.metrics, engine.control.sections
    read: Callable[[str], Any] = lambda name: sections[name]() if name in sections else None  # noqa: E731
    read("count_forwarded")  # a proxy counts what it has forwarded when somebody asks
    sockets = read("sockets") or {}
    recorder = read("recorder") or {}
    return {
        "info": {"version": __version__, "mode": engine.settings.default_mode, "store": _store_of(engine)},
        "counters": {
            "requests": _list_counts(metrics.requests),
            "turns": _list_counts(metrics.turns),
            "tokens": _list_counts(metrics.tokens),
            "faults": _list_counts(metrics.faults),
            "near_misses": [[[], metrics.misses]],
            "cassette_misses": [[[], read("cassette_misses") or 0]],
            "recorder_failures": [[[], recorder.get("failures", 0)]],
        },
        "histograms": {
            "first_byte_seconds": _list_histograms(metrics.first_bytes),
            "duration_seconds": _list_histograms(metrics.durations),
        },
        "gauges": {
            "streams": metrics.streams,
            "open_sockets": sockets.get("open", 0),
            "busy_lanes": sockets.get("lanes", 0),
            "drift_findings": len(read("drift") or ()),
            "journal_bytes": engine.journal.bytes,
            "event_listeners": engine.events.listeners,
            **_read_store(engine),
        },
    }


def counts_of(taken: Sample) -> Sample:
    """A sample of a process that may be gone: what it has counted stays, its gauges are nothing."""
    return {**taken, "gauges": dict.fromkeys(taken["gauges"], 0)}


def _store_of(engine: Engine) -> str:
    return engine.settings.store.partition(":")[0]


def _read_store(engine: Engine) -> dict[str, float]:
    """What only the store can say; a store that can't be written now is no reason to show nothing."""
    began = perf_counter()
    try:
        engine.store.check()
        took = perf_counter() - began
        running = sum([engine.store.count(project, "running") for project in engine.store.projects()])
    except MockError:
        return {"store_probe_seconds": float("nan"), "background_turns": 0}
    return {"store_probe_seconds": took, "background_turns": running}


def _list_counts(counts: Counts) -> list[list[Any]]:
    return [[[*labels], count] for labels, count in list(counts.items())]


def _list_histograms(histograms: Histograms) -> list[list[Any]]:
    return [[[*labels], [*one.counts], one.sum] for labels, one in list(histograms.items())]


def render(samples: list[Sample]) -> bytes:
    """The samples of all workers as one text of Prometheus' format."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(samples))
    return generate_latest(registry)


class _Collector:
    """What a registry asks for its metrics."""

    def __init__(self, samples: list[Sample]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Any]:
        """Yield every metric, also those that have counted nothing yet."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        info = self._samples[0]["info"]
        about = GaugeMetricFamily("understudy_info", "What this server is.", labels=list(info))
        about.add_metric(list(info.values()), 1)
        yield about
        for name, (text, labels) in COUNTERS.items():
            counter = CounterMetricFamily(f"understudy_{name}", text, labels=labels)
            for values, count in sorted(self._add_up(name).items()):
                counter.add_metric(values, count)
            yield counter
        for name, (text, labels) in HISTOGRAMS.items():
            histogram = HistogramMetricFamily(f"understudy_{name}", text, labels=labels)
            for values, (counts, total) in sorted(self._merge(name).items()):
                histogram.add_metric(values, _cumulate(counts), total)
            yield histogram
        for name, text in GAUGES.items():
            levels: list[float] = [one["gauges"][name] for one in self._samples]
            yield GaugeMetricFamily(f"understudy_{name}", text, value=max(levels) if name in SHARED else sum(levels))

    def _add_up(self, name: str) -> dict[tuple[str, ...], int]:
        total: dict[tuple[str, ...], int] = {}
        for one in self._samples:
            for labels, count in one["counters"][name]:
                total[tuple(labels)] = total.get(tuple(labels), 0) + count
        return total

    def _merge(self, name: str) -> dict[tuple[str, ...], tuple[list[int], float]]:
        total: dict[tuple[str, ...], tuple[list[int], float]] = {}
        for one in self._samples:
            for labels, counts, seconds in one["histograms"][name]:
                others, before = total.get(tuple(labels), ([0] * len(counts), 0.0))
                added = [count + other for count, other in zip(counts, others, strict=True)]
                total[tuple(labels)] = added, before + seconds
        return total


def _cumulate(counts: Iterable[int]) -> list[tuple[str, float]]:
    """Buckets as Prometheus has them: each counts all that took no longer."""
    bounds = [*map(str, BUCKETS_S), "+Inf"]
    return list(zip(bounds, map(float, accumulate(counts)), strict=True))
