"""What an SQLite file of ours looks like: its tables, what brings earlier versions up to date, where a record is."""

# Why it looks so:
# * Documents are appended by row number, and an index finds them: rows in the order of their ids would be inserted all
#   over the file. So a call's documents stand in a page or two.
# * The index finds them by `place`: an id turned round, its time first and its prefix last. The ids of one call differ
#   in prefix and end, and those of later calls come after them: nearly all that is written comes last in the index,
#   whose last page is all that a call changes of it. By plain ids, or with the key of a chain first, its entries would
#   be spread over the whole index (two pages of 4 KB more per turn).
# * What the latest calls have written is not there yet, but in rows of its own (`sqlite_recent`).
# * Parts of responses that are the same in many are kept once (`sqlite_parts`).

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from mockserver.core.records import UNORDERED_KINDS
from mockserver.store.failures import StoreError

Run = Callable[[str], Any]  # executes a statement

VERSION = 5
APPLICATION = 0x756E6473  # says in the file's head that it is ours
_ID = 50  # the length of a new-form id after its prefix: the key of its chain, its mark, its time, and the rest


# `kind NOT IN (…)` makes SQLite build a table of the kinds for each row that is written, which takes 3 µs
_ALWAYS = " AND ".join([f"kind <> '{kind}'" for kind in sorted(UNORDERED_KINDS)])
LISTED = f"(({_ALWAYS}) OR parent <> '')"
SCHEMA = (
    """CREATE TABLE records (
  number INTEGER PRIMARY KEY, project TEXT NOT NULL, place TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
  parent TEXT NOT NULL, "order" INTEGER NOT NULL, doc BLOB NOT NULL
)""",
    "CREATE UNIQUE INDEX found ON records (project, place, kind)",
    f'CREATE INDEX listed ON records (project, kind, parent, "order", id) WHERE {LISTED}',
    "CREATE TABLE parts (project TEXT, name BLOB, doc BLOB NOT NULL, PRIMARY KEY (project, name)) WITHOUT ROWID",
)
RECENT = """CREATE TABLE recent (
  slot INTEGER PRIMARY KEY, number INTEGER NOT NULL, project TEXT NOT NULL, doc BLOB NOT NULL
)"""
_MOVED = (
    'INSERT INTO records (project, place, kind, id, parent, "order", doc)'
    ' SELECT project, place_of(id), kind, id, parent_of(kind, parent, doc), "order", doc FROM former',
    "DROP TABLE former",
)
_BOTH_INDICES = ("ALTER TABLE records RENAME TO former", "DROP INDEX listed", "DROP INDEX found")
# version of a file → what makes this version of it
UPGRADES = {
    0: (*SCHEMA, RECENT),
    1: (*_BOTH_INDICES[:2], *SCHEMA, *_MOVED, RECENT),
    2: (*_BOTH_INDICES, *SCHEMA, *_MOVED, RECENT),
    3: (*_BOTH_INDICES, *SCHEMA, *_MOVED, RECENT),
    4: (RECENT,),
}
REWRITTEN = frozenset((1, 2, 3))  # those of which each record is written anew
MARKS = (f"PRAGMA application_id = {APPLICATION}", f"PRAGMA user_version = {VERSION}")


def refuse_foreign(run: Run, path: str) -> None:
    """Raise StoreError for a file of another program, which would be destroyed."""
    tables = [name for (name,) in run("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    (application,) = run("PRAGMA application_id").fetchone()
    if application == APPLICATION or not tables:
        return
    if application or "records" not in tables or not version_of(run):
        shown = ", ".join(sorted(tables)[:3])
        raise StoreError(f"the SQLite file {path} is of another program (it has {shown}); name another file")


def bring_up_to_date(run: Run, path: str) -> None:
    """Make a file one of this version, within a transaction; raises StoreError for one that is not known."""
    version = version_of(run)  # another process may have been faster
    if version != VERSION:
        if version not in UPGRADES:
            raise StoreError(f"the SQLite file {path} has version {version}; this understudy reads {VERSION}")
        for statement in (*UPGRADES[version], *MARKS):
            run(statement)


def version_of(run: Run) -> int:
    """The version of a file, 0 for a new one."""
    (version,) = run("PRAGMA user_version").fetchone()
    return int(version)


def place_of(id: str) -> str:
    """An id with its prefix after the rest, and its time before that; no two ids become the same."""
    prefix, mark, rest = id.partition("_")
    if len(rest) == _ID:
        return f"{rest[18:30]}{rest[:18]}{rest[30:]}_{prefix}"
    return f"{rest}_{prefix}" if mark else id


def parent_of(kind: str, parent: str, doc: bytes) -> str:
    """The parent of a record in a file whose nodes have none: it stands in the first line of their documents."""
    if kind != "node":
        return parent
    try:
        return str(orjson.loads(doc.partition(b"\n")[0])[1] or "")
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return ""
