"""What a mock stands on: options as Python values, models of the test's own, whose project a caller belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.config.settings import SettingError
from mockserver.model.prompt import Prompt, Reply
from mockserver.testing import embedded_server
from mockserver.testing.embedded_server import CLOSED, Host, Hosts
from mockserver.wire.errors.api import APIError, MockError
from tests.support.driving import NOON


def test_options_are_those_of_the_command_line_and_the_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_SEED", "9")
    monkeypatch.setenv("UNDERSTUDY_SEAD", "9")
    settings = Host({"clock": NOON, "scenario": None}).engine.settings
    assert (settings.clock, settings.scenario, settings.seed) == (NOON, (), 0)
    with pytest.raises(TypeError, match="'sead'"):
        Host({"sead": 1})
    with pytest.raises(SettingError, match=r"^seed takes"):
        Host({"seed": "x"})


BODY = b'{"model":"gpt-4.1","input":"ping","max_output_tokens":16}'


def said(model: Any) -> Any:
    """The text of a turn of such a model."""
    import orjson

    body = orjson.loads(Host({}, model).engine.create_response("p", BODY).body or b"")
    return [item.get("content", [{}])[0].get("text", item) for item in body["output"]], body["status"]


def test_models_of_the_test_s_own() -> None:
    class Object:
        def respond(self, prompt: Prompt) -> Any:
            return ["one", {"type": "message", "text": "two"}]

    assert said(lambda prompt: f"{prompt.turn}: {prompt.request['input']}") == (["1: ping"], "completed")
    assert said(Object()) == (["one", "two"], "completed")
    assert said(lambda prompt: Reply()) == ([], "completed")
    assert said(lambda prompt: "word " * 50)[1] == "incomplete"
    with pytest.raises(APIError):
        said(lambda prompt: {"error": {"code": "rate_limit_exceeded"}})
    with pytest.raises(MockError):
        said(lambda prompt: None)


def test_callers_belong_to_one_project_unless_their_key_has_its_own() -> None:
    host = Host({})
    project = host.engine.project
    assert project(None, None) == project("Bearer a", None) == project("Bearer b", "proj") == "default"
    first = host.add_project("a")
    second = host.add_project("b")
    assert project("Bearer a", None) == first != second == project("Bearer b", None) == project("Bearer other", None)


def test_keys_are_judged_as_ever() -> None:
    host = Host({"api_key": "good"})
    assert host.engine.project("Bearer good", None) == "default"
    with pytest.raises(APIError) as refused:
        host.engine.project("Bearer bad", None)
    assert refused.value.status == 401


def test_control_and_its_refusals() -> None:
    host = Host({"clock": NOON})
    assert host.control("p", "GET", "/clock")["now"] == NOON
    assert host.control("p", "GET", "/responses?limit=3")["data"] == []
    with pytest.raises(MockError, match="lines"):
        host.control("p", "POST", "/script", {"lines": 3})


def test_hosts_are_shared_by_equal_options_and_closed_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_server, "MOST_HOSTS", 2)
    hosts = Hosts()

    def model(prompt: Prompt) -> str:
        return "own"

    plain = hosts.host_of({})
    assert hosts.host_of({"seed": None, "set": {"zdr": "off"}, "journal": 1000}) is not plain, "a switch is an option"
    assert hosts.host_of({"strict": False, "scenario": None}) is plain
    own = hosts.host_of({"model": model})
    assert hosts.host_of({"model": model}) is own and hosts.host_of({"model": lambda prompt: "own"}) is not own
    assert plain.closed and hosts.host_of({}) is not plain, "the one that was longest not asked for is gone"
    with pytest.raises(TypeError, match="did you mean 'seed'"):
        hosts.host_of({"sed": 1})
    hosts.close()
    assert own.closed


def test_a_closed_host() -> None:
    host = Host({})
    origin = host.origin
    assert host.origin == origin
    host.close()
    host.close()
    for use in (lambda: host.origin, lambda: host.add_project("a"), lambda: host.control("p", "GET", "/clock")):
        with pytest.raises(MockError) as refused:
            use()
        assert refused.value.message == CLOSED
