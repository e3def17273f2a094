"""The talk of a web page that `fixtures/recordings/chromium.har` holds, made by `tests.contract.record_chromium`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx

HAR = Path(__file__).parents[2] / "fixtures" / "recordings" / "chromium.har"
# `{last}` is the id in the answer before
CALLS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/v1/responses", {"model": "gpt-5.5", "input": "I am Ada."}),
    ("POST", "/v1/responses", {"model": "gpt-5.5", "input": "Who am I?", "previous_response_id": "{last}"}),
    (
        "POST",
        "/v1/responses",
        {"model": "gpt-5.5", "input": "Tell me.", "previous_response_id": "{last}", "stream": True},
    ),
    ("GET", "/v1/responses/{last}/input_items?order=asc&limit=2", None),
    ("POST", "/v1/responses", {"model": "gpt-5.5", "input": "Again?", "previous_response_id": "resp_unknown"}),
]


def talk(base_url: str) -> list[tuple[int, str, str]]:
    """What the calls are answered: statuses, content types, bodies."""
    answers: list[tuple[int, str, str]] = []
    last = ""
    with httpx.Client(base_url=base_url.removesuffix("/v1"), trust_env=False) as client:
        for method, path, body in CALLS:
            content = None if body is None else json.dumps(body).replace("{last}", last)
            headers = {} if body is None else {"content-type": "application/json"}
            answer = client.request(method, path.replace("{last}", last), content=content, headers=headers)
            answers.append((answer.status_code, answer.headers["content-type"], answer.text))
            if found := re.search(r'"id": ?"(resp_[^"]+)"', answer.text):
                last = found[1]
    return answers
