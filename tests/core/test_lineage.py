"""Where a request continues. Spec: R1.20–R1.32, R2.7."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.core.lineage import (
    LONGEST_KNOWN,
    MOST_KNOWN,
    KnownConversations,
    KnownResponses,
    Lineage,
    is_broken,
    is_expired,
    live_response,
    missing,
    note_use,
    of_conversation,
    of_response,
    resolve_lineage,
)
from mockserver.core.records import Put
from mockserver.core.state import ConversationEnd, Node, Summary, decode_node
from mockserver.wire.responses.ids import is_marked_unstored
from mockserver.wire.tokens.context import Tally
from tests.support.driving import Driver, refused, summary
from tests.support.records import Records, semantics

DAY = 86_400
MONTH = 30 * DAY


def unknown(id: str) -> tuple[int, str, str, str]:
    return 400, f"Previous response with id '{id}' not found.", "previous_response_id", "previous_response_not_found"


def test_R1_20_context_is_every_ancestors_input_and_output_oldest_first() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "a1"}}, {"reply": {"text": "a2"}})
    first = drive.create("u1")
    second = drive.create("u2", previous_response_id=first["id"])
    third = drive.create("u3", previous_response_id=second["id"])
    assert drive.context(third["id"]) == ["u1", "a1", "u2", "a2", "u3"]


def test_R1_21_instructions_are_not_inherited_but_system_messages_are() -> None:
    drive = Driver()
    system = {"role": "system", "content": "be brief"}
    first = drive.create([system, {"role": "user", "content": "u1"}], instructions="speak French")
    second = drive.create("u2", previous_response_id=first["id"])
    assert second["instructions"] is None
    assert drive.engine.control.context("p", second["id"])["instructions"] is None
    assert drive.context(second["id"])[:2] == ["be brief", "u1"]


def test_R1_22_nothing_else_is_inherited() -> None:
    drive = Driver()
    first = drive.create("u", temperature=0.5, metadata={"a": "b"}, max_output_tokens=50, truncation="auto")
    second = drive.create("u", previous_response_id=first["id"])
    silent = drive.create("u")
    own = {"id", "output", "previous_response_id", "usage", "created_at", "completed_at"}
    assert {k: v for k, v in second.items() if k not in own} == {k: v for k, v in silent.items() if k not in own}


def test_R1_23_conversation_and_parent_exclude_each_other_before_any_lookup() -> None:
    error = refused(Driver().create, previous_response_id="resp_x", conversation="conv_x")
    message = "Mutually exclusive parameters: ''. Ensure you are only providing one of: 'pre..._id' or 'conversation'."
    assert summary(error) == (400, message, None, "mutually_exclusive_parameters")


def test_R1_24_unknown_parent() -> None:
    assert summary(refused(Driver().create, previous_response_id="resp_123")) == unknown("resp_123")


def test_R1_24_deleted_parent() -> None:
    drive = Driver()
    first = drive.create()
    drive.delete(first["id"])
    assert summary(refused(drive.create, previous_response_id=first["id"])) == unknown(first["id"])


def test_R1_4_unstored_parent() -> None:
    drive = Driver()
    first = drive.create(store=False)
    assert summary(refused(drive.create, previous_response_id=first["id"])) == unknown(first["id"])


def test_R1_2_and_R1_3_a_parent_expires_thirty_days_after_it_was_created_used_or_not() -> None:
    drive = Driver()
    first = drive.create("u1")
    drive.advance(days=29)
    second = drive.create("u2", previous_response_id=first["id"])
    drive.advance(seconds=86_399)
    assert drive.get(first["id"])["id"] == first["id"]
    drive.advance(seconds=1)
    error = refused(drive.get, first["id"])
    assert summary(error) == (404, f"Response with id '{first['id']}' not found.", None, None)
    assert summary(refused(drive.create, previous_response_id=first["id"])) == unknown(first["id"])
    third = drive.create("u3", previous_response_id=second["id"])
    assert drive.context(third["id"])[0] == "u1"


def test_R1_31_a_deleted_ancestor_does_not_break_the_chain() -> None:
    drive = Driver()
    first = drive.create("u1")
    second = drive.create("u2", previous_response_id=first["id"])
    drive.delete(first["id"])
    third = drive.create("u3", previous_response_id=second["id"])
    assert drive.context(third["id"])[0] == "u1"


def test_R1_26_and_27_chaining_out_of_a_conversation_adds_nothing_to_it() -> None:
    drive = Driver()
    conversation = drive.conversation()["id"]
    first = drive.create("u1", conversation=conversation)
    before = drive.items(conversation)
    second = drive.create("u2", previous_response_id=first["id"])
    assert "conversation" not in second
    assert second["previous_response_id"] == first["id"]
    assert drive.context(second["id"])[0] == "u1"
    assert drive.items(conversation) == before


def test_R1_28_forks_do_not_see_each_other() -> None:
    drive = Driver()
    root = drive.create("root")
    left = drive.create("left", previous_response_id=root["id"])
    right = drive.create("right", previous_response_id=root["id"])
    again = drive.create("again", previous_response_id=left["id"])
    assert "left" not in drive.context(right["id"])
    assert "right" not in drive.context(again["id"])


@pytest.mark.parametrize(
    ("ending", "chained"),
    [
        ({"failed": {"code": "server_error", "message": "m"}}, False),
        ({"text": "a", "incomplete": "max_output_tokens"}, True),
    ],
)
def test_R1_32_only_a_good_ending_can_be_continued(ending: dict[str, object], chained: bool) -> None:
    drive = Driver()
    reply = ending if "failed" in ending else {"incomplete": "max_output_tokens"}
    drive.script({"reply": reply})
    first = drive.create()
    if chained:
        assert first["status"] == "incomplete"
        assert drive.create(previous_response_id=first["id"])["status"] == "completed"
    else:
        assert first["status"] == "failed"
        assert summary(refused(drive.create, previous_response_id=first["id"])) == unknown(first["id"])


def test_R2_7_conversation_as_text_and_as_object() -> None:
    drive = Driver()
    id = drive.conversation()["id"]
    assert drive.create(conversation=id)["conversation"] == {"id": id}
    assert drive.create(conversation={"id": id})["conversation"] == {"id": id}
    assert len(drive.items(id)["data"]) == 4


def test_R2_7_an_unknown_conversation_is_never_created() -> None:
    error = refused(Driver().create, conversation="conv_123")
    assert summary(error) == (404, "Conversation with id 'conv_123' not found.", None, None)


def test_R1_45_an_unknown_prompt_comes_before_an_unknown_parent() -> None:
    error = refused(Driver().create, prompt={"id": "pmpt_1"}, previous_response_id="resp_1")
    assert summary(error) == (404, "Prompt with id 'pmpt_1' not found.", None, None)


def test_projects_never_see_each_other() -> None:
    one = Driver()
    other = Driver(one.engine, project="q")
    first = one.create()
    assert refused(other.get, first["id"]).status == 404
    assert refused(other.create, previous_response_id=first["id"]).code == "previous_response_not_found"


# --- switches, on records made by hand -----------------------------------------------------------------------------


def response_node(id: str, parent: str | None = None, *, created_at: int = 0, **fields: Any) -> Node:
    return Node(id, parent, [], 0, created_at, Summary(), **{"status": "completed", **fields})


def records_of(*nodes: Node) -> Records:
    return Records(*(Put("node", node.id, node.doc()) for node in nodes))


@pytest.mark.parametrize(
    ("grandparent", "broken"),
    [
        (response_node("resp_1", created_at=DAY), False),
        (response_node("resp_1", created_at=DAY, deleted=True), True),
        (response_node("resp_1", created_at=0), True),
        (response_node("resp_1", created_at=0, conversation="conv_1"), False),
        (response_node("by_hand", created_at=0, status=""), False),
    ],
    ids=["alive", "deleted", "expired", "in a conversation", "items added by hand"],
)
def test_R1_31_what_breaks_a_chain_where_ancestors_count(grandparent: Node, broken: bool) -> None:
    parent = response_node("resp_2", grandparent.id, created_at=MONTH - 1)
    child = response_node("resp_3", "resp_2", created_at=MONTH - 1)
    records = records_of(grandparent, parent, child)
    rules = semantics(deleted_ancestor="break")
    assert is_broken(records, child, rules, MONTH) is broken
    request = {"previous_response_id": "resp_3"}
    if not broken:
        assert resolve_lineage(records, request, rules, MONTH).head == "resp_3"
        return
    assert summary(refused(resolve_lineage, records, request, rules, MONTH)) == unknown("resp_3")
    assert resolve_lineage(records, request, semantics(), MONTH).head == "resp_3", "the default keeps what is inherited"


def test_E62_without_retention_nothing_can_be_continued() -> None:
    request = {"previous_response_id": "resp_1"}
    error = refused(resolve_lineage, records_of(response_node("resp_1")), request, semantics(zdr="on"), 0)
    text = "Previous response cannot be used for this organization due to Zero Data Retention."
    assert summary(error) == (400, text, "previous_response_id", "unsupported_parameter")


def test_R1_12_reading_a_deleted_response_may_say_so_until_it_expires() -> None:
    """Spec: R1.12, E75 (switch `get_after_delete`). What never was stored, or is not known, is not found."""
    unstored = "resp_0123456789abcdef01" + "0" * 32  # W1: the two digits behind the partition say so
    gone = [response_node(id, deleted=True) for id in ("resp_1", unstored)]
    records = records_of(*gone, response_node("resp_alive"))
    rules = semantics(get_after_delete="400")
    deleted = missing(records, "resp_1", rules, MONTH - 1)
    assert summary(deleted) == (400, "Response with id 'resp_1' has been deleted.", None, None)
    for id, now in (("resp_1", MONTH), (unstored, 0), ("resp_alive", 0), ("resp_unknown", 0)):
        assert summary(missing(records, id, rules, now)) == (404, f"Response with id '{id}' not found.", None, None)
    assert missing(records, "resp_1", semantics(), 0).status == 404


def test_R1_9_a_response_in_a_conversation_may_be_kept_for_ever() -> None:
    records, keep = records_of(), semantics(conversation_response_ttl="keep")
    assert is_expired(records, "resp_1", 0, "conv_1", semantics(), MONTH)
    assert not is_expired(records, "resp_1", 0, "conv_1", keep, 100 * MONTH)
    assert is_expired(records, "resp_1", 0, None, keep, MONTH), "only those of conversations"


def test_R1_3_a_life_may_count_from_the_last_use() -> None:
    rules = semantics(ttl_from="last_use")
    [use] = note_use({"previous_response_id": "resp_1"}, 29 * DAY + 0.9)
    records = Records(use)
    assert not is_expired(records, "resp_1", 0, None, rules, 59 * DAY - 1)
    assert is_expired(records, "resp_1", 0, None, rules, 59 * DAY)
    assert is_expired(records, "resp_1", 0, None, semantics(), MONTH), "the default counts from created_at"
    assert is_expired(records, "resp_unused", 0, None, rules, MONTH)
    assert note_use({}, 0) == []


def test_ids_of_other_kinds_are_no_responses() -> None:
    assert live_response(records_of(response_node("msg_1")), "msg_1", semantics(), 0) is None


PLAIN = Node("resp_1", None, [], 1, 5, Summary(count=2, tally=Tally(9)), "0", "completed")


def test_R1_24_a_known_response_leads_where_its_store_says() -> None:
    known, rules = KnownResponses(), semantics()
    records = Records(PLAIN.put())
    assert known.find(records, "resp_1", rules, 5) is None
    node = known.read(records, "resp_1")
    assert node is not None and node._replace(packed=[]) == PLAIN
    assert known.find(records, "resp_1", rules, 5) == of_response(records, "resp_1", rules, 5)
    for other in (PLAIN._replace(deleted=True), PLAIN._replace(summary=Summary(count=3, tally=Tally(9)))):
        assert known.find(Records(other.put()), "resp_1", rules, 5) is None
    assert known.find(Records(), "resp_1", rules, 5) is known.read(Records(), "resp_1") is None
    assert known.find(records, "resp_1", rules, 4 + MONTH) is not None
    assert known.find(records, "resp_1", rules, 5 + MONTH) is None, "whether it was used since is asked elsewhere"
    for switches in ({"zdr": "on"}, {"deleted_ancestor": "break"}, {"chain_onto": ("incomplete",)}):
        assert known.find(records, "resp_1", semantics(**switches), 5) is None
    known.forget()
    assert known.find(records, "resp_1", rules, 5) is None


UNSTORED = "resp_" + "0" * 16 + "01" + "0" * 32


@pytest.mark.parametrize(
    "node",
    [
        PLAIN._replace(status="failed"),
        PLAIN._replace(deleted=True),
        PLAIN._replace(id=UNSTORED),
        PLAIN._replace(partition="x" * LONGEST_KNOWN),
        PLAIN._replace(summary=Summary()),
        PLAIN._replace(summary=Summary(tally=Tally(9), pending={"call_1": "function_call_output"})),
        PLAIN._replace(summary=Summary(tally=Tally(9), reasoned=True)),
        PLAIN._replace(summary=Summary(tally=Tally(9), configuration={"reasoning": {"effort": "low"}})),
        PLAIN._replace(summary=Summary(tally=Tally(9), orphaned="call_1")),
        PLAIN._replace(summary=Summary(tally=Tally(9), prefix=["hash"])),
        PLAIN._replace(summary=Summary(tally=Tally(9, reasoning_now=1))),
    ],
)
def test_only_responses_with_plain_contexts_are_known(node: Node) -> None:
    assert is_marked_unstored(UNSTORED)
    known, records = KnownResponses(), Records(node.put())
    read = known.read(records, node.id)
    assert read is not None and read._replace(packed=[]) == node
    assert known.find(records, node.id, semantics(), 5) is None


def test_few_responses_are_known() -> None:
    known = KnownResponses()
    for number in range(2 * MOST_KNOWN):
        known.read(Records(PLAIN._replace(id=f"resp_{number}").put()), f"resp_{number}")
        assert 0 < len(known.known) <= MOST_KNOWN


def test_what_is_known_of_the_latest_turns_is_what_their_documents_say(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[bytes, int, Lineage]] = []
    monkeypatch.setattr(KnownResponses, "add", lambda self, *known: made.append(known))
    drive, parent = Driver(), None
    for text in ("u", "v", "long " * 500, "long " * 500, "w"):
        parent = drive.create(text, previous_response_id=parent)["id"]
    assert parent == made[-1][2].head, "also that from which nothing went on yet"
    assert made[-1][2].summary.trail
    for doc, created_at, lineage in made:
        node = decode_node(doc)
        known = (lineage.head, created_at, lineage.partition, json.dumps(lineage.summary, default=repr))
        assert known == (node.id, node.created_at, node.partition, json.dumps(node.summary, default=repr))
        assert lineage.conversation is node.conversation is None
        assert (node.status, node.deleted) == ("completed", False)


def test_R2_7_a_known_conversation_goes_on_from_what_its_store_has() -> None:
    known = KnownConversations()
    end = ConversationEnd("conv_1", b'{"id":"conv_1"}', 3, "resp_1", 2, None)
    node = Node("resp_1", None, [], 1, 5, Summary(count=2), "0", "completed", "conv_1")
    lineage = of_conversation(Records(end.put(), node.put()), "conv_1")
    known.add(end.put(), node.doc(), lineage)
    assert known.find(Records(end.put(), node.put()), "conv_1") is lineage
    for one, other in (
        (end._replace(running="resp_2"), node),
        (end._replace(head="resp_0", next=0), node),
        (end, node._replace(summary=Summary(count=3))),
        (end, node._replace(id="resp_9")),
    ):
        assert known.find(Records(one.put(), other.put()), "conv_1") is None
    assert known.find(Records(), "conv_1") is None
    assert [known.find(Records(end.put(), node.put()), id) for id in ("conv_2", {"id": "conv_1"}, None)] == [None] * 3
    known.forget()
    assert known.find(Records(end.put(), node.put()), "conv_1") is None
    known.add(end.put(), b"x" * (LONGEST_KNOWN + 1), lineage)
    assert not known._known, "none that is long"
    for number in range(2 * MOST_KNOWN):
        known.add(end._replace(id=f"conv_{number}").put(), node.doc(), lineage)
        assert 0 < len(known._known) <= MOST_KNOWN


def test_what_is_known_of_the_latest_conversations_is_what_their_documents_say(monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[tuple[Put, bytes, Lineage]] = []
    monkeypatch.setattr(KnownConversations, "add", lambda self, *known: added.append(known))
    drive = Driver()
    chat = drive.conversation()["id"]
    for text in ("u", "v", "long " * 500, "long " * 500, "w"):
        drive.create(text, conversation=chat)
    assert len(added) > 2 and added[-1][2].summary.trail
    for put, doc, lineage in added:
        head = Put("node", lineage.head or "", doc)
        told = [json.dumps(one, default=repr) for one in (lineage, of_conversation(Records(put, head), chat))]
        assert told[0] == told[1]
