"""Behaviour switches: where sources disagree or nothing was measured, a switch chooses the behaviour.

`Switches` is both the table and the values: each field is a row, declared by `switch`.
"""

# How it works. A field's metadata is its row, so the table of the docs, `--set`, `Mock(set=…)` and the values
# that the core reads come from one place and can't drift apart. Values are parsed once, at the start: the core
# reads attributes.
#
# What must stay true: the first value is the default, and each switch names the rule whose behaviour it
# chooses.

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple

# in which a response has ended: before, there is nothing to go on from and nothing to write
STATUSES = ("completed", "incomplete", "failed", "cancelled")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_DAYS = 1_000_000


class SwitchError(ValueError):
    """A switch or its value is invalid; the message is one line and names the switch."""


class Row(NamedTuple):
    """One switch: `values` as a reader sees them, the default first; `rule` numbers the behaviour.

    `parse` turns text into the value and raises ValueError with what it takes.
    """

    name: str
    default: str
    values: tuple[str, ...]
    rule: str
    meaning: str
    parse: Callable[[str], Any]


def switch(default: str, *others: str, rule: str, meaning: str, kind: Any = None) -> Any:
    """Declare the field of a switch; without a `kind` of its own it takes exactly the named values."""
    values = (default, *others)
    parse = kind or _one_of(values)
    row = {"default": default, "values": values, "rule": rule, "meaning": meaning, "parse": parse}
    return field(default=parse(default), metadata=row)


def _one_of(values: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in values:
            raise ValueError("takes " + " or ".join((", ".join(values[:-1]), values[-1])))
        return text

    return parse


def _statuses(text: str) -> tuple[str, ...]:
    """Parse a comma-separated list of statuses; `all` means all of them."""
    names = STATUSES if text == "all" else tuple(part.strip() for part in text.split(","))
    for name in names:
        if name not in STATUSES:
            raise ValueError(f"takes a comma-separated list of {', '.join(STATUSES)}, or all")
    return names


def _days(text: str) -> float:
    number = float(text) if re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,6})?", text) else -1.0
    if not 0 <= number <= _LONGEST_DAYS:
        raise ValueError("takes a number of days, 0 for never")
    return number


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if match is None:
        raise ValueError("takes a duration such as 30d, 12h, 5m or 90s")
    return float(int(match[1]) * _UNITS[match[2]])


@dataclass(frozen=True, slots=True, eq=False, repr=False)  # what isn't needed is not compiled at each start
class Switches:
    """The value of every switch."""

    get_after_delete: str = switch(
        "404", "400", rule="R1.12", meaning="how reading a deleted response is refused: unknown, or `has been deleted`"
    )
    delete_object: str = switch(
        "response", "response.deleted", rule="R1.11", meaning="`object` of the marker that deleting a response returns"
    )
    chain_onto: tuple[str, ...] = switch(
        "completed,incomplete",
        "any list of statuses",
        "all",
        rule="R1.32",
        meaning="statuses that a `previous_response_id` may have",
        kind=_statuses,
    )
    deleted_ancestor: str = switch(
        "keep",
        "break",
        rule="R1.31",
        meaning="whether a chain survives the loss of an ancestor other than the direct parent",
    )
    input_items_scope: str = switch(
        "resolved", "own", rule="R3.3", meaning="what `input_items` lists: history and own input, or own input alone"
    )
    input_items_order: Literal["desc", "asc"] = switch(
        "desc", "asc", rule="R3.1", meaning="order of `input_items` when none is asked for"
    )
    conversation_write_on: tuple[str, ...] = switch(
        "completed,incomplete",
        "any list of statuses",
        "all",
        rule="R2.10",
        meaning="statuses in which a turn writes its items to its conversation",
        kind=_statuses,
    )
    on_disconnect: str = switch(
        "continue", "cancel", rule="R9.20", meaning="what becomes of a turn that takes time when its client leaves"
    )
    reasoning_pairing: str = switch(
        "lenient",
        "strict",
        rule="R1.39",
        meaning="strict: reasoning in the input needs the item it led to, and such an item its reasoning",
    )
    encrypted_content: str = switch(
        "always",
        "stateless_or_included",
        "included",
        rule="R1.41",
        meaning="when reasoning items carry `encrypted_content`: always, not stored or asked for, only asked for",
    )
    stream_error_shape: str = switch(
        "nested", "flat", rule="S12", meaning="shape of the `error` event: members below `error`, or at the top"
    )
    stream_overflow: str = switch(
        "error_then_failed",
        "error_only",
        "failed_only",
        rule="R7.3",
        meaning="events that end a stream whose input is larger than the window",
    )
    ws_cache: str = switch(
        "per_lane",
        "single",
        rule="R4.6",
        meaning="which unstored responses a socket can continue: each lane's latest, or its one latest",
    )
    truncation_drop: str = switch(
        "beginning", "middle", rule="R7.4", meaning="where `truncation: auto` drops items of a context over the window"
    )
    store_false_conversation: str = switch(
        "write_items",
        "read_only",
        rule="R2.18",
        meaning="whether a turn with `store: false` writes its items to its conversation",
    )
    cancelled_output: str = switch(
        "cleared",
        "kept",
        rule="R6.5",
        meaning="output of a background response that was cancelled: none, or the items done by then",
    )
    unknown_item_status: str = switch(
        "404", "400", rule="R1.37", meaning="HTTP status for an input item whose id names nothing stored"
    )
    conversation_response_ttl: str = switch(
        "expire",
        "keep",
        rule="R1.9",
        meaning="whether responses made in a conversation expire like others; their items never do",
    )
    response_ttl_days: float = switch(
        "30", "any number of days", "0 (never)", rule="R1.2", meaning="how long a stored response lives", kind=_days
    )
    expiry_boundary: str = switch(
        "inclusive", "exclusive", rule="R1.2", meaning="whether a response is gone at its last second or after it"
    )
    ttl_from: str = switch(
        "created_at", "last_use", rule="R1.3", meaning="what its life counts from; last_use: being a parent extends it"
    )
    done_sentinel: str = switch("off", "on", rule="S2", meaning="whether streams end in `data: [DONE]`")
    keep_alive: str = switch(
        "comment", "off", rule="S4", meaning="whether a stream that is silent for 15 seconds sends a comment line"
    )
    get_stream_finished: str = switch(
        "replay", "refuse", rule="R6.8", meaning="whether a finished response can be streamed again"
    )
    metadata_update: str = switch(
        "replace", "merge", rule="R2.4", meaning="what new metadata does to a conversation's old metadata"
    )
    unknown_url: str = switch(
        "invalid_url", "empty", rule="E99, E100", meaning="body of the 404 for an unknown path: an error, or nothing"
    )
    auth: str = switch("optional", "enforce", rule="E90", meaning="whether a call without any key gets 401")
    unknown_body_key: str = switch(
        "refuse", "ignore", rule="E5", meaning="what becomes of an unknown top-level key of a body"
    )
    ws_stream_field: str = switch(
        "ignore", "refuse", rule="R4.2", meaning="what becomes of `stream`, `stream_options` and `verbosity` in a frame"
    )
    websocket: str = switch(
        "on", "off", rule="R4.1", meaning="whether WebSockets are let in; off: an upgrade is answered with 426"
    )
    obfuscation: str = switch("on", "off", rule="S6", meaning="whether deltas are padded unless the caller declines")
    background_store_false: str = switch(
        "allow",
        "refuse",
        rule="R6.6",
        meaning="`background` with `store: false`: readable until 10 minutes after its end, or a 400",
    )
    json_word: str = switch(
        "require", "ignore", rule="E51", meaning="whether JSON mode needs the word json in the input"
    )
    stream_replay_window: float = switch(
        "30d",
        "any duration",
        rule="R6.10",
        meaning="how long a background stream can be resumed",
        kind=_seconds,
    )
    compaction_shape: str = switch(
        "last",
        "first",
        "first_and_last",
        rule="R5.3",
        meaning="where compaction items stand in an output",
    )
    id_prefix_code: str = switch(
        "invalid_value", "invalid_id_prefix", rule="E34", meaning="`code` of the error for an id with a wrong prefix"
    )
    ws_null_members: str = switch(
        "keep", "omit", rule="websocket §4", meaning="members that are null in the error of an error frame"
    )
    zdr: str = switch(
        "off",
        "on",
        rule="R1.5, R1.6",
        meaning="an organisation that retains nothing: `store` counts as false, chaining is refused",
    )
    unknown_models: str = switch(
        "refuse",
        "by_family",
        "allow",
        rule="W21",
        meaning="models nobody knows, echoed by their name: by_family as their family's model, allow as gpt-6-sol",
    )
    unknown_file: str = switch(
        "accept", "refuse", rule="P24", meaning="a `file_id` of a file that was never uploaded: let in, or a 404"
    )
    shutdown_models: str = switch(
        "serve", "refuse", rule="P18", meaning="whether a model is answered for from its shutdown date on"
    )


SWITCHES: Mapping[str, Row] = {one.name: Row(name=one.name, **one.metadata) for one in fields(Switches)}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is nearest to a misspelt one, or None."""
    from difflib import get_close_matches  # 5 ms that only a mistake has to pay

    return next(iter(get_close_matches(name, known, n=1)), None)


def parse_assignment(text: str) -> tuple[str, str]:
    """Parse `NAME=VALUE` to (name, text of the value); raises SwitchError."""
    name, equals, value = text.partition("=")
    name = name.strip()
    row = _row(name)
    if not equals:
        raise SwitchError(f"{name} needs a value, such as {name}={row.default}")
    return parse_value(name, value)


def parse_value(name: str, value: Any) -> tuple[str, str]:
    """Check a name and its value (a text, a number or several texts); raises SwitchError.

    The value stays text, because `/_mock/health` prints it as text.
    """
    row = _row(name)
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value).strip()
    try:
        row.parse(text)
    except ValueError as error:
        raise SwitchError(f"{name} {error}, not {text if isinstance(value, str) else value!r}") from None
    return name, text


def _row(name: str) -> Row:
    row = SWITCHES.get(name)
    if row is None:
        close = nearest(name, SWITCHES)
        hint = f"did you mean {close}?" if close else f"there are {', '.join(SWITCHES)}"
        raise SwitchError(f"there is no switch {name!r}; {hint}")
    return row


def values_of(assignments: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The parsed values of (name, text) pairs, by name; if a name comes twice, the last one counts."""
    return {name: SWITCHES[name].parse(text) for name, text in assignments}


def describe(assignments: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Every switch with its value as text, as `/_mock/health` prints it."""
    return {**{name: row.default for name, row in SWITCHES.items()}, **dict(assignments)}
