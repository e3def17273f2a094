"""The endpoints of the public API as rows: how a request is read, which core function answers it, whether it writes.

A row's `read` judges the request before any state is looked at, so that the first complaint is the API's own first
one (Spec: errors §3); its `run` is a function of the core, called inside one transaction. Spec: P1–P21, E99, E101.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from mockserver.core import background, compaction, conversations, encrypted_content, lifecycle, pagination, retrieval
from mockserver.core.admission import compact_window, measure
from mockserver.core.semantics import Semantics
from mockserver.engine.transactions import Reading, UnitOfWork
from mockserver.journal.exchange import Call
from mockserver.model.compaction_summary import summary_tokens
from mockserver.wire import catalog
from mockserver.wire.errors import api as errors
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.paths import DOUBLED, MOCKED, is_mocked
from mockserver.wire.requests import bodies, query
from mockserver.wire.responses import resources

Parts = Mapping[str, str]
NO_PARTS: Parts = {}
Read = Callable[[Call, Parts, Semantics], Any]


class Endpoint(NamedTuple):
    """One method of one path, whose `{named}` parts go to `run(transaction, parts, request)`.

    A row that `writes` returns its result and the changes, else the result alone; a result is a JSON value, an encoded
    body, or a delivery.
    """

    method: str
    path: str
    read: Read
    run: Callable[[Any, Parts, Any], Any]
    writes: bool = False


# --- Readers ---------------------------------------------------------------------------------------------------------


def _body(read: Callable[..., dict[str, Any]]) -> Read:
    return partial(bodies.read_body, read)


def _nothing(call: Call, parts: Parts, rules: Semantics) -> None:
    """Read a request that is all in its path."""


def _include(call: Call, parts: Parts, rules: Semantics) -> frozenset[str]:
    return frozenset(rules.visible(query.include(call.query)))


def _items_and_include(call: Call, parts: Parts, rules: Semantics) -> tuple[dict[str, Any], frozenset[str]]:
    include = _include(call, parts, rules)
    return _body(bodies.create_items)(call, parts, rules), include


def _deletes_models(call: Call, parts: Parts, rules: Semantics) -> None:
    raise MockError("The mock does not support deleting models yet.", status=501)


# --- Core functions of more than one line ---------------------------------------------------------------------------


def _compact(at: UnitOfWork, parts: Parts, request: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Compact a window; nothing of it is stored, and its id can't be continued. Spec: P7, R5.6–R5.8."""
    window = compact_window(at.state, request, at.rules, at.id_generator, at.now)
    tokens = summary_tokens(at.id_generator.seed("compaction"), window.input_tokens)
    return compaction.compaction_object(request, window, tokens, at.rules, at.now), []


def _count_input_tokens(at: Reading, parts: Parts, request: dict[str, Any]) -> Any:
    count = measure(at.state, request, at.rules, at.id_generator, at.now)
    return {"object": "response.input_tokens", "input_tokens": count}


def _create_items(at: UnitOfWork, parts: Parts, request: tuple[dict[str, Any], frozenset[str]]) -> tuple[Any, Any]:
    body, include = request
    items, changes = conversations.create_items(at.state, parts["id"], body, at.id_generator, at.now)
    changes += encrypted_content.remember_given(at.state, items, at.rules.key)
    return resources.page([resources.present(item, include) for item in items], has_more=False), changes


def _create_conversation(at: UnitOfWork, parts: Parts, body: dict[str, Any]) -> tuple[Any, list[Any]]:
    made, changes = conversations.create(at.state, body, at.id_generator, at.now, at.ordinal)
    given = resources.input_items(body.get("items") or [])
    return made, [*changes, *encrypted_content.remember_given(at.state, given, at.rules.key)]


def _list_models(at: Reading, parts: Parts, request: None) -> Any:
    served = [(name, model) for name, model in catalog.names() if _is_served(model, at)]
    return {"object": "list", "data": [resources.model(name, model) for name, model in served]}


def _retrieve_model(at: Reading, parts: Parts, request: None) -> Any:
    """A model by a name of the catalogue, a fine-tune's, or one that the switch `unknown_models` lets in. Spec: P18."""
    model = catalog.find(parts["id"], at.rules.unknown_models)
    if model is None or not _is_served(model, at):
        raise errors.model_unavailable(parts["id"])
    return resources.model(parts["id"], model)


def _is_served(model: catalog.Model, at: Reading) -> bool:
    return at.rules.shutdown_models == "serve" or not catalog.is_shut_down(model, at.now)


# --- The table, in this order: the first path that matches counts (Spec: P21) ----------------------------------------

_RESPONSE, _CONVERSATION = "/v1/responses/{id}", "/v1/conversations/{id}"
_ITEMS, _ITEM = _CONVERSATION + "/items", _CONVERSATION + "/items/{item}"


# All but the turn, which is the engine's pipeline's business.
_ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("POST", "/v1/responses/input_tokens", _body(bodies.count_input_tokens), _count_input_tokens),
    Endpoint("POST", "/v1/responses/compact", _body(bodies.compact), _compact, writes=True),
    Endpoint(
        "GET",
        _RESPONSE,
        lambda call, parts, rules: query.retrieve_query(call.query),
        lambda at, parts, asked: retrieval.retrieve_response(at.state, parts["id"], asked, at.rules, at.now),
    ),
    Endpoint(
        "DELETE",
        _RESPONSE,
        _nothing,
        lambda at, parts, _: lifecycle.delete_response(at.state, parts["id"], at.rules, at.now),
        writes=True,
    ),
    Endpoint(
        "POST",
        _RESPONSE + "/cancel",
        _nothing,
        lambda at, parts, _: background.cancel(at.state, parts["id"], at.rules, at.now),
        writes=True,
    ),
    Endpoint(
        "GET",
        _RESPONSE + "/input_items",
        lambda call, parts, rules: query.list_query(call.query, default_order=rules.input_items_order),
        lambda at, parts, asked: pagination.input_items(at.state, parts["id"], asked, at.rules, at.now),
    ),
    Endpoint(
        "POST",
        "/v1/conversations",
        _body(bodies.create_conversation),
        _create_conversation,
        writes=True,
    ),
    Endpoint(
        "GET",
        _CONVERSATION,
        _nothing,
        lambda at, parts, _: conversations.retrieve(at.state, parts["id"]).object,
    ),
    Endpoint(
        "POST",
        _CONVERSATION,
        _body(bodies.update_conversation),
        lambda at, parts, body: conversations.update(at.state, parts["id"], body, at.rules),
        writes=True,
    ),
    Endpoint(
        "DELETE",
        _CONVERSATION,
        _nothing,
        lambda at, parts, _: conversations.delete(at.state, parts["id"]),
        writes=True,
    ),
    Endpoint(
        "GET",
        _ITEMS,
        lambda call, parts, rules: query.list_query(call.query),
        lambda at, parts, asked: pagination.conversation_items(at.state, parts["id"], asked, at.rules),
    ),
    Endpoint("POST", _ITEMS, _items_and_include, _create_items, writes=True),
    Endpoint(
        "GET",
        _ITEM,
        _include,
        lambda at, parts, include: resources.present(
            conversations.retrieve_item(at.state, parts["id"], parts["item"]), include
        ),
    ),
    Endpoint(
        "DELETE",
        _ITEM,
        _nothing,
        lambda at, parts, _: conversations.delete_item(at.state, parts["id"], parts["item"]),
        writes=True,
    ),
    Endpoint("GET", "/v1/models", _nothing, _list_models),
    Endpoint("GET", "/v1/models/{id}", _nothing, _retrieve_model),
    Endpoint("DELETE", "/v1/models/{id}", _deletes_models, lambda at, parts, _: None),
)


def endpoints(read_turn: Read, create_response: Callable[[UnitOfWork, Parts, Any], Any]) -> tuple[Endpoint, ...]:
    """Every endpoint of the API; `read_turn` reads the request of a turn, `create_response` answers it."""
    return (
        Endpoint("POST", "/v1/responses", read_turn, create_response, writes=True),
        *_ENDPOINTS,
    )


def unknown_path(method: str, path: str) -> APIError | MockError:
    """What a call to a path without an endpoint is refused with.

    Below the APIs that are mocked the service's own 404, elsewhere a loud 501: a client takes a 404 for the API's own
    answer, and would look for its mistake in the path. Spec: E99, P24.
    """
    if is_mocked(path):
        return errors.invalid_url(method, path)
    shown = path[:200]
    return MockError(
        f"{method} {shown} is not mocked; the mock covers {', '.join(MOCKED)}, and a part of {', '.join(DOUBLED)}. "
        f"A scripted line with `when: {{path: {shown}}}` can answer it; a server with --upstream can forward it.",
        status=501,
    )


# --- Looking a row up -------------------------------------------------------------------------------------------------


class Table:
    """Rows by path and method: paths without named parts are found by their text, the others by pattern.

    A row is anything with `method` and `path`. Ours and not a router's, for a look costs 0.3 µs for the literal paths
    and the order of the rows decides, as it does at the service.
    """

    def __init__(self, rows: Iterable[Any]) -> None:
        self.rows = tuple(rows)
        # most calls: found without a call of ours. The order of the rows decides, as it does at the service (P21).
        self.literal = {(row.method, row.path): row for row in reversed(self.rows) if "{" not in row.path}
        by_path: dict[str, dict[str, Any]] = {}
        for row in self.rows:
            by_path.setdefault(row.path, {})[row.method] = row
        self._literal = {path: methods for path, methods in by_path.items() if "{" not in path}
        # by what they are about: no path has a named part before that
        self._patterns: dict[str, list[tuple[re.Pattern[str], dict[str, Any]]]] = {}
        for path, methods in by_path.items():
            if "{" in path:
                self._patterns.setdefault(_subject(path), []).append((_pattern(path), methods))

    def find(self, path: str) -> tuple[Mapping[str, Any], Parts] | None:
        """The rows of a path by method, and its named parts; None when there is no such path."""
        methods = self._literal.get(path)
        if methods is not None:
            return methods, NO_PARTS
        for pattern, methods in self._patterns.get(_subject(path), ()):
            if match := pattern.fullmatch(path):
                return methods, match.groupdict()
        return None

    def find_endpoint(self, call: Call) -> tuple[Endpoint, Parts]:
        """The endpoint of a call to the public API; raises E99 and E101, and what `unknown_path` says."""
        method, path = call.method, call.path
        found = (self._literal[path], NO_PARTS) if path in self._literal else self.find(path)
        if found is None:
            if self.find(f"/v1{path}") is not None:
                raise errors.invalid_url(method, path, call.header(b"host") or "127.0.0.1:4010")
            raise unknown_path(method, path)
        methods, parts = found
        if method not in methods:
            raise errors.invalid_method(method, path)
        return methods[method], parts


def _subject(path: str) -> str:
    """A path up to its third slash: `/v1/responses`."""
    return "/".join(path.split("/", 3)[:3])


def _pattern(path: str) -> re.Pattern[str]:
    # a model's id may hold a slash, which arrives escaped (Spec: P18)
    part = r"(?P<\1>.+)" if path.startswith("/v1/models/") else r"(?P<\1>[^/]+)"
    return re.compile(re.sub(r"\{(\w+)\}", part, path))
