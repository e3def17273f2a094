"""What a fault's document becomes."""

from __future__ import annotations

from typing import Any

from mockserver.delivery.fault_effects import At
from mockserver.faults.apply import holds
from mockserver.faults.spec import CallInfo, Fault, load_fault, parse_faults
from mockserver.wire.responses.encoding import encode_compact


def only(fault: dict[str, Any]) -> Fault:
    return parse_faults([fault])[0]


def test_shorter_ways_to_say_it() -> None:
    assert only({"do": {"error": "server_error"}}).value == {"code": "server_error"}
    assert only({"do": {"error": 503}}).value == {"status": 503}
    assert only({"do": "close_socket"}).value == only({"do": {"close_socket": 1011}}).value == 1011
    assert only({"do": {"cut": True}}).kind == only({"do": "cut"}).kind == "cut"
    assert only({"do": "cut", "at": {"event": "a", "count": 2}}).at == At("a", 2)


def test_a_stored_fault_is_parsed_once() -> None:
    doc = encode_compact({"do": "cut", "when": {"input_contains": "zebra"}})
    assert load_fault(doc) is load_fault(bytes(bytearray(doc)))


def test_numbers_and_limits_stay_as_they_were_written() -> None:
    """They are stored and shown: 30 may not become 30.0, and the buckets stand in the author's order."""
    assert repr(only({"do": {"lock_conversation": 30}}).value) == "30"
    limits = {"tokens_per_minute": 600, "requests_per_minute": 2}
    assert list(only({"do": {"rate_limit": limits}}).value.items()) == [("tokens", 600), ("requests", 2)]


def test_a_path_may_have_wildcards() -> None:
    fault = only({"do": "cut", "when": {"path": "/v1/*/items", "method": "get"}})
    assert holds(fault, CallInfo("GET", "/v1/conversations/conv_1/items"))
    assert not holds(fault, CallInfo("GET", "/v1/conversations/conv_1/itemsx"))
    assert not holds(fault, CallInfo("POST", "/v1/conversations/conv_1/items"))
