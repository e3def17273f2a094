"""The table of what a scenario may hold agrees with the rest of the mock."""

from __future__ import annotations

from mockserver.model.conditions import CONDITIONS
from mockserver.model.scenario_shape import BESIDE, CUES, FORMS, LINE, OUTPUT
from tests.support.scripted_items import OUTPUT_TYPES


def test_the_contract_s_words_are_there() -> None:
    assert list(FORMS) == ["text", "output", "refusal", "json", "error", "failed", "incomplete"]
    assert {"reasoning", "usage", "phase", "model"} <= BESIDE.keys()
    assert set(LINE["fields"]) == {"when", "reply", "pacing", "times"}
    assert len(CONDITIONS.keys() - {"prompt"}) == 17  # a template is known by script only (R15.4)


def test_I2_items_of_every_output_type_can_be_scripted_and_no_others() -> None:
    assert set(OUTPUT["schema"]["items_schema"]["choices"]) == OUTPUT_TYPES


def test_S16_cues_are_members_of_the_types_that_show_them() -> None:
    choices = OUTPUT["schema"]["items_schema"]["choices"]
    having = {cue: {kind for kind, item in choices.items() if cue in _fields(item)} for cue in CUES}
    assert having == {
        "audio_chunks": {"message"},
        "audio_transcript": {"message"},
        "compacting": {"compaction"},
        "partial_images": {"image_generation_call"},
    }


def _fields(schema: dict) -> dict:
    while "schema" in schema:
        schema = schema["schema"]
    return schema["fields"]
