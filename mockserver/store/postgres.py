"""Records in PostgreSQL: any number of processes, on any number of machines, serve the same projects.

A call is one transaction that holds its project's lock. What a response acknowledged survives the death of every
process, the database's included.
"""

# Why it is done so:
# * The lock is PostgreSQL's own (`pg_advisory_xact_lock`), by project: calls of one project are serial whatever machine
#   serves them, projects never wait for each other, and a connection that dies gives its lock back.
# * The lock is a statement of its own. A statement that took it and read would read what was there before it waited.
# * Begin, lock, the project's own record and its agenda are one round trip (a pipeline), for every call needs them;
#   all that is written and the commit are another one. What else a call reads costs a round trip each.
# * What is applied waits for the commit, or for a look at the same project: most calls only apply and are done.
# * Texts are compared by their code points (`COLLATE "C"`), as the other stores do, whatever the database's language.
#
# What must stay true:
# * Whoever asks may wait for another machine. `waits` says so, and callers keep off the event loop.
# * What PostgreSQL refuses is `StoreUnavailable`, in words. Only a connection that was dead before its first statement
#   is replaced in silence: nothing was done on it. A commit whose answer was lost may have been written, and is a 503.
# * A password of the address is shown nowhere.

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from threading import local
from typing import Any, NamedTuple

from psycopg import Connection, Cursor, Error, OperationalError, connect, errors
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from mockserver.core.records import PENDING_KINDS, PROJECT_KEY, UNORDERED_KINDS, Change, Put, Record, Watch
from mockserver.store.failures import StoreError, StoreUnavailable

VERSION = 1
OPEN_S = 5  # how long the server is waited for at the start
CONNECTIONS = 16  # of one process, at most; one is opened when it is needed
WAIT_S = 2.0  # how long a call waits for a connection
CHECK_S = 0.1  # and a question after the store's health
LOCK_S = 30  # how long a call waits for the others of its project
IDLE_S = 60  # after which PostgreSQL ends the transaction of a process that hangs, and gives its lock back
_ESCAPED = re.compile("\1[\1\2]")
_MARK = 0x756E6473  # the lock of the schema

_SCHEMA = """
CREATE TABLE IF NOT EXISTS understudy_version (version integer NOT NULL);
CREATE TABLE IF NOT EXISTS understudy_records (
  project text COLLATE "C" NOT NULL, kind text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL,
  parent text COLLATE "C" NOT NULL, "order" bigint NOT NULL, doc bytea NOT NULL,
  PRIMARY KEY (project, kind, id)
);
CREATE INDEX IF NOT EXISTS understudy_listed ON understudy_records (project, kind, parent, "order", id) WHERE {listed};
INSERT INTO understudy_version SELECT {version} WHERE NOT EXISTS (SELECT FROM understudy_version);
"""


def _names(kinds: Iterable[str]) -> str:
    return ", ".join([f"'{kind}'" for kind in sorted(kinds)])


_LISTED = f"(kind NOT IN ({_names(UNORDERED_KINDS)}) OR parent <> '')"
_GET = "SELECT doc FROM understudy_records WHERE project = %s AND kind = %s AND id = %s"
_SCAN = (
    f'SELECT id, doc, "order" FROM understudy_records WHERE project = %s AND kind = %s AND parent = %s AND {_LISTED}'
)
# one look for each kind, for there may be thousands of lines
_PENDING = " UNION ALL ".join(
    f"SELECT '{kind}' WHERE EXISTS (SELECT FROM understudy_records"
    f" WHERE project = %(project)s AND kind = '{kind}' AND {_LISTED})"
    for kind in sorted(PENDING_KINDS)
)
_RECORDS = (
    'SELECT kind, id, doc, parent, "order" FROM understudy_records WHERE project = %s'
    ' ORDER BY kind, parent, "order", id'
)
# one step in the index for each project, however many records it has
_PROJECTS = (
    "WITH RECURSIVE names(name) AS (SELECT min(project) FROM understudy_records UNION ALL"
    " SELECT (SELECT min(project) FROM understudy_records WHERE project > name) FROM names WHERE name IS NOT NULL)"
    " SELECT name FROM names WHERE name IS NOT NULL"
)
_COUNT = f"SELECT count(*) FROM understudy_records WHERE project = %s AND kind = %s AND parent = '' AND {_LISTED}"
_LOCK = "SELECT pg_advisory_xact_lock(%s)"
_PUT = (
    'INSERT INTO understudy_records (project, kind, id, parent, "order", doc) SELECT %s, new.* FROM'
    " unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::bytea[]) AS new"
    ' ON CONFLICT (project, kind, id) DO UPDATE SET parent = excluded.parent, "order" = excluded."order",'
    " doc = excluded.doc"
)
_DELETE = (
    "DELETE FROM understudy_records AS old USING unnest(%s::text[], %s::text[]) AS gone (kind, id)"
    " WHERE old.project = %s AND old.kind = gone.kind AND old.id = gone.id"
)
_CLEAR = "DELETE FROM understudy_records WHERE project = %s"
_PREPARE = f"SET lock_timeout = '{LOCK_S}s'; SET idle_in_transaction_session_timeout = '{IDLE_S}s'"


class _Transaction(NamedTuple):
    """A transaction in progress: what it has read already, what it has yet to write."""

    connection: Connection[Any]
    project: str
    own: bytes | None
    agenda: set[str]
    changes: dict[tuple[str, str], Change]


class PostgresStore:
    """A store that processes and machines share."""

    waits = True

    def __init__(self, url: str) -> None:
        self._here = local()
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
            kwargs={"autocommit": True, "prepare_threshold": 1, "connect_timeout": OPEN_S},
            configure=_configure,
            open=True,
        )

    @contextmanager
    def transaction(self, project: str) -> Iterator[None]:
        """Keep others out of the project, on all machines; all that is applied inside is written, or nothing."""
        try:
            begun = self._begin(project)
        except Error as error:
            raise self._unavailable(error) from None
        self._here.begun = begun
        try:
            yield
            with begun.connection.pipeline():
                _write(begun)
                begun.connection.execute("COMMIT")
        except BaseException as error:
            with suppress(Error):
                begun.connection.execute("ROLLBACK")
            if isinstance(error, Error):
                raise self._unavailable(error) from None
            raise
        finally:
            self._here.begun = None
            self._pool.putconn(begun.connection)

    def _begin(self, project: str) -> _Transaction:
        connection = self._pool.getconn()
        try:
            try:
                own, agenda = _open_transaction(connection, project)
            except OperationalError:
                if not connection.closed:
                    raise
                connection = self._replace(connection)
                own, agenda = _open_transaction(connection, project)
        except BaseException:
            with suppress(Error):
                connection.execute("ROLLBACK")
            self._pool.putconn(connection)
            raise
        return _Transaction(connection, project, own, agenda, {})

    def _replace(self, connection: Connection[Any]) -> Connection[Any]:
        """Another connection for one that was dead before anything was done on it, as all are after a restart."""
        self._pool.putconn(connection)
        self._pool.check()
        return self._pool.getconn()

    def _fetch(self, project: str, query: str, values: Sequence[Any] | dict[str, Any]) -> list[Any]:
        """Rows as the transaction of this thread sees them, or else as they are now."""
        begun: _Transaction | None = getattr(self._here, "begun", None)
        try:
            if begun is not None:
                if begun.changes and begun.project == project:
                    _write(begun)
                return begun.connection.execute(query, values, binary=True).fetchall()
            connection = self._pool.getconn()
            try:
                try:
                    return connection.execute(query, values, binary=True).fetchall()
                except OperationalError:
                    if not connection.closed:
                        raise
                    connection = self._replace(connection)
                    return connection.execute(query, values, binary=True).fetchall()
            finally:
                self._pool.putconn(connection)
        except Error as error:
            raise self._unavailable(error) from None

    def _of(self, project: str) -> _Transaction | None:
        """The transaction of this thread, if it is one of this project."""
        begun: _Transaction | None = getattr(self._here, "begun", None)
        return begun if begun is not None and begun.project == project else None

    def get(self, project: str, kind: str, id: str) -> bytes | None:
        """A record's document, None when there is none."""
        begun = self._of(project)
        if begun is not None:
            change = begun.changes.get((kind, id))
            if change is not None:
                return change.doc if isinstance(change, Put) else None
            if (kind, id) == PROJECT_KEY:
                return begun.own
            rows = begun.connection.execute(_GET, (project, kind, _escape(id)), binary=True).fetchall()
        else:
            rows = self._fetch(project, _GET, (project, kind, _escape(id)))
        return bytes(rows[0][0]) if rows else None

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
        query, values = _SCAN, [project, kind, _escape(parent)]
        bounds: list[int] = []
        if after is not None:
            query += f' AND "order" {sign} %s'
            bounds.append(after)
        query += f' ORDER BY "order" {direction}, id {direction}'
        if limit is not None:
            query += " LIMIT %s"
            bounds.append(limit)
        rows = self._fetch(project, query, (*values, *bounds))
        return [Record(_unescape(id), bytes(doc), order) for id, doc, order in rows]

    def pending(self, project: str) -> Collection[str]:
        """The kinds of what is on a project's agenda; read anew on every call, for others may have set it."""
        begun = self._of(project)
        if begun is not None:
            return begun.agenda
        return frozenset([kind for (kind,) in self._fetch(project, _PENDING, {"project": project})])

    def records(self, project: str) -> list[Put]:
        """Every record as the change that would write it, by kind, parent, order and id."""
        rows = self._fetch(project, _RECORDS, (project,))
        return [Put(kind, _unescape(id), bytes(doc), _unescape(parent), order) for kind, id, doc, parent, order in rows]

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
        self._here.begun = begun._replace(own=None)
        begun.agenda.clear()
        begun.connection.execute(_CLEAR, (project,))

    def watch(self, watch: Watch | None) -> None:
        """Have somebody told of what this process changes, before it is written; None ends it."""
        self._watch = watch

    def projects(self) -> list[str]:
        """The names of all that has records."""
        return [name for (name,) in self._fetch("", _PROJECTS, ())]

    def count(self, project: str, kind: str) -> int:
        """How many records of a listed kind there are below no parent."""
        ((count,),) = self._fetch(project, _COUNT, (project, kind))
        return int(count)

    def _inside(self, project: str) -> _Transaction:
        begun = self._of(project)
        if begun is None:
            raise RuntimeError(f"project {project} is written outside of a transaction")
        return begun

    def check(self) -> None:
        """Raise StoreUnavailable if the server can't be asked now."""
        try:
            connection = self._pool.getconn(timeout=CHECK_S)
            try:
                connection.execute("SELECT 1")
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
    connection.execute(_PREPARE)


def _prepare_schema(connection: Connection[Any]) -> None:
    """Create the tables, or bring them up to date; processes that start at once wait for each other."""
    connection.execute(_LOCK, (_MARK,))
    connection.execute(_SCHEMA.format(listed=_LISTED, version=VERSION))
    row = connection.execute("SELECT version FROM understudy_version").fetchone()
    if row is None or row[0] != VERSION:
        found = None if row is None else row[0]
        raise StoreError(f"the tables of the database have version {found}; this understudy reads {VERSION}")


def _open_transaction(connection: Connection[Any], project: str) -> tuple[bytes | None, set[str]]:
    """Begin, and wait for the project; returns its own record and what is on its agenda."""
    key = int.from_bytes(blake2b(project.encode(), digest_size=8).digest(), "big", signed=True)
    with connection.pipeline():
        connection.execute("BEGIN")
        connection.execute(_LOCK, (key,))
        own: Cursor[Any] = connection.execute(_GET, (project, *PROJECT_KEY), binary=True)
        agenda: Cursor[Any] = connection.execute(_PENDING, {"project": project})
    row = own.fetchone()
    return None if row is None else bytes(row[0]), {kind for (kind,) in agenda}


def _write(begun: _Transaction) -> None:
    """Send what was applied; one statement for all that is deleted, one for all that is put."""
    if not begun.changes:
        return
    puts = [change for change in begun.changes.values() if isinstance(change, Put)]
    gone = [change for change in begun.changes.values() if not isinstance(change, Put)]
    if gone:
        kinds, ids = [one.kind for one in gone], [_escape(one.id) for one in gone]
        begun.connection.execute(_DELETE, (kinds, ids, begun.project))
    if puts:
        kinds, ids = [one.kind for one in puts], [_escape(one.id) for one in puts]
        parents, orders = [_escape(one.parent) for one in puts], [one.order for one in puts]
        begun.connection.execute(_PUT, (begun.project, kinds, ids, parents, orders, [one.doc for one in puts]))
    begun.changes.clear()


def _escape(text: str) -> str:
    """A text as PostgreSQL can hold it, which has no NUL; no two texts become the same."""
    if "\0" not in text and "\1" not in text:
        return text
    return text.replace("\1", "\1\2").replace("\0", "\1\1")


def _unescape(text: str) -> str:
    if "\1" not in text:
        return text
    return _ESCAPED.sub(lambda found: "\0" if found[0] == "\1\1" else "\1", text)


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
