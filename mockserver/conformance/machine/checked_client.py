"""One program against one server: each turn is predicted by the reference, sent, compared, and recorded.

Assertion rewriting is off, so failures show only the messages written here: PYTEST_DONT_REWRITE.
"""

# How it works. `turn` is the core: the reference judges the request first, then the server answers, then both
# are compared. A refused turn has to be refused with that very error; an answered one is checked against its
# request (`check_echo`), at its end (`check_end`), and in what was stored (`finish`), and the ids that the
# server chose are learnt.
#
# What must stay true:
# * Messages of other servers are not compared, only status and code: nobody promises their wording.
# * Scripted outcomes and clocks need the control API (`controls`); without it a turn is expected to be
#   completed.
# * A conversation's tail is read after each turn. To read it whole each time would make a program's cost
#   quadratic; `audit` reads everything once at the end.

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic, sleep
from typing import Any, NamedTuple

from mockserver.conformance.drivers import NOON, Answer, Driver
from mockserver.conformance.leniency import is_refusal
from mockserver.conformance.machine.lenient_checks import check_echoes, check_seen
from mockserver.conformance.machine.reference_model import (
    CHAINABLE,
    RUNNING,
    Conversation,
    Item,
    PredictedError,
    Reference,
    Response,
    item_of,
    without_billing,
)
from mockserver.conformance.machine.requests import CALLING, CHAT, NO_REASONING, REPLIES, SLOW_LINE, SLOW_S, RequestCase
from mockserver.conformance.stream_invariants import check_stream
from mockserver.conformance.terms import DEFAULT, Terms
from mockserver.conformance.usage_invariants import check_usage

Json = dict[str, Any]

MOST = 100  # items on a page
PATIENCE_S = 120.0  # how long a foreign server may take for a turn in the background
_COUNTED = frozenset(
    {"model", "input", "previous_response_id", "conversation", "instructions"} | CALLING.keys()
)  # of a request, what the input tokens depend on


class ProjectSet(NamedTuple):
    """The projects of a server: one to begin in, one to continue in after a move, and one that must see nothing.

    `terms` are those on which it is judged.
    """

    driver: Driver
    elsewhere: Driver
    other: Driver
    terms: Terms = DEFAULT


def stage_of(driver: Driver, terms: Terms = DEFAULT) -> ProjectSet:
    """The projects for programs on a server; all are the same one where the server has no projects."""
    if not driver.controls:
        return ProjectSet(driver, driver, driver, terms)
    return ProjectSet(driver.new_project("machine"), driver.new_project("moved"), driver.new_project("other"), terms)


class CheckedClient:
    """A server, and the reference model of what it should store."""

    def __init__(self, stage: ProjectSet, model: str | None = None) -> None:
        self.driver, self.elsewhere, self.other, self.terms = stage
        self.controls = self.driver.controls
        self.lenient = self.terms.lenient and not self.controls
        self.model = model
        self.reference = Reference()
        if self.controls:
            self.driver.control("POST", "/reset", {})
            self.driver.control("PUT", "/clock", {"now": NOON})
            self.reference.now = NOON

    def has(self, *capabilities: str) -> bool:
        """Whether the server has these capabilities."""
        return self.terms.lacks.isdisjoint(capabilities)

    def is_open(self, item: str) -> bool:
        """Whether an item's fate is open: by the rules, or since earlier programs on the server chose the same id."""
        return item in self.reference.unsure or (not self.controls and "_own_" in item)

    # --- asking

    def ok(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """Call the API and return the body of a 200."""
        answer = self.driver.call(method, path, body, **query)
        assert answer.status == 200, f"{method} {path} {body or query}: {answer.status} {answer.body}"
        return answer.body

    def check_error(self, answer: Answer, refusal: PredictedError) -> None:
        """Check that an answer is the predicted error; its message only where the server is the mock."""
        if self.lenient:
            assert is_refusal(answer), f"{refusal}: not refused but {answer.status} {answer.body or answer.events}"
            return
        assert answer.status == refusal.status, f"{refusal}: not {answer.status} {answer.body}"
        if self.controls:
            assert answer.error == refusal.error, f"{refusal}: {answer.error}"
        elif refusal.code is not None:
            assert answer.error.get("code") == refusal.code, f"{refusal}: {answer.error}"

    def reads_reasoning(self, ask: RequestCase) -> bool:
        """Whether the requested model takes reasoning items."""
        return (self.model or ask.model) not in NO_REASONING

    def request(self, ask: RequestCase, sent: Any, parent: str | None, conversation: str | None) -> Json:
        """The body of a turn's request."""
        body: Json = {"model": self.model or ask.model}
        if sent is not None:
            body["input"] = sent
        if parent is not None:
            body["previous_response_id"] = parent
        if conversation is not None:
            body["conversation"] = {"id": conversation} if ask.counted else conversation
        if ask.store is not None:
            body["store"] = ask.store
        if ask.transport == "sse":
            body["stream"] = True
        if ask.instructions is not None:
            body["instructions"] = ask.instructions
        if ask.metadata:
            body["metadata"] = {"colour": ask.text}
        return body

    def send(self, ask: RequestCase, body: Json) -> Answer:
        """Send a turn's request over its transport; sockets have no background turns (R6.12)."""
        if ask.transport == "websocket" and self.driver.sockets and not body.get("background"):
            return self.driver.create_over_socket(body)
        return self.driver.call("POST", "/responses", body)

    def turn(
        self,
        ask: RequestCase,
        *,
        parent: str | None = None,
        conversation: str | None = None,
        input: tuple[Any, list[Item]] | None = None,
        calling: bool = False,
        background: bool = False,
        slow: bool = False,
    ) -> str | None:
        """Take a turn, with `input` (as sent, and its items) in place of the case's own; returns the response's id.

        Returns None for a turn that is refused as predicted.
        """
        slow = slow and self.controls
        ask = ask._replace(transport="json") if slow else ask
        sent, own = ask.input_and_items() if input is None else input
        body = self.request(ask, sent, parent, conversation)
        body |= CALLING if calling else {}
        body |= {"background": True} if background else {}
        refusal = self.reference.judge(
            own,
            parent=parent,
            conversation=conversation,
            store=ask.store,
            reasons=self.reads_reasoning(ask),
        )
        if refusal is not None:
            self.check_error(self.send(ask, body), refusal)
            self.check_tail(conversation)
            return None
        outcome = ask.outcome if self.controls and not (slow or calling) else "completed"
        # Counted before the turn is sent, because a turn in a conversation changes what the next one costs.
        counted = self.count(body) if ask.counted and self.has("count") and not self.lenient else None
        if slow or outcome != "completed":
            line = SLOW_LINE if slow else {"reply": REPLIES[outcome]}
            self.driver.control("POST", "/script", {"lines": [line]})
        answer = self.send(ask, body)
        if outcome == "error":
            assert (answer.status, answer.error.get("code")) == (503, "server_is_overloaded"), answer
            self.check_tail(conversation)
            return None
        assert answer.status == 200, f"{body}: {answer.status} {answer.body}"
        response = self.record_turn(body, own, answer, SLOW_S if slow else 0.0)
        assert not self.controls or response.status == (outcome if response.events or not background else "queued"), (
            response.status
        )
        if not slow:
            self.finish(response, self.poll(response) if response.running else response.body)
        if counted is not None and response.body.get("usage"):
            assert response.body["usage"]["input_tokens"] == counted, (
                f"counted {counted}, used {response.body['usage']} (R8.2)"
            )
        if calling and self.controls and response.body["status"] == "completed":
            assert [item.type for item in response.output][-1] == "function_call", response.output
        return response.id

    def count(self, body: Json) -> int:
        """Count the input tokens of a request. Spec: R8.1."""
        counted = {key: value for key, value in body.items() if key in _COUNTED}
        count: int = self.ok("POST", "/responses/input_tokens", counted)["input_tokens"]
        return count

    # --- learning

    def record_turn(self, request: Json, own: list[Item], answer: Answer, seconds: float) -> Response:
        """Record a turn as it was answered: in progress in the background, or ended."""
        body = answer.body
        if answer.events is not None:
            body = answer.events[-1]["response"] if self.lenient else check_stream(answer.events)
        parent, conversation = request.get("previous_response_id"), request.get("conversation")
        conversation = conversation["id"] if isinstance(conversation, dict) else conversation
        known = self.reference
        assert body["id"] not in known.responses, f"{body['id']} for the second time"
        assert body["id"].startswith("resp_"), body["id"]
        self.check_echo(body, request, parent, conversation)
        response = Response(
            id=body["id"],
            parent=parent,
            conversation=conversation,
            created_at=body["created_at"],
            stored=bool(request.get("store", True)) if self.lenient else body["store"],
            status=body["status"],
            instructions=request.get("instructions"),
            background=bool(request.get("background")),
            streamed=answer.events is not None,
            before=known.context(parent, conversation),
            own=own,
            ends_at=known.now + seconds,
            body=body,
            events=answer.events,
        )
        if self.controls:
            assert response.created_at == int(known.now), f"created at {response.created_at}, now is {known.now}"
            self.check_partition(response)
        known.responses[response.id] = response
        if response.running:
            assert (body["output"], body.get("usage")) == ([], None), "output before it was made (R6.1)"
            if conversation is not None:
                known.conversations[conversation].running = response.id
        return response

    def check_echo(self, body: Json, request: Json, parent: str | None, conversation: str | None) -> None:
        """Check what a response repeats of its request. Spec: R1.1, R1.21, R1.22, R1.26, R1.54, R2.7, R15.1, W10."""
        if self.lenient:
            named = {"previous_response_id": parent, "store": request.get("store", True)}
            check_echoes(body, {**named, "conversation": conversation and {"id": conversation}})
            return
        assert body["object"] == "response"
        assert body["previous_response_id"] == parent, f"echoes {body['previous_response_id']} for {parent} (R1.26)"
        echoed = body.get("conversation", "absent")
        assert echoed == ({"id": conversation} if conversation else "absent"), f"conversation is {echoed} (R2.7, W10)"
        assert body["instructions"] == request.get("instructions"), f"instructions {body['instructions']!r} (R1.21)"
        assert body["metadata"] == request.get("metadata", {}), f"metadata {body['metadata']} (R15.1)"
        assert body["store"] is request.get("store", True), f"store is {body['store']} (R1.1)"
        assert body["background"] is request.get("background", False), f"background is {body['background']} (R1.54)"
        assert len(body["tools"]) == len(request.get("tools", ())), f"tools {body['tools']} (R1.22)"
        assert body["model"].startswith(request["model"]), f"model is {body['model']} (R1.22)"

    def check_partition(self, response: Response) -> None:
        """Check that a chain's or conversation's ids share their key, and say if nothing is kept. Spec: R1.60, W1."""
        key = response.id.removeprefix("resp_")[:18]
        assert key[16:] == ("00" if response.stored else "01"), (
            f"{response.id} is {'' if response.stored else 'not '}stored (W1)"
        )
        if response.parent is not None:
            assert response.parent.removeprefix("resp_")[:16] == key[:16], (
                f"{response.id} after {response.parent} (R1.60)"
            )
        if response.conversation is not None:
            assert response.conversation.endswith(key[:16]), f"{response.id} in {response.conversation} (R1.60)"

    def poll(self, response: Response) -> Json:
        """Wait for a background response to end: the mock's has ended by now, a foreign server gets time."""
        # Only foreign servers are waited for: where the mock's clock decides, the turn has ended by now.
        deadline = monotonic() + PATIENCE_S
        while (body := self.ok("GET", f"/responses/{response.id}"))["status"] in RUNNING:
            assert not self.controls, f"{response.id} should have ended by now"
            assert monotonic() < deadline, f"{response.id} is still {body['status']}"
            sleep(1.0)
        final: Json = body
        return final

    def finish(self, response: Response, body: Json) -> None:
        """Record a turn's end, and check what was output and stored."""
        response.status, response.body = body["status"], body
        response.output = [item_of(item) for item in body["output"]]
        response.ends_at = min(response.ends_at, self.reference.now)  # a cancelled one ends before its time
        self.check_end(response)
        conversation = self.reference.conversations[response.conversation] if response.conversation else None
        if response.readable and self.has("input items"):
            listed = self.ok(
                "GET", f"/responses/{response.id}/input_items", limit=str(min(len(response.own) + 2, MOST))
            )["data"]
            self.name(response.own, [item_of(item) for item in reversed(listed[: len(response.own)])])
            # Two more items than the turn brought: they have to be the last ones of its history (R3.3).
            older = (
                list(response.before[-(len(listed) - len(response.own)) :]) if len(listed) > len(response.own) else []
            )
            assert [item["id"] for item in reversed(listed[len(response.own) :])] == older, (
                "history in input_items (R3.3)"
            )
            assert len(listed) == min(len(response.saw), len(response.own) + 2, MOST), (
                "input_items are not the context (R3.3)"
            )
        # The conversation was deleted while the turn ran; the rules don't say whether its items can be found.
        if conversation is not None and conversation.deleted:
            self.reference.unsure.update(item.id for item in (*response.own, *response.output))
        elif (
            conversation is not None
            and response.status in CHAINABLE
            and not (response.readable and self.has("input items"))
        ):
            new = len(response.own) + len(response.output)
            tail = self.tail(conversation.id, new)
            self.name(response.own, tail[: len(response.own)])
        for place, item in enumerate(response.own):
            if not item.id:  # nothing tells which id it got
                response.own[place] = item._replace(id=f"unlisted of {response.id} {place}")
                self.reference.unsure.add(response.own[place].id)
        self.reference.finish(response)
        self.check_tail(response.conversation, len(response.own) + len(response.output) + 1)

    def check_end(self, response: Response) -> None:
        """Check the final body of a turn by itself. Spec: O1, O2, R6.5, R8.6."""
        body, usage = response.body, response.body.get("usage")
        assert response.status in (*CHAINABLE, "failed", "cancelled"), f"status {response.status}"
        if self.lenient:
            check_seen(response.output, self.context(response), response.instructions)
            return
        assert (usage is not None) or response.status not in CHAINABLE, "no usage (O2)"
        if usage is not None:
            check_usage(usage)
        if response.status == "cancelled":
            assert (body["output"], usage) == ([], None), "a cancelled response keeps nothing (R6.5)"
        assert (body["error"] is not None) == (response.status == "failed"), body["error"]
        assert (body["incomplete_details"] is not None) == (response.status == "incomplete"), body["incomplete_details"]
        ids = [item.id for item in response.output]
        assert len(set(ids)) == len(ids), f"{ids} for {response.id}"
        # Ids are unique in the project, not only in the response.
        assert not self.reference.items.keys() & set(ids), f"an id of {ids} for the second time"
        if self.controls and response.status == "completed":
            assert body["completed_at"] == int(response.ends_at), (
                f"completed at {body['completed_at']}, not {response.ends_at} (O1)"
            )
        if self.controls and response.status == "completed" and response.output[-1].text.startswith(ECHO):
            assert response.output[-1].text == self.echo_text(response), (
                f"{response.output[-1].text!r}, not {self.echo_text(response)!r} (R1.20)"
            )

    def context(self, response: Response) -> list[Item]:
        """The items that the model should have seen."""
        return [*map(self.reference.items.__getitem__, response.before), *response.own]

    def echo_text(self, response: Response) -> str:
        """The text that the default model answers with; it shows what the model saw."""
        context = self.context(response)
        last = next((item.text for item in reversed(context) if item.role == "user"), "")
        return f"{ECHO}{last} [{len(context)} items in context]"

    def name(self, expected: list[Item], listed: Sequence[Item]) -> None:
        """Check listed items against those that were sent, and learn the ids that they were given. Spec: R3.2, R3.6."""
        assert len(expected) == len(listed), f"{expected} is listed as {listed}"
        for index, (mine, theirs) in enumerate(zip(expected, listed, strict=True)):
            same = theirs._replace(id=mine.id or theirs.id, reference=mine.reference)
            assert mine._replace(id=theirs.id) == same, f"{mine} is listed as {theirs}"
            expected[index] = mine._replace(id=theirs.id)

    # --- looking

    def tail(self, id: str, length: int) -> list[Item]:
        """The last items of a conversation, oldest first."""
        listed = self.ok("GET", f"/conversations/{id}/items", limit=str(max(1, min(length, MOST))))["data"]
        return [item_of(item) for item in reversed(listed)]

    def check_tail(self, id: str | None, length: int = 2) -> None:
        """Check that a conversation, if there is one, ends as it should. Spec: R2.8–R2.10."""
        conversation = self.reference.conversations[id] if id is not None else None
        if conversation is not None and not conversation.deleted:
            wanted = [self.reference.items[item_id] for item_id in conversation.items[-max(1, min(length, MOST)) :]]
            self.name(wanted, self.tail(conversation.id, length))

    def check_missing(self, id: str) -> None:
        """Check that a response can't be read or continued. Spec: R1.4, R1.12, R1.14, R1.24, R3.5."""
        calls = (
            ("get", "GET", ""),
            ("delete", "DELETE", ""),
            ("background", "POST", "/cancel"),
            ("input items", "GET", "/input_items"),
        )
        for method, path in [call[1:] for call in calls if self.has(call[0])]:
            self.check_error(self.driver.call(method, f"/responses/{id}{path}"), PredictedError("E75", id))
        body = {"model": self.model or CHAT, "input": "red", "previous_response_id": id}
        self.check_error(self.driver.call("POST", "/responses", body), PredictedError("E60", id))

    def check_conversation_missing(self, id: str) -> None:
        """Check that a conversation can't be read or continued. Spec: R2.5, R2.6, R2.7."""
        calls: tuple[tuple[str, str, Json | None], ...] = (
            ("GET", "", None),
            ("POST", "", {"metadata": {}}),
            ("DELETE", "", None),
            ("GET", "/items", None),
            ("POST", "/items", {"items": [{"role": "user", "content": "red"}]}),
        )
        for method, path, sent in calls:
            self.check_error(self.driver.call(method, f"/conversations/{id}{path}", sent), PredictedError("E64", id))
        body = {"model": self.model or CHAT, "input": "red", "conversation": id}
        self.check_error(self.driver.call("POST", "/responses", body), PredictedError("E63", id))

    def check_response(self, id: str) -> None:
        """Check everything that can be read of a response. Spec: R1.2, R1.20, R1.21, R6.2, S9."""
        response = self.reference.responses[id]
        if not self.has("get"):
            return
        if not self.reference.alive(id):
            self.check_error(self.driver.call("GET", f"/responses/{id}"), PredictedError("E75", id))
            return
        body = self.ok("GET", f"/responses/{id}")
        if response.running:
            assert body["status"] in RUNNING, f"{id} is {body['status']} before its time"
            assert body["usage"] is None
            return
        if self.lenient:
            assert body["status"] == response.status, f"{id} is {body['status']}, was {response.status} (S9)"
            found = [item_of(item) for item in body["output"]]
            assert found == response.output, f"output of {id} is {found}, was {response.output} (S9)"
            return
        assert without_billing(body) == without_billing(response.body), (
            f"{id} reads otherwise than it was answered (S9)"
        )
        if self.controls:
            context = self.driver.control("GET", f"/responses/{id}/context")
            assert [item["id"] for item in context["items"]] == list(response.saw), f"context of {id} (R1.20)"
            assert context["instructions"] == response.instructions, f"instructions of {id} (R1.21)"
            assert context["input_tokens"] == (body["usage"] or {}).get("input_tokens"), f"tokens of {id} (R1.29)"

    def check_conversation(self, id: str) -> None:
        """Check a conversation and all of its items. Spec: R2.4–R2.8."""
        conversation = self.reference.conversations[id]
        if conversation.deleted:
            self.check_conversation_missing(id)
            return
        assert self.ok("GET", f"/conversations/{id}")["metadata"] == conversation.metadata, f"metadata of {id} (R2.4)"
        listed: list[str] = []
        query = {"order": "asc", "limit": str(MOST)}
        while True:
            page = self.ok("GET", f"/conversations/{id}/items", **query)
            listed += [item["id"] for item in page["data"]]
            if not page["has_more"]:
                break
            query["after"] = page["last_id"]
        assert listed == conversation.items, f"items of {id} (R2.8)"

    def audit(self) -> None:
        """Check everything that should be stored, and that nothing else is."""
        for id in self.reference.responses:
            self.check_response(id)
        for id in self.reference.conversations:
            self.check_conversation(id)
        if self.controls:
            known = self.reference
            listed = [response["id"] for response in self.driver.control("GET", "/responses?limit=1000")["data"]]
            ended = [id for id, response in known.responses.items() if known.alive(id) and not response.running]
            running = {id for id, response in known.responses.items() if response.running}
            # The list is newest first and ends after 1,000 responses.
            assert [id for id in listed if id not in running] == ended[:-1001:-1], "stored responses"

    def close(self) -> None:
        """Delete everything that the program created."""
        if self.controls:
            for project in (self.driver, self.elsewhere):
                project.control("POST", "/reset", {})
            return
        for id, response in self.reference.responses.items():
            if self.reference.alive(id) and not response.running and self.has("delete"):
                self.driver.call("DELETE", f"/responses/{id}")
        for id, conversation in self.reference.conversations.items():
            if not conversation.deleted:
                self.driver.call("DELETE", f"/conversations/{id}")

    # --- conversations, as other rooms of the machine need them

    def record_items(self, conversation: Conversation, items: Iterable[Item], listed: Sequence[Json]) -> list[str]:
        """Record items that were added by hand."""
        new = list(items)
        self.name(new, [item_of(item) for item in listed])
        self.reference.append(conversation, new)
        return [item.id for item in new]


ECHO = "Mock reply to: "
