"""The oracle by itself: what it calls right and wrong, without any server."""

from __future__ import annotations

from mockserver.conformance.machine.reference_model import (
    REFUSALS,
    THIRTY_DAYS,
    Conversation,
    Item,
    PredictedError,
    Reference,
    Response,
)

HELLO = Item("message", "hello", "user")
CALL = Item("function_call", "{}", call_id="call_1", id="fc_1")
OUTPUT = Item("function_call_output", "18", call_id="call_1")


def with_response(*output: Item, status: str = "completed", stored: bool = True) -> Reference:
    known = Reference()
    one = Response("resp_1", None, None, 0, stored, status, own=[HELLO._replace(id="msg_1")], output=list(output))
    known.responses[one.id] = one
    known.finish(one)
    return known


def test_a_refusal_says_which_id() -> None:
    assert PredictedError("E60", "resp_1").error["message"] == "Previous response with id 'resp_1' not found."
    assert (PredictedError("E60").status, PredictedError("E60").code) == (400, "previous_response_not_found")
    assert all(status in (400, 404) for status, *_ in REFUSALS.values())


def test_a_response_lives_for_thirty_days() -> None:
    known = with_response()
    known.now = THIRTY_DAYS - 1
    assert known.alive("resp_1")
    assert known.expiring(1) == ["resp_1"]
    assert known.expiring(0.5) == []
    known.now = THIRTY_DAYS
    assert not known.alive("resp_1")
    assert known.judge([HELLO], parent="resp_1") == PredictedError("E60", "resp_1")


def test_what_can_be_continued() -> None:
    assert with_response().judge([HELLO], parent="resp_1") is None
    assert with_response(status="incomplete").judge([HELLO], parent="resp_1") is None
    for status in ("failed", "cancelled", "queued"):
        assert with_response(status=status).judge([HELLO], parent="resp_1") == PredictedError("E60", "resp_1")
    assert with_response(stored=False).judge([HELLO], parent="resp_1") == PredictedError("E60", "resp_1")
    assert Reference().judge([]) == PredictedError("E9")


def test_calls_and_outputs() -> None:
    known = with_response(CALL)
    assert known.judge([HELLO], parent="resp_1") == PredictedError("E71", "call_1")
    assert known.judge([OUTPUT, HELLO], parent="resp_1") is None
    assert known.judge([OUTPUT]) == PredictedError("E72", "call_1")
    assert known.judge([OUTPUT, CALL._replace(id="")]) == PredictedError("E72", "call_1")
    assert known.judge([CALL._replace(id=""), OUTPUT]) is None


def test_items_that_bear_ids() -> None:
    known = with_response(Item("message", "hi", "assistant", id="msg_2"))
    referred = known.items["msg_1"]._replace(reference=True)
    assert known.judge([referred]) is None
    assert known.judge([referred, referred]) == PredictedError("E70", "msg_1")
    assert known.judge([referred], parent="resp_1") == PredictedError("E70", "msg_1")
    assert known.judge([referred._replace(id="msg_9")]) == PredictedError("E68", "msg_9")
    assert known.judge([referred._replace(id="msg_9")], store=False) == PredictedError("E69", "msg_9")
    known.responses["resp_1"].deleted = True
    assert known.judge([referred]) == PredictedError("E68", "msg_1")
    assert known.judge([HELLO._replace(id="msg_1")]) is None  # a user's own id is nobody's business


def test_reasoning_needs_a_model_that_reads_it() -> None:
    known = with_response(Item("reasoning", id="rs_1"))
    assert known.judge([HELLO], parent="resp_1", reasons=False) == PredictedError("E55")
    assert known.judge([HELLO], parent="resp_1") is None


def test_a_conversation_is_written_once_its_turn_has_ended() -> None:
    known = Reference()
    talk = known.conversations["conv_1"] = Conversation("conv_1", running="resp_1")
    one = Response("resp_1", None, "conv_1", 0, False, "queued", own=[HELLO._replace(id="msg_1")])
    known.responses["resp_1"] = one
    assert known.judge([HELLO], conversation="conv_1") == PredictedError("E67")
    assert known.ending(0) == [one]
    one.status = "completed"
    known.finish(one)
    assert (talk.items, talk.running) == (["msg_1"], None)
    known.now = 100 * THIRTY_DAYS
    assert known.findable("msg_1")
    talk.deleted = True
    assert known.judge([HELLO], conversation="conv_1") == PredictedError("E63", "conv_1")
    assert known.judge([HELLO], conversation="conv_1", parent="resp_1") == PredictedError("E37")


def test_turns_that_did_not_end_well_write_nothing() -> None:
    known = Reference()
    talk = known.conversations["conv_1"] = Conversation("conv_1")
    one = Response("resp_1", None, "conv_1", 0, True, "failed", own=[HELLO._replace(id="msg_1")])
    known.responses["resp_1"] = one
    known.finish(one)
    assert talk.items == []
    assert known.findable("msg_1")
    known.now = THIRTY_DAYS
    assert not known.findable("msg_1")


def test_an_item_with_two_holders_lives_as_long_as_either() -> None:
    known = with_response()
    known.responses["resp_2"] = Response("resp_2", None, None, 10, True, "completed", own=[known.items["msg_1"]])
    known.finish(known.responses["resp_2"])
    known.responses["resp_2"].deleted = True
    assert known.findable("msg_1")
