"""Events: key order, framing, obfuscation. Spec: S1, S6, S7, S12."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mockserver.wire.responses import events
from mockserver.wire.responses.event_list import sse


def test_S7_exact_key_orders() -> None:
    (delta,) = events.text_deltas_with_padding("msg_1", 0, 0, ["pong"], [], ["axh0jSQQikAc"], 4)
    assert list(delta) == "type content_index delta item_id logprobs obfuscation output_index sequence_number".split()
    bare = events.text_delta("msg_1", 0, 0, "pong", [], 4)
    assert list(bare) == [key for key in delta if key != "obfuscation"]
    done = events.on_item("response.output_text.done", "m", 0, 5, content_index=0, logprobs=[], text="pong")
    assert list(done) == "type content_index item_id logprobs output_index sequence_number text".split()
    assert list(events.lifecycle("response.created", {}, 0)) == ["type", "response", "sequence_number"]
    assert list(events.output_item("x", {}, 0, 1)) == ["type", "item", "output_index", "sequence_number"]
    part = events.content_part("x", "m", 0, 0, {}, 1)
    assert list(part) == "type content_index item_id output_index part sequence_number".split()
    arguments = events.on_item("x", "fc", 0, 3, delta="{", obfuscation="a")
    assert list(arguments) == "type delta item_id obfuscation output_index sequence_number".split()


def test_S12_the_error_event_is_nested_and_numbered_last() -> None:
    assert list(events.error({}, 2)) == ["type", "error", "sequence_number"]


def test_S1_framing() -> None:
    assert sse([{"type": "a", "x": "é"}, {"type": "b"}]) == (
        'event: a\ndata: {"type":"a","x":"é"}\n\nevent: b\ndata: {"type":"b"}\n\n'.encode()
    )


@given(st.lists(st.text(max_size=40), max_size=80))
def test_S6_padding_fills_to_the_next_multiple_of_16(deltas: list[str]) -> None:
    padding = events.Padding("resp_1")
    padded = [padding(delta) for delta in deltas]
    for delta, filler in zip(deltas, padded, strict=True):
        assert (len(delta) + len(filler)) % 16 == 0
        assert len(filler) < 16
        assert re.fullmatch("[A-Za-z0-9]*", filler)
    again = events.Padding("resp_1")
    assert [again(delta) for delta in deltas] == padded
