"""A project's own record."""

from __future__ import annotations

from mockserver.core.records import PROJECT_KEY, Put
from mockserver.core.state import Clock, Project, id_namespace, read_project
from mockserver.store.memory import MemoryStore
from mockserver.store.view import view_project


def test_a_new_project_has_the_clock_of_the_settings_and_its_own_name() -> None:
    view = view_project(MemoryStore(), "p")
    assert read_project(view.get(*PROJECT_KEY), "p", None) == Project(Clock(), 0, "p")
    assert read_project(view.get(*PROJECT_KEY), "p", 5.0) == Project(Clock(frozen=5.0), 0, "p")


def test_what_was_put_is_read() -> None:
    store = MemoryStore()
    seeded = Project(Clock(), 1, id_namespace("p", 3), scenario=True)
    for kept in (Project(Clock(1.5), 7, "other"), Project(Clock(frozen=2.25), 0, 'a "quoted" name'), seeded):
        store.apply("p", [kept.put()])
        assert read_project(store.get("p", *PROJECT_KEY), "p", 9.0) == kept


def test_a_seed_of_its_own_is_another_source_of_ids() -> None:
    assert id_namespace("p", 3) != id_namespace("p", 4) != id_namespace("p", None) == "p"
    assert id_namespace(id_namespace("p", 3), 4) == id_namespace("p", 4)
    assert id_namespace(id_namespace("p", 3), None) == "p"


def test_a_record_without_a_name_is_the_projects_own() -> None:
    store = MemoryStore()
    store.apply("p", [Put("project", "project", b'{"ordinal":3,"shift":0.0,"frozen":null}')])
    assert read_project(store.get("p", *PROJECT_KEY), "p", None) == Project(Clock(), 3, "p")
