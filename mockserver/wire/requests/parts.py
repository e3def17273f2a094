"""What the parts of a message or of a tool's output may look like, and which role may send which.

Sources: endpoints.md I1 (members), F11 (limits), F8.4 (assistant parts), errors.md E18-E20, E36, E39.
"""

from __future__ import annotations

from typing import Any

from mockserver.wire.errors import validation as validation_errors
from mockserver.wire.requests.schema import (
    ANY,
    LONG_TEXT,
    TEXT,
    CrossFieldError,
    Fields,
    array,
    decimal,
    either,
    enum,
    integer,
    mapping,
    shape,
    string,
    union_by_tag,
    with_check,
)

# Spec: E18.
PART_TYPES = (
    "input_text",
    "input_image",
    "input_audio",
    "output_text",
    "refusal",
    "input_file",
    "computer_screenshot",
    "summary_text",
    "encrypted_content",
)

# Files a model reads (E39): any text, and these applications.
_APPLICATIONS = frozenset(
    {
        "csv",
        "ecmascript",
        "graphql",
        "javascript",
        "json",
        "msword",
        "pdf",
        "rtf",
        "sql",
        "toml",
        "typescript",
        "vnd.apple.pages",
        "vnd.ms-excel",
        "vnd.ms-powerpoint",
        "vnd.oasis.opendocument.text",
        "vnd.openxmlformats-officedocument.presentationml.presentation",
        "vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "vnd.openxmlformats-officedocument.wordprocessingml.document",
        "x-javascript",
        "x-latex",
        "x-ndjson",
        "x-sh",
        "x-sql",
        "x-tex",
        "x-yaml",
        "xml",
        "yaml",
    }
)


def _one_image(part: dict[str, Any]) -> dict[str, Any]:
    """An image has exactly one source. Spec: R2.17."""
    given = [key for key in ("file_id", "image_url") if part.get(key) is not None]
    if not given:
        raise CrossFieldError(lambda path: validation_errors.missing_exclusive(path, ("file_id", "image_url")))
    if len(given) > 1:
        raise CrossFieldError(lambda path: validation_errors.mutually_exclusive(given))
    return part


def _one_file(part: dict[str, Any]) -> dict[str, Any]:
    """A file has exactly one source; only inline data has a name, and a type that models read. Spec: E36, E39."""
    given = [key for key in ("file_id", "file_url", "file_data") if part.get(key) is not None]
    if not given:
        raise CrossFieldError(
            lambda path: validation_errors.missing_exclusive(path, ("file_id", "file_url", "file_data"))
        )
    if given[0] != "file_data" and part.get("filename") is not None:
        given = [given[0], "filename"]
    if len(given) > 1:
        raise CrossFieldError(lambda path: validation_errors.mutually_exclusive(given[:2]))
    mime = _mime(part.get("file_data") or "")
    if mime is not None and not (mime.startswith("text/") or mime.removeprefix("application/") in _APPLICATIONS):
        raise CrossFieldError(lambda path: validation_errors.unsupported_mime(f"{path}.file_data", mime))
    return part


def _mime(data: str) -> str | None:
    """The MIME type of a data URL, None for bare base64."""
    if not data.startswith("data:"):
        return None
    return data[5 : 5 + 200].partition(",")[0].partition(";")[0]


_BREAKPOINT: Fields = {
    "prompt_cache_breakpoint": shape({"mode": enum("explicit")}, {"ttl": enum("30m", also=("12h",))})
}
_INPUT_TEXT = shape({"type": ANY, "text": string(longest=1_048_576)}, _BREAKPOINT)
_INPUT_IMAGE = with_check(
    shape(
        {"type": ANY},
        {
            "detail": enum("low", "high", "auto", "original"),
            "image_url": string(longest=20_971_520),
            "file_id": TEXT,
            **_BREAKPOINT,
        },
    ),
    _one_image,
)
_INPUT_FILE = with_check(
    shape(
        {"type": ANY},
        {
            "file_id": TEXT,
            "file_data": string(longest=73_400_320),
            "file_url": TEXT,
            "filename": TEXT,
            "detail": enum("auto", "low", "high"),
            **_BREAKPOINT,
        },
    ),
    _one_file,
)
_INPUT_AUDIO = shape({"type": ANY, "input_audio": shape({"data": TEXT, "format": enum("mp3", "wav")})})
_TOP_LOGPROB = shape(
    {"token": TEXT, "logprob": decimal()}, {"bytes": array(integer(), expected="an array of integers")}
)
_LOGPROB = shape(
    {"token": TEXT, "logprob": decimal()},
    {"bytes": array(integer(), expected="an array of integers"), "top_logprobs": array(_TOP_LOGPROB)},
)
_SPAN: Fields = {"start_index": integer(), "end_index": integer()}
_ANNOTATION = union_by_tag(
    {
        "file_citation": shape({"type": ANY, "file_id": TEXT, "index": integer()}, {"filename": TEXT}),
        "url_citation": shape({"type": ANY, "url": TEXT, **_SPAN}, {"title": TEXT}),
        "container_file_citation": shape(
            {"type": ANY, "container_id": TEXT, "file_id": TEXT, **_SPAN}, {"filename": TEXT}
        ),
        "file_path": shape({"type": ANY, "file_id": TEXT, "index": integer()}),
    }
)
_OUTPUT_TEXT = shape(
    {"type": ANY, "text": string(longest=LONG_TEXT)},
    {"annotations": array(_ANNOTATION), "logprobs": array(_LOGPROB), **_BREAKPOINT},
)
_REFUSAL = shape({"type": ANY, "refusal": string(longest=LONG_TEXT)})

_INPUT_PARTS: Fields = {"input_text": _INPUT_TEXT, "input_image": _INPUT_IMAGE, "input_file": _INPUT_FILE}
USER_CONTENT = array(
    union_by_tag(
        {**_INPUT_PARTS, "input_audio": _INPUT_AUDIO},
        values=("input_text", "input_image", "input_file", "scoped_content", "input_audio"),
        known=PART_TYPES,
    )
)
ASSISTANT_CONTENT = array(union_by_tag({"output_text": _OUTPUT_TEXT, "refusal": _REFUSAL}, known=PART_TYPES))
TOOL_CONTENT = array(union_by_tag(_INPUT_PARTS, known=PART_TYPES))
PROMPT_VARIABLES = mapping(either("one of a string or object", string=TEXT, object=union_by_tag(_INPUT_PARTS)))
