"""The shapes of scripted items agree with the API and with what a stream can show."""

from __future__ import annotations

from typing import Any

from mockserver.scenarios.item_shapes import KINDS, output_item
from mockserver.scenarios.items import CUES
from mockserver.scenarios.lines import find_mistakes
from tests.support.scenario_mistakes import output
from tests.support.scripted_items import OUTPUT_TYPES


def test_I2_items_of_every_output_type_can_be_scripted_and_no_others() -> None:
    assert set(KINDS) == set(choices()) == OUTPUT_TYPES


def test_S16_cues_are_members_of_the_types_that_show_them() -> None:
    having = {cue: {kind for kind, item in choices().items() if cue in _fields(item)} for cue in CUES}
    assert having == {
        "audio_chunks": {"message"},
        "audio_transcript": {"message"},
        "compacting": {"compaction"},
        "partial_images": {"image_generation_call"},
    }


def test_every_bad_member_of_a_list_is_reported_wherever_the_list_stands() -> None:
    tools = [{"type": "function"}, {"type": "web_search"}, {"type": "mcp", "server_label": 3}]
    found = find_mistakes(output({"type": "additional_tools", "tools": tools}))
    assert [finding.path.removeprefix("lines[0].reply.output[0].") for finding in found] == [
        "tools[0].name",
        "tools[2].server_label",
    ]


def test_a_union_complains_of_the_branch_that_was_meant() -> None:
    found = find_mistakes(output({"type": "reasoning", "summary": ["a", 1, {"text": 2}]}))
    assert [finding.message.partition("summary")[2] for finding in found] == [
        "[1]' must be a text or a part, not 1.",
        "[2].text' must be a text, not 2.",
    ]


def choices() -> dict[str, Any]:
    return dict(output_item()["schema"]["choices"])


def _fields(schema: dict[str, Any]) -> dict[str, Any]:
    while "schema" in schema:
        schema = schema["schema"]
    return dict(schema["fields"])
