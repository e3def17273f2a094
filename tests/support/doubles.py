"""Calls of the doubles of files, vector stores and containers, without a transport."""

from __future__ import annotations

import json
from typing import Any

from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call

BOUNDARY = "0123456789"
FORM = {b"content-type": f"multipart/form-data; boundary={BOUNDARY}".encode()}


def form(*, file: tuple[str, bytes] | None = None, **fields: str) -> bytes:
    """The body of a form."""
    parts = [f'form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    if file is not None:
        head = f'form-data; name="file"; filename="{file[0]}"\r\nContent-Type: text/plain\r\n\r\n'
        parts.append(head.encode() + file[1])
    whole = b"".join(b"--%b\r\nContent-Disposition: %b\r\n" % (BOUNDARY.encode(), part) for part in parts)
    return whole + b"--%b--\r\n" % BOUNDARY.encode()


class Client:
    """Calls to an engine's doubles; errors are raised."""

    def __init__(self, engine: Engine, project: str = "p") -> None:
        self.engine, self.project = engine, project

    def __call__(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        raw = b"" if body is None else json.dumps(body).encode()
        return json.loads(self.send(method, path, raw, **query))

    def send(self, method: str, path: str, body: bytes = b"", headers: Any = None, **query: str) -> bytes:
        answer = self.engine.handle(Call(method, f"/v1/{path}", body, self.project, list(query.items()), headers or {}))
        if answer.error is not None:
            raise answer.error
        return answer.body

    def upload(self, name: str = "a.txt", content: bytes = b"hello", path: str = "files", **fields: str) -> Any:
        if path == "files":
            fields = {"purpose": "assistants", **fields}
        return json.loads(self.send("POST", path, form(file=(name, content), **fields), FORM))


def make_doubles(client: Client) -> None:
    """Make one of everything that the doubles keep."""
    file = client.upload(content=bytes(range(256)), purpose="batch")["id"]
    store = client("POST", "vector_stores", {"name": "s", "expires_after": {"anchor": "last_active_at", "days": 7}})
    attached = {"file_id": file, "attributes": {"a": "b", "n": 1, "x": 1.5, "t": True}}
    client("POST", f"vector_stores/{store['id']}/files", attached)
    client("POST", f"vector_stores/{store['id']}/file_batches", {"file_ids": ["file-never", file]})
    container = client("POST", "containers", {"name": "c", "file_ids": [file]})["id"]
    client.upload("b.txt", path=f"containers/{container}/files")
