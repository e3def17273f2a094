"""The compaction pass: its length, and where its items stand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mockserver.model.compaction_summary import compacting, summary_tokens
from mockserver.model.prompt import Reply

MESSAGE = {"type": "message"}


@given(st.text(), st.integers(0, 2_000_000))
def test_a_summary_with_its_frame_stays_below_the_least_threshold(seed: str, tokens: int) -> None:
    found = summary_tokens(seed, tokens)
    assert 0 < found + 80 < 1000
    assert found == summary_tokens(seed, tokens)


def test_longer_contexts_have_longer_summaries() -> None:
    assert summary_tokens("s", 2000) > summary_tokens("s", 100)


def test_cues_move_with_their_items() -> None:
    reply = Reply(output=(MESSAGE,), cues={"0": {"audio_transcript": "b"}})
    assert compacting(reply, "first", 7).cues == {"1": {"audio_transcript": "b"}}
    assert compacting(reply, "last", 7).cues == {"0": {"audio_transcript": "b"}}


def test_a_reply_that_compacts_itself_or_fails_keeps_its_output() -> None:
    own = Reply(output=({"type": "compaction"}, MESSAGE))
    assert compacting(own, "first_and_last", 7).output == own.output
    failed = Reply(failed={"code": "server_error", "message": "no"})
    assert compacting(failed, "last", 7).output == ()
