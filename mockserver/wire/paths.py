"""The paths of the public API: which are mocked in full, which have a small double, which are other people's.

Spec: P24. Paths are percent-decoded and compared by whole segments: /v1/responsesx is not ours.
"""

from __future__ import annotations

# The APIs that are mocked, and all that is below them.
MOCKED = ("/v1/responses", "/v1/conversations", "/v1/models")
# APIs of which there is a small stateful double, so that the set-up code of agents runs.
DOUBLED = ("/v1/files", "/v1/vector_stores", "/v1/containers")

_BELOW_MOCKED = tuple(f"{prefix}/" for prefix in MOCKED)
_BELOW_DOUBLED = tuple(f"{prefix}/" for prefix in DOUBLED)


def is_mocked(path: str) -> bool:
    """Whether a path is one of the APIs that are mocked, known or not."""
    return path in MOCKED or path.startswith(_BELOW_MOCKED)


def is_doubled(path: str) -> bool:
    """Whether a path is one of the APIs that have a double, known or not."""
    return path in DOUBLED or path.startswith(_BELOW_DOUBLED)
