"""One response as a GET finds it: stored, in progress in the background, or gone. Spec: P2, R6.2, R6.8, S11."""

from __future__ import annotations

import orjson

from mockserver.core import background
from mockserver.core.lineage import live_response, missing
from mockserver.core.records import State
from mockserver.core.semantics import Semantics
from mockserver.core.turn import public_events
from mockserver.delivery.events import Emit, TimedStep
from mockserver.wire.errors import api as errors
from mockserver.wire.requests.query import RetrieveQuery
from mockserver.wire.responses import resources
from mockserver.wire.responses.encoding import json_body


def retrieve_response(
    state: State, id: str, query: RetrieveQuery, rules: Semantics, now: float
) -> bytes | list[TimedStep]:
    """A stored response as a JSON body, or the delivery of its events. Spec: P2, R6.2, S11."""
    node, body = live_response(state, id, rules, now), state.get("response", id)
    if node is None or body is None:
        found = background.read_running_turn(state, id, rules, query, now)
        if found is None:
            raise missing(state, id, rules, now)
        return found
    if query.include and not set(query.include) <= set(node.include):
        # the stored body shows what its creator asked for; whoever asks for more gets it from the items themselves
        include = {*query.include, *node.include}
        response = orjson.loads(body)
        response["output"] = [resources.present(item, include) for item in node.items[node.own :]]
        body = json_body(response)
    if not query.stream:
        return body
    final = orjson.loads(body)
    if rules.get_stream_finished == "refuse":
        background.refuse_replay(final, node)
    if final["background"] and now >= final["created_at"] + rules.stream_replay_window:
        raise errors.stream_without_stream()
    events = public_events(final, node.cues, rules, padded=query.include_obfuscation)
    return [Emit(events if query.starting_after is None else events[max(query.starting_after + 1, 0) :])]
