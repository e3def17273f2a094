"""Secrets planted in every place of every request are found nowhere: not in the journal, the file, snapshots, the log,
nor in an answer. Only the text of a message and metadata are state, and are kept as they were sent.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.config.settings import SettingError, load
from mockserver.journal.exchange import Call
from tests.support.caller import Caller
from tests.support.examples import examples

MODEL = "gpt-4.1"
HEADERS = (
    "authorization:Bearer %",
    "proxy-authorization:Basic %",
    "cookie:session=%",
    "authentication:%",
    "api-key:%",
    "x-api-key:%",
    "x-auth:%",
    "x-auth-user:%",
    "x-amz-security-token:%",
    "x-credential:%",
    "x-signature:%",
    "x-session-id:%",
    "x-client-secret:%",
    "x-password:%",
    "sec-websocket-protocol:realtime, openai-insecure-api-key.%",
    "x-note:Bearer %",
    "referer:https://me:%@example.com/a",
    "x-forwarded-url:https://example.com/?api_key=%",
)
QUERIES = ("api_key", "access_token", "key", "token", "sig", "client_secret", "x-amz-credential")
MCP = {"type": "mcp", "server_label": "s", "server_url": "https://example.com/mcp", "require_approval": "never"}
# one member or more of an MCP tool, right and wrong
TOOLS: tuple[dict[str, Any], ...] = (
    {"authorization": "%"},
    {"authorization": {"token": "%"}},
    {"authorization": ["%", {"deep": ["%"]}]},
    {"Authorization": "%"},
    {"headers": {"X-Key": "%", "Accept": "*/*"}},
    {"headers": {"Authorization": "Bearer %"}},
    {"headers": "%"},
    {"headers": ["%"]},
    {"headers": {"X": {"deep": "%"}}},
    {"server_url": "https://user:%@example.com/mcp"},
    {"server_url": "https://%@example.com/mcp"},
    {"server_url": "https://example.com/mcp?api_key=%&x=1"},
    {"server_url": "https://example.com/mcp?access_token=%"},
    {"type": "mpc", "authorization": "%"},
    {"type": None, "headers": {"k": "%"}},
)
BODIES: tuple[dict[str, Any], ...] = (
    {"api_key": "%"},
    {"client_secret": "%"},
    {"access_token": "%", "password": "%"},
    {"authorization": 5, "Proxy-Authorization": "%"},
)
# how the JSON of a body is spoilt
SPOILT = ("", "torn", "single", "twice", "escaped", "deep", "long", "indented")


class Planter:
    """Makes secrets, each once, and puts them where a `%` stands."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.secrets: list[str] = []

    def fill(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("%", self.make()) if "%" in value else value
        if isinstance(value, list):
            return [self.fill(member) for member in value]
        return {key: self.fill(member) for key, member in value.items()} if isinstance(value, dict) else value

    def make(self) -> str:
        self.secrets.append(f"Planted-{next(self._numbers):04d}-Zx9")
        return self.secrets[-1]

    def leaks(self, text: str) -> list[str]:
        return [secret for secret in self.secrets if secret in text]


def spoil(body: dict[str, Any], how: str) -> bytes:
    text = json.dumps(body)
    if how == "torn":
        text = text[: text.rindex("Zx9") + 3] if "Zx9" in text else text[:-2]
    elif how == "single":
        text = repr(body)
    elif how == "twice":
        text = text[:-1] + "," + text[1:]
    elif how == "escaped":
        text = text.replace("authorization", "\\u0061uthorization").replace("Planted", "\\u0050lanted")
    elif how == "deep":
        text = text[:-1] + ',"deep":' + '{"a":' * 400 + "1" + "}" * 401
    elif how == "long":
        text = '{"padding":"' + "word " * 52_430 + '",' + text[1:]
    elif how == "indented":
        text = json.dumps(body, indent=7)
    return text.encode()


def requests(planter: Planter, headers: Any, queries: Any, body: dict[str, Any], how: str) -> Iterator[Call]:
    """Such a request to every endpoint that takes a body, and to some that take none."""
    for method, path in (
        ("POST", "/v1/responses"),
        ("POST", "/v1/conversations"),
        ("POST", "/v1/responses/input_tokens"),
        ("POST", "/v1/responses/compact"),
        ("GET", "/v1/models"),
        ("GET", "/v1/nowhere"),
    ):
        sent = {name: value for name, _, value in (planter.fill(one).partition(":") for one in headers)}
        pairs = [(name, planter.make()) for name in queries]
        raw = spoil(planter.fill(body), how) if method == "POST" else b""
        yield Call(method, path, raw, None, pairs, {name.encode(): value.encode() for name, value in sent.items()})


def exchange(call: Caller, planter: Planter, calls: Any) -> list[str]:
    """What the mock answers, and then shows of it in the journal and in snapshots."""
    shown = []
    projects = set()
    for one in calls:
        answer, headers = call.app.answer(one)
        shown.append(answer.body.decode() + str([pair for pair in headers if pair[0] != b"x-request-id"]))
        projects.add(call.app.engine.project(one.header(b"authorization"), None))
    for project in projects:
        for context in ("full", "reference"):
            shown.append(json.dumps(call.levers.journal(project, limit=1000, context=context)))
        shown.append(json.dumps([one._asdict() for one in call.levers.verdict(project)]))
        shown.append(json.dumps(call.levers.snapshot(project)))
    return shown


def turn(tools: Any, more: dict[str, Any]) -> dict[str, Any]:
    return {"model": MODEL, "input": "hi", "tools": [{**MCP, **tool} for tool in tools], "tool_choice": "none", **more}


@pytest.mark.parametrize(
    ("how", "where"),
    [
        pytest.param(how, where, marks=pytest.mark.slow if (how, where) == ("long", "memory") else ())
        for how in SPOILT
        for where in ("memory", "sqlite")
    ],
)
def test_sixty_secrets_in_every_place(tmp_path: Path, where: str, how: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    call = Caller(store=f"sqlite:///{tmp_path}/state.db" if where == "sqlite" else "memory")
    planter = Planter()
    bodies = [turn([tool], {"store": number % 2 > 0}) for number, tool in enumerate(TOOLS)]
    bodies += [turn([], body) for body in BODIES]
    calls = [Call(body=spoil(planter.fill(body), how)) for body in bodies if how != "long"]
    calls += requests(planter, HEADERS, QUERIES, turn(TOOLS, {}), how)
    calls += requests(planter, HEADERS[:1], (), turn(TOOLS[4:6] + TOOLS[9:13], {}), how)
    shown = exchange(call, planter, calls)
    call.app.engine.close()
    shown += [path.read_bytes().decode("latin-1") for path in tmp_path.iterdir()]
    assert len(planter.secrets) >= 60
    assert [planter.leaks(text)[:3] for text in [*shown, caplog.text]] == [[]] * (len(shown) + 1)


@examples(60)
@given(
    st.lists(st.sampled_from(HEADERS), max_size=4),
    st.lists(st.sampled_from(QUERIES), max_size=2),
    st.lists(st.sampled_from(TOOLS), max_size=3),
    st.sampled_from([*BODIES, {}, {"store": False}, {"background": True}]),
    st.sampled_from(SPOILT),
)
def test_secrets_in_some_places(headers: Any, queries: Any, tools: Any, more: Any, how: str) -> None:
    call, planter = Caller(), Planter()
    shown = exchange(call, planter, list(requests(planter, headers, queries, turn(tools, more), how)))
    assert [leak for text in shown for leak in planter.leaks(text)] == []


def test_a_key_in_a_message_is_in_no_journal() -> None:
    """The text of a message and metadata are state; the journal shows the request and its context without them."""
    call, key = Caller(), "sk-proj-0123456789abcdef"
    first = call.create(f"my key is {key}", metadata={"api_key": "Planted-Zx9", "access_token": "Planted-Zx9"})
    call.create("and?", previous_response_id=first["id"], store=False)
    assert key in json.dumps(call("GET", f"/v1/responses/{first['id']}"))
    journal = json.dumps(call.journal(context="full"))
    assert key not in journal and "Planted-Zx9" not in journal


@pytest.mark.parametrize(
    "given",
    [
        "https://user:Planted-Zx9@api.example.com/v1",
        "ftp://Planted-Zx9@host",
        "user:Planted-Zx9@host",
        "x@y@Planted-Zx9@z",
    ],
)
@pytest.mark.parametrize("option", ["upstream", "store"])
def test_a_refused_setting_shows_no_password(given: str, option: str) -> None:
    with pytest.raises(SettingError) as caught:
        load({option: given}, {})
    assert "Planted-Zx9" not in str(caught.value) and "<redacted>@" in str(caught.value)
