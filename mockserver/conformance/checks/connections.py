"""Fixed rules about connections: what their end does to a turn, their bytes and headers (R2.11, R6.9, R9, R13.5)."""

from __future__ import annotations

import json
import re

from mockserver.conformance import expected_errors
from mockserver.conformance.held_turns import HeldTurn, poll
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import ServerUnderTest, text_of, texts_of, user


@rule("R2.11", needs=("conversations", "model clock"))
def _a_conversation_gets_what_a_client_left(s: ServerUnderTest) -> None:
    talk = s.conversation(user("old"))
    turn = HeldTurn(s, "asked", conversation=talk["id"])
    turn.drop()
    s.check_equal("items after the client left", texts_of(s.items(talk)), ["old"])
    s.check_create_refused(expected_errors.conversation_locked(), "early", conversation=talk["id"])
    turn.let_go()
    poll("the items are appended", lambda: len(s.items(talk)) > 1)
    s.check_equal("items in the end", texts_of(s.items(talk)), ["old", "asked", "one two three"])


@rule("R6.9", needs=("background", "model clock"))
def _a_background_response_goes_on_alone(s: ServerUnderTest) -> None:
    turn = HeldTurn(s, "asked", background=True)
    turn.drop()
    turn.let_go()
    path = f"/responses/{turn.response['id']}"
    poll("it completes", lambda: s.call_ok("GET", path)["status"] == "completed")
    s.check_equal("its text", text_of(s.call_ok("GET", path)["output"][-1]), "one two three")


@rule("R9.20", needs=("get", "model clock"))
def _a_turn_goes_on_without_its_client(s: ServerUnderTest) -> None:
    turn = HeldTurn(s, "asked")
    turn.drop()
    turn.let_go()
    path = f"/responses/{turn.response['id']}"
    poll("the response is stored", lambda: s.call("GET", path).status == 200)
    stored = s.call_ok("GET", path)
    if s.lenient and stored["status"] == "cancelled":  # as the guides say; R9.20 is inferred from reports
        s.claims.append("the response is stored as cancelled")
        return
    s.check_members("the response", stored, status="completed")
    s.check_equal("its text", text_of(stored["output"][-1]), "one two three")
    s.check_context(s.chain(stored, "more"), "asked", *stored["output"], "more")


@rule("R9.21", needs=("get", "model clock"))
def _what_is_not_finished_is_not_found(s: ServerUnderTest) -> None:
    turn = HeldTurn(s, "asked")
    id = turn.response["id"]
    s.check_error(expected_errors.no_response(id), "GET", f"/responses/{id}")
    done = turn.finish()
    s.check_equal("status in the end", done["status"], "completed")
    s.check_equal("status on GET", s.get(done)["status"], "completed")


_EVENT = re.compile(rb"event: ([a-z_.]+)\ndata: (\{[^\r\n]*\})")


@rule("R9.1", needs=("network",))
def _one_line_of_data_for_each_event(s: ServerUnderTest) -> None:
    answer = s.connections.fetch("POST", "/responses", {"model": s.model, "input": "Say hällo.", "stream": True})
    s.check_equal("status", answer.status, 200)
    kind = answer.headers.get("content-type", "")
    s.check("the type is text/event-stream", kind.startswith("text/event-stream"), kind)
    s.check("the last event ends with an empty line", answer.body.endswith(b"\n\n"), repr(answer.body[-40:]))
    blocks = answer.body.removesuffix(b"\n\n").split(b"\n\n")
    for block in blocks:
        match = _EVENT.fullmatch(block)
        if match is None:
            raise AssertionError(f"expected one event line and one data line, found {block[:120]!r}")
        if json.loads(match[2])["type"].encode() != match[1]:
            raise AssertionError(f"the event line differs from the type: {block[:120]!r}")
    s.claims.append(f"{len(blocks)} events, each of one event line and one data line of its type; no [DONE]")


_LIMITS = [f"x-ratelimit-{kind}-{what}" for kind in ("limit", "remaining", "reset") for what in ("requests", "tokens")]


@rule("R13.5", needs=("network",))
def _headers_of_answers(s: ServerUnderTest) -> None:
    for what, input in (("an answer", "ping"), ("an error", [{"type": "bogus"}])):
        answer = s.connections.fetch("POST", "/responses", {"model": s.model, "input": input})
        s.check(f"{what} has an x-request-id", answer.headers.get("x-request-id"), sorted(answer.headers))
        if answer.status == 200:
            lacking = [name for name in _LIMITS if name not in answer.headers]
            s.check_equal(f"rate-limit headers that {what} lacks", lacking, [])
