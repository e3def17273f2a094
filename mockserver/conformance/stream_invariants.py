"""Rules that the events of every stream obey, on any server. Spec: S5, S8, S9.

Assertion rewriting is off, so failures show only the messages written here: PYTEST_DONT_REWRITE.
"""

# How it works. One pass over the events, item by item: an item is added, deltas spell out its texts, it is
# done; then the fold of all events has to be the terminal response. Foreign servers are held to the same rules
# as the mock.

from __future__ import annotations

from typing import Any

from mockserver.delivery.events import fold

Event = dict[str, Any]

OPENING = ("response.created", "response.queued", "response.in_progress")
TERMINAL = ("response.completed", "response.incomplete", "response.failed")
# members in which a lifecycle event's response may differ from the one before it
_CHANGING = frozenset(
    "status output usage completed_at service_tier error incomplete_details tool_usage moderation "
    "input_transformations prompt_cache_diagnostics".split()
)
_WHOLE = ("text", "refusal", "arguments", "input", "code")


def check_stream(events: list[Event]) -> dict[str, Any]:
    """Check everything that must hold for a stream's events; returns its terminal response."""
    # Numbers first: a gap means that events are missing, and every later complaint would follow from that.
    numbers = [event.get("sequence_number") for event in events]
    assert numbers == list(range(len(events))), f"sequence numbers {numbers} (S5)"
    types = [event["type"] for event in events]
    opening = [type for type in types if type in OPENING]
    assert types[:1] == ["response.created"], f"a stream begins with {types[:1]} (S8)"
    assert types[: len(opening)] == opening == [type for type in OPENING if type in opening], f"it opens {types[:4]}"
    assert [index for index, type in enumerate(types) if type in TERMINAL] == [len(types) - 1], (
        f"terminal in {types} (S9)"
    )
    responses = [event["response"] for event in events if "response" in event]
    final: dict[str, Any] = responses[-1]
    for response in responses[:-1]:
        assert _lasting(response) == _lasting(final), "lifecycle events disagree about their response (S9)"
        assert not response["output"], "output before it was made (S9)"
        assert response["usage"] is None, "usage before the end (S9)"
    assert final["status"] == types[-1].removeprefix("response.") or final["status"] == "cancelled"
    check_items(events)
    assert fold(events) == final, "the done items are not the final output (S9)"
    return final


def _lasting(response: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in response.items() if key not in _CHANGING}


def check_items(events: list[Event]) -> None:
    """Assert that the items of a stream follow each other, each complete in its own events. Spec: S9."""
    done = 0
    begun: dict[str, Any] | None = None
    spelled: dict[tuple[Any, ...], str] = {}
    for event in events:
        kind: str = event["type"]
        if kind == "response.output_item.added":
            assert begun is None, "items overlap (S9)"
            assert event["output_index"] == done, "an item's place is not the next one (S9)"
            begun, spelled = event["item"], {}
        elif kind == "response.output_item.done":
            item = event["item"]
            assert begun is not None, "an item is done that was not added (S9)"
            assert event["output_index"] == done, "an item is done in another place (S9)"
            for key in ("id", "type", "call_id"):
                assert begun.get(key) == item.get(key), f"an item's {key} changed (S9)"
            assert spelled.keys() == _texts(item).keys(), f"texts of {item['type']} (S8)"
            assert spelled == _texts(item), "deltas are not the item's text (S9)"
            begun = None
            done += 1
        elif "output_index" in event:
            assert begun is not None, f"{kind} outside of an item (S9)"
            assert (event["output_index"], event.get("item_id", begun["id"])) == (done, begun["id"]), kind
            _tell(spelled, event)
    assert begun is None, "an item was never done (S9)"


def _tell(spelled: dict[tuple[Any, ...], str], event: Event) -> None:
    """Add a delta to its text; a done event must repeat the whole text."""
    family, _, phase = event["type"].rpartition(".")
    if family not in _TOLD:
        return
    place = (family, event.get(_TOLD[family]))
    if phase == "delta":
        spelled[place] = spelled.get(place, "") + event["delta"]
    elif phase == "done":
        whole = next(event[key] for key in _WHOLE if key in event)
        assert spelled.setdefault(place, "") == whole, f"{event['type']} says otherwise than its deltas (S9)"


# events that spell out a text → the key that tells several texts of one item apart
_TOLD = {
    "response.output_text": "content_index",
    "response.refusal": "content_index",
    "response.reasoning_summary_text": "summary_index",
    "response.function_call_arguments": "",
    "response.custom_tool_call_input": "",
}


def _texts(item: dict[str, Any]) -> dict[tuple[Any, ...], str]:
    """The texts of an item that its stream spells out."""
    match item["type"]:
        case "message":
            return {
                ("response." + part["type"], index): part[part["type"].removeprefix("output_")]
                for index, part in enumerate(item["content"])
                if part["type"] in ("output_text", "refusal")
            }
        case "reasoning":
            return {
                ("response.reasoning_summary_text", index): part["text"] for index, part in enumerate(item["summary"])
            }
        case "function_call":
            return {("response.function_call_arguments", None): item["arguments"]}
        case "custom_tool_call":
            return {("response.custom_tool_call_input", None): item["input"]}
        case _:
            return {}
