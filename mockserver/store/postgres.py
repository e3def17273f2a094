"""Records in PostgreSQL: any number of processes, on any number of machines, serve the same projects.

A call is one transaction that holds its project's lock. What a response acknowledged survives the death of every
process, the database's included.
"""

# Why it is done so:
# * The lock is PostgreSQL's own (`pg_advisory_xact_lock`), by project: calls of one project are serial whatever machine
#   serves them, projects never wait for each other, and a connection that dies gives its lock back.
# * The lock is a statement of its own. A statement that took it and read would read what was there before it waited.
# * Begin, lock, the project's own record and its agenda are one round trip, for every call needs them; all that is
#   written and the commit are another one. What else a call reads costs a round trip each.
# * A call over HTTP is announced (`open_call`): it looks for faults before it writes, and finds them in what its
#   transaction has read already.
# * What is applied waits for the commit, or for a look at the same project: most calls only apply and are done.
# * Texts are compared by their code points (`COLLATE "C"`), as the other stores do, whatever the database's language.
#
# What must stay true:
# * Whoever asks may wait for another machine. `waits` says so, and callers keep off the event loop.
# * What PostgreSQL refuses is `StoreUnavailable`, in words. Only a connection that was dead before its first statement
#   is replaced in silence: nothing was done on it. A commit whose answer was lost may have been written, and is a 503.
# * No thread holds two connections: all of them would wait for the last one.
# * A password of the address is shown nowhere.

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from threading import local
from typing import Any, NamedTuple, TypeVar

from psycopg import Connection, Error, OperationalError, connect, errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq.abc import PGresult
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from mockserver.core.records import PENDING_KINDS, PROJECT_KEY, Change, Put, Record, Watch
from mockserver.store import postgres_statements as statements
from mockserver.store.failures import StoreError, StoreUnavailable
from mockserver.store.postgres_statements import LOCK_S, VERSION, escape, look, run, unescape

T = TypeVar("T")

OPEN_S = 5  # how long the server is waited for at the start
CONNECTIONS = 20  # of one process, at most; one is opened when it is needed, and each thread needs one at a time
WAIT_S = 2.0  # how long a call waits for a connection
CHECK_S = 0.1  # and a question after the store's health
_MARK = 0x756E6473  # the lock of the schema
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1  # numbers of PostgreSQL: of orders, and for no limit


class _Transaction(NamedTuple):
    """A transaction in progress: what it has read already, what it has yet to write.

    `known` are documents as they are now, None for those that are not there: nobody else writes meanwhile.
    """

    connection: Connection[Any]
    project: str
    agenda: set[str]
    changes: dict[tuple[str, str], Change]
    known: dict[tuple[str, str], bytes | None]


class _Seen(NamedTuple):
    """What a call that only reads has read already."""

    project: str
    own: bytes | None
    agenda: set[str]


class _Here(local):
    """What a thread is doing: the transaction that it is in, or the one that was begun for its call."""

    begun: _Transaction | None = None
    ahead: _Transaction | None = None
    seen: _Seen | None = None


class PostgresStore:
    """A store that processes and machines share."""

    waits = True

    def __init__(self, url: str) -> None:
        self._here = _Here()
        self._watch: Watch | None = None
        self._shown = _show(url)
        try:
            with connect(url, connect_timeout=OPEN_S) as connection:
                _prepare_schema(connection)
        except Error as error:
            raise StoreError(f"can't use {self._shown}: {_one_line(error)}") from None
        self._pool = ConnectionPool(
            url,
            min_size=1,
            max_size=CONNECTIONS,
            timeout=WAIT_S,
            reconnect_timeout=OPEN_S,
            kwargs={"autocommit": True, "connect_timeout": OPEN_S, "client_encoding": "UTF8"},
            configure=_configure,
            open=True,
        )

    # --- transactions -------------------------------------------------------------------------------------------

    @contextmanager
    def open_call(self, project: str, *, writes: bool) -> Iterator[None]:
        """Read at once what a call of this thread is sure to need; for one that `writes` its transaction is begun."""
        here = self._here
        if writes:
            here.ahead = self._begin(project)
        else:
            here.seen = _Seen(project, *self._ask(lambda connection: _see(connection, project)))
        try:
            yield
        finally:
            here.seen = None
            self._abandon()

    def _abandon(self) -> None:
        """End a transaction that was begun for a call which did not need it."""
        begun, self._here.ahead = self._here.ahead, None
        if begun is not None:
            self._give_back(begun.connection, begun=True)

    @contextmanager
    def transaction(self, project: str) -> Iterator[None]:
        """Keep others out of the project, on all machines; all that is applied inside is written, or nothing."""
        here = self._here
        here.seen = None
        if here.ahead is not None and here.ahead.project != project:
            self._abandon()
        begun, here.ahead = here.ahead or self._begin(project), None
        here.begun = begun
        done = False
        try:
            yield
            _write(begun, "COMMIT")
            done = True
        except Error as error:
            raise self._unavailable(error) from None
        finally:
            here.begun = None
            self._give_back(begun.connection, begun=not done)

    def _begin(self, project: str) -> _Transaction:
        key = int.from_bytes(blake2b(project.encode(), digest_size=8).digest(), "big", signed=True)
        text = statements.begin(key, project)
        return self._ask(lambda connection: _open_transaction(connection, project, text), keeps=True)

    def _ask(self, question: Callable[[Connection[Any]], T], *, keeps: bool = False) -> T:
        """Put a question to a connection, which keeps it or gives it back.

        A connection that turns out to be dead is replaced, as all are after a restart: nothing was done on it.
        """
        try:
            connection = self._pool.getconn()
            try:
                try:
                    answer = question(connection)
                except OperationalError:
                    if not connection.closed:
                        raise
                    self._pool.putconn(connection)
                    self._pool.check()
                    connection = self._pool.getconn()
                    answer = question(connection)
            except BaseException:
                self._give_back(connection, begun=keeps)
                raise
            if not keeps:
                self._pool.putconn(connection)
            return answer
        except Error as error:
            raise self._unavailable(error) from None

    def _give_back(self, connection: Connection[Any], *, begun: bool) -> None:
        if begun:
            with suppress(Error):
                run(connection, "ROLLBACK")
        self._pool.putconn(connection)

    # --- looks --------------------------------------------------------------------------------------------------

    def _of(self, project: str) -> _Transaction | None:
        """The transaction of this thread, if it is one of this project."""
        begun = self._here.begun or self._here.ahead
        return begun if begun is not None and begun.project == project else None

    def _fetch(self, project: str | None, question: Callable[[Connection[Any]], T]) -> T:
        """The answer as the transaction of this thread sees it, what is applied written, or else as it is now."""
        begun = self._here.begun or self._here.ahead
        if begun is None:
            return self._ask(question)
        try:
            if begun.changes and project == begun.project:
                _write(begun)
            return question(begun.connection)
        except Error as error:
            raise self._unavailable(error) from None

    def get(self, project: str, kind: str, id: str) -> bytes | None:
        """A record's document, None when there is none."""
        seen = self._here.seen
        if seen is not None and seen.project == project and (kind, id) == PROJECT_KEY:
            return seen.own
        begun = self._of(project)
        if begun is not None:
            change = begun.changes.get((kind, id))
            if change is not None:
                return change.doc if isinstance(change, Put) else None
            if (kind, id) in begun.known:
                return begun.known[kind, id]
        values = (project.encode(), kind.encode(), escape(id).encode())
        result = self._fetch(None, lambda connection: look(connection, statements.GET, values))
        doc = result.get_value(0, 0) if result.ntuples else None
        if begun is not None:
            begun.known[kind, id] = doc
        return doc

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
        name, start = (statements.DOWN, _HIGHEST) if descending else (statements.UP, _LOWEST)
        values = (
            project.encode(),
            kind.encode(),
            escape(parent).encode(),
            b"%d" % (start if after is None else after),
            b"%d" % (_HIGHEST if limit is None else limit),
        )
        return _records(self._fetch(project, lambda connection: look(connection, name, values)))

    def pending(self, project: str) -> Collection[str]:
        """The kinds of what is on a project's agenda; read anew on every call, for others may have set it."""
        seen = self._here.seen
        if seen is not None and seen.project == project:
            return seen.agenda
        begun = self._of(project)
        if begun is not None:
            return begun.agenda
        return self._ask(lambda connection: _see(connection, project))[1]

    def _rows(self, project: str | None, query: str, *values: str) -> list[Any]:
        return self._fetch(project, lambda connection: connection.execute(query, values, binary=True).fetchall())

    def records(self, project: str) -> list[Put]:
        """Every record as the change that would write it, by kind, parent, order and id."""
        rows = self._rows(project, statements.RECORDS, project)
        return [Put(kind, unescape(id), bytes(doc), unescape(parent), order) for kind, id, doc, parent, order in rows]

    def projects(self) -> list[str]:
        """The names of all that has records."""
        return [name for (name,) in self._rows(None, statements.PROJECTS)]

    def count(self, project: str, kind: str) -> int:
        """How many records of a listed kind there are below no parent."""
        ((count,),) = self._rows(project, statements.COUNT, project, kind)
        return int(count)

    # --- changes ------------------------------------------------------------------------------------------------

    def apply(self, project: str, changes: Iterable[Change]) -> None:
        """Write changes; call it inside a transaction."""
        begun = self._inside(project)
        if self._watch is not None:
            changes = self._watch(project, changes)
        for change in changes:
            begun.changes[change.kind, change.id] = change
            if isinstance(change, Put) and change.kind in PENDING_KINDS:
                begun.agenda.add(change.kind)

    def clear(self, project: str) -> None:
        """Forget a project; call it inside a transaction."""
        begun = self._inside(project)
        if self._watch is not None:
            self._watch(project, None)
        begun.changes.clear()
        begun.known.clear()
        begun.agenda.clear()
        begun.connection.execute(statements.CLEAR, (project,))

    def _inside(self, project: str) -> _Transaction:
        begun = self._here.begun
        if begun is None or begun.project != project:
            raise RuntimeError(f"project {project} is written outside of a transaction")
        return begun

    def watch(self, watch: Watch | None) -> None:
        """Have somebody told of what this process changes, before it is written; None ends it."""
        self._watch = watch

    # --- the server ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise StoreUnavailable if the server can't be asked now."""
        try:
            connection = self._pool.getconn(timeout=CHECK_S)
            try:
                run(connection, "SELECT 1")
            finally:
                self._pool.putconn(connection)
        except Error as error:
            raise self._unavailable(error) from None

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _unavailable(self, error: Error) -> StoreUnavailable:
        if isinstance(error, errors.LockNotAvailable):
            why = f"Other calls of this project have held it for {LOCK_S} seconds in {self._shown}"
        elif isinstance(error, errors.DiskFull):
            why = f"The disk is full of {self._shown}"
        elif isinstance(error, PoolTimeout | PoolClosed):
            why = f"There is no connection to {self._shown}"
        else:
            why = f"{self._shown} can't be used now ({_one_line(error)})"
        return StoreUnavailable(f"{why}. Nothing is acknowledged; try again.")


def _configure(connection: Connection[Any]) -> None:
    run(connection, statements.PREPARE)


def _prepare_schema(connection: Connection[Any]) -> None:
    """Create the tables, or bring them up to date; processes that start at once wait for each other."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MARK,))
    connection.execute(statements.SCHEMA)
    row = connection.execute("SELECT version FROM understudy_version").fetchone()
    if row is None or row[0] != VERSION:
        found = None if row is None else row[0]
        raise StoreError(f"the tables of the database have version {found}; this understudy reads {VERSION}")


def _open_transaction(connection: Connection[Any], project: str, text: str) -> _Transaction:
    """Begin, and wait for the project; its own record and its agenda come with the lock."""
    result = run(connection, text)
    own, agenda = result.get_value(0, 0), result.get_value(0, 1)
    doc = None if own is None else bytes.fromhex(own[2:].decode())
    return _Transaction(connection, project, _kinds(agenda), {}, {PROJECT_KEY: doc})


def _see(connection: Connection[Any], project: str) -> tuple[bytes | None, set[str]]:
    """The project's own record and what is on its agenda, as they are now."""
    result = look(connection, statements.OPEN, (project.encode(),))
    return result.get_value(0, 0), _kinds(result.get_value(0, 1))


def _kinds(agenda: bytes | None) -> set[str]:
    return set((agenda or b"").decode().split())


def _records(result: PGresult) -> list[Record]:
    """The rows of a scan."""
    value, found = result.get_value, []
    for row in range(result.ntuples):
        id, doc, order = value(row, 0) or b"", value(row, 1) or b"", value(row, 2) or b""
        found.append(Record(unescape(id.decode()), doc, int.from_bytes(order, "big", signed=True)))
    return found


def _write(begun: _Transaction, *more: str) -> None:
    """Send what was applied, and more statements after it; one for all that is deleted, one for all that is put."""
    texts: list[str] = []
    puts = [change for change in begun.changes.values() if isinstance(change, Put)]
    gone = [change for change in begun.changes.values() if not isinstance(change, Put)]
    if gone:
        texts.append(statements.delete(begun.project, gone))
    if puts and sum([len(change.doc) for change in puts]) > statements.MOST_QUOTED:
        _write_large(begun, puts)
    elif puts:
        texts.append(statements.put(begun.project, puts))
    texts += more
    if texts:
        run(begun.connection, ";".join(texts))
    begun.known.update({key: change.doc if isinstance(change, Put) else None for key, change in begun.changes.items()})
    begun.changes.clear()


def _write_large(begun: _Transaction, puts: Sequence[Put]) -> None:
    kinds, ids = [put.kind for put in puts], [escape(put.id) for put in puts]
    parents, orders = [escape(put.parent) for put in puts], [put.order for put in puts]
    values = (begun.project, kinds, ids, parents, orders, [put.doc for put in puts])
    begun.connection.execute(statements.LARGE_PUT, values)


def _show(url: str) -> str:
    """The server and database of an address, without user and password; raises StoreError."""
    try:
        parts = conninfo_to_dict(url)
    except Error:  # whose message has the address with its password
        raise StoreError(
            "that is no address of a PostgreSQL database; see postgresql://USER@HOST:PORT/DATABASE"
        ) from None
    host, port = parts.get("host") or "this machine", parts.get("port")
    return f"PostgreSQL on {host}{f':{port}' if port else ''}, database {parts.get('dbname') or 'by default'}"


def _one_line(error: Error) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
