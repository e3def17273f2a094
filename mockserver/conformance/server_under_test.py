"""The server under test as the fixed rules see it: calls that must succeed, expected errors, claims with evidence.

A false claim raises AssertionError with the expected and the found value; a true one is recorded.
"""

# How it works. A check calls methods of this class in the order of a story; each method that claims something
# appends a sentence to `claims`, and the claims of a rule that passed are its evidence in the report.
#
# What must stay true:
# * A claim names what was expected and what was found, because its reader has the report and not the code.
# * What only the mock can show (its context, its clock) has another way for foreign servers, or raises
#   NotObservable: `check_context` counts tokens there instead of reading the context.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from mockserver.conformance.drivers import NO_ANSWER, NOON, Answer, Driver
from mockserver.conformance.expected_errors import ExpectedError
from mockserver.conformance.usage_invariants import check_usage, usages_of

Item = dict[str, Any]

SHORT = 160  # characters of a value shown in evidence
DAY = 86_400
SLOW_S = 100.0  # seconds from a slow turn's start to its first token
TOOL = {
    "type": "function",
    "name": "lookup",
    "description": "Looks something up.",
    "parameters": {
        "type": "object",
        "properties": {"key": {"type": "string"}},
        "required": ["key"],
        "additionalProperties": False,
    },
    "strict": True,
}
FORCED = {"tools": [TOOL], "tool_choice": {"type": "function", "name": "lookup"}}
NOWHERE = "f" * 50  # after its prefix, no id of any server is this


class NotObservable(Exception):
    """The rule can't be observed on this server; the message says why."""


def user(text: str, **members: Any) -> Item:
    return {"type": "message", "role": "user", "content": text, **members}


def words(number: int) -> str:
    """A text of the given number of tokens."""
    return " word" * number


def call_of(response: Item) -> Item:
    """The first function call of a response's output; raises AssertionError without one."""
    for item in response["output"]:
        if item["type"] == "function_call":
            return item
    raise AssertionError(f"the output holds no function_call: {short(response['output'])}")


def output_for(call: Item, output: str = "found") -> Item:
    """The output item that answers a function call."""
    return {"type": "function_call_output", "call_id": call["call_id"], "output": output}


def text_of(item: Item) -> str:
    """The text of an item, its type if it has none."""
    if item["type"] == "message":
        content = item["content"]
        if isinstance(content, str):
            return content
        return "".join(part.get("text") or part.get("refusal") or "" for part in content)
    return str(item.get("output") or item.get("name") or item["type"])


def texts_of(items: Sequence[Item]) -> list[str]:
    return [text_of(item) for item in items]


def short(value: Any) -> str:
    """The value in one line of at most `SHORT` characters."""
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"


class ServerUnderTest:
    """A server, the model to ask it for, and the claims that have held so far."""

    def __init__(self, driver: Driver, model: str) -> None:
        self.driver, self.model = driver, model
        self.claims: list[str] = []
        self.others: list[Driver] = []
        self._usage_is_scripted = False

    @property
    def mock(self) -> bool:
        """Whether the server is the mock, whose answers and guesses are known exactly."""
        return self.driver.controls

    # --- claims ------------------------------------------------------------------------------------------------

    def check_equal(self, what: str, found: Any, expected: Any) -> None:
        """Claim that two values are equal."""
        if found != expected:
            raise AssertionError(f"{what}: expected {short(expected)}, found {short(found)}")
        self.claims.append(f"{what}: {short(expected)}")

    def check(self, claim: str, truth: object, found: Any = None) -> None:
        """Claim a sentence."""
        if not truth:
            raise AssertionError(f"not so: {claim}" + ("" if found is None else f"; found {short(found)}"))
        self.claims.append(claim)

    def check_members(self, what: str, found: Item, **expected: Any) -> None:
        """Claim values of an object's members."""
        # A marker of its own, because a member may be there and null.
        missing = object()
        for name, value in expected.items():
            got = found.get(name, missing)
            self.check_equal(f"{what}.{name}", "(no such member)" if got is missing else got, value)

    # --- calls -------------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        """Send a request; any answer is returned, once the usage in it has been found to add up. Spec: O2, R8.6."""
        answer = self.driver.call(method, path, body, **query)
        if not self._usage_is_scripted:
            for usage in usages_of(answer.body, answer.events):
                check_usage(usage)
        return answer

    def call_ok(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """Send a request, claiming 200; returns the body, or the events of a stream."""
        answer = self.call(method, path, body, **query)
        if answer.status != 200:
            raise AssertionError(
                f"{_describe_call(method, path, body, query)}: expected 200, found {_describe_answer(answer)}"
            )
        return answer.body if answer.events is None else answer.events

    def check_error(self, error: ExpectedError, method: str, path: str, body: Any = None, **query: str) -> None:
        """Claim that a call fails with an error; guessed members are checked only on the mock."""
        answer = self.call(method, path, body, **query)
        name = _describe_call(method, path, body, query)
        if answer.status != error.status:
            raise AssertionError(f"{name}: expected {error.status} ({error.row}), found {_describe_answer(answer)}")
        for member in ("code", "param", "message"):
            if member in error.guessed and not self.mock:
                continue
            actual, expected = answer.error.get(member), getattr(error, member)
            if actual != expected:
                where = _describe_answer(answer)
                raise AssertionError(
                    f"{name}: {error.row} has {member} {short(expected)!r}, found {short(actual)!r} in {where}"
                )
        self.claims.append(f"{name}: {error.status} {error.row}")

    def check_create_refused(self, error: ExpectedError, input: Any = "ping", **fields: Any) -> None:
        """Claim that creating a response is refused."""
        self.check_error(error, "POST", "/responses", {"model": self.model, "input": input, **fields})

    # --- responses ---------------------------------------------------------------------------------------------

    def create(self, input: Any = "ping", **fields: Any) -> Any:
        """Create a response; returns it, or its events with `stream`."""
        return self.call_ok("POST", "/responses", {"model": self.model, "input": input, **fields})

    def chain(self, parent: Item, input: Any = "and then?", **fields: Any) -> Any:
        """Create a response after another."""
        return self.create(input, previous_response_id=parent["id"], **fields)

    def stream(self, input: Any = "ping", **fields: Any) -> list[Item]:
        """Create a response as a stream; returns its events."""
        events = self.create(input, stream=True, **fields)
        if not isinstance(events, list):
            raise AssertionError(f"stream:true did not answer with events but with {short(events)}")
        return events

    def get(self, response: Item) -> Any:
        return self.call_ok("GET", f"/responses/{response['id']}")

    def delete(self, response: Item) -> Any:
        """Delete a response; returns the marker."""
        return self.call_ok("DELETE", f"/responses/{response['id']}")

    def inputs(self, response: Item, **query: str) -> list[Item]:
        """The input items of a response, oldest first, all on one page."""
        path = f"/responses/{response['id']}/input_items"
        return list(self.call_ok("GET", path, **{"order": "asc", "limit": "100", **query})["data"])

    def count(self, **body: Any) -> int:
        """The input tokens that the server counts for a request; raises NotObservable if it can't count."""
        path = "/responses/input_tokens"
        answer = self.call("POST", path, {"model": self.model, **body})
        # A 404 may also be the right answer to this very request, so a plain request decides whether the
        # endpoint exists.
        lacking = answer.status in (404, 405, 501) and not self.mock
        if lacking and self.call("POST", path, {"model": self.model, "input": "x"}).status != 200:
            raise NotObservable(f"the server has no {path}")
        if answer.status != 200:
            raise AssertionError(f"POST {path}: expected 200, found {_describe_answer(answer)}")
        return int(answer.body["input_tokens"])

    def check_context(self, response: Item, *context: str | Item) -> None:
        """Claim what the model saw: user texts and items, oldest first; other servers show only its token count."""
        items = [user(item) if isinstance(item, str) else item for item in context]
        expected = texts_of(items)
        if self.mock:
            read = self.driver.control("GET", f"/responses/{response['id']}/context")["items"]
            self.check_equal("the context that the model saw", texts_of(read), expected)
        else:
            # messages cost the same without their ids, which need not be known any more
            known = self.count(input=[_anonymous(item) if item["type"] == "message" else item for item in items])
            self.check_equal(
                "usage.input_tokens against the same items replayed", response["usage"]["input_tokens"], known
            )

    # --- conversations -----------------------------------------------------------------------------------------

    def conversation(self, *items: Item, **fields: Any) -> Item:
        """Create a conversation."""
        body = {**fields, **({"items": list(items)} if items else {})}
        return dict(self.call_ok("POST", "/conversations", body))

    def items(self, conversation: Item, **query: str) -> list[Item]:
        """The items of a conversation, oldest first, all on one page."""
        path = f"/conversations/{conversation['id']}/items"
        return list(self.call_ok("GET", path, **{"order": "asc", "limit": "100", **query})["data"])

    def add(self, conversation: Item, *items: Item) -> list[Item]:
        """Add items to a conversation by hand; returns them as stored."""
        return list(self.call_ok("POST", f"/conversations/{conversation['id']}/items", {"items": list(items)})["data"])

    def drop(self, conversation: Item, item: Item) -> Any:
        """Delete an item of a conversation; returns the server's answer."""
        return self.call_ok("DELETE", f"/conversations/{conversation['id']}/items/{item['id']}")

    # --- the mock's controls -----------------------------------------------------------------------------------

    def in_other_project(self) -> ServerUnderTest:
        """The same server, in another project."""
        self.others.append(self.driver.new_project("elsewhere"))
        return ServerUnderTest(self.others[-1], self.model)

    def freeze(self) -> None:
        """Stop the clock, on a whole second."""
        self.driver.control("PUT", "/clock", {"now": NOON})

    def advance(self, seconds: float) -> None:
        """Move the clock."""
        self.driver.control("POST", "/clock/advance", {"seconds": seconds})

    def script(self, reply: Item, **line: Any) -> None:
        """Queue a reply for the next turn."""
        self._usage_is_scripted |= "usage" in reply or "response" in reply
        self.driver.control("POST", "/script", {"lines": [{"reply": reply, **line}]})

    def slow(
        self, input: Any = "ping", *, text: str = "one two three", stops: Item | None = None, **fields: Any
    ) -> Any:
        """Start a turn in the background that is queued for `SLOW_S` seconds, then takes a second for a token."""
        pacing = {"first_token": SLOW_S, "tokens_per_second": 1}
        self.script({"text": text, **(stops or {})}, pacing=pacing)
        return self.create(input, background=True, **fields)

    def finish(self) -> None:
        """Let a slow turn end."""
        self.advance(2 * SLOW_S)


def _anonymous(item: Item) -> Item:
    return {name: value for name, value in item.items() if name != "id"}


def _describe_call(method: str, path: str, body: Any, query: dict[str, str]) -> str:
    parameters = "?" + "&".join(f"{key}={value}" for key, value in query.items()) if query else ""
    sent = "" if body is None else f" {short(body)}"
    return f"{method} {path}{parameters}{sent}"


def _describe_answer(answer: Answer) -> str:
    if answer.status == NO_ANSWER:
        return f"no answer: {short(answer.body)}"
    if answer.events is not None:
        return f"{answer.status} with a stream of {len(answer.events)} events"
    return f"{answer.status} {short(answer.error or answer.body)}"
