"""One suite for every store: subclasses provide the fixture `store`."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.core.records import PENDING_KINDS, Delete, Put, Record

P = "project"


def write(store: Any, *changes: Any, project: str = P) -> None:
    with store.transaction(project):
        store.apply(project, changes)


class StoreSuite:
    """What every store does."""

    def fresh(self) -> Any:
        raise AssertionError("a store's test class says how to make one")

    def test_an_unknown_record_is_none(self, store: Any) -> None:
        assert store.get(P, "node", "a") is None
        assert store.scan(P, "entry", "c") == []

    def test_what_was_put_is_there_until_deleted(self, store: Any) -> None:
        write(store, Put("node", "a", b"1"), Put("entry", "c/a", b"2", "c", 0))
        assert (store.get(P, "node", "a"), store.get(P, "entry", "c/a")) == (b"1", b"2")
        write(store, Put("node", "a", b"3"), Delete("entry", "c/a"), Delete("entry", "never"))
        assert (store.get(P, "node", "a"), store.get(P, "entry", "c/a")) == (b"3", None)
        assert store.scan(P, "entry", "c") == []

    def test_projects_never_meet(self, store: Any) -> None:
        write(store, Put("entry", "x", b"1", "c", 0))
        write(store, Put("entry", "x", b"2", "c", 0), project="other")
        assert store.get(P, "entry", "x") == b"1"
        store_clear(store, P)
        assert store.get(P, "entry", "x") is None
        assert store.scan("other", "entry", "c") == [Record("x", b"2", 0)]

    def test_kinds_and_parents_never_meet(self, store: Any) -> None:
        write(store, Put("entry", "x", b"1", "c", 0), Put("entry", "y", b"2", "d", 0), Put("line", "x", b"3", "c", 0))
        assert store.scan(P, "entry", "c") == [Record("x", b"1", 0)]

    def test_nodes_are_listed_below_their_parents_only(self, store: Any) -> None:
        write(store, Put("node", "a", b"1"), Put("node", "b", b"2", "a"), Put("node", "c", b"3", "a"))
        assert [record.id for record in store.scan(P, "node", "a")] == ["b", "c"] and store.scan(P, "node") == []
        write(store, Put("node", "b", b"2"), Put("node", "c", b"4", "a"))
        assert store.scan(P, "node", "a") == [Record("c", b"4", 0)] and store.get(P, "node", "b") == b"2"
        write(store, Delete("node", "c"))
        assert store.scan(P, "node", "a") == []

    def test_scans_page_in_both_directions(self, store: Any) -> None:
        write(store, *(Put("entry", f"i{n}", b"%d" % n, "c", n) for n in (3, 0, 2, 4, 1)))
        names = lambda records: [record.id for record in records]  # noqa: E731
        assert names(store.scan(P, "entry", "c")) == ["i0", "i1", "i2", "i3", "i4"]
        assert names(store.scan(P, "entry", "c", after=1, limit=2)) == ["i2", "i3"]
        assert names(store.scan(P, "entry", "c", descending=True, limit=2)) == ["i4", "i3"]
        assert names(store.scan(P, "entry", "c", descending=True, after=2)) == ["i1", "i0"]
        assert store.scan(P, "entry", "c", after=4) == []

    def test_a_record_moves_when_it_is_put_elsewhere(self, store: Any) -> None:
        write(store, Put("entry", "x", b"1", "c", 5))
        write(store, Put("entry", "x", b"2", "d", 1))
        assert store.scan(P, "entry", "c") == []
        assert store.scan(P, "entry", "d") == [Record("x", b"2", 1)]

    def test_all_records_of_a_project_as_what_would_write_them(self, store: Any) -> None:
        assert store.records(P) == []
        entries = [Put("entry", f"c/{n}", b"%d" % n, "c", n) for n in (2, 10, 1)]
        others = [Put("node", "b", b"\n2"), Put("node", "a", b"1"), Put("entry", "b/z", b"0", "b", 99)]
        write(store, *entries, *others, Put("use", "gone", b"1"))
        write(store, Put("node", "other", b"3"), project="other")
        write(store, Put("node", "a", b"4"), Put("entry", "c/10", b"5", "c", 0), Delete("use", "gone"))
        wanted = [
            Put("entry", "b/z", b"0", "b", 99),
            Put("entry", "c/10", b"5", "c", 0),
            Put("entry", "c/1", b"1", "c", 1),
            Put("entry", "c/2", b"2", "c", 2),
            Put("node", "a", b"4"),
            Put("node", "b", b"\n2"),
        ]
        assert store.records(P) == wanted
        store_clear(store, P)
        write(store, *wanted[::-1])
        assert store.records(P) == wanted

    def test_projects_are_listed_and_their_records_counted(self, store: Any) -> None:
        assert (store.projects(), store.count(P, "response")) == ([], 0)
        write(store, Put("response", "a", b"1", "", 0), Put("response", "b", b"2", "", 1), Put("node", "a", b"3"))
        write(store, Put("entry", "c/a", b"4", "c", 0), project="other")
        assert sorted(store.projects()) == ["other", P]
        assert [store.count(P, "response"), store.count(P, "conversation"), store.count("other", "entry")] == [2, 0, 0]
        write(store, Delete("response", "a"))
        assert store.count(P, "response") == 1

    def test_a_watcher_is_told_of_changes_before_they_are_written(self, store: Any) -> None:
        told: list[Any] = []

        def watch(project: str, changes: Any) -> Any:
            changes = None if changes is None else list(changes)
            told.append((project, changes, store.get(P, "response", "a")))
            return changes or ()

        store.watch(watch)
        put = Put("response", "a", b"1", "", 0)
        with store.transaction(P):
            store.apply(P, iter([put]))
        store_clear(store, P)
        assert told[-2:] == [(P, [put], None), (P, None, b"1")] and store.get(P, "response", "a") is None
        store.watch(None)
        told.clear()
        write(store, put)
        assert not told and store.get(P, "response", "a") == b"1"

    def test_what_is_on_the_agenda_is_listed_and_idle_is_who_has_nothing_on_it(self) -> None:
        @given(AGENDAS)
        def agrees(steps: list[Any]) -> None:
            store, there = self.fresh(), {}
            for at, (verb, kind, id, order) in enumerate(steps):
                if verb == "put":
                    there[kind, id] = order, b"%d" % at
                    write(store, Put(kind, id, b"%d" % at, "", order))
                elif verb == "delete":
                    there.pop((kind, id), None)
                    write(store, Delete(kind, id))
                elif verb == "clear":
                    there.clear()
                    store_clear(store, P)
                else:
                    with suppress(RuntimeError), store.transaction(P):
                        raise RuntimeError
                assert set(store.pending(P)) == PENDING_KINDS.intersection([kind for kind, _ in there])
                assert not store.pending("other")
                for kind in PENDING_KINDS:
                    listed = store.scan(P, kind)
                    rows = sorted((order, id, doc) for (other, id), (order, doc) in there.items() if other == kind)
                    assert listed == [Record(id, doc, order) for order, id, doc in rows]
                    listed.clear()  # what one reader does with it is no matter to the next
            store.close()

        agrees()

    def test_agrees_with_a_dictionary(self) -> None:
        @given(STEPS, st.none() | st.integers(-1, 10), st.none() | st.integers(0, 6), st.booleans())
        def agrees(steps: list[Any], after: int | None, limit: int | None, descending: bool) -> None:
            store, model = self.fresh(), {}
            for at, (verb, id, parent, order) in enumerate(steps):
                if verb == "put":
                    model[id] = (parent, order, b"%d" % at)
                    write(store, Put("entry", id, b"%d" % at, parent, order))
                else:
                    model.pop(id, None)
                    write(store, Delete("entry", id))
            wanted = sorted((order, id, doc) for id, (parent, order, doc) in model.items() if parent == "p")
            if descending:
                wanted.reverse()
            if after is not None:
                wanted = [one for one in wanted if (one[0] < after if descending else one[0] > after)]
            got = store.scan(P, "entry", "p", after=after, limit=limit, descending=descending)
            assert got == [Record(id, doc, order) for order, id, doc in wanted[:limit]]
            store.close()

        agrees()


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "delete"]), st.sampled_from("abcde"), st.sampled_from("pq"), st.integers(0, 9)),
    max_size=30,
)

AGENDAS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "delete", "clear", "fail"]),
        st.sampled_from([*sorted(PENDING_KINDS), "response", "node"]),
        st.sampled_from("ab"),
        st.integers(0, 3),
    ),
    max_size=20,
)


def store_clear(store: Any, project: str) -> None:
    with store.transaction(project):
        store.clear(project)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Any:
    made = request.instance.fresh()
    yield made
    made.close()
