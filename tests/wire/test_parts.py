"""Parts of messages and tool outputs: who may send which, and with what inside."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.wire.errors.api import APIError
from mockserver.wire.requests.items import INPUT
from mockserver.wire.requests.schema import shape
from mockserver.wire.requests.validation import Validator
from tests.support.request_examples import PART_EXAMPLES, SPAN

JUDGE = Validator(shape({"input": INPUT}))


def judge(part: Any, role: str = "user") -> None:
    JUDGE.validate({"input": [{"role": role, "content": [part]}]})


def output(part: Any) -> None:
    JUDGE.validate({"input": [{"type": "function_call_output", "call_id": "c", "output": [part]}]})


def check(error: APIError, param: str | None, code: str | None, message: str) -> None:
    assert (error.status, error.message, error.param, error.code) == (400, message, param, code)


ANNOTATIONS = [
    {"type": "file_citation", "file_id": "file-1", "filename": "a", "index": 0},
    {"type": "url_citation", "url": "u", "title": "t", **SPAN},
    {"type": "container_file_citation", "container_id": "c", "file_id": "f", "filename": "a", **SPAN},
    {"type": "file_path", "file_id": "f", "index": 0},
]


@pytest.mark.parametrize(("role", "part"), PART_EXAMPLES)
def test_part_is_accepted(role: str, part: dict[str, Any]) -> None:
    judge(part, role)


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=lambda annotation: annotation["type"])
def test_annotations_come_back(annotation: dict[str, Any]) -> None:
    judge({"type": "output_text", "text": "x", "annotations": [annotation]}, "assistant")


ALL = (
    "'input_text', 'input_image', 'input_audio', 'output_text', 'refusal', 'input_file', 'computer_screenshot', "
    "'summary_text', and 'encrypted_content'"
)
ASKED = "'input_text', 'input_image', 'input_file', 'scoped_content', and 'input_audio'"
PART = "input[0].content[0]"
SOURCES = "'file_id', 'file_url', or 'file_data'"


def valued(path: str, value: str, values: str) -> tuple[str, str, str]:
    return path, "invalid_value", f"Invalid value: '{value}'. Supported values are: {values}."


def exclusive(one: str, other: str) -> tuple[None, str, str]:
    message = f"Mutually exclusive parameters: Ensure you are only providing one of '{one}' or '{other}'."
    return None, "mutually_exclusive_parameters", message


def lacking(sources: str) -> tuple[str, str, str]:
    return (
        PART,
        "missing_mutually_exclusive_parameters",
        f"Missing mutually exclusive parameters: '{PART}'. Ensure you are providing exactly one of: {sources}.",
    )


ROWS: list[tuple[str, str, Any, tuple[str | None, str, str]]] = [
    ("E18", "user", {"type": "text", "text": "x"}, valued(f"{PART}.type", "text", ALL)),
    ("E18-assistant", "assistant", {"type": "bogus"}, valued(f"{PART}.type", "bogus", ALL)),
    ("E19", "user", {"type": "output_text", "text": "x"}, valued(PART, "output_text", ASKED)),
    ("E19-system", "system", {"type": "refusal", "refusal": "x"}, valued(PART, "refusal", ASKED)),
    (
        "E20",
        "assistant",
        {"type": "input_text", "text": "x"},
        valued(PART, "input_text", "'output_text' and 'refusal'"),
    ),
    (
        "E9-text",
        "user",
        {"type": "input_text"},
        (f"{PART}.text", "missing_required_parameter", f"Missing required parameter: '{PART}.text'."),
    ),
    (
        "E9-type",
        "user",
        {"text": "x"},
        (f"{PART}.type", "missing_required_parameter", f"Missing required parameter: '{PART}.type'."),
    ),
    (
        "E27-text",
        "user",
        {"type": "input_text", "text": "x" * 1_048_577},
        (
            f"{PART}.text",
            "string_above_max_length",
            f"Invalid '{PART}.text': string too long. Expected a string with maximum length 1048576, "
            "but got a string with length 1048577 instead.",
        ),
    ),
    ("E36", "user", {"type": "input_file", "file_id": "f", "filename": "n"}, exclusive("file_id", "filename")),
    ("E36-url", "user", {"type": "input_file", "file_url": "u", "filename": "n"}, exclusive("file_url", "filename")),
    ("E36-two", "user", {"type": "input_file", "file_url": "u", "file_id": "f"}, exclusive("file_id", "file_url")),
    ("E36-image", "user", {"type": "input_image", "file_id": "f", "image_url": "u"}, exclusive("file_id", "image_url")),
    ("R2.17-image", "user", {"type": "input_image"}, lacking("'file_id' or 'image_url'")),
    ("R2.17-file", "user", {"type": "input_file", "filename": "n"}, lacking(SOURCES)),
    (
        "E39",
        "user",
        {"type": "input_file", "file_data": "data:image/png;base64,eA=="},
        (
            f"{PART}.file_data",
            "invalid_value",
            f"Invalid file data: '{PART}.file_data'. Expected a base64-encoded data URL with a valid file MIME type "
            "(e.g. 'data:text/plain;base64,SGVsbG8sIFdvcmxkIQ=='), but got unsupported MIME type 'image/png'. Please "
            "see https://platform.openai.com/docs/assistants/tools/file-search#supported-files for supported file "
            "types.",
        ),
    ),
]


@pytest.mark.parametrize(("role", "part", "expected"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_row(role: str, part: Any, expected: tuple[str | None, str, str]) -> None:
    with pytest.raises(APIError) as caught:
        judge(part, role)
    check(caught.value, *expected)


def test_F8_7_outputs_take_what_users_send_but_audio() -> None:
    output({"type": "input_text", "text": "x"})
    output({"type": "input_image", "image_url": "u"})
    with pytest.raises(APIError) as caught:
        output({"type": "output_text", "text": "x"})
    check(caught.value, *valued("input[0].output[0]", "output_text", "'input_text', 'input_image', and 'input_file'"))
    with pytest.raises(APIError) as caught:
        output({"type": "input_file", "file_data": "data:audio/wav;base64,eA=="})
    assert caught.value.param == "input[0].output[0].file_data"
