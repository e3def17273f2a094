"""Given state for a type checker: what `Mock.given` takes.

A type checker can't read the models of `mockserver.scenarios.given`, so their members are repeated here; a test
compares them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

Item = Mapping[str, Any]


class Age(TypedDict, total=False):
    """How long ago something was created: the sum of these."""

    days: float
    hours: float
    minutes: float
    seconds: float


class GivenConversation(TypedDict, total=False):
    """A conversation that is there before the first request."""

    id: str
    metadata: Mapping[str, str]
    items: Sequence[Item]
    age: Age


class _Answer(TypedDict):
    output: str | Sequence[Item]


class GivenResponse(_Answer, total=False):
    """A stored response that is there before the first request; `output` is what the model answered."""

    id: str
    model: str
    instructions: str
    input: str | Sequence[Item]
    previous_response_id: str
    conversation: str
    metadata: Mapping[str, str]
    age: Age
