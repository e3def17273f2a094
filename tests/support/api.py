"""The endpoints as functions of an engine and a project: bodies and query pairs in, bytes out, errors raised."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call

Pairs = Sequence[tuple[str, str]]


class Api:
    """The public API of an engine without a transport."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def call(self, project: str, method: str, path: str, body: bytes = b"", query: Pairs = ()) -> bytes:
        answer = self.engine.handle(Call(method, f"/v1/{path}", body, project, query))
        if answer.error is not None:
            raise answer.error
        assert not answer.streamed
        return answer.body

    def compact_response(self, project: str, body: bytes) -> bytes:
        return self.call(project, "POST", "responses/compact", body)

    def retrieve_response(self, project: str, id: str, query: Pairs = ()) -> bytes:
        return self.call(project, "GET", f"responses/{id}", query=query)

    def delete_response(self, project: str, id: str) -> bytes:
        return self.call(project, "DELETE", f"responses/{id}")

    def cancel_response(self, project: str, id: str) -> bytes:
        return self.call(project, "POST", f"responses/{id}/cancel")

    def list_input_items(self, project: str, id: str, query: Pairs = ()) -> bytes:
        return self.call(project, "GET", f"responses/{id}/input_items", query=query)

    def create_conversation(self, project: str, body: bytes) -> bytes:
        return self.call(project, "POST", "conversations", body)

    def retrieve_conversation(self, project: str, id: str) -> bytes:
        return self.call(project, "GET", f"conversations/{id}")

    def update_conversation(self, project: str, id: str, body: bytes) -> bytes:
        return self.call(project, "POST", f"conversations/{id}", body)

    def delete_conversation(self, project: str, id: str) -> bytes:
        return self.call(project, "DELETE", f"conversations/{id}")

    def create_items(self, project: str, id: str, body: bytes, include: Iterable[str] = ()) -> bytes:
        query = [("include[]", name) for name in include]
        return self.call(project, "POST", f"conversations/{id}/items", body, query)

    def list_items(self, project: str, id: str, query: Pairs = ()) -> bytes:
        return self.call(project, "GET", f"conversations/{id}/items", query=query)

    def delete_item(self, project: str, id: str, item_id: str) -> bytes:
        return self.call(project, "DELETE", f"conversations/{id}/items/{item_id}")

    def retrieve_item(self, project: str, id: str, item_id: str, include: Iterable[str] = ()) -> bytes:
        query = [("include[]", name) for name in include]
        return self.call(project, "GET", f"conversations/{id}/items/{item_id}", query=query)

    def list_models(self) -> bytes:
        return self.call("p", "GET", "models")

    def retrieve_model(self, name: str) -> bytes:
        return self.call("p", "GET", f"models/{name}")
