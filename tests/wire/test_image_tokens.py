"""Files, image rules by model, headers cut short (figures: test_wire_render.py)."""

from __future__ import annotations

import base64

import pytest

from mockserver.wire.catalog import names
from mockserver.wire.tokens.images import UNKNOWN_SIZE, file_text, images_tokens, rule_of, size_of


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("data:text/plain;base64,aGk=", "hi"),
        ("data:text/plain,h%20i", "h i"),
        ("data:application/pdf;base64,aGk=", None),
        ("data:text/plain;base64,a", None),
        ("aGk=", None),
        (None, None),
    ],
)
def test_T12_text_of_files(data: str | None, text: str | None) -> None:
    assert file_text({"type": "input_file", "file_data": data}) == text


def test_every_model_counts_images() -> None:
    for _, model in names():
        assert images_tokens([{"type": "input_image", "file_id": "file-1"}], model) > 0
    rules = {name: rule_of(model) for name, model in names()}
    assert rules["gpt-4o"] != rules["gpt-4o-mini"] and rules["gpt-4.1"] != rules["gpt-4.1-nano"]


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9000" height="9000"/>'
BMP = b"BM" + bytes(16) + (320).to_bytes(4, "little") + (240).to_bytes(4, "little") + bytes(8)


@pytest.mark.parametrize("data", [SVG, BMP, b"P6\n320 240\n255\n", b"\0\0\0\x1cftypheic" + bytes(60)])
def test_formats_that_the_api_does_not_take_are_of_unknown_size(data: bytes) -> None:
    assert size_of({"image_url": "data:image/png;base64," + base64.b64encode(data).decode()}) == UNKNOWN_SIZE


CUT = [b"\x89PNG\r\n\x1a\n", b"GIF89a\1", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8L", b"\xff\xd8\xff\xc0\0"]


@pytest.mark.parametrize("head", CUT)
def test_cut_headers_are_of_unknown_size(head: bytes) -> None:
    url = "data:image/x;base64," + base64.b64encode(head).decode()
    assert size_of({"image_url": url}) == UNKNOWN_SIZE
