"""A mock of ours behind a foreign server: its journal shows what the model saw, its script is what the model says."""

# What must stay true: the journal belongs to one project, that of the key with which the server calls its model. The
# key is the user part of the URL; a journal that stays empty says so before any rule is judged.

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from mockserver.conformance.http_clients import new_client
from mockserver.model.echo_model import show_item, shown

Item = dict[str, Any]
PAGE = "1000"


class Upstream:
    """The control API of the mock behind a server, `http://KEY@127.0.0.1:4010`; the key is `any` without one."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        self.url = urlunsplit((parts.scheme, host, parts.path.rstrip("/").removesuffix("/v1"), "", ""))
        self.key = parts.username or "any"
        headers = {"authorization": f"Bearer {self.key}"}
        self._client = new_client(60.0, headers)
        self._after = "0"

    def control(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """Call the control API; returns its JSON, raises LookupError when it refuses or does not answer."""
        try:
            answer = self._client.request(method, f"{self.url}/_mock{path}", json=body, params=query)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LookupError(f"{method} {path}: {type(error).__name__}: {error}") from error
        if not 200 <= answer.status_code < 300:
            raise LookupError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def newest_context(self) -> Item | None:
        """What the model saw in the newest turn since the last look, as an echo tells it; None if there was no turn."""
        newest = None
        while True:
            page = self.control("GET", "/journal", after=self._after, limit=PAGE, context="full")
            for exchange in page["data"]:
                self._after = str(exchange["id"])
                context = exchange.get("context")
                if exchange["method"] == "POST" and context is not None and exchange.get("response_id"):
                    newest = as_echo(context)
            if not page["has_more"]:
                return newest

    def count(self, body: Item) -> int:
        """The input tokens that the mock counts for a request; raises LookupError when it refuses."""
        answer = self._client.post(f"{self.url}/v1/responses/input_tokens", json=body)
        if answer.status_code != 200:
            raise LookupError(f"counting: {answer.status_code} {answer.text}")
        return int(answer.json()["input_tokens"])

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def as_echo(context: Item) -> Item:
    """A context of the journal as the echo model tells it."""
    items = [show_item(item) for item in context["items"]]
    return {"echo": items, "instructions": shown(context.get("instructions"))}
