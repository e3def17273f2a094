"""What stands before the items of a prompt. Spec: R8.8."""

from __future__ import annotations

import pytest

from mockserver.core import prompt_head
from mockserver.core.prompt_head import head_of
from mockserver.wire import catalog

CHAT = catalog.resolve("gpt-4.1")


@pytest.mark.parametrize("size", [10, 10_000])
def test_R8_8_instructions_are_part_of_it(size: int) -> None:
    assert CHAT is not None
    one, other = "a" * size, "b" * size
    assert head_of({"instructions": one}, CHAT) == head_of({"instructions": one, "tools": []}, CHAT)
    assert len({head_of(request, CHAT) for request in ({}, {"instructions": one}, {"instructions": other})}) == 3


def test_long_instructions_are_not_remembered() -> None:
    assert CHAT is not None
    before = prompt_head._plain_head.cache_info().currsize
    for number in range(3):
        head_of({"instructions": f"{number}" + "long " * 1000}, CHAT)
    assert prompt_head._plain_head.cache_info().currsize == before
