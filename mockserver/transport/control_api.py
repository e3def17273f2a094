"""The control API under `/_mock/`: JSON in, JSON out, the project from the caller's headers like everywhere."""

from __future__ import annotations

import re
from typing import Any

import orjson

from mockserver import __version__
from mockserver.engine import Engine
from mockserver.levers import RESETTABLE
from mockserver.settings import parse_time
from mockserver.switches import described
from mockserver.transport.http import Answer, Call
from mockserver.transport.routes import Handler, Route, Table
from mockserver.wire.encoding import json_body
from mockserver.wire.errors import MockError

DAY = 86_400
LONGEST = 1000 * 366 * DAY  # a clock moved further than this is a mistake


def _value(call: Call) -> Any:
    """Return the JSON of a call's body; raises MockError for anything else."""
    try:
        return orjson.loads(call.body)
    except orjson.JSONDecodeError as error:
        raise MockError(f"The body is not JSON: {error}.") from None


def _object(call: Call, *allowed: str) -> dict[str, Any]:
    """Return the JSON object of a call's body, empty for no body; raises MockError for anything else."""
    value = _value(call) if call.body.strip() else {}
    if not isinstance(value, dict):
        raise MockError("The body must be a JSON object.")
    for key in value:
        if key not in allowed:
            raise MockError(f"{key}: unknown key; this call takes {', '.join(allowed)}.", param=key)
    return value


def _number(value: Any, name: str, *, least: float = 0.0) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= LONGEST:
        raise MockError(f"{name}: takes a number from {least:g} to {LONGEST:g}.", param=name)
    return float(value)


def _limit(call: Call) -> tuple[int, str | None, dict[str, str]]:
    """Return `limit` (1 to 1000, default 20), `after` and the other query parameters of a listing."""
    query = dict(call.query)
    text = query.pop("limit", "20")
    if not re.fullmatch(r"\d{1,4}", text) or not 1 <= int(text) <= 1000:
        raise MockError("limit: takes a whole number from 1 to 1000.", param="limit")
    return int(text), query.pop("after", None), query


def _health(engine: Engine, call: Call) -> Answer:
    mode = engine.settings.default_mode
    shown = described(engine.settings.set)
    return Answer(json_body({"status": "ok", "version": __version__, "mode": mode, "switches": shown}))


def _reset(engine: Engine, call: Call) -> Answer:
    only = _object(call, "only").get("only")
    if only is not None and not (isinstance(only, list) and all(part in RESETTABLE for part in only)):
        raise MockError(f"only: takes a list of {', '.join(RESETTABLE)}.", param="only")
    engine.levers.reset(call.project, only)
    return Answer(status=204)


def _read_clock(engine: Engine, call: Call) -> Answer:
    return Answer(json_body(engine.levers.read_clock(call.project)))


def _set_clock(engine: Engine, call: Call) -> Answer:
    body = _object(call, "now", "mode")
    mode = body.get("mode", "manual")
    if mode == "system" and "now" not in body:
        return Answer(json_body(engine.levers.set_clock(call.project, None)))
    if mode != "manual" or "now" not in body:
        raise MockError('Give "now" (a time to freeze at) or {"mode": "system"}.', param="mode")
    return Answer(json_body(engine.levers.set_clock(call.project, _time(body["now"]))))


def _time(value: Any) -> float:
    if not isinstance(value, str):
        return _number(value, "now")
    try:
        return parse_time(value)
    except ValueError:
        raise MockError("now: takes unix seconds or an ISO time such as 2026-11-20T12:00:00Z.", param="now") from None


def _advance_clock(engine: Engine, call: Call) -> Answer:
    body = _object(call, "seconds", "days")
    if not body:
        raise MockError('Give "seconds" and/or "days".', param="seconds")
    seconds = _number(body.get("seconds", 0), "seconds") + _number(body.get("days", 0), "days") * DAY
    return Answer(json_body(engine.levers.advance_clock(call.project, seconds)))


def _script(engine: Engine, call: Call) -> Answer:
    lines = _object(call, "lines").get("lines")
    if not isinstance(lines, list):
        raise MockError("lines: takes a list of lines.", param="lines")
    return Answer(json_body({"queued": engine.levers.enqueue(call.project, lines)}))


def _read_scenario(engine: Engine, call: Call) -> Answer:
    return Answer(json_body(engine.levers.scenario(call.project)))


def _set_scenario(engine: Engine, call: Call) -> Answer:
    return Answer(json_body(engine.levers.set_scenario(call.project, _value(call))))


def _empty_scenario(engine: Engine, call: Call) -> Answer:
    engine.levers.set_scenario(call.project, {"lines": []})
    return Answer(status=204)


def _read_faults(engine: Engine, call: Call) -> Answer:
    return Answer(json_body(engine.levers.faults(call.project)))


def _set_faults(engine: Engine, call: Call) -> Answer:
    value = _value(call)
    if isinstance(value, dict):
        value = _object(call, "faults").get("faults")
    return Answer(json_body(engine.levers.set_faults(call.project, value)))


def _clear_faults(engine: Engine, call: Call) -> Answer:
    engine.levers.set_faults(call.project, [])
    return Answer(status=204)


def _read_journal(engine: Engine, call: Call) -> Answer:
    limit, after, where = _limit(call)
    context = where.pop("context", "true")
    if context not in ("true", "false"):
        raise MockError("context: takes true or false.", param="context")
    for key in where:
        if key not in ("path", "response_id"):
            raise MockError(f"{key}: unknown filter; there are path, response_id.", param=key)
    if after is not None and not re.fullmatch(r"\d{1,15}", after):
        raise MockError("after: takes the id of an exchange.", param="after")
    number = None if after is None else int(after)
    return Answer(
        json_body(engine.levers.journal(call.project, limit=limit, after=number, context=context == "true", **where))
    )


def _clear_journal(engine: Engine, call: Call) -> Answer:
    engine.levers.clear_journal(call.project)
    return Answer(status=204)


def _verdict(engine: Engine, call: Call) -> Answer:
    return Answer(json_body({"findings": [one._asdict() for one in engine.levers.verdict(call.project)]}))


def _snapshot(engine: Engine, call: Call) -> Answer:
    return Answer(json_body(engine.levers.snapshot(call.project)))


def _restore(engine: Engine, call: Call) -> Answer:
    engine.levers.restore(call.project, _value(call))
    return Answer(status=204)


def _context(engine: Engine, call: Call) -> Answer:
    return Answer(json_body(engine.levers.context(call.project, call.parts["id"])))


def _responses(engine: Engine, call: Call) -> Answer:
    limit, after, where = _limit(call)
    for key in where:
        if key not in ("model", "status", "conversation"):
            raise MockError(f"{key}: unknown filter; there are model, status, conversation.", param=key)
    return Answer(json_body(engine.levers.list_responses(call.project, limit=limit, after=after, **where)))


def _conversations(engine: Engine, call: Call) -> Answer:
    limit, after, where = _limit(call)
    for key in where:
        raise MockError(f"{key}: unknown filter; conversations have none.", param=key)
    return Answer(json_body(engine.levers.list_conversations(call.project, limit=limit, after=after)))


def _unbuilt(engine: Engine, call: Call) -> Answer:
    raise MockError(f"{call.path} is not built yet.", status=501)


_ALL_UNBUILT = dict.fromkeys(("GET", "PUT", "POST", "DELETE"), _unbuilt)

CONTROL = Table(
    (
        Route("/_mock/health", {"GET": _health}),
        Route("/_mock/reset", {"POST": _reset}),
        Route("/_mock/clock", {"GET": _read_clock, "PUT": _set_clock}),
        Route("/_mock/clock/advance", {"POST": _advance_clock}),
        Route("/_mock/script", {"POST": _script}),
        Route("/_mock/scenario", {"GET": _read_scenario, "PUT": _set_scenario, "DELETE": _empty_scenario}),
        Route("/_mock/snapshot", {"GET": _snapshot, "PUT": _restore}),
        Route("/_mock/responses", {"GET": _responses}),
        Route("/_mock/responses/{id}/context", {"GET": _context}),
        Route("/_mock/conversations", {"GET": _conversations}),
        Route("/_mock/faults", {"GET": _read_faults, "PUT": _set_faults, "DELETE": _clear_faults}),
        Route("/_mock/journal", {"GET": _read_journal, "DELETE": _clear_journal}),
        Route("/_mock/verdict", {"GET": _verdict}),
        *(Route(f"/_mock/{name}", _ALL_UNBUILT) for name in ("drift", "metrics", "")),
    )
)


def control_handler(call: Call) -> tuple[Handler, dict[str, str]]:
    """Return who answers a control call; raises MockError 404 or 405."""
    found = CONTROL.find(call.path)
    if found is None:
        raise MockError(f"There is no {call.path}.", status=404)
    route, parts = found
    if call.method not in route.handlers:
        raise MockError(f"{call.path} takes {', '.join(route.handlers)}, not {call.method}.", status=405)
    return route.handlers[call.method], parts
