"""The list of projects: what is shown of a key, what is counted, in which order they come."""

from __future__ import annotations

from pathlib import Path

import pytest

from mockserver.config.settings import Settings
from mockserver.engine import project_directory
from mockserver.engine.engine import Engine
from mockserver.engine.project_directory import shorten_key
from mockserver.journal.exchange import Call, Exchange
from mockserver.wire.errors.api import MockError
from tests.support.driving import NOON, Driver

BODY = b'{"model":"gpt-4.1","input":"ping"}'


def call(engine: Engine, key: str | None, method: str = "POST", path: str = "/v1/responses") -> None:
    headers = {} if key is None else {b"authorization": f"Bearer {key}".encode()}
    engine.handle(Call(method, path, BODY, headers=headers))


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("sk-test-0123456789-4f2a", "sk-t…4f2a"),
        ("0123456789abcdef", "0123…cdef"),
        ("0123456789abcde", "012…"),
        ("any", "a…"),
        ("k", "k…"),
    ],
)
def test_of_a_key_only_the_ends_are_shown(key: str, shown: str) -> None:
    assert shorten_key(key) == shown


def test_projects_are_listed_the_latest_first_with_what_they_hold() -> None:
    engine = Engine(Settings(clock=NOON), wall=lambda: 1000.0)
    call(engine, "sk-test-0123456789-4f2a")
    call(engine, None)
    engine.handle(Call("POST", "/v1/conversations", b"{}"))
    call(engine, None)
    first, second = engine.control.projects()["data"]
    assert 0 <= 1000.0 - first.pop("last_activity") < 1000
    assert first == {"name": "default", "key": None, "responses": 2, "conversations": 1}
    assert second["last_activity"] <= 1000.0
    assert (second["key"], second["responses"], second["conversations"]) == ("sk-t…4f2a", 1, 0)
    assert "0123456789" not in repr(engine.control.projects())


def test_a_project_that_only_asked_is_there_too() -> None:
    engine = Engine(Settings(clock=NOON))
    call(engine, None, "GET", "/v1/responses/resp_x")
    [project] = engine.control.projects()["data"]
    assert (project["name"], project["responses"]) == ("default", 0)


def test_a_project_is_there_once_its_first_call_was_announced() -> None:
    engine = Engine(Settings(clock=NOON))
    with pytest.raises(MockError, match="There is no project 'new'"):
        engine.control.check_project("new")
    engine.control.listen()
    engine.journal.announce("new", Exchange.begin(Call("POST", "/v1/responses", b"", "new"), 0.0))
    assert engine.control.check_project("new") == "new"


def test_a_project_of_an_earlier_process_has_no_key_and_no_activity(tmp_path: Path) -> None:
    settings = Settings(clock=NOON, store=f"sqlite:///{tmp_path}/s.db")
    engine = Engine(settings)
    call(engine, "sk-test-0123456789-4f2a")
    name = engine.control.projects()["data"][0]["name"]
    engine.close()
    engine = Engine(settings)
    known = {"name": name, "key": None, "responses": 1, "conversations": 0, "last_activity": None}
    assert engine.control.projects() == {"data": [known]}  # and not its journal, which is in the same file
    assert engine.projects.is_known(name) and not engine.projects.is_known(f"{name}/journal")
    engine.close()


def test_which_projects_are_known() -> None:
    drive = Driver()
    directory = drive.engine.projects
    assert directory.is_known("default") and not directory.is_known("p")
    drive.script({"reply": {"text": "waits"}})
    assert directory.is_known("p") and not directory.is_known("q")
    drive.engine.control.reset("p")
    assert not directory.is_known("p")  # a reset leaves nothing of a project


def test_of_few_projects_it_is_known_when_they_were_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mockserver.engine.journal_store.MOST_ACTIVE", 2)
    engine = Engine(Settings(clock=NOON), wall=lambda: 1000.0)
    for key in ("first", "second", "third"):
        call(engine, key)
    known = {project["key"]: project["last_activity"] for project in engine.control.projects()["data"]}
    assert known.keys() == {"f…", "s…", "t…"}
    assert [moment is None for _, moment in sorted(known.items())] == [True, False, False]


def test_no_more_keys_are_remembered_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_directory, "MOST_KEYS", 2)
    engine = Engine(Settings(clock=NOON), wall=lambda: 1000.0)
    for key in ("first", "second", "third", "third"):
        call(engine, key)
    assert {project["key"] for project in engine.control.projects()["data"]} == {None, "s…", "t…"}
