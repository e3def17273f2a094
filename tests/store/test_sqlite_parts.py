"""Responses are the same without the parts that they have in common and with them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.core.records import Delete, Put, Record
from mockserver.store import sqlite_parts
from mockserver.store.sqlite import SQLiteStore
from mockserver.store.sqlite_parts import MARK, Parts
from mockserver.store.sqlite_statements import LONG, MANY
from tests.support.caller import Caller
from tests.support.store_suite import write

PIECES = [
    b'\n  "error": ',
    b'\n  "output": ',
    b'\n  "prompt_cache_retention": ',
    b'\n  "usage": ',
    b"x" * 600,
    b"y",
    MARK,
]


def response(number: int, *, said: str = "", of: str = "a", width: int = 600) -> bytes:
    """A response whose parts are told apart by `of`."""
    members = (
        ("error", f"{of * width}"),
        ("output", f"{number}{said}"),
        ("prompt_cache_retention", of * width),
        ("usage", "1"),
    )
    return (
        f'{{\n  "id": {number}' + "".join(f',\n  "{name}": "{value}"' for name, value in members) + "\n}\n"
    ).encode()


def parts_of(store: SQLiteStore) -> list[str]:
    return [project for (project,) in store._connection.execute("SELECT project FROM parts ORDER BY 1")]


def length_of(store: SQLiteStore, id: str) -> int:
    with store.transaction("project"):
        store._move_recent()
    ((length,),) = store._connection.execute("SELECT length(doc) FROM records WHERE id = ?", (id,))
    return int(length)


@given(st.lists(st.lists(st.sampled_from(PIECES)).map(b"".join), max_size=6))
def test_whatever_is_cut_is_joined_again(docs: list[bytes]) -> None:
    parts, kept = Parts(), dict[bytes, bytes]()
    for doc in [*docs, *docs, *docs]:
        written, new = parts.cut("p", doc)
        kept.update([new] if new else [])
        assert Parts().join(written, lambda name: [(kept[name],)]) == doc


def test_the_second_of_a_kind_is_cut_and_all_are_read_as_they_were_given(tmp_path: Path) -> None:
    path = str(tmp_path / "s.db")
    one = SQLiteStore(path)
    puts = [Put("response", f"resp_{n}", response(n, of="ab"[n % 2]), "", n) for n in range(6)]
    for put in puts:
        write(one, put)
    assert (
        parts_of(one) == ["project"] * 2 and [length_of(one, put.id) > 1000 for put in puts] == [True] * 2 + [False] * 4
    )
    two = SQLiteStore(path)
    for store in (one, two):
        assert [store.get("project", "response", put.id) for put in puts] == [put.doc for put in puts]
        assert store.scan("project", "response", limit=4) == [Record(put.id, put.doc, put.order) for put in puts[:4]]
        assert store.records("project") == puts
        store.close()


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({}, 1),
        ({"previous_response_id": True}, 1),
        ({"prompt_cache_key": "of-ada"}, 1),
        ({"instructions": "You know Ada."}, 0),
        ({"tools": [{"type": "function", "name": "ada", "parameters": None}]}, 0),
        ({"text": {"format": {"type": "json_schema", "name": "ada", "schema": {"type": "object"}}}}, 0),
        ({"safety_identifier": "ada"}, 0),
    ],
)
def test_no_words_of_a_client_are_in_parts(tmp_path: Path, more: dict[str, Any], kept: int) -> None:
    call = Caller(store=f"sqlite:///{tmp_path}/s.db")
    first = call.create("one")
    if "previous_response_id" in more:
        more = {"previous_response_id": first["id"]}
    made = [call.create("two", **more) for _ in range(3)]
    file = sqlite3.connect(tmp_path / "s.db")
    parts = [doc for (doc,) in file.execute("SELECT doc FROM parts")]
    assert len(parts) == kept and b"da" not in b"".join(parts)
    assert [call("GET", f"/v1/responses/{one['id']}") for one in made] == made


def test_many_at_once_are_cut_too() -> None:
    store = SQLiteStore(":memory:")
    puts = [Put("response", f"resp_{n:03d}", response(n), "", n) for n in range(2 * MANY)]
    write(store, *puts)
    assert parts_of(store) == ["project"] and store.records("project") == puts
    store.close()


def test_parts_go_with_their_project_and_are_written_anew() -> None:
    store = SQLiteStore(":memory:")
    for project in ("project", "other"):
        write(store, *[Put("response", f"resp_{n}", response(n), "", n) for n in range(2)], project=project)
    with store.transaction("project"):
        store.clear("project")
    assert parts_of(store) == ["other"] and store.get("project", "response", "resp_1") is None
    write(store, *[Put("response", f"resp_{n}", response(n), "", n) for n in range(2)])
    assert store.get("project", "response", "resp_1") == response(1) and parts_of(store) == ["other", "project"]
    write(store, Delete("response", "resp_1"))
    assert store.get("other", "response", "resp_1") == response(1)
    store.close()


def test_parts_that_a_failed_transaction_wrote_are_written_again() -> None:
    store = SQLiteStore(":memory:")
    write(store, Put("response", "resp_0", response(0), "", 0))
    with pytest.raises(RuntimeError), store.transaction("project"):
        store.apply("project", [Put("response", "resp_1", response(1), "", 1)])
        raise RuntimeError
    assert not parts_of(store)
    write(store, Put("response", "resp_2", response(2), "", 2))
    assert parts_of(store) == ["project"] and store.get("project", "response", "resp_2") == response(2)
    store.close()


def test_parts_that_another_process_took_away_are_written_again(tmp_path: Path) -> None:
    one, two = SQLiteStore(str(tmp_path / "s.db")), SQLiteStore(str(tmp_path / "s.db"))
    write(one, *[Put("response", f"resp_{n}", response(n), "", n) for n in range(2)])
    with two.transaction("project"):
        two.clear("project")
    write(one, Put("response", "resp_2", response(2), "", 2))
    assert length_of(one, "resp_2") < 1000
    for store in (one, two):
        assert store.get("project", "response", "resp_2") == response(2)
        store.close()


def test_a_long_response_is_joined_without_the_lock_unless_its_project_goes_meanwhile(tmp_path: Path) -> None:
    store = SQLiteStore(str(tmp_path / "s.db"))
    docs = [response(n, said="z" * (LONG + 1)) for n in range(2)]
    write(store, *[Put("response", f"resp_{n}", doc, "", n) for n, doc in enumerate(docs)])
    reader = store._reader

    def clear_after() -> sqlite3.Connection:
        connection = reader()
        connection.execute("BEGIN")
        assert connection.execute("SELECT count(*) FROM records").fetchone() == (2,)
        with store.transaction("project"):
            store.clear("project")
        return connection

    store._reader = clear_after  # type: ignore[method-assign]
    assert store.get("project", "response", "resp_1") is None
    store.close()


def test_what_is_remembered_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_parts, "_MOST", 3000)
    store = SQLiteStore(":memory:")
    puts = [
        Put("response", f"resp_{n}{again}", response(n, of=chr(97 + n)), "", n) for n in range(6) for again in "xyz"
    ]
    for put in puts:
        write(store, put)
    assert store._parts._bytes <= 3000 + 1300 and store._parts._read <= 3000 + 1300
    assert [store.get("project", "response", put.id) for put in puts] == [put.doc for put in puts]
    assert store._parts._read <= 3000 + 1300
    write(store, *[Put("response", f"long{n}", response(n, width=40_000), "", n) for n in range(3)])
    assert length_of(store, "long2") > 80_000, "parts that are long stay where they are"
    store.close()
