"""All 59 event types, each made at least once by a scripted turn, in canonical order. Spec: S8, S9, S16."""

from __future__ import annotations

from collections import Counter

import pytest

from mockserver.delivery.events import events_of, fold
from mockserver.wire.responses.events import Event
from mockserver.wire.tokens import tokenizer
from tests.support.driving import Driver
from tests.support.scripted_items import DRAFTS, INCLUDE, OUTPUT_TYPES, REPLIES
from tests.support.stream_rules import KEYS, check_stream

TERRA = "gpt-5.6-terra"


def streamed(name: str) -> list[Event]:
    drive = Driver()
    drive.script({"reply": REPLIES[name]})
    return drive.stream("hello", model=TERRA, include=list(INCLUDE), store=True)


def queued() -> list[Event]:
    """The stream of a response in the background, as it follows from its terminal response."""
    final = streamed("message")[-1]["response"] | {"background": True}
    return events_of(final, tokenizer.pieces, obfuscate=True)


def test_every_output_item_type_is_scripted() -> None:
    assert {draft["type"] for drafts in DRAFTS.values() for draft in drafts} == OUTPUT_TYPES


@pytest.mark.parametrize("name", REPLIES)
def test_S9_what_holds_for_every_stream(name: str) -> None:
    stream = streamed(name)
    check_stream(stream)
    assert fold(stream) == stream[-1]["response"]


def test_S8i_a_response_in_the_background_is_queued_first() -> None:
    stream = queued()
    check_stream(stream)
    assert [event["type"] for event in stream[:3]] == ["response.created", "response.queued", "response.in_progress"]
    assert [event["response"]["status"] for event in stream[:3]] == ["queued", "queued", "in_progress"]
    assert not any("obfuscation" in event for event in stream)


def test_S16_all_59_event_types_are_made() -> None:
    made = Counter(event["type"] for stream in (*map(streamed, REPLIES), queued()) for event in stream)
    assert len(KEYS) == 59
    assert set(made) == set(KEYS)
    print(*(f"{count:5} {type}" for type, count in sorted(made.items())), sep="\n")


@pytest.mark.parametrize("name", DRAFTS)
def test_S11_a_replay_is_the_same_stream(name: str) -> None:
    drive = Driver()
    drive.script({"reply": REPLIES[name]})
    stream = drive.stream("hello", model=TERRA)
    assert drive.replay(stream[0]["response"]["id"]) == stream


def test_what_only_a_stream_shows_is_never_stored() -> None:
    drive = Driver()
    drive.script({"reply": REPLIES["everything"]})
    conversation = drive.conversation()["id"]
    body = drive.create("hello", model=TERRA, conversation=conversation)
    kept = [*body["output"], *drive.items(conversation, limit="100")["data"]]
    assert not {"audio_chunks", "audio_transcript", "compacting", "partial_images"} & {
        key for one in kept for key in one
    }
