"""Two reports beside each other: a run against the failures that are known, and one JSON document against another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from mockserver.conformance.runner import FAILED, NOT_OBSERVABLE, PASSED
from mockserver.conformance.topics import Score, scores

Verdicts = Mapping[str, str]  # by rule


class Unreadable(ValueError):
    """A file that is neither a list of rules nor a report."""


class Expectation(NamedTuple):
    """How a run differs from the known failures: what fails anew, and what is mended."""

    new: tuple[str, ...]
    mended: tuple[str, ...]

    def told(self) -> list[str]:
        """The differences, one line each."""
        lines = [f"new: {' '.join(self.new)}"] if self.new else []
        return [*lines, *([f"mended, no longer to be expected: {' '.join(self.mended)}"] if self.mended else [])]


def read_expected(path: str) -> frozenset[str]:
    """The known failures in a file: a rule on each line, `#` begins a remark; or a report of `--json`.

    Raises Unreadable and OSError.
    """
    content = Path(path).read_bytes()
    if content.lstrip().startswith(b"{"):
        return frozenset(id for id, verdict in _verdicts(path, content).items() if verdict == FAILED)
    words = (line.partition("#")[0].split() for line in content.decode(errors="replace").splitlines())
    return frozenset(word for line in words for word in line)


def expect(verdicts: Iterable[tuple[str, str]], known: frozenset[str]) -> Expectation:
    """Compare the verdicts of a run with the known failures; what was not judged is neither new nor mended."""
    judged = dict(verdicts)
    new = tuple(id for id, verdict in judged.items() if verdict == FAILED and id not in known)
    return Expectation(new, tuple(id for id, verdict in judged.items() if verdict == PASSED and id in known))


def read_report(path: str) -> Verdicts:
    """The verdicts of a report of `--json`; raises Unreadable and OSError."""
    return _verdicts(path, Path(path).read_bytes())


def _verdicts(path: str, content: bytes) -> Verdicts:
    try:
        document: Any = orjson.loads(content)
        return {str(rule["id"]): str(rule["verdict"]) for rule in document["rules"]}
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise Unreadable(f"{path} is no report of --json") from None


def compare(before: Verdicts, after: Verdicts) -> tuple[list[str], bool]:
    """What changed from one report to another, in lines, and whether anything fails that did not before."""
    changes: dict[str, list[str]] = {"fails now": [], "mended": [], "observable now": [], "no longer observable": []}
    for id in [*before, *(id for id in after if id not in before)]:
        old, new = before.get(id, NOT_OBSERVABLE), after.get(id, NOT_OBSERVABLE)
        if old == new:
            continue
        if new == FAILED:
            changes["fails now"].append(id)
        elif new == NOT_OBSERVABLE:
            changes["no longer observable"].append(id)
        else:
            changes["mended" if old == FAILED else "observable now"].append(id)
    lines = _topic_lines(scores(before.items()), scores(after.items()))
    lines += [f"{what}: {' '.join(ids)}" for what, ids in changes.items() if ids]
    return lines or ["no difference"], bool(changes["fails now"])


def _topic_lines(before: Mapping[str, Score], after: Mapping[str, Score]) -> list[str]:
    nothing = Score(0, 0, 0)
    topics: Sequence[str] = list(dict.fromkeys([*before, *after]))
    pairs = [(topic, before.get(topic, nothing), after.get(topic, nothing)) for topic in topics]
    return [f"{topic:14} {_share(old)} -> {_share(new)}" for topic, old, new in pairs if old != new]


def _share(score: Score) -> str:
    return f"{score.passed}/{score.passed + score.failed}"
