"""Records in an SQLite file, in WAL mode: what a response acknowledged survives the process.

`synchronous=NORMAL` loses nothing when the process is killed; only a power cut may lose the last transactions, never
the file's consistency. Several processes may share one file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import RLock

from mockserver.core.state import UNLISTED, Change, Put, Record

VERSION = 1

_LISTED = f"kind NOT IN ({', '.join(map(repr, sorted(UNLISTED)))})"
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS records (
  project TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
  parent TEXT NOT NULL, "order" INTEGER NOT NULL, doc BLOB NOT NULL,
  PRIMARY KEY (project, kind, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS listed ON records (project, kind, parent, "order", id)
  WHERE {_LISTED};
"""
_GET = "SELECT doc FROM records WHERE project = ? AND kind = ? AND id = ?"
_PUT = (
    'INSERT INTO records (project, kind, id, parent, "order", doc) VALUES (?, ?, ?, ?, ?, ?)'
    ' ON CONFLICT DO UPDATE SET parent = excluded.parent, "order" = excluded."order", doc = excluded.doc'
)
_DELETE = "DELETE FROM records WHERE project = ? AND kind = ? AND id = ?"
_SCAN = f'SELECT id, doc, "order" FROM records WHERE project = ? AND kind = ? AND parent = ? AND {_LISTED}'

_RECORDS = 'SELECT kind, id, doc, parent, "order" FROM records WHERE project = ? ORDER BY kind, parent, "order", id'


class StoreError(Exception):
    """A store that can't be opened; the message says which and why."""


class SQLiteStore:
    """A store in one file, shared by threads of this process through one connection."""

    def __init__(self, path: str) -> None:
        self._lock = RLock()
        try:
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._prepare(path)
        except sqlite3.Error as error:
            raise StoreError(f"can't open the SQLite file {path}: {error}") from error

    def _prepare(self, path: str) -> None:
        run = self._connection.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        (version,) = run("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise StoreError(f"the SQLite file {path} has version {version}; this understudy reads version {VERSION}")
        self._connection.executescript(_SCHEMA)
        run(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def transaction(self, project: str) -> Iterator[None]:
        """Keep other threads and processes from writing; all that is applied inside is written, or nothing."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def get(self, project: str, kind: str, id: str) -> bytes | None:
        """Return a record's document, None when there is none."""
        with self._lock:
            row = self._connection.execute(_GET, (project, kind, id)).fetchone()
        return row[0] if row else None

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
        """Return records of a kind below a parent by their order, strictly behind `after` in that direction."""
        sign, direction = ("<", "DESC") if descending else (">", "ASC")
        query, values = _SCAN, [project, kind, parent]
        bounds: list[int] = []
        if after is not None:
            query += f' AND "order" {sign} ?'
            bounds.append(after)
        query += f' ORDER BY "order" {direction}, id {direction} LIMIT ?'
        bounds.append(-1 if limit is None else limit)
        with self._lock:
            rows = self._connection.execute(query, (*values, *bounds)).fetchall()
        return [Record(*row) for row in rows]

    def records(self, project: str) -> list[Put]:
        """Return every record as the change that would write it, by kind, parent, order and id."""
        with self._lock:
            return [Put(*row) for row in self._connection.execute(_RECORDS, (project,)).fetchall()]

    def apply(self, project: str, changes: Iterable[Change]) -> None:
        """Write changes; call it inside a transaction."""
        run = self._connection.execute
        with self._lock:
            for change in changes:
                if isinstance(change, Put):
                    run(_PUT, (project, change.kind, change.id, change.parent, change.order, change.doc))
                else:
                    run(_DELETE, (project, change.kind, change.id))

    def clear(self, project: str) -> None:
        """Forget a project; call it inside a transaction."""
        with self._lock:
            self._connection.execute("DELETE FROM records WHERE project = ?", (project,))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
