"""A failure as a script: it ends well where a server is right, badly where it is not; answers name the ids."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mockserver.conformance.drivers import Answer
from mockserver.conformance.machine.checked_client import stage_of
from mockserver.conformance.machine.random_walk import CounterExample, replay, walk_for
from mockserver.conformance.recorder import Exchange, Recorder
from mockserver.conformance.registry import fixed_rules
from mockserver.conformance.runner import FAILED, judge
from mockserver.conformance.scripts import Story, as_curl, as_python, steps_of, texts_of
from mockserver.conformance.terms import STATE, Terms
from tests.support.examples import first_of
from tests.support.foreign import Foreign
from tests.support.serving import Served, serving

RULES = {id: rule for rule in fixed_rules() for id in rule.ids}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving("--model", "echo") as running:
        yield running


def forgetful(method: str, path: str, body: Any) -> Answer | None:
    """A server that takes any parent, and forgets what came before."""
    if path == "/responses" and isinstance(body, dict):
        body.pop("previous_response_id", None)
    return None


def story_of(id: str) -> Story:
    """The failure of a rule on the forgetful server, as the calls were sent."""
    recorder = Recorder(Foreign(lambda *call: None))
    recorder.driver.broken = lambda method, path, body: forgetful(method, path, body)  # type: ignore[attr-defined]
    sent: list[Exchange] = []
    own = recorder.call

    def call(method: str, path: str, body: Any = None, **query: str) -> Answer:
        asked = dict(body) if isinstance(body, dict) else body
        answer = own(method, path, body, **query)
        sent.append(Exchange(method, path, asked, query, answer))
        return answer

    recorder.call = call  # type: ignore[method-assign]
    verdict = judge(RULES[id], recorder, terms=Terms(STATE))
    recorder.close()
    assert verdict.verdict == FAILED
    return Story(id, "A sentence.\nAnd more.", verdict.evidence, tuple(sent))


def echo_of(text: str) -> str:
    """What an echo model says to one user message."""
    return json.dumps(
        {"echo": [{"type": "message", "role": "user", "text": text}], "instructions": None}, separators=(",", ":")
    )


def run(path: Path, base_url: str) -> tuple[int, str]:
    environment = {**os.environ, "OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "test"}
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow  # its story runs twice, each time with a client of its own
def test_a_forgotten_ancestor_as_a_python_file(served: Served, tmp_path: Path) -> None:
    story = story_of("R1.20")
    script = tmp_path / "a.py"
    script.write_text(as_python(story, "http://there.test/v1"))
    text = script.read_text()
    assert "'previous_response_id': a0['id']" in text and "resp_" not in text.partition("client =")[2]
    assert run(script, served.base_url) == (0, "all as expected\n")
    with serving() as other:  # its model says something else
        status, said = run(script, other.base_url)
    assert status == 1 and "not so: its items" in said


def test_a_parent_that_should_be_unknown_as_a_python_file(served: Served, tmp_path: Path) -> None:
    story = story_of("R1.24")
    script = tmp_path / "a.py"
    script.write_text(as_python(story, "http://there.test/v1"))
    assert "is refused" in script.read_text()
    assert run(script, served.base_url) == (0, "all as expected\n")


def test_a_story_as_a_script_of_bash(tmp_path: Path) -> None:
    script = tmp_path / "a.sh"
    script.write_text(as_curl(story_of("R1.20"), "http://there.test/v1"))
    text = script.read_text()
    assert "# A sentence." not in text and "# R1.20: A sentence. And more." in text
    assert """"$(jq -r '.id' <<<"$a0")\"""" in text and "base=${OPENAI_BASE_URL:-http://there.test/v1}" in text
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_a_path_names_ids_too_and_keeps_the_query() -> None:
    echo = {"type": "message", "content": [{"text": echo_of("it's {odd}")}]}
    made = Answer(200, {"id": "resp_aaaaaaaaaa", "output": [echo]})
    listed = Answer(200, {"data": []})
    calls = [
        Exchange("POST", "/responses", {"model": "gpt-4.1", "input": "it's {odd}"}, {}, made),
        Exchange("GET", "/responses/resp_aaaaaaaaaa/input_items", None, {"order": "asc"}, listed),
    ]
    steps = steps_of(calls)
    assert steps[1].path == "/responses/{a0.id}/input_items?order=asc"
    assert steps[1].texts == ["it's {odd}"] and not steps[1].refused
    story = Story("R3.1", "s", "e", tuple(calls))
    assert """f'/responses/{a0["id"]}/input_items?order=asc'""" in as_python(story, "http://x/v1")
    line = next(line for line in as_curl(story, "http://x/v1").splitlines() if line.startswith("ask GET"))
    assert "input_items" in shlex.split(line)[2]
    compile(as_python(story, "http://x/v1"), "a.py", "exec")


def test_what_another_model_says_is_its_own() -> None:
    said = Answer(200, {"id": "resp_aaaaaaaaaa", "output": [{"type": "message", "content": [{"text": "Hello."}]}]})
    body = {"model": "gpt-4.1", "input": "x"}
    calls = [Exchange("POST", "/responses", body, {}, said)] * 2
    assert [step.texts for step in steps_of(calls)] == [None, None]


def test_the_texts_of_an_answer() -> None:
    stream = Answer(200, None, [{"type": "response.completed", "response": {"output": [{"type": "reasoning"}]}}])
    assert texts_of(stream) == ["reasoning"]
    assert texts_of(Answer(200, None, [])) == texts_of(Answer(404, None)) == texts_of(Answer(200, "html")) == []
    items = [{"type": "function_call_output", "output": "found"}, {"type": "function_call", "arguments": "{}"}]
    assert texts_of(Answer(200, {"data": items})) == ["found", "{}"]


def test_the_machine_abroad_finds_tells_and_tidies() -> None:
    with Foreign(forgetful) as server:
        recorder = Recorder(server)
        stage = stage_of(recorder, Terms(STATE))
        with pytest.raises(CounterExample) as found:
            walk_for(stage, 60.0, "gpt-4.1")
        recorder.calls.clear()
        assert replay(stage, found.value.program, "gpt-4.1") is not None
        paths = [call.path for call in recorder.calls if call.method == "DELETE"]
        created = [call for call in recorder.calls if call.path == "/responses" and call.answer.status == 200]
        assert created and paths, "what it made is deleted"


@pytest.mark.parametrize("lacks", first_of([(), ("input items", "delete", "background"), ("get", "count", "tools")]))
def test_the_machine_abroad_is_content_with_a_server_that_keeps_state(lacks: tuple[str, ...]) -> None:
    with Foreign() as server:
        assert walk_for(stage_of(server, Terms(STATE, frozenset(lacks))), 2.0, "gpt-4.1") >= 1


def test_the_recorder_is_the_driver_that_it_records() -> None:
    with Foreign() as server:
        recorder = Recorder(server)
        assert (recorder.controls, recorder.sockets, recorder.new_project("x")) == (False, False, recorder)
        recorder.create_over_socket({"model": "gpt-4.1", "input": "x"})
        assert [call.method for call in recorder.calls] == ["POST"]
        with pytest.raises(LookupError):
            recorder.control("GET", "/health")
        other = Recorder(server.behind, recorder.calls).new_project("y")
        other.call("GET", "/models")
        assert len(recorder.calls) == 2


def test_an_id_that_the_client_made_up_stays_a_literal() -> None:
    """A server that takes an unknown conversation echoes its id: no answer stands behind it when it is sent."""
    unknown = "conv_" + "f" * 48
    taken = Answer(200, {"id": "resp_aaaaaaaaaa", "conversation_id": unknown, "output": []})
    calls = (Exchange("POST", "/responses", {"model": "gpt-4.1", "input": "x", "conversation": unknown}, {}, taken),)
    (step,) = steps_of(calls)
    assert step.body["conversation"] == unknown and step.refused
