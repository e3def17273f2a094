"""Interactions in a few words: for tables and trees, on the command line and in the viewer."""

from __future__ import annotations

from typing import Any

from proxy.cassettes.canonical import raw_items
from proxy.cassettes.interaction import Cassette, Interaction, Request
from proxy.cassettes.ledger import TURNS, Ledger, conversation_of

MOST = 60  # characters of what was said


def describe_ending(interaction: Interaction) -> str:
    """How an interaction ended: `complete`, `cut`, `closed 1000`, `lost`, with `rehydrated` where it was."""
    closing = interaction.response.closing
    if interaction.closes and closing is not None:
        return "lost" if closing.code is None else f"closed {closing.code}"
    return interaction.response.ended + (" rehydrated" if interaction.rehydrated else "")


def endpoint_of(interaction: Interaction) -> str:
    """What was called, ids shortened: `POST responses`, `SOCKET responses`."""
    request = interaction.request
    path = "/".join(map(shorten_id, request.path.removeprefix("/v1").split("/")))
    return f"{'SOCKET' if request.socket else request.method} {path}"


def parent_in(body: dict[str, Any]) -> str | None:
    """The response or the conversation that a request goes on from."""
    parent = body.get("previous_response_id")
    return parent if isinstance(parent, str) else conversation_of(body)


def shorten_id(id: str) -> str:
    """Both ends of a long id."""
    return id if len(id) <= 16 else f"{id[:9]}…{id[-6:]}"


def find_histories(cassette: Cassette) -> dict[int, str]:
    """By interaction: the response whose whole context a turn sends again, of clients that keep their history."""
    ledger = Ledger()
    after: dict[bytes, str] = {}  # responses by the context that they left
    found: dict[int, str] = {}
    for interaction in cassette.interactions:
        request, resource = interaction.request, interaction.resource
        body = request.value
        if isinstance(body, dict) and (request.socket or request.path in TURNS):
            context = ledger.parent_of(body)
            for item in raw_items(body.get("input")):
                context = ledger.extend(context, [item])
                if context.digest in after:
                    found[interaction.id] = after[context.digest]
        ledger.note(interaction)
        id = resource.get("id") if isinstance(resource, dict) else None
        if isinstance(id, str) and (left := ledger.responses.get(id)) is not None:
            after[left.digest] = id
    return found


def describe(interaction: Interaction) -> str:
    """An interaction in a line: its number, what was called, what was said and heard."""
    said, heard = said_in(interaction.request), heard_in(interaction)
    head = f"{interaction.id} {endpoint_of(interaction)}"
    return f"{head}{f' {said}' if said else ''}{f' → {heard}' if heard else ''}"


def said_in(request: Request) -> str:
    """The last item that a request sends, in a few words."""
    body = request.value
    asked = raw_items(body.get("input") or body.get("items")) if isinstance(body, dict) else []
    return _said_by(asked[-1]) if asked else ""


def heard_in(interaction: Interaction) -> str:
    """The last item that was answered, in a few words; of an error its status."""
    status = interaction.response.status
    return _heard_in(interaction.resource) if status < 300 else str(status)


def outline(interaction: Interaction) -> dict[str, Any]:
    """An interaction as a row of JSON, without its bodies: `duration_ms`, tokens and ids where it tells them."""
    body, resource, response = interaction.request.value, interaction.resource, interaction.response
    creates = interaction.request.socket or interaction.request.method == "POST"
    body = body if isinstance(body, dict) else {}
    resource = resource if isinstance(resource, dict) else {}
    usage = resource.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return {
        "interaction": interaction.id,
        "at": interaction.at,
        "transport": "websocket" if interaction.request.socket else "sse" if response.streamed else "http",
        "method": interaction.request.method,
        "path": interaction.request.path,
        "model": _text(body.get("model")),
        "parent": parent_in(body),
        "made": _text(resource.get("id")) if creates else None,
        "said": said_in(interaction.request),
        "heard": heard_in(interaction),
        "status": response.status,
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "duration_ms": round(response.seconds * 1000),
        "ended": describe_ending(interaction),
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _heard_in(resource: Any) -> str:
    if not isinstance(resource, dict):
        return ""
    output, listed = resource.get("output"), resource.get("data")
    if isinstance(output, list) and output:
        return _said_by(output[-1])
    return f"{len(listed)} {'item' if len(listed) == 1 else 'items'}" if isinstance(listed, list) else ""


def _said_by(item: Any) -> str:
    """An item in a few words: what it says, or which function it calls."""
    if not isinstance(item, dict):
        return ""
    if "name" in item:
        return f"{item.get('type')} {item['name']}"
    said = repr(_text_of(item.get("content", item.get("output", item.get("type")))))
    return said if len(said) <= MOST else f"{said[:MOST]}…"


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(str(part.get("text", part.get("type"))) for part in content if isinstance(part, dict))
    return str(content)
