"""The PostgreSQL store passes the stores' suite, is shared by processes, and survives the death of the server."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.core.records import Delete, Put, Record
from mockserver.store import postgres_statements as statements
from mockserver.store.failures import StoreError, StoreUnavailable
from mockserver.store.postgres import PostgresStore
from mockserver.store.postgres_statements import escape, unescape
from mockserver.store.view import open_store
from tests.support.patience import until
from tests.support.postgres import PostgresServer, empty, server, url
from tests.support.store_suite import StoreSuite, store, write

__all__ = ["server", "store", "url"]

pytestmark = pytest.mark.services


class TestPostgres(StoreSuite):
    url = ""

    @pytest.fixture(autouse=True)
    def _choose(self, url: str) -> None:
        TestPostgres.url = url

    def fresh(self) -> PostgresStore:
        empty(self.url)
        return PostgresStore(self.url)


def test_a_setting_names_it(url: str) -> None:
    opened = open_store(url)
    assert isinstance(opened, PostgresStore) and opened.waits
    opened.close()


def test_a_transaction_that_fails_writes_nothing(url: str) -> None:
    opened = PostgresStore(url)
    write(opened, Put("node", "kept", b"1"))
    with pytest.raises(RuntimeError), opened.transaction("project"):
        opened.apply("project", [Put("node", "lost", b"2"), Delete("node", "kept")])
        assert opened.get("project", "node", "lost") == b"2" and opened.get("project", "node", "kept") is None
        raise RuntimeError
    assert opened.get("project", "node", "lost") is None and opened.get("project", "node", "kept") == b"1"
    opened.close()


def test_what_is_applied_is_seen_inside(url: str) -> None:
    opened = PostgresStore(url)
    with opened.transaction("project"):
        opened.apply("project", [Put("line", "b", b"2", "", 2), Put("project", "project", b"own")])
        assert set(opened.pending("project")) == {"line"} and opened.get("project", "project", "project") == b"own"
        opened.apply("project", [Put("line", "a", b"1", "", 1)])
        assert [one.id for one in opened.scan("project", "line")] == ["a", "b"]
        opened.apply("project", [Delete("line", "b")])
        assert [one.id for one in opened.scan("project", "line")] == ["a"]
        assert opened.get("other", "line", "a") is None
        opened.clear("project")
        assert opened.scan("project", "line") == [] and opened.get("project", "project", "project") is None
    assert opened.records("project") == []
    opened.close()


def test_writing_needs_a_transaction(url: str) -> None:
    opened = PostgresStore(url)
    for wrong in (lambda: opened.apply("project", []), lambda: opened.clear("project")):
        with pytest.raises(RuntimeError, match="outside of a transaction"):
            wrong()
    opened.close()


def test_calls_of_one_project_are_serial_and_those_of_two_are_not(url: str) -> None:
    """Two stores stand for two machines."""
    one, two = PostgresStore(url), PostgresStore(url)
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with one.transaction("a"):
            inside.set()
            leave.wait(60)
            one.apply("a", [Put("node", "n", b"first")])

    def follow() -> bytes | None:
        with two.transaction("a"):
            return two.get("a", "node", "n")

    with ThreadPoolExecutor(2) as pool:
        holding = pool.submit(hold)
        inside.wait(60)
        following = pool.submit(follow)
        write(two, Put("node", "n", b"2"), project="b")  # while the other project is held
        assert not following.done()
        leave.set()
        assert following.result(60) == b"first"
        holding.result(60)
    one.close()
    two.close()


def test_counting_up_over_two_stores_loses_nothing(url: str) -> None:
    stores = [PostgresStore(url), PostgresStore(url)]

    def count(opened: PostgresStore) -> None:
        for _ in range(50):
            with opened.transaction("project"):
                found = opened.get("project", "project", "project")
                opened.apply("project", [Put("project", "project", b"%d" % (int(found or b"0") + 1))])

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(count, opened) for opened in stores * 2]:
            done.result(60)
    assert stores[0].get("project", "project", "project") == b"200"
    for opened in stores:
        opened.close()


def test_a_killed_process_gives_its_lock_back_and_leaves_nothing(url: str) -> None:
    program = (
        "import time; from mockserver.core.records import Put\n"
        "from mockserver.store.postgres import PostgresStore\n"
        f"store = PostgresStore({url!r})\n"
        "with store.transaction('project'):\n"
        "    store.apply('project', [Put('node', 'n', b'1')]); store.scan('project', 'node', 'x')\n"
        "    print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        holder.kill()
    opened = PostgresStore(url)
    with opened.transaction("project"):
        assert opened.get("project", "node", "n") is None
    opened.close()


def test_a_server_that_goes_away_and_comes_back(server: PostgresServer, url: str) -> None:
    opened = PostgresStore(url)
    write(opened, Put("node", "n", b"1"), Put("line", "l", b"1", "", 1))
    server.stop("immediate")
    for call in (
        lambda: opened.get("project", "node", "n"),
        lambda: write(opened, Put("node", "n", b"2")),
        lambda: opened.pending("project"),
        opened.check,
    ):
        with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1") as caught:
            call()
        assert caught.value.status == 503 and caught.value.headers == {"x-should-retry": "true"}
    server.start()

    def is_back() -> bool:
        try:
            opened.check()
        except StoreUnavailable:
            return False
        return True

    assert until(is_back)
    assert opened.get("project", "node", "n") == b"1" and set(opened.pending("project")) == {"line"}
    write(opened, Put("node", "n", b"3"))
    assert opened.get("project", "node", "n") == b"3"
    opened.close()


def test_a_server_that_dies_in_a_transaction(server: PostgresServer, url: str) -> None:
    opened = PostgresStore(url)
    write(opened, Put("node", "n", b"1"))
    with pytest.raises(StoreUnavailable), opened.transaction("project"):
        opened.apply("project", [Put("node", "n", b"2")])
        server.stop("immediate")
    server.start()

    def value() -> bytes | None:
        try:
            return opened.get("project", "node", "n")
        except StoreUnavailable:
            return None

    assert until(lambda: value() == b"1")
    opened.close()


def test_connections_that_died_unnoticed_are_replaced(server: PostgresServer, url: str) -> None:
    """As after a restart between two calls: neither of them fails."""
    opened = PostgresStore(url)
    write(opened, Put("node", "n", b"1"))
    for read in (lambda: opened.get("project", "node", "n"), lambda: write(opened, Put("node", "n", b"1"))):
        server.stop("immediate")
        server.start()
        read()
    assert opened.get("project", "node", "n") == b"1"
    opened.close()


def test_what_can_not_be_opened_is_told_without_the_password(url: str) -> None:
    port = url.rpartition(":")[2].partition("/")[0]
    for wrong in (
        f"postgresql://tester:hush@127.0.0.1:{port}/nowhere",
        "postgresql://u:hush@127.0.0.1:1/x",
        "postgresql://u:hush@[",
    ):
        with pytest.raises(StoreError) as caught:
            PostgresStore(wrong)
        assert "hush" not in str(caught.value) and "\n" not in str(caught.value)


def test_tables_of_another_version_are_refused(url: str) -> None:
    PostgresStore(url).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE understudy_version SET version = 99")
    with pytest.raises(StoreError, match="version 99; this understudy reads 1"):
        PostgresStore(url)


def test_a_call_that_waits_too_long_for_its_project(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "mockserver.store.postgres_statements.PREPARE", statements.PREPARE + "; SET lock_timeout = '50ms'"
    )
    one, two = PostgresStore(url), PostgresStore(url)
    with one.transaction("project"):
        with pytest.raises(StoreUnavailable, match="Other calls of this project"):
            write(two, Put("node", "n", b"1"))
        write(two, Put("node", "n", b"1"), project="other")
    write(two, Put("node", "n", b"1"))
    one.close()
    two.close()


@settings(max_examples=200)
@given(st.text(st.sampled_from("\0\1\2a")), st.text(st.sampled_from("\0\1\2a")))
def test_any_text_can_be_an_id(one: str, two: str) -> None:
    assert unescape(escape(one)) == one and "\0" not in escape(one)
    assert (escape(one) == escape(two)) == (one == two)


def test_ids_with_nul(url: str) -> None:
    opened = PostgresStore(url)
    write(opened, Put("entry", "x\0\1", b"1", "c\0", 1))
    assert opened.get("project", "entry", "x\0\1") == b"1"
    assert opened.scan("project", "entry", "c\0") == [Record("x\0\1", b"1", 1)]
    assert opened.records("project") == [Put("entry", "x\0\1", b"1", "c\0", 1)]
    write(opened, Delete("entry", "x\0\1"))
    assert opened.records("project") == []
    opened.close()


def test_what_was_read_or_written_in_a_transaction_is_not_asked_for_again(url: str) -> None:
    """Nobody else can have changed it; and what was written since counts."""
    opened = PostgresStore(url)
    write(opened, Put("node", "n", b"1"), Put("project", "project", b"own"))
    with opened.transaction("project"):
        assert opened.get("project", "node", "n") == b"1" and opened.get("project", "node", "none") is None
        with psycopg.connect(url, autocommit=True) as elsewhere:  # which takes no lock, so no store would do it
            elsewhere.execute("UPDATE understudy_records SET doc = '2'")
        assert opened.get("project", "node", "n") == b"1" and opened.get("project", "node", "none") is None
        opened.apply("project", [Put("node", "n", b"3"), Delete("node", "none"), Put("project", "project", b"new")])
        assert opened.scan("project", "line") == []  # has all of it written
        assert opened.get("project", "node", "n") == b"3" and opened.get("project", "project", "project") == b"new"
        opened.clear("project")
        assert opened.get("project", "node", "n") is None and opened.get("project", "project", "project") is None
    opened.close()


def test_a_call_that_writes_has_its_transaction_begun(url: str) -> None:
    one, two = PostgresStore(url), PostgresStore(url)
    write(one, Put("line", "l", b"1", "", 1), Put("project", "project", b"1"))
    inside = threading.Event()

    def follow() -> bytes | None:
        inside.set()
        with two.transaction("project"):
            return two.get("project", "project", "project")

    with ThreadPoolExecutor(1) as pool, one.open_call("project", writes=True):
        assert set(one.pending("project")) == {"line"} and one.get("project", "project", "project") == b"1"
        following = pool.submit(follow)
        inside.wait(60)
        with pytest.raises(RuntimeError, match="outside of a transaction"):
            one.apply("project", [])
        with one.transaction("project"):
            assert one.get("project", "project", "project") == b"1" and not following.done()
            one.apply("project", [Put("project", "project", b"2")])
        assert following.result(60) == b"2"
        assert one.get("project", "project", "project") == b"2"
    one.close()
    two.close()


@pytest.mark.parametrize("writes", [True, False])
def test_a_call_that_does_not_write_leaves_no_lock(url: str, writes: bool) -> None:
    one, two = PostgresStore(url), PostgresStore(url)
    write(one, Put("line", "l", b"1", "", 1), Put("project", "project", b"1"))
    with one.open_call("project", writes=writes):
        assert set(one.pending("project")) == {"line"} and one.get("project", "project", "project") == b"1"
        assert [record.id for record in one.scan("project", "line")] == ["l"]
        with one.transaction("other"):  # as that of a journal
            one.apply("other", [Put("node", "n", b"1")])
            write(two, Put("project", "project", b"2"))
    assert one.get("project", "project", "project") == b"2" and two.get("other", "node", "n") == b"1"
    with pytest.raises(KeyError), one.open_call("project", writes=writes):
        raise KeyError
    write(two, Put("project", "project", b"3"))
    one.close()
    two.close()


def test_documents_of_any_size_and_bytes(url: str) -> None:
    opened = PostgresStore(url)
    whole = bytes(range(256))
    documents = [b"", b"'\\\"{}, NULL", whole, whole * (statements.MOST_QUOTED // 256), whole * 4096]
    ids = ["plain", "it's", 'a "quoted", \\one', "{NULL}", "ü€😀"]
    for id, document in zip(ids, documents, strict=True):
        write(opened, Put("node", id, document), Put("line", id, document, id, 7), Put("line", "", b"x", "", 1))
        assert opened.get("project", "node", id) == document
        assert opened.scan("project", "line", id) == [Record(id, document, 7)]
        assert opened.scan("project", "line") == [Record("", b"x", 1)]
        write(opened, Delete("line", id))
        assert opened.scan("project", "line", id) == []
    opened.close()


def test_a_text_that_would_cut_a_statement_off_is_refused(url: str) -> None:
    opened = PostgresStore(url)
    with pytest.raises(ValueError, match="NUL"), opened.transaction("a\0b"):
        pass
    write(opened, Put("node", "n", b"1"))
    opened.close()
