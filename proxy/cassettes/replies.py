"""What a recorded turn said, as the mock's own model would say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mockserver.model.prompt import Item, Reply
from mockserver.wire.errors.api import APIError
from mockserver.wire.errors.scripted import from_script
from proxy.cassettes.canonical import BLOB
from proxy.cassettes.interaction import Interaction

# the mock's own: ids, what it derives from them, and what it seals
_OWN = frozenset(("id", "status", BLOB, "created_by"))
# a member whose nulls the mock fills in by itself, after it has counted what the model wrote (Spec: T12)
_FILLED = {"shell_call": "action"}


def reply_of(interaction: Interaction, *, usage: bool = True) -> Reply | None:
    """The reply of a recorded turn, ids left to the mock; None for what is no turn. `usage`: the recorded figures."""
    response = interaction.response
    if response.status >= 400:
        return Reply(error=_error_of(interaction.value, response.status, dict(response.headers)))
    frames = [event for event in interaction.events if event.get("type") == "error"]
    resource = interaction.resource
    if not isinstance(resource, dict) or "output" not in resource:
        if interaction.request.socket and frames:
            return Reply(error=_error_of(frames[-1], int(frames[-1].get("status") or 400), {}))
        return None
    figures = resource.get("usage") or {}
    output = resource.get("output") or _done_items(interaction)
    reasoning = (figures.get("output_tokens_details") or {}).get("reasoning_tokens") or 0
    details = resource.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    error = resource.get("error")
    return Reply(
        output=tuple(_draft(item) for item in output if isinstance(item, dict)),
        reasoning_tokens=reasoning,
        usage=figures if usage else {},
        failed=error if resource.get("status") == "failed" and isinstance(error, dict) else None,
        incomplete=reason if resource.get("status") == "incomplete" else None,
    )


def _done_items(interaction: Interaction) -> list[Any]:
    done = [event for event in interaction.events if event.get("type") == "response.output_item.done"]
    return [event.get("item") for event in done]


def _draft(item: Item) -> Item:
    # an item that was cut short keeps its status: the mock says "completed" by itself
    kept = {key: value for key, value in item.items() if key not in _OWN and value is not None}
    filled = _FILLED.get(str(item.get("type")))
    if filled is not None and isinstance(kept.get(filled), dict):
        kept[filled] = {key: value for key, value in kept[filled].items() if value is not None}
    if item.get("status") not in (None, "completed"):
        kept["status"] = item["status"]
    return kept


def _error_of(body: Any, status: int, headers: Mapping[str, str]) -> APIError:
    error = body.get("error") if isinstance(body, dict) else None
    spec: dict[str, Any] = {"status": status}
    if isinstance(error, dict):
        spec |= {key: error[key] for key in ("message", "type", "param", "code") if key in error}
    if "retry-after" in headers:
        spec["headers"] = {"retry-after": headers["retry-after"]}
    made = from_script({"status": status}, "")
    for key, value in spec.items():
        if key != "headers":
            setattr(made, key, value)
    made.headers.update(spec.get("headers") or {})
    return made
