"""What the PostgreSQL store says to its server: tables, prepared statements, and how texts and bytes are written there.

Statements are prepared under names on each connection, and run on libpq itself.
"""

# Why libpq and not psycopg's cursors and pipelines: measured on 2026-11-30, a transaction that reads one record and
# writes four cost 583 µs of CPU with a pipeline and 116 µs this way. `exec_` waits without Python's lock.
#
# What must stay true:
# * Several statements go in one text, and each of them reads what was there when it began, not when the text came: a
#   look that stands after a lock sees what others wrote before they gave the lock back.
# * Every value of such a text is quoted here, and nowhere else. `standard_conforming_strings` is on, for a backslash
#   would mean something else without it.
# * The plans are made while the tables may be empty, and are kept. So the planner must not choose what is only good
#   for few records.

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import Connection, OperationalError, errors
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGresult

from mockserver.core.records import PENDING_KINDS, PROJECT_KEY, UNORDERED_KINDS, Delete, Put

VERSION = 1
LOCK_S = 30  # how long a call waits for the others of its project
IDLE_S = 60  # after which PostgreSQL ends the transaction of a process that hangs, and gives its lock back
MOST_QUOTED = 65_536  # bytes of documents that stand in a statement's text, where each takes two
_ESCAPED = re.compile("\1[\1\2]")


def _names(kinds: Iterable[str]) -> str:
    return ", ".join([f"'{kind}'" for kind in sorted(kinds)])


_LISTED = f"(kind NOT IN ({_names(UNORDERED_KINDS)}) OR parent <> '')"
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS understudy_version (version integer NOT NULL);
CREATE TABLE IF NOT EXISTS understudy_records (
  project text COLLATE "C" NOT NULL, kind text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL,
  parent text COLLATE "C" NOT NULL, "order" bigint NOT NULL, doc bytea NOT NULL,
  PRIMARY KEY (project, kind, id)
);
CREATE INDEX IF NOT EXISTS understudy_listed ON understudy_records (project, kind, parent, "order", id) WHERE {_LISTED};
INSERT INTO understudy_version SELECT {VERSION} WHERE NOT EXISTS (SELECT FROM understudy_version);
"""
_AGENDA = ", ".join(  # one look for each kind, for there may be thousands of lines
    f"CASE WHEN EXISTS (SELECT FROM understudy_records WHERE project = $1 AND kind = '{kind}' AND {_LISTED})"
    f" THEN '{kind} ' END"
    for kind in sorted(PENDING_KINDS)
)
_SCAN = (
    f'SELECT id, doc, "order" FROM understudy_records WHERE project = $1 AND kind = $2 AND parent = $3 AND {_LISTED}'
)
PUT = (
    'INSERT INTO understudy_records (project, kind, id, parent, "order", doc) SELECT {}, new.* FROM'
    " unnest({}::text[], {}::text[], {}::text[], {}::bigint[], {}::bytea[]) AS new"
    ' ON CONFLICT (project, kind, id) DO UPDATE SET parent = excluded.parent, "order" = excluded."order",'
    " doc = excluded.doc"
)
_PREPARED = {
    "understudy_open (text)": "SELECT (SELECT doc FROM understudy_records WHERE project = $1 AND kind = '{}'"
    " AND id = '{}'), concat({})".format(*PROJECT_KEY, _AGENDA),
    "understudy_get (text, text, text)": "SELECT doc FROM understudy_records"
    " WHERE project = $1 AND kind = $2 AND id = $3",
    "understudy_up (text, text, text, bigint, bigint)": f'{_SCAN} AND "order" > $4 ORDER BY "order", id LIMIT $5',
    "understudy_down (text, text, text, bigint, bigint)": f'{_SCAN} AND "order" < $4'
    ' ORDER BY "order" DESC, id DESC LIMIT $5',
    "understudy_put (text, text[], text[], text[], bigint[], bytea[])": PUT.format(*[f"${n}" for n in range(1, 7)]),
    "understudy_delete (text, text[], text[])": "DELETE FROM understudy_records AS old"
    " USING unnest($2, $3) AS gone (kind, id) WHERE old.project = $1 AND old.kind = gone.kind AND old.id = gone.id",
}
OPEN, GET, UP, DOWN = b"understudy_open", b"understudy_get", b"understudy_up", b"understudy_down"
PREPARE = ";".join(
    [
        "SET standard_conforming_strings = on",
        "SET bytea_output = hex",
        "SET enable_seqscan = off",
        "SET enable_bitmapscan = off",
        f"SET lock_timeout = '{LOCK_S}s'",
        f"SET idle_in_transaction_session_timeout = '{IDLE_S}s'",
        *[f"PREPARE {name} AS {statement}" for name, statement in _PREPARED.items()],
    ]
)
LARGE_PUT = PUT.format(*["%s"] * 6)
RECORDS = (
    'SELECT kind, id, doc, parent, "order" FROM understudy_records WHERE project = %s'
    ' ORDER BY kind, parent, "order", id'
)
# one step in the index for each project, however many records it has
PROJECTS = (
    "WITH RECURSIVE names(name) AS (SELECT min(project) FROM understudy_records UNION ALL"
    " SELECT (SELECT min(project) FROM understudy_records WHERE project > name) FROM names WHERE name IS NOT NULL)"
    " SELECT name FROM names WHERE name IS NOT NULL"
)
COUNT = f"SELECT count(*) FROM understudy_records WHERE project = %s AND kind = %s AND parent = '' AND {_LISTED}"
CLEAR = "DELETE FROM understudy_records WHERE project = %s"


# --- how a statement is run ---------------------------------------------------------------------------------------


def run(connection: Connection[Any], text: str) -> PGresult:
    """Run statements in one round trip; returns the result of the last, as texts, or raises what PostgreSQL says."""
    return _check(connection, connection.pgconn.exec_(text.encode()))


def look(connection: Connection[Any], name: bytes, values: Sequence[bytes]) -> PGresult:
    """Run a prepared statement; returns its rows in binary, or raises what PostgreSQL says."""
    return _check(connection, connection.pgconn.exec_prepared(name, values, None, Format.BINARY))


def _check(connection: Connection[Any], result: PGresult) -> PGresult:
    if result.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
        return result
    if connection.pgconn.status == ConnStatus.BAD:
        raise OperationalError(result.error_message.decode(errors="replace"))
    raise errors.error_from_result(result)


# --- how values are written -------------------------------------------------------------------------------------


def begin(key: int, project: str) -> str:
    """The statements that begin a transaction, wait for a lock, and read what every call needs."""
    return (
        f"BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({key});"
        f" EXECUTE understudy_open({_quote(project)})"
    )


def put(project: str, puts: Sequence[Put]) -> str:
    """The statement that writes records whose documents are small."""
    kinds, ids = _array([put.kind for put in puts]), _array([escape(put.id) for put in puts])
    parents, orders = _array([escape(put.parent) for put in puts]), ",".join([str(put.order) for put in puts])
    documents = _NEXT_BYTES.join([put.doc.hex() for put in puts])
    return (
        f"EXECUTE understudy_put({_quote(project)}, {kinds}, {ids}, {parents}, '{{{orders}}}',"
        f" '{{{_FIRST_BYTES}{documents}\"}}')"
    )


def delete(project: str, gone: Sequence[Delete]) -> str:
    """The statement that deletes records."""
    kinds, ids = _array([change.kind for change in gone]), _array([escape(change.id) for change in gone])
    return f"EXECUTE understudy_delete({_quote(project)}, {kinds}, {ids})"


def _quote(text: str) -> str:
    if "\0" in text:  # the rest of the statement would not arrive
        raise ValueError("a text with NUL was not escaped")
    return "'{}'".format(text.replace("'", "''"))


_FIRST_BYTES, _NEXT_BYTES = '"\\\\x', '","\\\\x'  # of bytes in hexadecimal, in an array


def _array(texts: Sequence[str]) -> str:
    whole = "".join(texts)
    if "'" not in whole and '"' not in whole and "\\" not in whole and "\0" not in whole:  # as nearly always
        return "'{{\"{}\"}}'".format('","'.join(texts))
    quoted = ['"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"')) for text in texts]
    return _quote("{{{}}}".format(",".join(quoted)))


def escape(text: str) -> str:
    """A text as PostgreSQL can hold it, which has no NUL; no two texts become the same."""
    if "\0" not in text and "\1" not in text:
        return text
    return text.replace("\1", "\1\2").replace("\0", "\1\1")


def unescape(text: str) -> str:
    """The text that was escaped."""
    if "\1" not in text:
        return text
    return _ESCAPED.sub(lambda found: "\0" if found[0] == "\1\1" else "\1", text)
