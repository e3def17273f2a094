"""The control API under `/_mock/` as rows: how a request is read, and which method of the control service answers it.

JSON in, JSON out, the project from the caller's headers like everywhere. Readers check what JSON can get wrong; what
the values mean is the control service's business, so `Mock` calls it directly and gets the same errors.
"""

# Why the same table as the public API's (`engine.endpoints.Table`) and no router: a call of `Mock` or of a driver is
# answered without a socket, through the same rows, so there is one set of paths and one set of complaints. A literal
# look-up costs 0.3 µs; Starlette's `Router` took 2.1 µs for its first route and 6.9 µs for its ninth. Of our rows all
# but one are literal.
#
# What must stay true:
# * A call belongs to the project of its caller's key. Tests that run side by side with keys of their own can't reset,
#   script or read each other.
# * A wrong call changes nothing: `read` judges the form before `run` is called, and the service judges the values
#   before it writes.
# * Unknown keys and filters are refused and named: a misspelt one that is ignored would look as if it worked.

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from time import perf_counter
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson

from mockserver.delivery.answer import JSON, SSE, Answer
from mockserver.delivery.player import Pieces
from mockserver.engine.control import DAY, RESETTABLE, ProjectControl, check_number
from mockserver.engine.endpoints import Parts, Table
from mockserver.engine.engine import Engine
from mockserver.engine.event_hub import EventStream
from mockserver.journal.exchange import Call
from mockserver.transport.http import PROJECT_HEADER, Chunk, chunks
from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.encoding import json_body

NO_TOTALS: Mapping[str, int] = MappingProxyType({})
_UNCACHED = ((b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))  # nginx would hold events back


def _value(call: Call) -> Any:
    """The JSON of a call's body; raises MockError for anything else."""
    try:
        return orjson.loads(call.body)
    except orjson.JSONDecodeError as error:
        raise MockError(f"The body is not JSON: {error}.") from None


def _object(call: Call, *allowed: str) -> dict[str, Any]:
    """The JSON object of a call's body, empty for no body; raises MockError for anything else."""
    value = _value(call) if call.body.strip() else {}  # `curl -X POST` sends no body
    if not isinstance(value, dict):
        raise MockError("The body must be a JSON object.")
    for key in value:
        if key not in allowed:
            raise MockError(f"{key}: unknown key; this call takes {', '.join(allowed)}.", param=key)
    return value


def _limit(call: Call) -> tuple[int, str | None, dict[str, str]]:
    """Return `limit` (1 to 1000, default 20), `after` and the other query parameters of a listing."""
    query = dict(call.query)
    text = query.pop("limit", "20")
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= 1000:
        raise MockError("limit: takes a whole number from 1 to 1000.", param="limit")
    return int(text), query.pop("after", None), query


class ControlCall(NamedTuple):
    """One method of one path: `read` returns the arguments that `run` takes after the service and the project.

    What `run` returns is the JSON body; None is 204. An `Answer` is one of another type.
    """

    method: str
    path: str
    run: Callable[..., Any]
    read: Callable[[Call, Parts], tuple[Any, ...]] = lambda call, parts: ()


def _read_reset(call: Call, parts: Parts) -> tuple[Any, ...]:
    only = _object(call, "only").get("only")
    if only is not None and not isinstance(only, list):
        raise MockError(f"only: takes a list of {', '.join(RESETTABLE)}.", param="only")
    return (only,)


def _read_time(call: Call, parts: Parts) -> tuple[Any, ...]:
    body = _object(call, "now", "mode")
    mode = body.get("mode", "manual")
    if mode == "system" and "now" not in body:  # together they contradict each other
        return (None,)
    if mode != "manual" or "now" not in body:
        raise MockError('Give "now" (a time to freeze at) or {"mode": "system"}.', param="mode")
    return (body["now"],)


def _read_seconds(call: Call, parts: Parts) -> tuple[Any, ...]:
    body = _object(call, "seconds", "days")
    if not body:
        raise MockError('Give "seconds" and/or "days".', param="seconds")
    return (check_number(body.get("seconds", 0), "seconds") + check_number(body.get("days", 0), "days") * DAY,)


def _read_lines(call: Call, parts: Parts) -> tuple[Any, ...]:
    lines = _object(call, "lines").get("lines")
    if not isinstance(lines, list):
        raise MockError("lines: takes a list of lines.", param="lines")
    return (lines,)


def _read_value(call: Call, parts: Parts) -> tuple[Any, ...]:
    return (_value(call),)


def _read_faults(call: Call, parts: Parts) -> tuple[Any, ...]:
    value = _value(call)
    # what GET shows is an object, what a scenario file holds a list: both can be sent as they are
    return (_object(call, "faults").get("faults") if isinstance(value, dict) else value,)


def _read_id(call: Call, parts: Parts) -> tuple[Any, ...]:
    return (parts["id"],)


def _read_pacing(call: Call, parts: Parts) -> tuple[Any, ...]:
    """The id, and a pacing as a scenario line has it: `first_token` in seconds, `tokens_per_second`."""
    query = dict(call.query)
    numbers: list[float | None] = []
    for name in ("first_token", "tokens_per_second"):
        text = query.pop(name, None)
        try:
            numbers.append(None if text is None else check_number(float(text), name))
        except ValueError:
            raise MockError(f"{name}: takes a number, not {text!r}.", param=name) from None
    for key in query:
        raise MockError(f"{key}: unknown parameter; there are first_token, tokens_per_second.", param=key)
    return (parts["id"], *numbers)


def _read_start(call: Call, parts: Parts) -> tuple[Any, ...]:
    query = dict(call.query)
    after = query.pop("after", None)
    for key in query:
        raise MockError(f"{key}: unknown parameter; there is after.", param=key)
    return (after,)


def _list_journal(control: ProjectControl, project: str, call: Call) -> Any:
    from mockserver.engine.journal_reading import CONTEXTS, VIEWS

    limit, after, where = _limit(call)
    context = where.pop("context", "reference")
    context = {"true": "reference", "false": "none"}.get(context, context)
    if context not in CONTEXTS:
        raise MockError("context: takes full, reference or none.", param="context")
    view = where.pop("view", "whole")
    if view not in VIEWS:
        raise MockError("view: takes whole or summary.", param="view")
    for key in where:
        if key not in ("path", "response_id"):
            raise MockError(f"{key}: unknown filter; there are path, response_id.", param=key)
    number = _read_after(after, "an exchange") or None
    found = control.read_journal(project, limit=limit, after=number, context=context, view=view, **where)
    return _write_page(found, limit)


def _read_after(after: str | None, of: str) -> int:
    """The number that `after` is, 0 for none."""
    if after is not None and not re.fullmatch("[0-9]{1,15}", after):  # more than a store can number
        raise MockError(f"after: takes the id of {of}.", param="after")
    return int(after or 0)


def _list_interactions(control: ProjectControl, project: str, call: Call) -> Any:
    limit, after, where = _limit(call)
    used = where.pop("used", None)
    if used not in (None, "true", "false"):
        raise MockError("used: takes true or false.", param="used")
    for key in where:
        raise MockError(f"{key}: unknown filter; there is used.", param=key)
    wanted = None if used is None else used == "true"
    totals, found = control.interactions(project, after=_read_after(after, "an interaction"), used=wanted)
    return _write_page(found, limit, totals)


def _list_misses(control: ProjectControl, project: str, call: Call) -> Any:
    limit, after, where = _limit(call)
    for key in where:
        raise MockError(f"{key}: unknown filter; misses have none.", param=key)
    return _write_page(control.cassette_misses(project, after=_read_after(after, "a miss")), limit)


def _write_page(
    found: Iterator[dict[str, Any] | None], limit: int, totals: Mapping[str, int] = NO_TOTALS
) -> Iterator[bytes]:
    """Yield a page in pieces, one for each object: a long one must not hold up others. `totals` stand at its end."""
    yield b'{"object": "list", "data": ['
    ids: list[int] = []
    more = False
    for exchange in found:
        if exchange is None:
            yield b""
        elif len(ids) == limit:
            more = True
            break
        else:
            yield b"%b\n%b" % (b"," if ids else b"", json_body(exchange))
            ids.append(exchange["id"])
    ends = orjson.dumps(ids[0] if ids else None), orjson.dumps(ids[-1] if ids else None), orjson.dumps(more)
    yield b'\n], "first_id": %b, "last_id": %b, "has_more": %b' % ends
    yield b"".join([b', "%b": %d' % (name.encode(), count) for name, count in totals.items()]) + b"}"


def _download_journal(control: ProjectControl, project: str) -> Answer:
    disposition = (b"content-disposition", b'attachment; filename="journal.yaml"')
    answer = _pieces_answer(control.journal_cassette(project))
    return answer._replace(content_type=b"application/yaml", headers=(disposition,))


def _write_graph(control: ProjectControl, project: str, after: str | None) -> Iterator[bytes]:
    """Yield the graph in pieces, one for each node."""
    found = control.graph(project, after)
    yield b'{"now": %b, "responses": [' % orjson.dumps(next(found)["now"])
    comma = b"\n"
    for node in found:
        yield comma + orjson.dumps(node)
        comma = b",\n"
    yield b"\n]}"


def _listen(control: ProjectControl, project: str, call: Call) -> Answer:
    """The stream of events, of the project that the query or the header names, else of all."""
    query = dict(call.query)
    named = query.pop("project", call.header(PROJECT_HEADER))
    for key in query:
        raise MockError(f"{key}: unknown parameter; there is project.", param=key)
    stream = control.listen(named, call.header(b"last-event-id"))
    return Answer(content_type=SSE, headers=_UNCACHED, streamed=True, player=stream)


def _list_responses(control: ProjectControl, project: str, call: Call) -> Any:
    limit, after, where = _limit(call)
    for key in where:
        if key not in ("model", "status", "conversation"):
            raise MockError(f"{key}: unknown filter; there are model, status, conversation.", param=key)
    return control.list_responses(project, limit=limit, after=after, **where)


def _list_conversations(control: ProjectControl, project: str, call: Call) -> Any:
    limit, after, where = _limit(call)
    for key in where:
        raise MockError(f"{key}: unknown filter; conversations have none.", param=key)
    return control.list_conversations(project, limit=limit, after=after)


def _read_call(call: Call, parts: Parts) -> tuple[Any, ...]:
    return (call,)


def show_metrics(engine: Engine) -> Answer:
    """The metrics of this server, of all projects and workers, as Prometheus reads them."""
    from mockserver.transport import metrics

    ask_others = engine.control.sections.get("worker_samples", list)
    return Answer(metrics.render([metrics.sample(engine), *ask_others()]), content_type=metrics.CONTENT_TYPE)


def _queue(control: ProjectControl, project: str, lines: Any) -> Any:
    return {"queued": control.enqueue(project, lines)}


def _find(control: ProjectControl, project: str) -> Iterator[bytes]:
    for findings in control.find_mistakes(project):
        yield b"" if findings is None else json_body({"findings": [one._asdict() for one in findings]})


def _quiet(run: Callable[..., Any]) -> Callable[..., None]:
    """A call that answers 204 whatever its method returns."""

    def answer(control: ProjectControl, project: str, *arguments: Any) -> None:
        run(control, project, *arguments)

    return answer


CONTROL = Table(
    (
        ControlCall("GET", "/_mock/health", lambda control, project: control.health()),
        ControlCall("GET", "/_mock/projects", lambda control, project: control.projects()),
        ControlCall("GET", "/_mock/events", _listen, _read_call),
        ControlCall("GET", "/_mock/graph", _write_graph, _read_start),
        ControlCall("POST", "/_mock/reset", ProjectControl.reset, _read_reset),
        ControlCall("GET", "/_mock/clock", ProjectControl.read_clock),
        ControlCall("PUT", "/_mock/clock", ProjectControl.set_clock, _read_time),
        ControlCall("POST", "/_mock/clock/advance", ProjectControl.advance_clock, _read_seconds),
        ControlCall("POST", "/_mock/script", _queue, _read_lines),
        ControlCall("GET", "/_mock/scenario", ProjectControl.scenario),
        ControlCall("PUT", "/_mock/scenario", ProjectControl.set_scenario, _read_value),
        ControlCall(
            "DELETE", "/_mock/scenario", _quiet(ProjectControl.set_scenario), lambda call, parts: ({"lines": []},)
        ),
        ControlCall("PUT", "/_mock/given", ProjectControl.give, _read_value),
        ControlCall("POST", "/_mock/given", ProjectControl.give, _read_value),
        ControlCall("GET", "/_mock/snapshot", ProjectControl.snapshot),
        ControlCall("PUT", "/_mock/snapshot", ProjectControl.restore, _read_value),
        ControlCall("GET", "/_mock/responses", _list_responses, _read_call),
        ControlCall("GET", "/_mock/responses/{id}", ProjectControl.response, _read_id),
        ControlCall("GET", "/_mock/responses/{id}/context", ProjectControl.context, _read_id),
        ControlCall("GET", "/_mock/responses/{id}/events", ProjectControl.response_events, _read_pacing),
        ControlCall("GET", "/_mock/models", lambda control, project: control.models()),
        ControlCall("GET", "/_mock/conversations", _list_conversations, _read_call),
        ControlCall("GET", "/_mock/faults", ProjectControl.faults),
        ControlCall("PUT", "/_mock/faults", ProjectControl.set_faults, _read_faults),
        ControlCall("DELETE", "/_mock/faults", _quiet(ProjectControl.set_faults), lambda call, parts: ([],)),
        ControlCall("GET", "/_mock/journal", _list_journal, _read_call),
        ControlCall("DELETE", "/_mock/journal", ProjectControl.clear_journal),
        ControlCall("GET", "/_mock/journal.cassette", _download_journal),
        ControlCall("GET", "/_mock/verdict", _find),
        ControlCall("GET", "/_mock/cassette", _list_interactions, _read_call),
        ControlCall("GET", "/_mock/cassette/misses", _list_misses, _read_call),
        ControlCall("GET", "/_mock/drift", ProjectControl.drift),
        ControlCall("DELETE", "/_mock/drift", ProjectControl.clear_drift),
        ControlCall("GET", "/_mock/metrics", show_metrics),
    )
)


# what is there, for people
CONTROL_CALLS = [f"{row.method} {row.path}" for row in CONTROL.rows]


def control_answer(engine: Engine, project: str, call: Call) -> Answer:
    """The answer to a control call for a project; raises MockError, 404 and 405 among them."""
    found = CONTROL.find(call.path)
    if found is None:
        raise MockError(f"There is no {call.path}.", status=404)
    methods, parts = found
    row = methods.get(call.method)
    if row is None:
        raise MockError(f"{call.path} takes {', '.join(methods)}, not {call.method}.", status=405)
    if row.run is show_metrics:  # the counters are the engine's, of all projects
        return show_metrics(engine)
    result = row.run(engine.control, project, *row.read(call, parts))
    if isinstance(result, Answer):
        return result
    if isinstance(result, Iterator):
        return _pieces_answer(result)
    return Answer(status=204) if result is None else Answer(json_body(result))


SLICE_S = 0.01  # how long a piece of work may hold up others


def _pieces_answer(pieces: Iterator[bytes]) -> Answer:
    """The answer that leaves in pieces; at once, if making it takes less than a slice of time."""
    until, made = perf_counter() + SLICE_S, list[bytes]()
    for piece in pieces:
        made.append(piece)
        if perf_counter() > until:
            return Answer(streamed=True, player=Pieces(chain(made, _let_pass(pieces))))
    return Answer(b"".join(made))


def _let_pass(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, larger ones together, with an empty one after each slice of time."""
    until, made = perf_counter() + SLICE_S, list[bytes]()
    for piece in pieces:
        made.append(piece)
        if perf_counter() > until:
            yield b"".join(made)
            yield b""
            until, made = perf_counter() + SLICE_S, []
    yield b"".join(made)


def call_control(engine: Engine, project: str, method: str, path: str, body: Any = None) -> Any:
    """Return what a control call answers in this process; `path` is below `/_mock`, a query stands in it after a `?`.

    What is no JSON is returned as text. Raises MockError when it is refused.
    """
    path, _, query = path.partition("?")
    sent = b"" if body is None else orjson.dumps(body)
    answer = control_answer(engine, project, Call(method, f"/_mock{path}", sent, project, parse_qsl(query)))
    if isinstance(answer.player, EventStream):
        answer.player.leave()
        raise MockError(f"{path} does not end: read it over HTTP.")
    body = (
        answer.body
        if answer.player is None
        else b"".join(chunk.data for chunk in chunks(answer) if isinstance(chunk, Chunk))
    )
    if body and answer.content_type != JSON:
        return body.decode()
    return orjson.loads(body) if body else None
