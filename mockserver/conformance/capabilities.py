"""What a foreign server can do at all: each capability is tried once, before the rules.

A server without a capability gets one row for it, and the rules that need it are not observable. What is there and
wrong is for the rules to say.
"""

# What must stay true: only a route that does not exist counts as missing, or an answer that ignores the request (a
# response that was asked for in the background and is there at once). An error object that speaks of the id is an
# answer of the endpoint, and stays a matter of the rules.

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mockserver.conformance.connections import Refused, connections_of, read_until
from mockserver.conformance.drivers import NO_ANSWER, Answer, Driver
from mockserver.conformance.terms import DEFAULT, Terms
from mockserver.conformance.upstream import Upstream
from mockserver.model.echo_model import read_echo

Item = dict[str, Any]
_ENDS = ("response.completed", "response.incomplete", "response.failed", "error")
_ABSENT = (404, 405, 501, NO_ANSWER)
_NO_SUCH = ("not found", "not implemented", "method not allowed", "invalid url")


class Probe:
    """One look at a server with one model; `lacks` maps each missing capability to what showed it."""

    def __init__(self, driver: Driver, model: str, upstream: Upstream | None = None) -> None:
        self.driver, self.model, self.upstream = driver, model, upstream
        self.lacks: dict[str, str] = {}
        self.nowhere = driver.call("GET", "/responses/a/b/c/d")

    def run(self) -> Mapping[str, str]:
        """Try everything; returns what is missing, with the evidence."""
        created = self.create()
        id = created.body.get("id") if isinstance(created.body, dict) and "output" in created.body else None
        if created.status != 200 or not isinstance(id, str):
            return self.lacks  # the rules say it better
        path = f"/responses/{id}"
        self.expect_route("get", "GET", path)
        self.expect_route("input items", "GET", f"{path}/input_items")
        self.expect_route("count", "POST", "/responses/input_tokens", {"model": self.model, "input": "ping"})
        self.expect_route("compact", "POST", "/responses/compact", {"model": self.model, "input": "ping"})
        self.expect_conversations()
        self.expect_background()
        self.expect_compaction()
        self.expect_tools()
        self.expect_socket()
        if self.upstream is None and read_echo(_text(created)) is None:
            self.lacks["echo model"] = "its model answers otherwise"
        self.expect_route("delete", "DELETE", path)
        return self.lacks

    def create(self, **fields: Any) -> Answer:
        """Create a response."""
        return self.driver.call("POST", "/responses", {"model": self.model, "input": "ping", **fields})

    def expect_route(self, capability: str, method: str, path: str, body: Any = None) -> Answer:
        """Try an endpoint; the capability is missing where there is no such route."""
        answer = self.driver.call(method, path, body)
        if self.is_no_route(answer):
            self.lacks[capability] = f"{method} {_pattern(path)} answers {answer.status or 'nothing'}"
        return answer

    def is_no_route(self, answer: Answer) -> bool:
        """Whether an answer is that of a path that nobody serves."""
        if answer.status not in _ABSENT:
            return False
        message = str(answer.error.get("message") or "").casefold()
        return answer.status != 404 or not message or answer.body == self.nowhere.body or message in _NO_SUCH

    def expect_conversations(self) -> None:
        answer = self.expect_route("conversations", "POST", "/conversations", {})
        if answer.status == 200 and isinstance(answer.body, dict):
            self.driver.call("DELETE", f"/conversations/{answer.body.get('id')}")

    def expect_background(self) -> None:
        answer = self.create(background=True)
        status = answer.body.get("status") if isinstance(answer.body, dict) else None
        if status not in ("queued", "in_progress"):
            self.lacks["background"] = f"background true answers {answer.status} {status or ''}".strip()

    def expect_compaction(self) -> None:
        manage = [{"type": "compaction", "compact_threshold": 1000}]
        answer = self.create(input=" word" * 2000, context_management=manage)
        output = answer.body.get("output") if isinstance(answer.body, dict) else None
        if not any(item.get("type") == "compaction" for item in output or ()):
            self.lacks["compaction"] = f"context_management answers {answer.status} without a compaction item"

    def expect_tools(self) -> None:
        tool = {"type": "function", "name": "lookup", "parameters": {"type": "object", "properties": {}}}
        answer = self.create(tools=[tool], tool_choice="required")
        output = answer.body.get("output") if isinstance(answer.body, dict) else None
        if not any(item.get("type") == "function_call" for item in output or ()):
            self.lacks["tools"] = f"tool_choice required answers {answer.status} without a call"

    def expect_socket(self) -> None:
        """Open a WebSocket for a turn, and steer what is not there: who knows steering answers with an event of it."""
        connections = connections_of(self.driver)
        try:
            if connections is None:
                raise Refused("the handshake is refused")
            socket = connections.open_socket()
        except Refused as reason:
            self.lacks["websocket"] = self.lacks["steering"] = str(reason)
            return
        try:
            socket.send({"type": "response.create", "model": self.model, "input": "ping"})
            read_until(socket.receive, lambda found: found[-1].get("type") in _ENDS)
        except AssertionError as error:  # the handshake alone is no WebSocket mode
            self.lacks["websocket"] = self.lacks["steering"] = str(error)
            socket.close()
            return
        try:
            socket.send({"type": "response.steer", "previous_response_id": "resp_none", "input": "ping"})
            kind = socket.receive().get("type")
            if not str(kind).startswith("response.steer"):
                self.lacks["steering"] = f"response.steer answers {kind}"
        except AssertionError as error:
            self.lacks["steering"] = f"response.steer: {error}"
        finally:
            socket.close()


def _text(answer: Answer) -> str:
    """The text of the last message of a response."""
    parts = [part for item in answer.body.get("output") or () for part in item.get("content") or ()]
    return next((str(part.get("text")) for part in reversed(parts) if part.get("text")), "")


def _pattern(path: str) -> str:
    return "/".join(
        "{id}" if part.startswith(("resp", "conv")) and part not in ("responses", "conversations") else part
        for part in path.split("/")
    )


def needed(method: str, path: str, body: Any) -> str | None:
    """The capability that a call needs, None if every server has to have it."""
    parts = path.strip("/").split("/")
    if parts[0] == "conversations":
        return "conversations"
    if parts == ["responses"]:
        return _needed_to_create(body) if isinstance(body, dict) else None
    named: Mapping[str, str] = {"input_tokens": "count", "compact": "compact", "input_items": "input items"}
    last = named.get(parts[-1])
    if last is not None:
        return last
    if parts[-1] == "cancel":
        return "background"
    return {"GET": "get", "DELETE": "delete"}.get(method)


def _needed_to_create(body: Item) -> str | None:
    tests: Mapping[str, Callable[[Item], bool]] = {
        "background": lambda asked: bool(asked.get("background")),
        "compaction": lambda asked: bool(asked.get("context_management")),
        "conversations": lambda asked: bool(asked.get("conversation")),
        "tools": lambda asked: bool(asked.get("tools")) and asked.get("tool_choice") not in (None, "auto", "none"),
    }
    return next((name for name, test in tests.items() if test(body)), None)


def terms_of(
    driver: Driver, model: str, profile: str, upstream: Upstream | None = None
) -> tuple[Terms, dict[str, str]]:
    """The terms for a server, and what showed that a capability is missing; the mock has all of them."""
    if driver.controls:
        return DEFAULT._replace(profile=profile), {}
    lacks = dict(Probe(driver, model, upstream).run())
    return Terms(profile, frozenset(lacks), upstream), lacks
