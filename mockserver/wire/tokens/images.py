"""What images and files cost as input: sizes read from the file's own header, then the model's rule. Spec: T12.

A picture that can't be looked at (a URL, a file id, an unknown format) counts as one of `UNKNOWN_SIZE`. The headers are
read by imagesize. It knows more formats than the API takes, SVG among them, and brings an HTTP client along; so only
bytes with one of four signatures reach it, and it is loaded with the first image.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from functools import lru_cache
from io import BytesIO
from math import ceil
from typing import Any, NamedTuple
from urllib.parse import unquote

from mockserver.wire.catalog import Model

Size = tuple[int, int]
UNKNOWN_SIZE: Size = (1024, 1024)
FILE_TOKENS = 1000  # of a file whose text is not at hand, such as a PDF; a round figure, the API's is unknown
# A JPEG says its size after its metadata, which can be long; nobody decodes 20 MB for a size.
_HEAD_CHARACTERS = 400_000
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF87a", b"GIF89a", b"RIFF")


class ImageRule(NamedTuple):
    """How one model counts images: `base` tokens per image plus `tile` per 512-px tile, or `factor` tokens per patch.

    `item` tokens are added once per item that holds images.
    """

    base: int = 0
    tile: int = 0
    factor: float = 0.0
    item: int = 0


# Prefix of the model's row, the longest match counts; measured for gpt-4o, gpt-4.1-nano and gpt-5-mini (Spec: T12),
# otherwise as documented or by analogy.
_RULES: dict[str, ImageRule] = {
    "gpt-4": ImageRule(base=85, tile=170),
    "gpt-4o": ImageRule(base=85, tile=170),
    "gpt-4o-mini": ImageRule(base=2833, tile=5667),
    "gpt-4.1": ImageRule(base=85, tile=170),
    "gpt-4.1-mini": ImageRule(factor=1.62, item=1),
    "gpt-4.1-nano": ImageRule(factor=2.46, item=1),
    "o1": ImageRule(base=75, tile=150),
    "o3": ImageRule(base=75, tile=150),
    "computer-use-preview": ImageRule(base=65, tile=129),
    "o4-mini": ImageRule(factor=1.72, item=1),
}
_OTHERS = ImageRule(factor=1.2, item=5)


@lru_cache(maxsize=1024)
def rule_of(model: Model) -> ImageRule:
    """The model's image rule."""
    prefixes = [prefix for prefix in _RULES if model.row.startswith(prefix)]
    return _RULES[max(prefixes, key=len)] if prefixes else _OTHERS


def images_tokens(images: Iterable[Mapping[str, Any]], model: Model) -> int:
    """The cost of all images of one item. Spec: T12."""
    parts = list(images)
    if not parts:
        return 0
    rule = rule_of(model)
    if rule.tile:
        return sum(
            rule.base + (0 if part.get("detail") == "low" else rule.tile * _tiles(size_of(part))) for part in parts
        )
    return round(rule.factor * sum(_patches(size_of(part)) for part in parts)) + rule.item


def _tiles(size: Size) -> int:
    # Documented: shrink into 2048 × 2048, then the shorter side to 768, and count tiles of 512. Three decimals, because
    # floats make 1024.0000000000002 × 768 of 3708 × 2781, and that would be another column of tiles.
    width, height = size
    shrink = min(1.0, 2048 / max(width, height))
    shrink *= min(1.0, 768 / (min(width, height) * shrink))
    return ceil(round(width * shrink, 3) / 512) * ceil(round(height * shrink, 3) / 512)


def _patches(size: Size) -> int:
    return ceil(size[0] / 32) * ceil(size[1] / 32)


def size_of(part: Mapping[str, Any]) -> Size:
    """Return width and height of an image part in pixels, `UNKNOWN_SIZE` where its bytes are not at hand."""
    url = part.get("image_url")
    data = _head(url) if isinstance(url, str) else b""
    if not data.startswith(_SIGNATURES):
        return UNKNOWN_SIZE
    import imagesize  # type: ignore[import-untyped]

    # The stored size: rotation as EXIF has it was never seen to change what an image costs.
    size: Size = imagesize.get(BytesIO(data), exif_rotation=False)
    return size if min(size) > 0 else UNKNOWN_SIZE


def _head(url: str) -> bytes:
    head, comma, body = url[:_HEAD_CHARACTERS].partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return b""
    body = "".join(body.split())
    try:
        # Whole groups of four only: the cut above may have left a part of one.
        return base64.b64decode(body[: len(body) // 4 * 4])
    except (binascii.Error, ValueError):
        return b""


def file_text(part: Mapping[str, Any]) -> str | None:
    """The text of a file part when its data URL says text/*, else None (it costs `FILE_TOKENS`). Spec: T12."""
    url = part.get("file_data")
    if not isinstance(url, str) or not url.startswith("data:text/"):
        return None
    head, _, body = url.partition(",")
    try:
        data = base64.b64decode(body) if head.endswith(";base64") else unquote(body).encode()
    except (binascii.Error, ValueError):
        return None
    return data.decode(errors="replace")
