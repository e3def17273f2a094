"""What looks like a secret is taken out of a text, wherever it stands; what does not stays as it is."""

from __future__ import annotations

import pytest

from mockserver.config.redaction import REDACTED, clean


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("the key sk-proj-abcDEF_123 is wrong", "the key <redacted> is wrong"),
        ("https://me:pass@a.test/v1", "https://<redacted>@a.test/v1"),
        ("https://me:p@ss@a.test/v1", "https://<redacted>@a.test/v1"),
        (r"https:\/\/me:pass@a.test", r"https:\/\/<redacted>@a.test"),
        ("/v1?api_key=hidden&limit=2", "/v1?api_key=<redacted>&limit=2"),
        ("/v1?limit=2&X-Access-Token=hidden", "/v1?limit=2&X-Access-Token=<redacted>"),
        ("openai-insecure-api-key.hidden, realtime", "openai-insecure-api-key.<redacted>, realtime"),
        ("Authorization: Bearer abcdefg123", "Authorization: Bearer <redacted>"),
        ("Authorization: Basic dXNlcjpwYXNz1=", "Authorization: Basic <redacted>"),
    ],
)
def test_a_secret_is_taken_out(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned
    assert clean(cleaned) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "nothing to hide",
        "sk-short",
        "mail me@a.test",
        "https://a.test/v1?limit=2&order=asc",
        "a Bearer certificates answer",  # words have no digit
        "Basic understanding",
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert clean(text) == text


def test_every_secret_of_a_text_is_taken_out() -> None:
    text = "sk-abcdefgh1 https://u:p@a.test/?token=t&sig=s Bearer 12345678 openai-insecure-api-key.k"
    assert clean(text).count(REDACTED) == 6
