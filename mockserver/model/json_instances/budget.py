"""How much work one instance may take: schemas come from requests, and while one is answered others wait."""

from __future__ import annotations

from mockserver.wire.errors.api import MockError

MOST_STEPS = 60_000  # about a tenth of a second
VALUE = 5  # steps that making and judging one value takes, where a character class of a pattern takes one
CHARACTERS = 100  # of text that are written, or judged, in one step
# ways to divide a text among a pattern's repeats: those that a search tries in one step, and those that cost nothing,
# for they are counted at their worst, and a search that finds something has tried few
WAYS, FREE_WAYS = 25, 20_000


class BudgetSpent(Exception):
    """An instance takes more work than it may."""


class Budget:
    """The steps that are left of one instance's."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MOST_STEPS

    def spend(self, steps: int) -> None:
        """Take some steps; raises BudgetSpent when there are none left."""
        self.left -= steps
        if self.left < 0:
            raise BudgetSpent


def too_much_work() -> MockError:
    """What a turn is answered with whose schema takes too much work."""
    return MockError(
        f"The default model can't make an instance of this schema in {MOST_STEPS:,} steps: it is too large, or nothing "
        "fits it. Bound it, or script the reply.",
        status=501,
    )
