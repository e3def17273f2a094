"""What the examples of the guide are written with: one way to call both kinds of client, and the control API.

`settled` awaits a result that has to be awaited, so that an example is written once for both.
"""

from __future__ import annotations

import inspect
import json
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import openai

# --- both kinds of client -----------------------------------------------------------------------------------------


async def settled(result: Any) -> Any:
    """Return what a call of either client comes to."""
    return await result if inspect.isawaitable(result) else result


async def collected(many: Any) -> list[Any]:
    """Return all events of a stream, or all entries of a list over all its pages."""
    return [one async for one in many] if hasattr(many, "__aiter__") else list(many)


@asynccontextmanager
async def entered(manager: Any) -> AsyncIterator[Any]:
    """Enter a context manager of either client."""
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value


async def refused(kind: type[openai.APIStatusError], call: Callable[[], Any], **expected: Any) -> None:
    """Check that a call raises an error of a kind with this message, param and code."""
    try:
        result = await settled(call())
    except openai.APIStatusError as error:
        assert type(error) is kind, error
        assert isinstance(error.body, dict), error.body
        found = {"message": error.body["message"], "param": error.param, "code": error.code}
        wanted = {"param": None, "code": None, **expected}
        assert found == wanted, f"\n  found  {found}\n  wanted {wanted}"
        assert error.body["param"] == error.param and error.body["code"] == error.code
        assert error.body["type"] == error.type == "invalid_request_error"
        assert error.request_id, "no x-request-id"
    else:
        raise AssertionError(f"not refused: {result}")


# --- what only the control API shows ------------------------------------------------------------------------------


class Control:
    """The control API, for the project of this run's key."""

    def __init__(self, origin: str, key: str, exchanges: list[dict[str, Any]]) -> None:
        self._origin = origin
        self._key = key
        self._exchanges = exchanges
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """Make one call below `/_mock`."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        request = urllib.request.Request(f"{self._origin}/_mock{path}", data, headers, method=method)
        with self._opener.open(request, timeout=120) as answer:
            text = answer.read().decode()
        self._exchanges.append({"request": f"{method} /_mock{path}", "status": answer.status, "body": text})
        return json.loads(text) if text else None

    def saw(self, response: Any) -> list[str]:
        """Return what the model saw for a response, one line per item."""
        return [said(item) for item in self("GET", f"/responses/{response.id}/context")["items"]]

    def stored(self) -> list[str]:
        """Return the ids of all responses that can be retrieved, newest first."""
        return [one["id"] for one in self("GET", "/responses?limit=1000")["data"]]

    def script(self, *lines: dict[str, Any]) -> None:
        """Say what the model answers next."""
        self("POST", "/script", {"lines": list(lines)})

    def advance(self, **how: float) -> dict[str, Any]:
        """Move the clock."""
        return self("POST", "/clock/advance", how)


def said(item: Any) -> str:
    """Return an item in one line; it comes as JSON or as an object of the client."""
    item = item if isinstance(item, dict) else item.model_dump()
    if item["type"] == "message":
        return f"{item['role']}: " + "".join(part.get("text") or part.get("refusal") for part in item["content"])
    return f"{item['type']}: {item.get('name') or item.get('output') or ''}".rstrip(": ")


def own_output(response: Any) -> list[str]:
    """Return a response's output, one line per item."""
    return [said(item) for item in response.output]
