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

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from mockserver.conformance.capabilities import needed
from mockserver.conformance.connections import Connections, connections_of
from mockserver.conformance.drivers import NO_ANSWER, NOON, Answer, Driver
from mockserver.conformance.expected_errors import ExpectedError
from mockserver.conformance.leniency import ECHOES, is_absent, is_refusal, tolerate
from mockserver.conformance.recorder import Recorder
from mockserver.conformance.terms import CAPABILITIES, DEFAULT, NotObservable, Terms
from mockserver.conformance.usage_invariants import check_usage, usages_of
from mockserver.model.echo_model import read_echo, show_item

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


def missing(capability: str) -> NotObservable:
    """What is raised where a server lacks a capability."""
    return NotObservable(CAPABILITIES[capability], capability)


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

    def __init__(self, driver: Driver, model: str, terms: Terms = DEFAULT) -> None:
        self.driver, self.model, self.terms = driver, model, terms
        self.claims: list[str] = []
        self.others: list[Driver] = []
        self.opened: list[Callable[[], object]] = []  # what closes the connections of the rule
        self.made: list[str] = []  # the paths of what a foreign server was made to keep
        self._usage_is_scripted = False
        self._contexts: dict[str, Item] = {}  # what the model saw, by response, where a foreign server shows it

    @property
    def mock(self) -> bool:
        """Whether the server is the mock, whose answers and guesses are known exactly."""
        return self.driver.controls

    @property
    def lenient(self) -> bool:
        """Whether the server is a foreign one that is judged by what it keeps, not by its grammar."""
        return self.terms.lenient and not self.mock

    @property
    def connections(self) -> Connections:
        """What opens connections that a rule holds; raises NotObservable where nothing does."""
        connections = connections_of(self.driver)
        if connections is None:
            raise NotObservable("needs connections that can be held")
        self._leave_scripts()
        return connections

    def _leave_scripts(self) -> None:
        """Note that something is done now that no script of calls tells."""
        if isinstance(self.driver, Recorder):
            self.driver.whole = False

    def has(self, capability: str) -> bool:
        """Whether the server has a capability."""
        return capability not in self.terms.lacks

    # --- claims ------------------------------------------------------------------------------------------------

    def check_equal(self, what: str, found: Any, expected: Any) -> None:
        """Claim that two values are equal; an echo that is missing claims nothing in the profile `state`."""
        if is_absent(found):
            return
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
        nothing = object()
        for name, value in expected.items():
            got = found.get(name, nothing)
            if self.lenient and name in ECHOES and got in (nothing, None):
                continue
            self.check_equal(f"{what}.{name}", "(no such member)" if got is nothing else got, value)

    def check_output(self, what: str, found: Item, expected: Item) -> None:
        """Claim that a response holds the output of another; in the profile `state`, its items with their texts."""
        if not self.lenient:
            self.check_equal(f"{what}: output", found["output"], expected["output"])
            return
        told, wanted = ([(item["id"], text_of(item)) for item in one["output"]] for one in (found, expected))
        self.check_equal(f"{what}: items", told, wanted)

    def check_failed(self, response: Item) -> None:
        """Claim that a response failed; in the profile `state`, that it neither completed nor was cut off."""
        if self.lenient:
            self.check("the response failed", response["status"] not in ("completed", "incomplete"), response["status"])
        else:
            self.check_equal("status", response["status"], "failed")

    # --- calls -------------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        """Send a request; any answer is returned, once the usage in it has been found to add up. Spec: O2, R8.6."""
        lacking = needed(method, path, body)
        if lacking in self.terms.lacks and lacking is not None:
            raise missing(lacking)
        answer = self.driver.call(method, path, body, **query)
        if not self.mock:
            self.remember(method, path, answer)
        if self.lenient:
            return tolerate(answer)
        if not self._usage_is_scripted:
            for usage in usages_of(answer.body, answer.events):
                check_usage(usage)
        return answer

    def remember(self, method: str, path: str, answer: Answer) -> None:
        """Note what a foreign server was made to keep, and what its model saw, if that shows."""
        if method != "POST" or path not in ("/responses", "/conversations"):
            return
        final = answer.body if answer.events is None else (answer.events or [{}])[-1].get("response")
        if answer.status != 200 or not isinstance(final, dict) or not isinstance(final.get("id"), str):
            return
        self.made.append(f"{path}/{final['id']}")
        if path == "/responses":
            seen = self._look(final)
            if seen is not None:
                self._contexts[final["id"]] = seen

    def _look(self, response: Item) -> Item | None:
        """What the model saw in a turn: it says it itself, or the journal of the mock behind the server does."""
        newest = self.terms.upstream.newest_context() if self.terms.upstream else None
        return _echo_of(response) or newest

    def clean_up(self) -> None:
        """Close what the checks opened; delete what they made a foreign server keep, where it can delete."""
        for close in self.opened[::-1]:
            close()
        self.opened.clear()
        for path in self.made:
            capability = "delete" if path.startswith("/responses") else "conversations"
            if self.has(capability):
                self.driver.call("DELETE", path)
        self.made.clear()

    def call_ok(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """Send a request, claiming 200; returns the body, or the events of a stream."""
        answer = self.call(method, path, body, **query)
        if answer.status != 200:
            raise AssertionError(
                f"{_describe_call(method, path, body, query)}: expected 200, found {_describe_answer(answer)}"
            )
        return answer.body if answer.events is None else answer.events

    def check_error(self, error: ExpectedError, method: str, path: str, body: Any = None, **query: str) -> None:
        """Claim that a call fails with an error; guessed members are checked only on the mock.

        In the profile `state` any refusal of a foreign server will do.
        """
        answer = self.call(method, path, body, **query)
        self.check_refusal(_describe_call(method, path, body, query), error, answer)

    def check_refusal(self, name: str, error: ExpectedError, answer: Answer) -> None:
        """Claim that an answer is this error."""
        if self.lenient:
            if not is_refusal(answer):
                raise AssertionError(f"{name}: expected a refusal ({error.row}), found {_describe_answer(answer)}")
            self.claims.append(f"{name}: refused ({error.row})")
            return
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
        return self._listed(f"/responses/{response['id']}/input_items", query)

    def _listed(self, path: str, query: dict[str, str]) -> list[Item]:
        """A list, oldest first; in the profile `state` of a server that may not know `order`, which R3.1 judges."""
        if self.lenient:
            return list(self.call_ok("GET", path, **{"limit": "100", **query})["data"])[::-1]
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

    def cost(self, input: list[Item] | str, **body: Any) -> int:
        """The input tokens that a request costs, by the model's own count where the server can't count."""
        if self.has("count") or self.terms.upstream is None:
            return self.count(input=input, **body)
        items = input if isinstance(input, str) else [_replayable(item) for item in input]
        try:
            return self.terms.upstream.count({"model": self.model, "input": items, **body})
        except LookupError as error:  # it may not know the ids of a server that makes its own
            raise NotObservable(f"the model behind it can't count these items: {error}") from None

    def check_context(self, response: Item, *context: str | Item) -> None:
        """Claim what the model saw: user texts and items, oldest first; other servers show only its token count."""
        items = [user(item) if isinstance(item, str) else item for item in context]
        expected = texts_of(items)
        if self.mock:
            read = self._read_context(response)["items"]
            self.check_equal("the context that the model saw", texts_of(read), expected)
        elif response["id"] in self._contexts:
            seen = self._contexts[response["id"]]["echo"]
            self.check_equal("the context that the model saw", _told(seen), _told(map(show_item, items)))
        elif not self.has("count"):
            raise missing("echo model")
        else:
            known = self.count(input=[_replayable(item) for item in items])
            self.check_equal(
                "usage.input_tokens against the same items replayed", response["usage"]["input_tokens"], known
            )

    def _read_context(self, response: Item) -> Item:
        """What the mock's model saw; the journal says it of a response that was not stored."""
        if response["store"]:
            return dict(self.driver.control("GET", f"/responses/{response['id']}/context"))
        exchanges = self.driver.control("GET", "/journal?limit=1000&context=full")["data"]
        contexts = (one["context"] for one in exchanges if one.get("response_id") == response["id"])
        return dict(next(context for context in contexts if context is not None))

    def check_instructions(self, response: Item, expected: str | None) -> None:
        """Claim which instructions the model got, where that shows; a system message in their place counts too."""
        if self.mock:
            found = self._read_context(response)["instructions"]
            self.check_equal("instructions that the model saw", found, expected)
        elif response["id"] in self._contexts:
            seen = self._contexts[response["id"]]
            texts = [seen.get("instructions"), *(item["text"] for item in seen["echo"] if item.get("role") in _RULING)]
            found = next((text for text in texts if text == expected), next(filter(None, texts), None))
            self.check_equal("instructions that the model saw", found, expected)

    # --- conversations -----------------------------------------------------------------------------------------

    def conversation(self, *items: Item, **fields: Any) -> Item:
        """Create a conversation."""
        body = {**fields, **({"items": list(items)} if items else {})}
        return dict(self.call_ok("POST", "/conversations", body))

    def items(self, conversation: Item, **query: str) -> list[Item]:
        """The items of a conversation, oldest first, all on one page."""
        return self._listed(f"/conversations/{conversation['id']}/items", query)

    def add(self, conversation: Item, *items: Item) -> list[Item]:
        """Add items to a conversation by hand; returns them as stored."""
        return list(self.call_ok("POST", f"/conversations/{conversation['id']}/items", {"items": list(items)})["data"])

    def drop(self, conversation: Item, item: Item) -> Any:
        """Delete an item of a conversation; returns the server's answer."""
        return self.call_ok("DELETE", f"/conversations/{conversation['id']}/items/{item['id']}")

    # --- the mock's controls -----------------------------------------------------------------------------------

    def in_other_project(self) -> ServerUnderTest:
        """The same server, in another project, which is empty."""
        self.others.append(self.driver.new_project("elsewhere"))
        if self.mock:
            self.others[-1].control("POST", "/reset", {})
        return ServerUnderTest(self.others[-1], self.model, self.terms)

    @property
    def model_control(self) -> Callable[..., Any]:
        """The control API of whoever plays the model: the mock itself, or the one behind a server."""
        if self.mock or self.terms.upstream is None:
            return self.driver.control
        self._leave_scripts()
        return self.terms.upstream.control

    def freeze(self) -> None:
        """Stop the clock of the mock, or of the one behind a server; the mock's stands on a whole second then."""
        now = NOON if self.mock else self.model_control("GET", "/clock")["now"]
        self.model_control("PUT", "/clock", {"now": now})

    def advance(self, seconds: float) -> None:
        """Move the clock that `freeze` stopped."""
        self.model_control("POST", "/clock/advance", {"seconds": seconds})

    def script(self, reply: Item, **line: Any) -> None:
        """Queue a reply for the next turn."""
        self._usage_is_scripted |= "usage" in reply or "response" in reply
        self.model_control("POST", "/script", {"lines": [{"reply": reply, **line}]})

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


_RULING = ("system", "developer")


def _echo_of(response: Item) -> Item | None:
    """What an echo model says that it saw; None if it said something else."""
    texts = [text_of(item) for item in response.get("output") or () if item.get("type") == "message"]
    return read_echo(texts[-1]) if texts else None


def _told(items: Iterable[Item]) -> list[str]:
    """Items of an echo in a line each; a gateway may call a developer a system."""
    roles = dict.fromkeys(_RULING, "system")
    return [f"{roles.get(item.get('role', ''), item.get('role') or item['type'])}: {item['text']}" for item in items]


def _replayable(item: Item) -> Item:
    """The item as input; a message costs the same without its id, which nobody may know any more."""
    if item["type"] != "message":
        return item
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
