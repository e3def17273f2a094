"""The statements of a store in an SQLite file."""

from __future__ import annotations

from mockserver.core.records import PENDING_KINDS
from mockserver.store.sqlite_file import LISTED

MANY = 64  # records of one call that are written by one statement
LONG = 262_144  # bytes of a document that is read beside the others

GET = "SELECT doc FROM records WHERE project = ? AND place = ? AND kind = ?"
# a long document only by its length, which is known without reading it
FIND = GET.replace("doc", f"iif(length(doc) <= {LONG}, doc, length(doc))")
ROW = "(?, ?, ?, ?, ?, ?, ?)"
PUT = (
    f'INSERT INTO records (project, place, kind, id, parent, "order", doc) VALUES {ROW}'
    ' ON CONFLICT DO UPDATE SET parent = excluded.parent, "order" = excluded."order", doc = excluded.doc'
)
PUTS = [PUT.replace(ROW, ", ".join([ROW] * count)) for count in range(MANY + 1)]  # of so many records
PART = "SELECT doc FROM parts WHERE project = ? AND name = ?"
PUT_PART = "INSERT OR IGNORE INTO parts (project, name, doc) VALUES (?, ?, ?)"
DELETE = "DELETE FROM records WHERE project = ? AND place = ? AND kind = ?"
SCAN = f'SELECT id, doc, "order" FROM records WHERE project = ? AND kind = ? AND parent = ? AND {LISTED}'
# one look for each kind, for there may be thousands of lines
PENDING = " UNION ALL ".join(
    f"SELECT '{kind}' WHERE EXISTS (SELECT 1 FROM records WHERE project = ?1 AND kind = '{kind}' AND {LISTED})"
    for kind in sorted(PENDING_KINDS)
)
RECORDS = 'SELECT kind, id, doc, parent, "order" FROM records WHERE project = ? ORDER BY kind, parent, "order", id'

# one step in the index for each project, however many records it has
PROJECTS = (
    "WITH RECURSIVE names(name) AS (SELECT min(project) FROM records UNION ALL"
    " SELECT (SELECT min(project) FROM records WHERE project > name) FROM names WHERE name IS NOT NULL)"
    " SELECT name FROM names WHERE name IS NOT NULL"
)
PARENT = GET.replace("doc", "parent", 1)
COUNT = f"SELECT count(*) FROM records WHERE project = ? AND kind = ? AND parent = '' AND {LISTED}"
