"""Records: nodes, conversations and entries survive being written down."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from mockserver.core import state
from mockserver.core.records import Put
from mockserver.core.state import Conversation, Entry, Node, Summary
from mockserver.wire.tokens.context import Tally
from tests.support.records import Records


def node(id: str, parent: str | None, *texts: str) -> Node:
    tally = Tally(5, 1, 0, (("call_1", "f", None),), True)
    summary = Summary(
        2, 1, {"call_1": "function_call_output"}, True, {"reasoning": {"effort": "low"}}, "call_2", "class", tally
    )
    return Node(id, parent, [{"id": text, "text": text} for text in texts], 1, 5, summary, "0ab", "completed", "conv_1")


def test_a_node_comes_back_as_it_was() -> None:
    one = node("resp_1", None, "a")
    back = state.decode_node(one.doc())
    assert (back.items, back.summary) == (one.items, one.summary)
    assert back._replace(packed=back.items) == one
    assert state.decode_node(one.doc()).doc() == one.doc()
    assert state.read_node(Records(Put("node", "resp_1", one.doc())), "resp_1") is not None
    assert state.read_node(Records(), "resp_1") is None


def test_contexts_are_walked_back_and_read_forward() -> None:
    nodes = [node("n1", None, "a", "b"), node("n2", "n1", "c"), node("n3", "n2", "d", "e")]
    records = Records(*(Put("node", one.id, one.doc()) for one in nodes))
    assert [item["id"] for item in state.items_up_to(records, "n3")] == list("abcde")
    assert [item["id"] for item in state.items_back(records, "n2")] == list("cba")
    assert state.items_up_to(records, None) == []
    assert state.read_summary(records, "n3") == nodes[2].summary
    assert state.read_summary(records, None) == Summary()


def test_a_conversation_comes_back_as_it_was() -> None:
    one = Conversation({"id": "conv_1", "metadata": {}}, 3, "n1", 7, "resp_1")
    assert state.read_conversation(Records(one.put()), "conv_1") == one
    assert state.read_conversation(Records(), "conv_1") is None


WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=8) | st.sampled_from(
    ["order", "head", ',"order":', '\\",\\"order\\":', '}{"object":']
)


@given(WORDS, st.dictionaries(WORDS, WORDS), st.integers(0, 9), st.none() | WORDS, st.integers(0, 9), st.none() | WORDS)
def test_where_a_conversation_goes_on_is_found_and_written_whatever_its_object_says(
    id: str, metadata: dict[str, str], order: int, head: str | None, next: int, running: str | None
) -> None:
    one = Conversation({"id": id, "metadata": metadata}, order, head, next, running)
    put = one.put()
    assert put.doc == orjson.dumps(one._asdict())
    end = state.read_conversation_end(Records(put), id)
    assert end == one.end()
    assert end is not None
    assert end.put() == put
    moved = end._replace(head="resp_1", next=next + 2, running=None).put()
    assert state.read_conversation(Records(moved), id) == one._replace(head="resp_1", next=next + 2, running=None)


def test_a_conversation_of_an_earlier_version_goes_on_too() -> None:
    known = {"object": {"id": "conv_1", "metadata": {"order": "x"}}, "order": 3}
    for doc in ({**known, "head": "n1", "next": 2}, known, dict(reversed(known.items()))):
        records = Records(Put("conversation", "conv_1", orjson.dumps(doc)))
        one = state.read_conversation(records, "conv_1")
        assert one is not None
        assert state.read_conversation_end(records, "conv_1") == one.end()
    assert state.read_conversation_end(Records(), "conv_1") is None


def test_an_entry_comes_back_as_it_was() -> None:
    entry = Entry("n1", 2, 9)
    records = Records(entry.put("conv_1", "msg_1"))
    assert state.read_entry(records, "conv_1", "msg_1") == entry
    assert state.read_entry(records, "conv_2", "msg_1") is None
    assert [record.order for record in records.scan("entry", "conv_1")] == [9]


def test_pointers_name_the_place_of_each_item() -> None:
    pointers = state.item_pointers(node("n1", None, "a", "b"))
    assert [(put.id, put.doc) for put in pointers if isinstance(put, Put)] == [
        ("a", b'[["n1",0]]'),
        ("b", b'[["n1",1]]'),
    ]
    records = Records(*(put for put in pointers if isinstance(put, Put)))
    second = state.shared_item_pointers(records, node("n2", None, "b", "a", "c"), {"a"})
    assert [put.doc for put in second if isinstance(put, Put)] == [
        b'[["n2",0]]',
        b'[["n1",0],["n2",1]]',
        b'[["n2",2]]',
    ]
    assert state.nodes_holding(records, "b") == [("n1", 1)] and state.nodes_holding(records, "z") == []
