"""Records in an SQLite file, in WAL mode: what a response acknowledged survives the process.

`synchronous=NORMAL` loses nothing when the process is killed; only a power cut may lose the last transactions, never
the file's consistency. Several processes may share one file. Files of an earlier version are brought up to date.
"""

# Why it is done so:
# * WAL with `synchronous=NORMAL`: a commit appends to the log and does not wait for the disk. A response that was
#   answered survives the death of the process, which is what tests kill, and does not survive a power cut, which
#   is no test.
# * One transaction per call, all its writes in it: a chained turn writes five records or more, and commits once.
# * How records stand in the file is decided by what a transaction costs: each page that it changes (`sqlite_file`).
#   Short records of the latest calls stand in rows of their own first, one page for each call (`sqlite_recent`).
# * A checkpoint only every 4000 pages, since the same pages are written again and again, and by a thread with
#   a connection of its own: it waits for the disk (0.1 s for 16 MB), which others need not do. SQLite itself makes one
#   at the end of a transaction only where that thread has not come round to it.
# * Many records of one call (one of 20,000 items has as many pointers to them) are written by few statements, in the
#   order of the index: 3 µs each instead of 8, while all other callers wait.
# * What kinds are on a project's agenda is remembered until another process writes (`data_version`), for it is
#   asked on every call; so is the project's own record, which every call that writes writes anew.
# * A long document (a node of 48 MB takes 0.1 s) is read over a connection of the thread's own, since all others would
#   wait for the lock. It is found with the lock, so that reads wait for a transaction's end all the same.
#
# What must stay true:
# * One connection that writes, one lock. Reads of other threads wait for a transaction's end, so that nobody sees half
#   of one. Threads get the lock in turn: one that looks for 20,000 ids would else have it again and again.
# * A file of an earlier version is rewritten in one transaction or not at all; one of another program is refused.
# * Nobody waits long for another process: calls run on the event loop, and health has to be answered meanwhile. What
#   SQLite refuses at run time is `StoreUnavailable`, an answer of 503 in words, and nothing has changed.

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import chain, groupby
from operator import itemgetter
from threading import Thread, get_ident, local
from typing import Any, TypeVar, cast
from weakref import WeakSet

from mockserver.core.records import PENDING_KINDS, PROJECT_KEY, UNORDERED_KINDS, Change, Put, Record, Watch, _new
from mockserver.store import sqlite_file
from mockserver.store import sqlite_statements as sql
from mockserver.store.failures import StoreError, StoreUnavailable
from mockserver.store.fair_lock import FairLock, LockedWork
from mockserver.store.sqlite_file import REWRITTEN, VERSION, parent_of, place_of
from mockserver.store.sqlite_parts import Parts
from mockserver.store.sqlite_recent import SHORT, Recent, Row, is_listed, merge, merge_all

C = TypeVar("C", bound=sqlite3.Connection)

_UNKNOWN = -1  # no count of SQLite's
MEMORY = ":memory:"  # a file that only one connection has
MOST_AGENDAS = 100_000  # projects whose agenda is remembered, and their own record
TRY_MS, TRIES = 1, 60  # how long a call waits for the file at a time, and how often: 0.1 s at most
VACUUM_AFTER, VACUUM_PAGES, SPARE_PAGES = 256, 200, 256  # deleted records; pages of 4 KB given back at a time, and kept
CACHED_PAGES = 2000  # of 4 KB: the ends of indices, the rows of recent calls, and what a journal drops
CHECKPOINT_PAGES = 4000  # of 4 KB; what is written again and again goes into the file itself once in so many
PAGE, PAGES_A_CALL, ROWS_A_PAGE = 4096, 1, 8  # about what a transaction writes, in which order matters little
_NOT_PLAIN = PENDING_KINDS | {"response", "project"}  # kinds of which more is to be done than to write them
_doc_of = itemgetter(6)  # of a row of the records
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class Reader(sqlite3.Connection):
    """A connection of a thread, for reading; unlike its base, it can be referred to weakly."""


class SQLiteStore:
    """A store in one file, shared by threads of this process through one connection."""

    waits = False

    def __init__(self, path: str) -> None:
        self._lock = FairLock()
        self._transaction = LockedWork(self._lock, self._begin_write, self._end)
        self._path = path
        self._readers = local()
        self._opened: WeakSet[Reader] = WeakSet()  # of those; one goes with its thread
        self._blocked = False  # whether another process holds the file, as far as is known
        self._deleted = 0  # records deleted since the file was last made smaller
        self._pages = 0  # written since the last checkpoint, about
        self._checkpoint: Thread | None = None
        self._agendas: dict[str, frozenset[str]] = {}
        self._own: dict[str, bytes] = {}  # project → the document of its own record
        self._parts, self._recent = Parts(), Recent()
        self._watch: Watch | None = None
        self._seen = _UNKNOWN  # SQLite's count of what others have written, when that was remembered
        self._current = 0  # the thread in whose transaction that was looked at, which keeps others from writing
        try:
            self._connection = self._connect(sqlite3.Connection)
            self._run = self._connection.cursor().execute  # of what every call executes: a cursor each time costs more
            self._prepare(path)
        except (sqlite3.Error, StoreUnavailable) as error:
            raise StoreError(f"can't open the SQLite file {path}: {error}") from error
        # from now on nobody waits longer than this at a time: it is the event loop that waits
        self._connection.execute(f"PRAGMA busy_timeout = {TRY_MS}")

    def _prepare(self, path: str) -> None:
        run = self._connection.execute
        sqlite_file.refuse_foreign(run, path)  # before anything is written to it
        run("PRAGMA auto_vacuum = INCREMENTAL")  # heeded as long as the file has no table
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        run(f"PRAGMA cache_size = {CACHED_PAGES}")
        run(f"PRAGMA wal_autocheckpoint = {4 * CHECKPOINT_PAGES}")
        former = sqlite_file.version_of(run)
        if former == VERSION:
            return
        self._connection.create_function("place_of", 1, place_of, deterministic=True)
        self._connection.create_function("parent_of", 3, parent_of, deterministic=True)
        with LockedWork(self._lock, self._begin, self._end):  # there may be nothing yet to look into
            sqlite_file.bring_up_to_date(run, path)
        if former in REWRITTEN:  # a file of an earlier version can't be made smaller in steps until it was written anew
            run("VACUUM")

    def open_call(self, project: str, *, writes: bool) -> AbstractContextManager[None]:
        """Nothing is worth being read before a call asks for it."""
        return nullcontext()

    def transaction(self, project: str) -> AbstractContextManager[None]:
        """Keep other threads and processes from writing; all that is applied inside is written, or nothing."""
        return self._transaction

    def _end(self, error: BaseException | None) -> None:
        """Write what was applied; undo it if there was an `error`. Raises StoreUnavailable where SQLite refuses."""
        self._current = 0
        try:
            if error is not None:
                raise error
            if self._deleted >= VACUUM_AFTER:
                self._shrink()
            self._run("COMMIT")
        except BaseException as failure:
            self._forget()
            self._recent.forget()
            self._seen = _UNKNOWN
            if self._connection.in_transaction:  # SQLite itself ends it when the disk is full
                self._connection.execute("ROLLBACK")
            if isinstance(failure, sqlite3.Error):
                raise self._unavailable(failure) from None
            if error is None:
                raise
            return  # whoever has begun the transaction raises it
        self._pages += PAGES_A_CALL
        if self._pages >= CHECKPOINT_PAGES and (self._checkpoint is None or not self._checkpoint.is_alive()):
            self._pages = 0
            self._checkpoint = Thread(target=self._move_log, name="understudy_checkpoint", daemon=True)
            self._checkpoint.start()

    def _move_log(self) -> None:
        """Bring what the log holds into the file itself, while others go on."""
        if self._path == MEMORY:
            return
        with suppress(sqlite3.Error):  # then SQLite does it, or the next of these
            connection = self._connect(sqlite3.Connection)
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            connection.close()

    def _begin(self) -> None:
        """Take the file for writing; raises StoreUnavailable when another process has it for longer than a moment.

        Once that has happened, nobody else waits until it is free again: many callers would add up their waits.
        """
        for tries in range(1 if self._blocked else TRIES, 0, -1):
            try:
                self._run("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                if tries == 1 or error.sqlite_errorcode & 0xFF not in _BUSY:
                    self._blocked = True
                    raise self._unavailable(error) from None
            else:
                self._blocked = False
                return

    def _begin_write(self) -> None:
        """Take the file for writing, and look once whether others have written: until it ends none can."""
        self._begin()
        try:
            self._compare()
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._current = get_ident()

    def _unavailable(self, error: sqlite3.Error) -> StoreUnavailable:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        path = self._path
        if code in _BUSY:
            why = f"The SQLite file {path} is locked by another process"
        elif code == sqlite3.SQLITE_FULL:
            why = f"The disk is full that holds the SQLite file {path}"
        else:
            why = f"The SQLite file {path} can't be used now ({error})"
        return StoreUnavailable(f"{why}. Nothing was changed; try again.")

    def check(self) -> None:
        """Raise StoreUnavailable if the file can't be written now."""
        with self._lock:
            if not self._connection.in_transaction:
                self._blocked = True  # one try
                self._begin()
                self._connection.execute("ROLLBACK")

    def _shrink(self) -> None:
        """Give some of the pages back that deleted records have left; the rest with the next transactions."""
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        if free <= SPARE_PAGES:
            self._deleted = 0
        else:
            self._connection.execute(f"PRAGMA incremental_vacuum({min(free - SPARE_PAGES, VACUUM_PAGES)})").fetchall()

    def _fetch(self, query: str, values: Sequence[Any], connection: sqlite3.Connection | None = None) -> list[Any]:
        try:
            return (connection or self._connection).execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            raise self._unavailable(error) from None

    def get(self, project: str, kind: str, id: str) -> bytes | None:
        """A record's document, None when there is none."""
        if kind == "project" and id == "project":
            return self._get_own(project)
        key = (project, place_of(id), kind)
        with self._lock:
            self._compare()
            recent = self._recent.get(project, kind, id)
            if recent is not None:
                return recent.doc if kind != "response" else self._join(project, recent.doc)
            rows = self._fetch(sql.FIND, key)
            found = rows[0][0] if rows else None
            if isinstance(found, int) and (self._connection.in_transaction or self._path == MEMORY):
                found = self._fetch(sql.GET, key)[0][0]  # what it has written is known only to it
            if not isinstance(found, int):
                return found if kind != "response" or found is None else self._join(project, found)
        rows = self._fetch(sql.GET, key, self._reader())
        if not rows or kind != "response":
            return rows[0][0] if rows else None
        with self._lock:
            return self._join(project, rows[0][0])

    def _get_own(self, project: str) -> bytes | None:
        if self._current == get_ident() and project in self._own:
            return self._own[project]
        with self._lock:
            self._compare()
            own = self._own.get(project)
            if own is None:
                recent = self._recent.get(project, *PROJECT_KEY)
                rows = [(recent.doc,)] if recent else self._fetch(sql.GET, (project, "project", "project"))
                if not rows:
                    return None
                own = self._own[project] = rows[0][0]
            return own

    def _join(self, project: str, doc: bytes) -> bytes | None:
        """A response with the parts that stand elsewhere, None when they have gone with the project."""
        return self._parts.join(doc, lambda name: self._fetch(sql.PART, (project, name)))

    def _reader(self) -> sqlite3.Connection:
        """This thread's own connection, for reading."""
        reader = getattr(self._readers, "connection", None)
        if reader is None:
            reader = self._readers.connection = self._connect(Reader)
            self._opened.add(reader)
        return reader

    def _connect(self, factory: type[C]) -> C:
        return sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False, factory=factory)

    def scan(
        self,
        project: str,
        kind: str,
        parent: str = "",
        *,
        after: int | None = None,
        limit: int | None = None,
        descending: bool = False,
    ) -> list[Record]:
        """Return records of a kind below a parent by their order, strictly after `after` in that direction."""
        sign, direction = ("<", "DESC") if descending else (">", "ASC")
        query, values = sql.SCAN, [project, kind, parent]
        bounds: list[int] = []
        if after is not None:
            query += f' AND "order" {sign} ?'
            bounds.append(after)
        query += f' ORDER BY "order" {direction}, id {direction} LIMIT ?'
        with self._lock:
            self._compare()
            recent = self._recent.of_kind(project, kind)
            bounds.append(-1 if limit is None else limit + len(recent))
            rows = self._fetch(query, (*values, *bounds))
            if recent:
                rows = merge(rows, recent, parent, after, descending=descending)
            return [Record(*self._whole(project, kind, row)) for row in rows[:limit]]

    def pending(self, project: str) -> Collection[str]:
        """The kinds of what is on a project's agenda, which is remembered while no other process writes."""
        if self._current == get_ident() and project in self._agendas:
            return self._agendas[project]
        with self._lock:
            self._compare()
            agenda = self._agendas.get(project)
            if agenda is None:
                agenda = frozenset([kind for (kind,) in self._fetch(sql.PENDING, (project,))])
                self._agendas[project] = agenda
            return agenda

    def _compare(self) -> None:
        """Forget what is remembered if another process has written since; within a transaction none can."""
        if self._current:
            return
        try:
            seen = self._run("PRAGMA data_version").fetchone()[0]
        except sqlite3.OperationalError as error:
            raise self._unavailable(error) from None
        if seen != self._seen or len(self._agendas) > MOST_AGENDAS:
            self._seen = seen
            self._forget()
            try:
                self._recent.load(self._connection.execute)
            except sqlite3.OperationalError as error:
                self._seen = _UNKNOWN
                self._recent.forget()
                raise self._unavailable(error) from None

    def _forget(self) -> None:
        self._agendas.clear()
        self._own.clear()
        self._parts.doubt()

    def records(self, project: str) -> list[Put]:
        """Every record as the change that would write it, by kind, parent, order and id."""
        with self._lock:
            self._compare()
            rows = self._fetch(sql.RECORDS, (project,))
            rows = merge_all(rows, self._recent.of(project))
            return [Put(kind, *self._whole(project, kind, row)) for kind, *row in rows]

    def _whole(self, project: str, kind: str, row: Sequence[Any]) -> Sequence[Any]:
        """A row that begins with id and document, its document as it was given."""
        return row if kind != "response" else (row[0], self._join(project, row[1]), *row[2:])

    def apply(self, project: str, changes: Iterable[Change]) -> None:
        """Write changes; call it inside a transaction."""
        if self._watch is not None:
            changes = self._watch(project, changes)
        if not isinstance(changes, list | tuple):
            changes = [*changes]
        if len(changes) > sql.MANY:
            for _, run in groupby(changes, type):
                self._apply(project, self._put_many(project, list(run)))
        else:
            self._apply(project, changes)

    def _apply(self, project: str, changes: Iterable[Change]) -> None:
        """Write short records to the row of this call, others where they belong."""
        short: list[Put] = []  # `list[Put]()` takes as long as a statement
        for change in changes:
            if len(change) == 2 or change[0] in _NOT_PLAIN or len(change[2]) > SHORT:
                short = self._apply_apart(project, change, short)
            else:
                short.append(change)
        self._append(project, short)

    def _apply_apart(self, project: str, change: Change, short: list[Put]) -> list[Put]:
        """Write a change that needs more than to be written, after the short records; returns those that still wait."""
        if len(change) == 2:
            self._append(project, short)
            self._delete(project, *change)
            return []
        kind, id, doc, parent, order = change
        if kind == "response":
            doc = self._cut(project, doc)
            change = _new(Put, (kind, id, doc, parent, order))
        elif kind == "project" and id == "project":
            self._own[project] = doc
        if kind in PENDING_KINDS or len(doc) > SHORT:
            self._append(project, short)
            self._put(project, change)
            return []
        short.append(change)
        return short

    def _append(self, project: str, short: list[Put]) -> None:
        """Write the short records of a call."""
        if not short:
            return
        if self._recent.is_full:
            self._move_recent()
        if not self._recent.append(self._run, project, short):
            for put in short:
                self._put(project, put)

    def _put(self, project: str, put: Put) -> None:
        """Write a record where it belongs."""
        kind, id, doc, parent, order = put
        if kind in PENDING_KINDS:
            self._agendas.pop(project, None)
        elif self._recent.get(project, kind, id) is not None:
            self._move_recent()
        self._connection.execute(sql.PUT, (project, place_of(id), kind, id, parent, order, doc))
        self._pages += len(doc) // PAGE

    def _delete(self, project: str, kind: str, id: str) -> None:
        self._deleted += 1
        if self._recent.get(project, kind, id) is not None:
            self._move_recent()
        if kind in PENDING_KINDS:
            self._agendas.pop(project, None)
        else:
            self._own.pop(project, None)
            self._recent.clean(self._connection.execute, project)
        self._connection.execute(sql.DELETE, (project, place_of(id), kind))

    def _move_recent(self) -> None:
        """Move what the latest calls have written to the records."""
        self._put_rows([*self._recent.all()])
        self._recent.mark(self._connection.execute)

    def _cut(self, project: str, doc: bytes) -> bytes:
        """A response as it is written; parts of it that are to stand elsewhere are written."""
        written, part = self._parts.cut(project, doc)
        if part is not None:
            self._connection.execute(sql.PUT_PART, (project, *part))
        return written

    def _put_many(self, project: str, run: list[Change]) -> list[Change]:
        """Write as many records of a run as fill whole statements; returns the others, or deletions as they are."""
        whole = len(run) // sql.MANY * sql.MANY
        if not whole or not isinstance(run[0], Put):
            return run
        if self._recent.of(project):
            self._move_recent()
        puts = cast(list[Put], run[:whole])
        self._own.pop(project, None)
        if not PENDING_KINDS.isdisjoint([put.kind for put in puts]):
            self._agendas.pop(project, None)
        docs = [bytearray(self._cut(project, put[2]) if put[0] == "response" else put[2]) for put in puts]
        rows = [
            (project, place_of(id), kind, id, parent, order, doc)
            for (kind, id, _, parent, order), doc in zip(puts, docs, strict=True)
        ]
        rows.sort(key=itemgetter(0, 1))  # of two for one record the later one stays the later
        self._put_rows(rows)
        return run[whole:]

    def _put_rows(self, rows: list[Row]) -> None:
        """Write rows of records, which are in the order of the index, by few statements."""
        for start in range(0, len(rows), sql.MANY):
            some = rows[start : start + sql.MANY]
            self._connection.execute(sql.PUTS[len(some)], [*chain.from_iterable(some)])
        self._pages += len(rows) // ROWS_A_PAGE + sum(map(len, map(_doc_of, rows))) // PAGE

    def clear(self, project: str) -> None:
        """Forget a project; call it inside a transaction."""
        with self._lock:
            if self._watch is not None:
                self._watch(project, None)
            self._compare()
            self._agendas.pop(project, None)
            self._own.pop(project, None)
            self._parts.forget(project)
            self._recent.drop(project)
            self._move_recent()
            self._recent.clean(self._connection.execute, project)
            self._connection.execute("DELETE FROM parts WHERE project = ?", (project,))
            self._deleted += self._connection.execute("DELETE FROM records WHERE project = ?", (project,)).rowcount

    def watch(self, watch: Watch | None) -> None:
        """Have somebody told of what this process changes, before it is written; None ends it."""
        self._watch = watch

    def projects(self) -> list[str]:
        """The names of all that has records."""
        with self._lock:
            self._compare()
            return sorted({name for (name,) in self._fetch(sql.PROJECTS, ())}.union(self._recent.projects))

    def count(self, project: str, kind: str) -> int:
        """How many records of a listed kind there are below no parent."""
        with self._lock:
            self._compare()
            ((count,),) = self._fetch(sql.COUNT, (project, kind))
            for put in self._recent.of_kind(project, kind).values():
                rows = self._fetch(sql.PARENT, (project, place_of(put.id), kind))
                count += (not put.parent and is_listed(put)) - (rows == [("",)] and kind not in UNORDERED_KINDS)
        return int(count)

    def close(self) -> None:
        """Close the file."""
        if self._checkpoint is not None:
            self._checkpoint.join()
        with self._lock:
            for connection in (*self._opened, self._connection):
                connection.close()
