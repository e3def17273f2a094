"""The operations of the machine: each does one thing to a server as a client would, and checks everything it changed.

Their arguments are in `operation_table.py`. Spec: P1–P16.

Assertion rewriting is off, so failures show only the messages written here: PYTEST_DONT_REWRITE.
"""

# How it works. An operation sends its requests through `CheckedClient`, which asks the reference what has to
# come, and then looks at everything that the request can have changed. It returns ids for the bundles of
# `operation_table`.
#
# What must stay true:
# * An operation is legal in every state. If its precondition fails, it checks the error that has to come, or
#   does nothing.
# * An id whose fate the rules leave open (`reference.unsure`) is not used.
# * On servers without the control API nothing needs a clock or a script; the table says which operations do.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mockserver.conformance.machine.checked_client import CheckedClient
from mockserver.conformance.machine.operation_table import Operation
from mockserver.conformance.machine.reference_model import (
    RUNNING,
    THIRTY_DAYS,
    Conversation,
    Item,
    PredictedError,
    item_of,
    without_billing,
)
from mockserver.conformance.machine.requests import CHAT, INVALID_REQUESTS, SLOW_S, RequestCase
from mockserver.conformance.stream_invariants import check_stream

Json = dict[str, Any]


class Operations(CheckedClient):
    """A server, and the operations on it. An operation returns ids for later operations."""

    def offers(self, operation: Operation) -> bool:
        """Whether an operation can be tried on this server."""
        if self.controls:
            return True
        return not operation.needs_controls and self.has(*operation.needs) and (operation.lenient or not self.lenient)

    # --- turns

    def create(self, ask: RequestCase) -> str | None:
        """Begin a chain."""
        return self.turn(ask)

    def chain(self, parent: str, ask: RequestCase) -> str | None:
        """Continue a response. Spec: R1.20–R1.32."""
        return self.turn(ask, parent=parent)

    def fork(self, parent: str, ask: RequestCase) -> list[str]:
        """Continue a response twice; neither child knows of the other. Spec: R1.28."""
        return [id for id in (self.turn(ask, parent=parent), self.turn(ask, parent=parent)) if id]

    def converse(self, conversation: str, ask: RequestCase) -> str | None:
        """Take a turn in a conversation. Spec: R2.7–R2.10."""
        return self.turn(ask, conversation=conversation)

    def create_call(self, ask: RequestCase) -> str | None:
        """Make the model call a tool."""
        return self.turn(ask, calling=True)

    def chain_call(self, parent: str, ask: RequestCase) -> str | None:
        """Make the model call a tool in a chain."""
        return self.turn(ask, parent=parent, calling=True)

    def converse_call(self, conversation: str, ask: RequestCase) -> str | None:
        """Make the model call a tool in a conversation."""
        return self.turn(ask, conversation=conversation, calling=True)

    def answer_call(self, call: str, ask: RequestCase) -> str | None:
        """Answer a call in a turn that continues it. Spec: R1.33."""
        return self.turn(ask, parent=call, input=self.outputs(call, ask))

    def answer_elsewhere(self, parent: str, call: str, ask: RequestCase) -> str | None:
        """Answer a call in a turn that continues something else, which need not know of it. Spec: R1.34."""
        return self.turn(ask, parent=parent, input=self.outputs(call, ask))

    def answer_in(self, conversation: str, call: str, ask: RequestCase) -> str | None:
        """Answer a call in a conversation. Spec: R1.35."""
        return self.turn(ask, conversation=conversation, input=self.outputs(call, ask))

    def answer_nothing(self, ask: RequestCase) -> str | None:
        """Send an output without a call. Spec: R1.34."""
        output = Item("function_call_output", ask.text, call_id="call_nobody")
        return self.turn(ask, input=([output_json(output)], [output]))

    def outputs(self, call: str, ask: RequestCase) -> tuple[list[Json], list[Item]]:
        """The outputs of a response's calls as an input; some requests add more after them."""
        calls = [item.call_id for item in self.reference.responses[call].output if item.type == "function_call"]
        own = [Item("function_call_output", ask.text, call_id=id) for id in calls]
        sent = [output_json(item) for item in own]
        more, extra = ask.input_and_items() if ask.form in ("message", "developer") else ([], [])
        return [*sent, *more], [*own, *extra]

    def refer(self, item: str, ask: RequestCase) -> str | None:
        """Refer to a stored item. Spec: R1.37."""
        return None if self.is_open(item) else self.turn(ask, input=self.referring(item, ask))

    def refer_after(self, parent: str, item: str, ask: RequestCase) -> str | None:
        """Refer to a stored item in a chain, which may hold it already. Spec: R1.36."""
        if self.is_open(item):
            return None
        return self.turn(ask, parent=parent, input=self.referring(item, ask))

    def refer_in(self, conversation: str, item: str, ask: RequestCase) -> str | None:
        """Refer to a stored item in a conversation, which may hold it already. Spec: R1.36."""
        is_output = self.reference.items[item].type == "function_call_output"
        if self.is_open(item) or is_output:  # whether a conversation holds one output twice, no rule says
            return None
        return self.turn(ask, conversation=conversation, input=self.referring(item, ask))

    def refer_unknown(self, ask: RequestCase) -> str | None:
        """Refer to an item that never was. Spec: E68, E69."""
        sent = [{"type": "item_reference", "id": "msg_unknown"}]
        return self.turn(ask, input=(sent, [Item("message", id="msg_unknown", reference=True)]))

    def referring(self, id: str, ask: RequestCase) -> tuple[list[Json], list[Item]]:
        """An input with a known item: by reference, or a message written out with its id."""
        item = self.reference.items[id]
        if ask.form == "parts" and item.type == "message":
            part = {"type": "output_text" if item.role == "assistant" else "input_text", "text": item.text}
            sent: Json = {"type": "message", "id": id, "role": item.role, "content": [part]}
            return [sent], [item]
        return [{"type": "item_reference", "id": id}], [item._replace(reference=True)]

    def background(self, ask: RequestCase, slow: bool) -> str | None:
        """Begin a chain in the background. Spec: R6.1, R6.2, R6.6."""
        return self.turn(ask, background=True, slow=slow)

    def background_after(self, parent: str, ask: RequestCase, slow: bool) -> str | None:
        """Continue a response in the background."""
        return self.turn(ask, parent=parent, background=True, slow=slow)

    def background_in(self, conversation: str, ask: RequestCase, slow: bool) -> str | None:
        """Take a turn of a conversation in the background; as long as it runs, no other may. Spec: R2.9, R2.12.

        Items may be added by hand meanwhile: they come before those of the turn.
        """
        id = self.turn(ask, conversation=conversation, background=True, slow=slow)
        if id is not None and self.reference.responses[id].running:
            self.turn(ask._replace(counted=False), conversation=conversation)
            if ask.metadata:
                self.add(conversation, ("user",))
        return id

    # --- responses

    def retrieve(self, id: str) -> list[str]:
        """Read a response; returns items that it made."""
        self.check_response(id)
        response = self.reference.responses[id]
        return [item.id for item in response.output[-2:]] if response.stored else []

    def lose(self, id: str) -> None:
        """Try everything that must fail for a response that is gone."""
        if not self.reference.alive(id):
            self.check_missing(id)

    def replay(self, id: str, after: int) -> None:
        """Stream a response again, from the start and from after an event. Spec: R6.8, S11."""
        path, response = f"/responses/{id}", self.reference.responses[id]
        if not self.reference.alive(id) or response.running:
            refusal = (
                PredictedError("E80") if response.running and self.reference.alive(id) else PredictedError("E75", id)
            )
            self.check_error(self.driver.call("GET", path, stream="true"), refusal)
            return
        events = self.driver.call("GET", path, stream="true").events
        assert events is not None, f"{id} is not streamed"
        assert response.events is None or events == response.events, f"{id} is streamed otherwise than at first (S11)"
        final = check_stream(events)
        assert without_billing(final) == without_billing(response.body), f"{id} ends otherwise when streamed (S9)"
        response.events = events
        rest = self.driver.call("GET", path, stream="true", starting_after=str(after)).events
        assert rest == events[after + 1 :], f"{id} after {after} is streamed from elsewhere (S11.1)"

    def list_input_items(self, id: str, limit: int | None, order: str | None) -> list[str]:
        """List the input items of a response; returns some of them. Spec: R3.1–R3.6."""
        response = self.reference.responses[id]
        if not self.reference.alive(id):
            self.check_error(self.driver.call("GET", f"/responses/{id}/input_items"), PredictedError("E75", id))
        if not self.reference.alive(id) or response.running:
            return []
        return self.page(f"/responses/{id}/input_items", response.saw, limit, order)

    def page_input_items(self, id: str, item: str, limit: int | None, order: str | None) -> None:
        """List the input items of a response after one of them."""
        response = self.reference.responses[id]
        if self.reference.alive(id) and not response.running:
            self.page(f"/responses/{id}/input_items", response.saw, limit, order, item)

    def page(
        self, path: str, ids: Sequence[str], limit: int | None, order: str | None, after: str | None = None
    ) -> list[str]:
        """Check a page of a list against what the list holds; returns some of it. Spec: P25, R2.14, R3.1."""
        parameters = {"limit": None if limit is None else str(limit), "order": order, "after": after}
        query = {key: value for key, value in parameters.items() if value is not None}
        if after is not None and after not in ids:
            assert self.driver.call("GET", path, **query).status == 404, f"{path} after {after}, which it doesn't hold"
            return []
        page = self.ok("GET", path, **query)
        whole = list(ids) if order == "asc" else list(reversed(ids))
        wanted = whole[0 if after is None else whole.index(after) + 1 :]
        shown = wanted[: limit or 20]
        assert [item["id"] for item in page["data"]] == shown, f"{path} {query} (P25)"
        ends = (page["first_id"], page["last_id"], page["has_more"])
        assert ends == (*((shown[0], shown[-1]) if shown else (None, None)), len(wanted) > len(shown)), (query, ends)
        for item in page["data"]:
            assert item_of(item) == self.reference.items[item["id"]], f"{item} was {self.reference.items[item['id']]}"
        return [*shown[:1], *shown[1:][-1:]]

    def delete(self, id: str) -> None:
        """Delete a response; a second time, or while it runs, it can't be. Spec: R1.11–R1.14."""
        response, answer = self.reference.responses[id], self.driver.call("DELETE", f"/responses/{id}")
        if not self.reference.alive(id) or response.running:
            self.check_error(answer, PredictedError("E81") if self.reference.alive(id) else PredictedError("E75", id))
            return
        assert answer.status == 200, answer
        assert not self.controls or answer.body == {"id": id, "object": "response", "deleted": True}, answer
        response.deleted = True
        self.check_missing(id)

    def cancel(self, id: str) -> None:
        """Cancel a response: one that runs in the background ends, and is free to be cancelled again. Spec: R6.3–5."""
        response, answer = self.reference.responses[id], self.driver.call("POST", f"/responses/{id}/cancel")
        if not self.reference.alive(id):
            self.check_error(answer, PredictedError("E75", id))
        elif response.running:
            assert (answer.status, answer.body.get("status")) == (200, "cancelled"), answer
            self.finish(response, answer.body)
            again = self.driver.call("POST", f"/responses/{id}/cancel")
            assert (again.status, again.body) == (200, response.body), f"cancelled again: {again} (E78)"
        elif not response.background:
            self.check_error(answer, PredictedError("E76"))
        elif response.status == "cancelled":
            assert (answer.status, answer.body) == (200, response.body), f"cancelled again: {answer} (E78)"
        else:
            self.check_error(answer, PredictedError("E77", response.status))

    def recount(self, parent: str, model: str) -> None:
        """Count a continuation, and the same with its whole context sent again: both cost the same. Spec: T11, R8.2."""
        response, known = self.reference.responses[parent], self.reference
        known_all = all(known.findable(id) and id not in known.unsure for id in response.context_after)
        # The replay names each item by reference, so all must be findable, and none may come twice (R1.36).
        if (
            not known_all
            or known.missing([], parent, None)
            or len(set(response.context_after)) < len(response.context_after)
        ):
            return
        more = [{"role": "user", "content": "And then?"}]
        again = [{"type": "item_reference", "id": id} for id in response.context_after]
        chained = self.count({"model": self.model or model, "previous_response_id": parent, "input": more})
        replayed = self.count({"model": self.model or model, "input": [*again, *more]})
        assert chained == replayed, f"{chained} tokens chained to {parent}, {replayed} replayed (T11)"

    def refuse(self, bad: int) -> None:
        """Send a request that is always refused."""
        change, status, code = INVALID_REQUESTS[bad]
        answer = self.driver.call("POST", "/responses", {"model": self.model or CHAT, "input": "red", **change})
        assert (answer.status, answer.error.get("code")) == (status, code), f"{change}: {answer.status} {answer.body}"

    def refuse_in(self, conversation: str, bad: int) -> None:
        """Send a request that is always refused to a conversation, which must not change."""
        change, status, _ = INVALID_REQUESTS[bad]
        body = {"model": self.model or CHAT, "input": "red", "conversation": conversation, **change}
        answer = self.driver.call("POST", "/responses", body)
        # A deleted conversation is a mistake too, and the server may report either of the two.
        assert answer.status in (status, 400, 404), f"{change}: {answer.status} {answer.body}"
        assert answer.error, answer
        self.check_tail(conversation)

    def take_both(self, parent: str, conversation: str, ask: RequestCase) -> None:
        """Send a turn that continues two things at once. Spec: R1.23."""
        self.turn(ask, parent=parent, conversation=conversation)

    def trespass(self, id: str) -> None:
        """Try to reach a response from another project."""
        self.check_error(self.other.call("GET", f"/responses/{id}"), PredictedError("E75", id))
        body = {"model": self.model or CHAT, "input": "red", "previous_response_id": id}
        self.check_error(self.other.call("POST", "/responses", body), PredictedError("E60", id))

    def trespass_in(self, conversation: str) -> None:
        """Try to reach a conversation from another project."""
        self.check_error(self.other.call("GET", f"/conversations/{conversation}"), PredictedError("E64", conversation))
        body = {"model": self.model or CHAT, "input": "red", "conversation": conversation}
        self.check_error(self.other.call("POST", "/responses", body), PredictedError("E63", conversation))

    # --- conversations

    def create_conversation(self, items: tuple[str, ...], metadata: Json) -> str:
        """Create a conversation. Spec: R2.2."""
        new = self.new_items(items)
        body = self.ok("POST", "/conversations", {"items": [item_json(item) for item in new], "metadata": metadata})
        assert body["metadata"] == metadata, body
        assert self.lenient or body["object"] == "conversation", body
        assert body["id"] not in self.reference.conversations, f"{body['id']} for the second time"
        created = self.reference.conversations[body["id"]] = Conversation(body["id"], metadata=metadata)
        if new:
            listed = self.ok("GET", f"/conversations/{created.id}/items", order="asc", limit="100")["data"]
            self.record_items(created, new, listed)
        return created.id

    def retrieve_conversation(self, conversation: str) -> None:
        """Read a conversation and all of its items."""
        self.check_conversation(conversation)

    def update_conversation(self, conversation: str, metadata: Json) -> None:
        """Change a conversation's metadata: new for old. Spec: R2.4, R2.6."""
        answer = self.driver.call("POST", f"/conversations/{conversation}", {"metadata": metadata})
        if not self.check_deleted(conversation, answer):
            assert answer.body["metadata"] == metadata, f"{answer.body} (R2.4)"
            self.reference.conversations[conversation].metadata = metadata

    def delete_conversation(self, conversation: str) -> None:
        """Delete a conversation, not its items. Spec: R2.5, R2.6."""
        answer = self.driver.call("DELETE", f"/conversations/{conversation}")
        if not self.check_deleted(conversation, answer):
            marker = {"id": conversation, "object": "conversation.deleted", "deleted": True}
            assert self.lenient or answer.body == marker, answer
            self.reference.conversations[conversation].deleted = True
            self.check_conversation_missing(conversation)

    def check_deleted(self, id: str, answer: Any) -> bool:
        """Whether a conversation is deleted; then the answer must be that error."""
        if self.reference.conversations[id].deleted:
            self.check_error(answer, PredictedError("E64", id))
            return True
        assert answer.status == 200, f"{answer.status} {answer.body}"
        return False

    def new_items(self, kinds: Sequence[str]) -> list[Item]:
        """New items for adding by hand; a call that none of them answers waits for its output."""
        new: list[Item] = []
        for kind in kinds:
            number = len(self.reference.items) + len(new)
            call_id = f"call_own_{number}" if kind == "call" else f"call_own_{number - 1}"
            new.append(
                {
                    "user": Item("message", f"said {number}", "user"),
                    "assistant": Item("message", f"answered {number}", "assistant"),
                    "call": Item("function_call", f'{{"number":{number}}}', call_id=call_id),
                    "output": Item("function_call_output", f"result {number}", call_id=call_id),
                }[kind]
            )
        return new

    def add(self, conversation: str, items: tuple[str, ...]) -> list[str]:
        """Add items to a conversation by hand, whatever runs there. Spec: R2.3, R2.12, R2.17."""
        new = self.new_items(items)
        sent = {"items": [item_json(item) for item in new]}
        answer = self.driver.call("POST", f"/conversations/{conversation}/items", sent)
        if self.check_deleted(conversation, answer):
            return []
        assert answer.body["has_more"] is False
        return self.record_items(self.reference.conversations[conversation], new, answer.body["data"])

    def add_again(self, conversation: str, item: str) -> None:
        """Add a user's message that exists to a conversation, which may hold it already. Spec: R1.36."""
        known, mine = self.reference.items[item], self.reference.conversations[conversation]
        if known.role != "user" or item in self.reference.unsure:
            return
        sent = {"items": [item_json(known)]}
        answer = self.driver.call("POST", f"/conversations/{conversation}/items", sent)
        if not mine.deleted and item in mine.items:
            assert answer.status == 400, f"{item} is twice in {conversation} (R1.36)"
            self.check_tail(conversation)
        elif not self.check_deleted(conversation, answer):
            self.record_items(mine, [known], answer.body["data"])

    def list_items(self, conversation: str, limit: int | None, order: str | None) -> list[str]:
        """List a conversation's items; returns some. Spec: R2.14."""
        return self.page_items(conversation, None, limit, order)

    def page_items(self, conversation: str, item: str | None, limit: int | None, order: str | None) -> list[str]:
        """List a conversation's items after one of them."""
        path, mine = f"/conversations/{conversation}/items", self.reference.conversations[conversation]
        if mine.deleted:
            self.check_error(self.driver.call("GET", path), PredictedError("E64", conversation))
            return []
        return self.page(path, mine.items, limit, order, item)

    def retrieve_item(self, conversation: str, item: str) -> None:
        """Read one item of a conversation. Spec: P15, E65."""
        answer = self.driver.call("GET", f"/conversations/{conversation}/items/{item}")
        if self.check_item(conversation, item, answer):
            assert item_of(answer.body) == self.reference.items[item], answer

    def delete_item(self, conversation: str, item: str) -> None:
        """Delete an item: later turns don't see it, what was answered from it stands. Spec: R2.15, P16."""
        answer = self.driver.call("DELETE", f"/conversations/{conversation}/items/{item}")
        if self.check_item(conversation, item, answer):
            marker = (answer.body.get("id"), answer.body.get("object"))
            assert self.lenient or marker == (conversation, "conversation"), f"{answer} (P16)"
            self.reference.conversations[conversation].items.remove(item)
            self.reference.unsure.add(item)  # whether it can still be referred to, no rule says
            self.check_tail(conversation)

    def check_item(self, id: str, item: str, answer: Any) -> bool:
        """Whether a conversation holds an item; if not, the answer must be that error."""
        if not self.reference.conversations[id].deleted and item not in self.reference.conversations[id].items:
            self.check_error(answer, PredictedError("E65", item))
            return False
        return not self.check_deleted(id, answer)

    # --- time

    def wait(self, seconds: float) -> None:
        """Let time pass: turns end, responses expire, nothing else. Spec: R1.2, R1.3, R1.8, R1.9."""
        known = self.reference
        if seconds > SLOW_S and known.ending(SLOW_S):
            self.wait(SLOW_S)  # so that what ended can still be looked at
        expired, ending = known.expiring(seconds), known.ending(seconds)
        moved = self.driver.control("POST", "/clock/advance", {"seconds": seconds})
        known.now += seconds
        assert moved["now"] == known.now, moved
        assert moved["expired"] == expired, f"{moved['expired']} expired, not {expired} (R1.2)"
        assert moved["completed"] == [response.id for response in ending], (
            f"{moved['completed']} ended, not {ending} (R6.2)"
        )
        for response in ending:
            self.finish(response, self.poll(response))

    def outlive(self, id: str, seconds: int) -> None:
        """Wait until a response has `seconds` left, and check it then. Spec: R1.2."""
        left = self.reference.responses[id].created_at + THIRTY_DAYS - seconds - self.reference.now
        if left > 0:
            self.wait(left)
            self.check_response(id)

    def move(self) -> None:
        """Take a snapshot, restore it into another project, replacing its state, and continue there."""
        self.elsewhere.control("PUT", "/snapshot", self.driver.control("GET", "/snapshot"))
        self.driver, self.elsewhere = self.elsewhere, self.driver

    # --- what others did

    def adopt(self, id: str) -> str:
        """Record a response that something else created on this server, such as an agent under test.

        The reference must know what it continued; its context must be that and its own input.
        """
        body, known = self.ok("GET", f"/responses/{id}"), self.reference
        assert body["status"] not in RUNNING, f"{id} still runs"
        conversation = (body.get("conversation") or {}).get("id")
        before = known.context(body["previous_response_id"], conversation)
        listed = self.ok("GET", f"/responses/{id}/input_items", limit="100")["data"]
        own = [item_of(item) for item in reversed(listed)][min(len(before), 100) :]
        request = {"model": body["model"], "tools": body["tools"], "background": body["background"]}
        request |= {"previous_response_id": body["previous_response_id"], "conversation": conversation}
        request |= {key: body[key] for key in ("instructions", "metadata", "store")}
        response = self.record_turn(request, own, self.driver.call("GET", f"/responses/{id}"), 0.0)
        self.finish(response, body)
        return id


def output_json(item: Item) -> Json:
    """The output as the request sends it."""
    return {"type": "function_call_output", "call_id": item.call_id, "output": item.text}


def item_json(item: Item) -> Json:
    """The item as the request sends it, with its id if it has one."""
    if item.type == "function_call_output":
        return output_json(item)
    if item.type == "function_call":
        return {"type": "function_call", "call_id": item.call_id, "name": "look_up", "arguments": item.text}
    named = {"id": item.id} if item.id else {}
    return {"type": "message", **named, "role": item.role, "content": item.text}
