"""What a call is for the journal and for faults."""

from __future__ import annotations

import pytest

from mockserver.control.faults import Called
from mockserver.transport.accounts import called
from mockserver.transport.http import Call
from mockserver.wire.named_errors import MODEL


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (Call("GET", "/v1/models", [], {}), Called("GET", "/v1/models", "http", 0, MODEL)),
        (Call("GET", "/v1/r", [("stream", "true")], {}), Called("GET", "/v1/r", "sse", 0, MODEL)),
        (Call("POST", "/v1/r", [], {}, b'{"model":"m"}'), Called("POST", "/v1/r", "http", 13, "m")),
        (Call("POST", "/v1/r", [], {}, b'{"stream":true}'), Called("POST", "/v1/r", "sse", 15, MODEL)),
        (Call("POST", "/v1/r", [], {}, b'{"model":1'), Called("POST", "/v1/r", "http", 10, MODEL)),
        (Call("POST", "/v1/r", [], {}, b"[]"), Called("POST", "/v1/r", "http", 2, MODEL)),
    ],
)
def test_a_call_is_read_before_it_is_judged(call: Call, found: Called) -> None:
    assert called(call) == found
