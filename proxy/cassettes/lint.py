"""What is wrong with a cassette, for somebody who is about to commit it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from mockserver.wire import catalog
from proxy.cassettes.interaction import Cassette, Interaction
from proxy.cassettes.ledger import Ledger
from proxy.cassettes.redaction import Redactor

_IDS = re.compile(r"(?:resp|conv|msg|rs|fc|cmp|file|vs)_[A-Za-z0-9]{12,}")


def find_faults(cassette: Cassette, now: float, max_age_s: float | None = None) -> Iterator[str]:
    """Yield each fault in one line: where, and what. `now` is unix seconds."""
    yield from map(str, cassette.problems)
    yield from _find_age(cassette, now, max_age_s)
    ledger, redactor = Ledger(), Redactor()
    known: set[str] = set()
    for interaction in cassette.interactions:
        place = f"{cassette.path}:{cassette.lines.get(interaction.id, interaction.id)}: interaction {interaction.id}"
        yield from (f"{place}: {fault}" for fault in _find_secrets(interaction, redactor))
        yield from (f"{place}: {fault}" for fault in _find_unexplained(interaction, known))
        yield from (f"{place}: {fault}" for fault in _find_models(interaction, now))
        if interaction.response.ended == "cut":
            yield f"{place}: the answer was cut off"
        ledger.note(interaction)
        known |= {*_IDS.findall(interaction.response.body.decode(errors="replace")), *ledger.origins}


def _find_age(cassette: Cassette, now: float, max_age_s: float | None) -> Iterator[str]:
    if max_age_s is None:
        return
    try:
        recorded = datetime.fromisoformat(cassette.head.recorded or "")
    except ValueError:
        yield f"{cassette.path}:1: when it was recorded is not known"
        return
    age_s = now - (recorded if recorded.tzinfo else recorded.replace(tzinfo=UTC)).timestamp()
    if age_s > max_age_s:
        yield f"{cassette.path}:1: recorded {age_s / 86400:.0f} days ago"


def _find_secrets(interaction: Interaction, redactor: Redactor) -> Iterator[str]:
    """What redaction would hide today: a cassette edited by hand, or written by another version."""
    request, response = interaction.request, interaction.response
    parts = {
        "the path": request.path,
        "the request's body": request.body.decode(errors="replace"),
        "the answer": response.body.decode(errors="replace"),
        **{f"the header {name}": value for name, value in (*request.headers, *response.headers)},
    }
    for name, text in parts.items():
        if redactor.redact_text(text) != text:
            yield f"a secret in {name}"
    if redactor.redact_query(request.query) != request.query:
        yield "a secret in the query"
    for name, _ in response.headers:
        if name.lower() in ("set-cookie", "openai-organization", "openai-project"):
            yield f"the header {name} names an account"
    if any(name in ("authorization", "cookie", "openai-organization", "openai-project") for name, _ in request.headers):
        yield "a secret in the request's headers"


def _find_unexplained(interaction: Interaction, known: set[str]) -> Iterator[str]:
    """Ids that a request names and no earlier answer brought: its recording can't be replayed from the beginning."""
    text = f"{interaction.request.path} {interaction.request.query} {_named(interaction.request.value)}"
    for id in dict.fromkeys(_IDS.findall(text)):
        if id not in known:
            yield f"nothing explains {id}"


def _named(body: Any) -> str:
    """The ids that a body refers to: its parent, its conversation, items by reference."""
    if not isinstance(body, dict):
        return ""
    listed = body.get("input")
    items = listed if isinstance(listed, list) else []
    references = [item.get("id") for item in items if isinstance(item, dict) and item.get("type") == "item_reference"]
    return " ".join(map(str, (body.get("previous_response_id"), body.get("conversation"), *references)))


def _find_models(interaction: Interaction, now: float) -> Iterator[str]:
    body = interaction.request.value
    name = body.get("model") if isinstance(body, dict) else None
    model = catalog.resolve(name) if isinstance(name, str) else None
    end = getattr(model, "shutdown_date", None)  # Spec: P18, W12
    if end is not None and datetime.fromtimestamp(now, UTC).date() >= date.fromisoformat(end):
        yield f"{name} was shut down on {end}"
