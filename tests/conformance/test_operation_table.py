"""The table of verbs says of each what it takes and leaves, as the verbs themselves do."""

from __future__ import annotations

from inspect import signature

import pytest

from mockserver.conformance.machine.operation_table import BUNDLES, OPERATIONS, IdFrom, Operation
from mockserver.conformance.machine.operations import Operations


@pytest.mark.parametrize("verb", OPERATIONS, ids=lambda verb: verb.name)
def test_arguments_and_results_are_the_verbs_own(verb: Operation) -> None:
    asked = signature(getattr(Operations, verb.name))
    assert list(verb.arguments) == list(asked.parameters)[1:]
    assert all(one.bundle in BUNDLES if isinstance(one, IdFrom) else len(one) for one in verb.arguments.values())
    assert set(verb.into) <= set(BUNDLES)
    returned = {"list[str]": True, "str": False, "str | None": False}
    assert bool(verb.into) == (asked.return_annotation in returned) or verb.name == "page_items"
    if verb.into:
        assert verb.several == returned[asked.return_annotation]


def test_every_verb_has_its_own_name() -> None:
    assert len({verb.name for verb in OPERATIONS}) == len(OPERATIONS)
