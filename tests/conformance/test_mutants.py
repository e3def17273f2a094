"""The mutants that the conformance kit is measured by: each can be made, and each is another mock."""

from __future__ import annotations

import ast

import pytest

from tests.mutants import EXPLAINED, mutated
from tests.support.mutations import MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_changes_a_source_that_still_compiles(mutation: Mutation) -> None:
    ast.parse(mutated(mutation))
    assert mutation.old != mutation.new


def test_there_are_enough_and_none_twice() -> None:
    names = [one.name for one in MUTATIONS]
    assert len(names) == len(set(names)) >= 40
    assert set(EXPLAINED) <= set(names)
