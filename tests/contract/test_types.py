"""The client's own models judge every body and every event, strictly: openai 3.x and 2.x.

One scripted response per output item type and one stream per family of events. What the models complain about although
it is right is in `FALSE_ALARMS`, each with its reason; an entry that no longer fires is a mistake too.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mockserver.delivery.events import events_of
from mockserver.wire.tokens import tokenizer
from tests.support.environments import OPENAI
from tests.support.item_inputs import INPUTS
from tests.support.raw_http import exchange, request
from tests.support.scripted_items import INCLUDE, REPLIES
from tests.support.serving import KEY, Served, serving

JUDGE = Path(__file__).with_name("judge.py")
MODEL = "gpt-5.6-terra"
MODELS = {"configuration": "gpt-6.2-sol"}  # of the inputs that other models refuse (E103)
LIMIT_S = 600


class Alarm(NamedTuple):
    """What the models of a client (0: of all) complain about: the kind of body, parts of the complaint, the reason."""

    major: int
    kind: str
    said: tuple[str, ...]
    reason: str

    def fires(self, complaint: Mapping[str, Any]) -> bool:
        """Whether a complaint is this alarm."""
        whole = f"{complaint['name']} {complaint['type']} {complaint['what']}"
        return self.kind in complaint["kind"] and all(part in whole for part in self.said)


UNKNOWN = "no model of the client knows this type"
FALSE_ALARMS = (
    Alarm(
        0,
        "event",
        ("output_item.added web_search_call", "action: Field required"),
        "W7: the service sends the action of a search with the done item, not with the added one",
    ),
    Alarm(
        0,
        "conversation_items",
        ("first_id: Input should be a valid string",),
        "P25: an empty page has no ids; the client's page class reads null",
    ),
    Alarm(
        0,
        "event",
        ("error ResponseErrorEvent.message: Field required",),
        "S12: the service nests the error; the client's type describes the flat form",
    ),
    Alarm(
        2,
        "event",
        ("response.function_call_arguments.done", "name: Field required"),
        "S16: openai 2.x wants a name that the service never sends; 3.x does not",
    ),
    Alarm(
        2,
        "",
        ("McpCall.error: Input should be a valid string",),
        "I1: openai 2.x knows the error of an MCP call as a text only; since 3.x it is an object",
    ),
    Alarm(2, "event", ("response.shell_call_", UNKNOWN), "S16: the events of shells are newer than openai 2.x"),
    Alarm(2, "event", ("response.compaction.compacting", UNKNOWN), "S16: the event is newer than openai 2.x"),
    Alarm(2, "_items", ("input: configuration", UNKNOWN), "I3: configuration_update is newer than openai 2.x"),
)


@pytest.fixture(scope="module")
def mock() -> Iterator[Served]:
    with serving("--seed", "7") as served:
        yield served


def body(name: str, kind: str, value: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "value": value}


def bodies_of_reply(mock: Served, name: str) -> Iterator[dict[str, Any]]:
    """Everything that a scripted reply shows: JSON, stream, lists, one item."""
    asked = {"model": MODEL, "input": "hello", "include": list(INCLUDE)}
    line = {"lines": [{"reply": REPLIES[name]}]}
    query = "&".join(f"include[]={one}" for one in INCLUDE)
    mock.control("POST", "/script", line)
    conversation = mock.request("POST", "/v1/conversations", {}).json
    yield body(name, "conversation", conversation)
    made = mock.request("POST", "/v1/responses", {**asked, "conversation": conversation["id"]}).json
    yield body(name, "response", made)
    yield body(name, "response", mock.request("GET", f"/v1/responses/{made['id']}").json)
    listed = mock.request("GET", f"/v1/conversations/{conversation['id']}/items?limit=100&{query}").json
    yield body(name, "conversation_items", listed)
    for item in listed["data"]:
        place = f"/v1/conversations/{conversation['id']}/items/{item['id']}"
        yield body(name, "conversation_item", mock.request("GET", place).json)
    gone = mock.request("DELETE", f"/v1/conversations/{conversation['id']}").json
    yield body(name, "conversation_deleted", gone)
    mock.control("POST", "/script", line)
    for event in streamed(mock, {**asked, "stream": True}):
        yield body(name, "event", event)
    if made["output"] and made["status"] == "completed":
        again = mock.request("POST", "/v1/responses", {**asked, "input": made["output"]}).json
        listing = mock.request("GET", f"/v1/responses/{again['id']}/input_items?limit=100&{query}").json
        yield body(name, "input_items", listing)


def streamed(mock: Served, asked: dict[str, Any]) -> list[dict[str, Any]]:
    answer = exchange(mock.port, request("POST", "/v1/responses", asked))
    return [json.loads(line[6:]) for line in answer.body.splitlines() if line.startswith(b"data: ")]


def bodies_of_input(mock: Served, name: str) -> Iterator[dict[str, Any]]:
    """An input as both lists show it, and its count."""
    query = "&".join(f"include[]={one}" for one in INCLUDE)
    asked = {"model": MODELS.get(name, MODEL), "input": INPUTS[name]}
    conversation = mock.request("POST", "/v1/conversations", {"items": INPUTS[name]}).json["id"]
    listed = mock.request("GET", f"/v1/conversations/{conversation}/items?{query}").json
    yield body(f"input: {name}", "conversation_items", listed)
    made = mock.request("POST", "/v1/responses", asked).json
    for way in ("", f"?{query}"):
        listed = mock.request("GET", f"/v1/responses/{made['id']}/input_items{way}").json
        yield body(f"input: {name}", "input_items", listed)
    counted = mock.request("POST", "/v1/responses/input_tokens", asked).json
    yield body(f"input: {name}", "input_tokens", counted)


FULL: dict[str, Any] = {
    "instructions": "be brief",
    "tools": [
        {"type": "function", "name": "f"},
        {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "regex", "definition": "a+"}},
        {"type": "web_search", "user_location": {"city": "Oslo"}},
        {"type": "file_search", "vector_store_ids": ["vs_1"]},
        {"type": "code_interpreter", "container": {"type": "auto"}},
        {"type": "image_generation", "partial_images": 2},
        {"type": "mcp", "server_label": "s", "server_url": "https://example.com/mcp"},
        {"type": "shell"},
        {"type": "apply_patch"},
        {"type": "namespace", "name": "n", "description": "d", "tools": [{"type": "function", "name": "g"}]},
        {"type": "tool_search"},
    ],
    "tool_choice": "none",
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "moderation": {"model": "omni-moderation-latest"},
    "prompt_cache_options": {"comparison_response_id": "resp_1"},
    "metadata": {"a": "b"},
    "service_tier": "flex",
    "image": {"context_compression": "auto"},
    "access_programs": {"cyber": "standard"},
}


def other_bodies(mock: Served) -> Iterator[dict[str, Any]]:
    """A response to a request that says everything, its stream; queued streams; models."""
    made = mock.request("POST", "/v1/responses", {"model": MODEL, "input": "hello", **FULL}).json
    yield body("full request", "response", made)
    for event in streamed(mock, {"model": MODEL, "input": "hello", "stream": True, **FULL}):
        yield body("full request", "event", event)
    plain = mock.request("POST", "/v1/responses", {"model": MODEL, "input": "hello"}).json
    for event in events_of({**plain, "background": True}, tokenizer.pieces, obfuscate=True):
        yield body("queued", "event", event)
    yield body("model", "model", mock.request("GET", f"/v1/models/{MODEL}").json)


@pytest.fixture(scope="module")
def bodies(mock: Served) -> list[dict[str, Any]]:
    found = [one for name in REPLIES for one in bodies_of_reply(mock, name)]
    found += [one for name in INPUTS for one in bodies_of_input(mock, name)]
    return [*found, *other_bodies(mock)]


def test_nothing_was_refused(bodies: list[dict[str, Any]]) -> None:
    assert [
        one for one in bodies if one["kind"] != "event" and "error" in one["value"] and "id" not in one["value"]
    ] == []


@pytest.mark.newest
@pytest.mark.parametrize("major", [3, 2])
def test_the_clients_models_accept_everything(
    major: int, mock: Served, clients: Mapping[int, Path], bodies: list[dict[str, Any]]
) -> None:
    complaints, told = judge(clients[major], mock, bodies)
    assert told.startswith("judged ") and f" openai {OPENAI[major].version}" in told
    alarms = [alarm for alarm in FALSE_ALARMS if alarm.major in (0, major)]
    fired = {alarm: [one for one in complaints if alarm.fires(one)] for alarm in alarms}
    known = [one for found in fired.values() for one in found]
    # a strict client says no more than that it won't have a body that its models complain about
    names = {one["name"] for one in known}
    wrong = [one for one in complaints if one not in known]
    wrong = [one for one in wrong if not (one["name"] in names and "APIResponseValidationError" in one["what"])]
    assert not wrong, "\n".join(map(json.dumps, wrong))
    assert all(fired.values()), "alarms that no longer fire"
    print(f"{told}: {len(bodies)} bodies, {len(complaints)} false alarms of {len(alarms)} kinds")


def judge(python: Path, mock: Served, bodies: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Run the judge in an environment; returns its complaints and its last line."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "UNDERSTUDY_"))}
    told = {"OPENAI_BASE_URL": mock.base_url, "OPENAI_API_KEY": KEY, "UNDERSTUDY_CONTROL": mock.origin}
    scripts = {
        name: reply for name, reply in REPLIES.items() if "failed" not in reply
    }  # its streams raise, as they must
    question = {"bodies": bodies, "scripts": scripts, "model": MODEL, "include": list(INCLUDE)}
    done = subprocess.run(
        [str(python), str(JUDGE)],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**inherited, "NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1", **told},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, last = done.stdout.splitlines()
    return [json.loads(line) for line in lines], last
