"""Lines about calls that are no turns: which calls they answer, and with what. Spec: P24."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.scenarios.http_replies import HTTPReply, answers_call, http_reply, is_about_calls
from mockserver.scenarios.lines import Line, parse_lines
from tests.support.prompts import prompt, user


def line_of(when: Any, **http: Any) -> Line:
    (line,) = parse_lines([{"when": when, "reply": {"http": http}}])
    return line


@pytest.mark.parametrize(
    ("when", "method", "path", "answers"),
    [
        ({"path": "/v1/embeddings"}, "POST", "/v1/embeddings", True),
        ({"path": "/v1/embeddings"}, "POST", "/v1/embeddings/1", False),
        ({"path": "/v1/files/*"}, "GET", "/v1/files/file-1/content", True),
        ({"path": "*/embeddings"}, "GET", "/openai/embeddings", True),
        ({"path": "/v1/embeddings", "method": "GET"}, "GET", "/v1/embeddings", True),
        ({"path": "/v1/embeddings", "method": "GET"}, "POST", "/v1/embeddings", False),
    ],
)
def test_path_and_method_decide(when: Any, method: str, path: str, answers: bool) -> None:
    assert answers_call(line_of(when), method, path) is answers


def test_a_line_of_turns_answers_no_other_call_and_the_reverse() -> None:
    (turn,) = parse_lines([{"reply": {"text": "a"}}])
    call = line_of({"path": "*"})
    assert not is_about_calls(turn) and not answers_call(turn, "POST", "/v1/embeddings")
    assert is_about_calls(call) and not call.holds(prompt(user("hello")), {})


@pytest.mark.parametrize(
    ("http", "reply"),
    [
        ({}, HTTPReply(200, b"", (), b"")),
        ({"json": {"a": "é"}}, HTTPReply(200, b"application/json", (), b'{\n  "a": "\\u00e9"\n}')),
        ({"json": None}, HTTPReply(200, b"application/json", (), b"null")),
        ({"body": "é", "status": 500}, HTTPReply(500, b"text/plain; charset=utf-8", (), "é".encode())),
        (
            {"body": "a,b", "headers": {"Content-Type": "text/csv", "X-A": "é"}},
            HTTPReply(200, b"text/csv", ((b"x-a", b"\xe9"),), b"a,b"),
        ),
        ({"body": "{{ turn }}"}, HTTPReply(200, b"text/plain; charset=utf-8", (), b"{{ turn }}")),
    ],
)
def test_what_is_sent(http: Any, reply: HTTPReply) -> None:
    """Spec: W4 (the bytes of a JSON body)."""
    assert http_reply(line_of({"path": "/v1/x"}, **http)) == reply
