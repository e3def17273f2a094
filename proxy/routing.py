"""Who answers a request: the mock, the upstream, or nobody; decided from its head alone."""

# `decide` is a pure function of method, path, the header X-Understudy-Mode and the settings. It reads no body, because
# a body that is forwarded is never held: its first bytes are upstream before its last ones are here.
#
# The order of the questions matters:
# 1. The control API is ours in every mode, even with a wrong mode header: a client that sends the header with each
#    request must still be able to reset the mock, and an upstream must never see our control calls.
# 2. A wrong mode is an error (400), not the default: with a typo in `mock` a test would use the real API, and pay.
# 3. Then the table ANSWERERS decides: a covered path, another path. A new mode is a new row.
# 4. Without an upstream, other paths are 501 `mock_error`: not 404, which a client takes for the API's own answer.
#
# 5. A covered path without its /v1, and `/`, are answered by the mock where it is asked: it says what is wrong or what
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

Answerer = Literal["mock", "upstream", "recorder", "cassette", "auto", "shadow"]

MODE_HEADER = "X-Understudy-Mode"
CONTROL = "/_mock"
COVERED = ("/v1/responses", "/v1/conversations", "/v1/models")
_BELOW_COVERED = tuple(prefix + "/" for prefix in COVERED)

# mode: who answers (a covered path, any other path)
ANSWERERS: Mapping[str, tuple[Answerer, Answerer]] = MappingProxyType(
    {
        "mock": ("mock", "upstream"),
        "forward": ("upstream", "upstream"),
        "record": ("recorder", "recorder"),
        "replay": ("cassette", "cassette"),
        "auto": ("auto", "auto"),
        "shadow": ("shadow", "upstream"),
    }
)


@dataclass(frozen=True, slots=True)
class Decision:
    """Who answers, or the error that is the answer."""

    answerer: Answerer | None = None
    error: MockError | None = None


DECISIONS: Mapping[Answerer, Decision] = MappingProxyType(
    {answerer: Decision(answerer) for row in ANSWERERS.values() for answerer in row}
)
MOCK, UPSTREAM = DECISIONS["mock"], DECISIONS["upstream"]


def decide(method: str, path: str, mode_header: str | None, settings: Settings) -> Decision:
    """Return who answers; `path` is percent-decoded, `mode_header` the value of `X-Understudy-Mode` if it was sent."""
    if _is_below(path, CONTROL):
        return MOCK
    if mode_header is None:
        mode = settings.default_mode
    else:
        mode = mode_header.strip().lower()
        if complaint := _complaint(mode, settings):
            return Decision(error=MockError(complaint, param=MODE_HEADER))
    covered, other = ANSWERERS[mode]
    if covered == "mock" and (_is_covered(f"/v1{path}") or (path == "/" and not settings.upstream)):
        return MOCK
    decision = DECISIONS[covered if _is_covered(path) else other]
    if decision is UPSTREAM and not settings.upstream:
        return Decision(error=_not_mocked_error(method, path))
    return decision


def _complaint(mode: str, settings: Settings) -> str | None:
    if mode not in MODES:
        return f"{MODE_HEADER} takes one of {', '.join(ANSWERERS)}, not {mode[:100]!r}."
    if missing := missing_setting(mode, settings):
        return f"{MODE_HEADER}: {mode} needs a server that was started with {missing}."
    return None


def _not_mocked_error(method: str, path: str) -> MockError:
    return MockError(
        f"{method} {path[:200]} is not mocked and the server has no --upstream URL to forward it to; "
        f"the mock covers {', '.join(COVERED)}.",
        status=501,
    )


def _is_covered(path: str) -> bool:
    return path in COVERED or path.startswith(_BELOW_COVERED)


def _is_below(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] == "/")
