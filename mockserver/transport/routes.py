"""The public routes as a table: method and path → what the engine is asked. Spec: P1–P21, E99, E101."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from mockserver.control.journal import telling
from mockserver.core.turn import Step
from mockserver.engine import Delivery, Engine
from mockserver.transport.http import SSE, Answer, Call
from mockserver.wire import errors, query, requests
from mockserver.wire.errors import MockError
from mockserver.wire.events import Event

Handler = Callable[[Engine, Call], Answer]


class Route(NamedTuple):
    """A path with `{named}` parts, and a handler per method."""

    path: str
    handlers: Mapping[str, Handler]


def _body(call: Call) -> bytes:
    requests.check_content_type(call.header(b"content-type"))
    return call.body


def _create_response(engine: Engine, call: Call) -> Answer:
    delivery = engine.create_response(call.project, _body(call))
    call.model, call.lead = delivery.model, 0.0 if delivery.body is None else delivery.seconds
    return delivered(engine, call, delivery)


def delivered(engine: Engine, call: Call, delivery: Delivery) -> Answer:
    """Return the answer that delivers a turn."""
    if delivery.body is not None and not delivery.steps:
        return Answer(delivery.body)
    ended = partial(telling, call, engine.finish, call.project, delivery.id) if delivery.running else None
    left = partial(telling, call, engine.leave, call.project, delivery.id) if delivery.running else None
    if delivery.body is None:
        interrupted = partial(engine.interrupted, call.project, delivery.id) if delivery.running else None
        return _stream(engine, delivery.steps, ended=ended, left=left, interrupted=interrupted)
    return Answer(delivery.body, steps=delivery.steps, ended=ended, left=left)


def _stream(
    engine: Engine,
    steps: list[Step],
    *,
    ended: Callable[[], None] | None = None,
    left: Callable[[], None] | None = None,
    interrupted: Callable[[int], list[Event] | None] | None = None,
) -> Answer:
    """Return the answer that is a stream of events. Spec: S2, S4 (switches `done_sentinel`, `keep_alive`)."""
    rules = engine.rules
    return Answer(
        content_type=SSE,
        steps=steps,
        streamed=True,
        tail=SENTINELS[rules.done_sentinel],
        silence=SILENCES[rules.keep_alive],
        ended=ended,
        left=left,
        interrupted=interrupted,
    )


SENTINELS = {"off": b"", "on": b"data: [DONE]\n\n"}
SILENCES = {"comment": 15.0, "off": math.inf}


def _retrieve_response(engine: Engine, call: Call) -> Answer:
    found = engine.retrieve_response(call.project, call.parts["id"], query.retrieve_query(call.query))
    if isinstance(found, bytes):
        return Answer(found)
    if len(found) == 1:
        return _stream(engine, found)
    ended = partial(telling, call, engine.finish, call.project, call.parts["id"])
    return _stream(engine, found, ended=ended, interrupted=partial(engine.interrupted, call.project, call.parts["id"]))


def _cancel_response(engine: Engine, call: Call) -> Answer:
    return Answer(engine.cancel_response(call.project, call.parts["id"]))


def _delete_response(engine: Engine, call: Call) -> Answer:
    return Answer(engine.delete_response(call.project, call.parts["id"]))


def _list_input_items(engine: Engine, call: Call) -> Answer:
    asked = query.list_query(call.query, default_order=engine.rules.input_items_order)
    return Answer(engine.list_input_items(call.project, call.parts["id"], asked))


def _count_input_tokens(engine: Engine, call: Call) -> Answer:
    return Answer(engine.count_input_tokens(call.project, _body(call)))


def _compact_response(engine: Engine, call: Call) -> Answer:
    return Answer(engine.compact_response(call.project, _body(call)))


def _create_conversation(engine: Engine, call: Call) -> Answer:
    return Answer(engine.create_conversation(call.project, _body(call)))


def _retrieve_conversation(engine: Engine, call: Call) -> Answer:
    return Answer(engine.retrieve_conversation(call.project, call.parts["id"]))


def _update_conversation(engine: Engine, call: Call) -> Answer:
    return Answer(engine.update_conversation(call.project, call.parts["id"], _body(call)))


def _delete_conversation(engine: Engine, call: Call) -> Answer:
    return Answer(engine.delete_conversation(call.project, call.parts["id"]))


def _create_items(engine: Engine, call: Call) -> Answer:
    include = query.include(call.query)
    return Answer(engine.create_items(call.project, call.parts["id"], _body(call), include))


def _list_items(engine: Engine, call: Call) -> Answer:
    return Answer(engine.list_items(call.project, call.parts["id"], query.list_query(call.query)))


def _retrieve_item(engine: Engine, call: Call) -> Answer:
    include = query.include(call.query)
    return Answer(engine.retrieve_item(call.project, call.parts["id"], call.parts["item"], include))


def _delete_item(engine: Engine, call: Call) -> Answer:
    return Answer(engine.delete_item(call.project, call.parts["id"], call.parts["item"]))


def _list_models(engine: Engine, call: Call) -> Answer:
    return Answer(engine.list_models())


def _retrieve_model(engine: Engine, call: Call) -> Answer:
    return Answer(engine.retrieve_model(call.parts["id"]))


def _unbuilt(what: str, engine: Engine, call: Call) -> Answer:
    raise MockError(f"The mock does not support {what} yet.", status=501)


# In this order: the first path that matches counts (Spec: P21).
ROUTES: tuple[Route, ...] = (
    Route("/v1/responses", {"POST": _create_response}),
    Route("/v1/responses/input_tokens", {"POST": _count_input_tokens}),
    Route("/v1/responses/compact", {"POST": _compact_response}),
    Route("/v1/responses/{id}", {"GET": _retrieve_response, "DELETE": _delete_response}),
    Route("/v1/responses/{id}/cancel", {"POST": _cancel_response}),
    Route("/v1/responses/{id}/input_items", {"GET": _list_input_items}),
    Route("/v1/conversations", {"POST": _create_conversation}),
    Route(
        "/v1/conversations/{id}",
        {"GET": _retrieve_conversation, "POST": _update_conversation, "DELETE": _delete_conversation},
    ),
    Route("/v1/conversations/{id}/items", {"GET": _list_items, "POST": _create_items}),
    Route("/v1/conversations/{id}/items/{item}", {"GET": _retrieve_item, "DELETE": _delete_item}),
    Route("/v1/models", {"GET": _list_models}),
    Route("/v1/models/{id}", {"GET": _retrieve_model, "DELETE": partial(_unbuilt, "deleting models")}),
)


class Table:
    """Routes to be looked up: paths without named parts by their text, the others by pattern."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._plain = {route.path: route for route in routes if "{" not in route.path}
        self._patterns = [(_pattern(route.path), route) for route in routes if "{" in route.path]

    def find(self, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the route of a path and its named parts, None when there is none."""
        route = self._plain.get(path)
        if route is not None:
            return route, {}
        for pattern, route in self._patterns:
            if match := pattern.fullmatch(path):
                return route, match.groupdict()
        return None


def _pattern(path: str) -> re.Pattern[str]:
    # a model's id may hold a slash, which arrives escaped (Spec: P18)
    part = r"(?P<\1>.+)" if path.startswith("/v1/models/") else r"(?P<\1>[^/]+)"
    return re.compile(re.sub(r"\{(\w+)\}", part, path))


PUBLIC = Table(ROUTES)


def _unknown_url(engine: Engine, call: Call) -> Answer:
    """Answer a path that there isn't. Spec: E99, E100 (switch `unknown_url`)."""
    if engine.rules.unknown_url == "empty":
        return Answer(status=404, content_type=b"", headers=((b"x-content-type-options", b"nosniff"),))
    raise errors.invalid_url(call.method, call.path)


def public_handler(call: Call) -> tuple[Handler, dict[str, str]]:
    """Return who answers a call to the public API, an unknown path included; raises E101 for a wrong method."""
    found = PUBLIC.find(call.path)
    if found is None:
        return _unknown_url, {}
    route, parts = found
    handler = route.handlers.get(call.method)
    if handler is None:
        raise errors.invalid_method(call.method, call.path)
    return handler, parts
