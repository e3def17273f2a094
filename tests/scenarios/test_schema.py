"""The table of what a scenario may hold agrees with the rest of the mock."""

from __future__ import annotations

from mockserver.scenarios.conditions import CONDITIONS
from mockserver.scenarios.document import ScriptObject
from mockserver.scenarios.schema import FORMS, LineScript, ReplyScript, When


def members(model: type[ScriptObject]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def test_the_contract_s_words_are_there() -> None:
    assert list(FORMS) == ["text", "output", "refusal", "json", "error", "failed", "incomplete"]
    assert members(ReplyScript) == [*FORMS, "reasoning", "usage", "phase", "model", "response", "verbatim"]
    assert set(members(LineScript)) == {"when", "reply", "pacing", "times"}
    assert len(CONDITIONS.keys() - {"prompt"}) == 17  # a template is known by script only (R15.4)


def test_every_condition_that_may_be_asked_is_decided() -> None:
    assert members(When) == list(CONDITIONS)
