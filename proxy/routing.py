"""Who answers a request: the mock, the upstream, or nobody; decided from its head alone."""

# `decide` is a pure function of path, the header X-Understudy-Mode and the settings. It reads no body, because
# a body that is forwarded is never held: its first bytes are upstream before its last ones are here.
#
# The order of the questions matters:
# 1. The control API is ours in every mode, even with a wrong mode header: a client that sends the header with each
#    request must still be able to reset the mock, and an upstream must never see our control calls.
# 2. A wrong mode is an error (400), not the default: with a typo in `mock` a test would use the real API, and pay.
# 3. Then the table ANSWERERS decides: a covered path, one of which the mock has a small double (files, vector stores,
#    containers), another path. A new mode is a new row.
# 4. In mode mock, other paths go upstream unless a line of the script answers them: only the mock knows its script, so
#    whoever asks looks there (`unless_scripted`).
# 5. Without an upstream, other paths are the mock's too: it looks into its script, else it answers 501 `mock_error`
#    (not 404, which a client takes for the API's own answer), and its journal has the call. Spec: P24.
#
# 6. A covered path without its /v1, and `/`, are answered by the mock where it is asked: it says what is wrong or what
#    this is. A base URL without /v1 is the commonest mistake, and the upstream's 404 would not name it.
#
# Paths are percent-decoded and compared by whole segments: /v1/responsesx and /_mockery are not ours.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from mockserver.config.recordings import missing_setting
from mockserver.config.settings import MODES, Settings
from mockserver.wire.errors.api import MockError
from mockserver.wire.paths import is_doubled, is_mocked

Answerer = Literal["mock", "upstream", "recorder", "cassette", "auto", "shadow"]

MODE_HEADER = "X-Understudy-Mode"
CONTROL = "/_mock"

# mode: who answers (a covered path, one with a double, any other path)
ANSWERERS: Mapping[str, tuple[Answerer, Answerer, Answerer]] = MappingProxyType(
    {
        "mock": ("mock", "mock", "upstream"),
        "forward": ("upstream", "upstream", "upstream"),
        "record": ("recorder", "recorder", "recorder"),
        "replay": ("cassette", "cassette", "cassette"),
        "auto": ("auto", "auto", "auto"),
        "shadow": ("shadow", "upstream", "upstream"),
    }
)


@dataclass(frozen=True, slots=True)
class Decision:
    """Who answers, or the error that is the answer; `unless_scripted` says that the mock does if its script does."""

    answerer: Answerer | None = None
    error: MockError | None = None
    unless_scripted: bool = False


DECISIONS: Mapping[Answerer, Decision] = MappingProxyType(
    {answerer: Decision(answerer) for row in ANSWERERS.values() for answerer in row}
)
MOCK, UPSTREAM = DECISIONS["mock"], DECISIONS["upstream"]
UPSTREAM_UNLESS_SCRIPTED = Decision("upstream", unless_scripted=True)


def decide(path: str, mode_header: str | None, settings: Settings) -> Decision:
    """Return who answers; `path` is percent-decoded, `mode_header` the value of `X-Understudy-Mode` if it was sent."""
    if _is_below(path, CONTROL):
        return MOCK
    if mode_header is None:
        mode = settings.default_mode
    else:
        mode = mode_header.strip().lower()
        if complaint := _complaint(mode, settings):
            return Decision(error=MockError(complaint, param=MODE_HEADER))
    covered, doubled, other = ANSWERERS[mode]
    if is_mocked(path):  # first, for nearly all are
        return DECISIONS[covered] if covered != "upstream" or settings.upstream else MOCK
    if covered == "mock" and is_mocked(f"/v1{path}"):
        return MOCK
    answerer = doubled if is_doubled(path) else other
    if answerer != "upstream":
        return DECISIONS[answerer]
    if not settings.upstream:
        return MOCK
    return UPSTREAM_UNLESS_SCRIPTED if covered == "mock" else UPSTREAM


def _complaint(mode: str, settings: Settings) -> str | None:
    if mode not in MODES:
        return f"{MODE_HEADER} takes one of {', '.join(ANSWERERS)}, not {mode[:100]!r}."
    if missing := missing_setting(mode, settings):
        return f"{MODE_HEADER}: {mode} needs a server that was started with {missing}."
    return None


def _is_below(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] == "/")
