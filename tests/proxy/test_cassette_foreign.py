"""Recordings of other tools are read as they are, and what can't be used is named."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from proxy import cli
from proxy.cassettes.file import load
from proxy.cassettes.interaction import CassetteError
from tests.support import page_talk
from tests.support.cassettes import replaying

BODY = '{"model":"gpt-5.5","input":"hi"}'
ANSWER = json.dumps({"id": "resp_1", "object": "response", "status": "completed", "output": []})
STREAM = (
    'event: response.created\ndata: {"type":"response.created"}\n\nevent: response.completed\ndata: {"type":"x"}\n\n'
)
URL = "https://me:password123@api.openai.com/v1/responses"
# as vcrpy 9 writes it
VCRPY = {
    "version": 1,
    "interactions": [
        {
            "request": {
                "method": "POST",
                "uri": URL,
                "body": BODY,
                "headers": {"authorization": ["Bearer sk-thisisasecret12"], "content-type": ["application/json"]},
            },
            "response": {
                "status": {"code": 200, "message": "OK"},
                "headers": {"content-type": ["application/json"], "set-cookie": ["a=b"]},
                "body": {"string": ANSWER},
            },
        },
        {
            "request": {"method": "POST", "uri": URL, "body": BODY.replace("hi", "stream"), "headers": {}},
            "response": {
                "status": {"code": 200, "message": "OK"},
                "headers": {"Content-Type": ["text/event-stream; charset=utf-8"], "content-encoding": ["gzip"]},
                "body": {"string": gzip.compress(STREAM.encode())},
            },
        },
        {"request": {"method": "GET", "uri": "ftp://x/v1"}, "response": {"status": {"code": 200}, "body": {}}},
        {"request": {"uri": URL}, "response": {}},
    ],
}
PARSED = {
    "interactions": [
        {
            "request": {"method": "POST", "uri": URL, "parsed_body": json.loads(BODY), "headers": {}},
            "response": {
                "status": {"code": 200},
                "headers": {"content-type": ["application/json"], "content-encoding": ["gzip"]},
                "parsed_body": json.loads(ANSWER),
            },
        },
        {
            "request": {"method": "POST", "uri": URL, "parsed_body": {"model": "gpt-5.5", "input": "stream"}},
            "response": {
                "status_code": 200,
                "headers": {"content-type": ["text/event-stream"]},
                "content": STREAM,
            },
        },
    ]
}
RUBY = {
    "http_interactions": [
        {
            "request": {"method": "post", "uri": URL, "body": {"encoding": "UTF-8", "string": body}, "headers": {}},
            "response": {
                "status": {"code": 200, "message": "OK"},
                "headers": {"Content-Type": [kind]},
                "body": {"encoding": "ASCII-8BIT", "base64_string": base64.b64encode(answer.encode()).decode()},
            },
            "recorded_at": "Sun, 29 Nov 2026 00:00:00 GMT",
        }
        for body, kind, answer in (
            (BODY, "application/json", ANSWER),
            (BODY.replace("hi", "stream"), "text/event-stream", STREAM),
        )
    ],
    "recorded_with": "VCR 6.3.1",
}
HAR = {
    "log": {
        "version": "1.2",
        "creator": {"name": "mitmproxy", "version": "12"},
        "entries": [
            {
                "startedDateTime": "2026-11-29T00:00:00Z",
                "time": 120,
                "request": {
                    "method": "POST",
                    "url": URL,
                    "headers": [{"name": "Authorization", "value": "Bearer sk-thisisasecret12"}],
                    "postData": {"mimeType": "application/json", "text": body},
                },
                "response": {
                    "status": 200,
                    "headers": [
                        {"name": "Content-Type", "value": kind},
                        {"name": "Content-Encoding", "value": "br"},
                    ],
                    "content": content,
                },
            }
            for body, kind, content in (
                (BODY, "application/json", {"text": ANSWER}),
                (
                    BODY.replace("hi", "stream"),
                    "text/event-stream",
                    {"text": base64.b64encode(STREAM.encode()).decode(), "encoding": "base64"},
                ),
            )
        ]
        + [
            {"request": {"method": "GET", "url": URL}, "response": {"status": 200, "content": {"size": 9}}},
            {"_webSocketMessages": [], "request": {"method": "GET", "url": URL}, "response": {"status": 101}},
        ],
    }
}
FILES = {
    "vcrpy.yaml": yaml.safe_dump(VCRPY),
    "vcrpy.json": json.dumps({"interactions": [VCRPY["interactions"][0], PARSED["interactions"][1]]}),
    "parsed.yaml": yaml.safe_dump(PARSED),
    "ruby.yml": yaml.safe_dump(RUBY),
    "x.har": json.dumps(HAR),
}
KINDS = {"vcrpy.yaml": "vcrpy", "vcrpy.json": "vcrpy", "parsed.yaml": "vcrpy", "ruby.yml": "VCR", "x.har": "HAR"}


def ask(url: str) -> list[Any]:
    """The two answers that every file holds."""
    with httpx.Client(trust_env=False) as client:
        whole = client.post(f"{url}/responses", content=BODY, headers={"content-type": "application/json"})
        stream = client.post(f"{url}/responses", json={"model": "gpt-5.5", "input": "stream"})
    assert stream.headers["content-type"].startswith("text/event-stream")
    return [whole.json(), stream.text]


@pytest.mark.parametrize("name", FILES)
def test_a_foreign_file_answers_and_is_converted(tmp_path: Path, name: str, capsys) -> None:
    path, converted = tmp_path / name, tmp_path / "ours.yaml"
    path.write_text(FILES[name])
    cassette = load(path)
    assert (cassette.kind, cassette.head.upstream) == (KINDS[name], "https://api.openai.com")
    assert [len(interaction.response.pieces) for interaction in cassette.interactions] == [1, 2]
    with replaying(path) as url:
        assert ask(url) == [json.loads(ANSWER), STREAM]
    assert cli.main(["cassette", "import", str(path), "-o", str(converted)]) == 0
    assert f"2 interactions of {KINDS[name]}" in capsys.readouterr().out
    text = converted.read_text()
    assert load(converted).kind == "understudy" and "password123" not in text and "sk-this" not in text
    with replaying(converted) as url:
        assert ask(url) == [json.loads(ANSWER), STREAM]


def test_what_can_not_be_used_is_named(tmp_path: Path, capsys) -> None:
    for name, reasons in (
        ("vcrpy.yaml", ["[2]: its URL is 'ftp://x/v1'", "[3]: not as vcrpy writes it: there is no 'method'"]),
        ("x.har", ["[2]: its answer was recorded without its body", "[3]: a WebSocket in a HAR"]),
    ):
        path = tmp_path / name
        path.write_text(FILES[name])
        problems = [str(problem) for problem in load(path).problems]
        assert [
            problem.partition(" ")[2][: len(reason)] for reason, problem in zip(reasons, problems, strict=True)
        ] == reasons
        assert cli.main(["cassette", "import", str(path), "-o", str(tmp_path / "o.yaml")]) == 0
        assert f"left out: {path} {reasons[0]}" in capsys.readouterr().out


def test_gzip_that_was_decoded_already_and_gzip_that_is_broken(tmp_path: Path) -> None:
    entry = json.loads(json.dumps(PARSED["interactions"][0]))
    path = tmp_path / "x.json"
    entry["response"]["parsed_body"] = "\x01broken"
    path.write_text(json.dumps({"interactions": [entry]}))
    with pytest.raises(CassetteError, match="none of its exchanges can be used; the first: its body is gzip"):
        load(path)


@pytest.mark.parametrize("text", ["{}", "[1]", '{"log": {}}', "a: !!python/object/apply:os.system [x]\n", "{"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(CassetteError, match="neither a cassette of ours nor of vcrpy, VCR or a HAR"):
        load(tmp_path / "x.json")


def test_tags_of_other_languages_are_plain_values(tmp_path: Path) -> None:
    text = yaml.safe_dump(PARSED).replace(
        "interactions:", "x: !ruby/object:Y {a: !!python/tuple [1, 2]}\ninteractions:"
    )
    (tmp_path / "x.yaml").write_text(text)
    assert len(load(tmp_path / "x.yaml").interactions) == 2


# --- a HAR that Chromium wrote ----------------------------------------------------------------------------------------


def test_a_har_of_chromium_answers_the_recorded_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fetches of a web page, a stream among them: replayed as they are, imported, and verified."""
    cassette = load(page_talk.HAR)
    assert (cassette.kind, cassette.problems, len(cassette.interactions)) == ("HAR", (), len(page_talk.CALLS))
    recorded = [(one.response.status, one.response.body.decode()) for one in cassette.interactions]
    assert [status for status, _ in recorded] == [200, 200, 200, 200, 400]
    assert len(cassette.interactions[2].response.pieces) > 8  # a piece for each event
    ours = tmp_path / "ours.yaml"
    assert cli.main(["cassette", "import", str(page_talk.HAR), "-o", str(ours)]) == 0
    assert "5 interactions of HAR" in capsys.readouterr().out
    assert "sk-a-page" in page_talk.HAR.read_text() and "sk-a-page" not in ours.read_text()
    for file in (page_talk.HAR, ours):
        with replaying(file) as base_url:
            assert [(status, text) for status, _, text in page_talk.talk(base_url)] == recorded
    assert cli.main(["verify", str(page_talk.HAR), str(ours)]) == 0
    assert capsys.readouterr().out.count("5 interactions, no drift") == 2
