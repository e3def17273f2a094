"""Streams of any items: the invariants hold, the fold of the events is the terminal response, a replay is the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mockserver.delivery.events import fold
from tests.support.driving import Driver
from tests.support.examples import examples
from tests.support.scripted_items import DRAFTS, INCLUDE
from tests.support.stream_rules import check_stream

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="{}"), max_size=40)
BASE64 = st.lists(st.sampled_from(["QUFB", "QkJC"]), max_size=3)
LISTINGS = [DRAFTS["listing"], DRAFTS["listing that failed"]]


def parts() -> st.SearchStrategy[dict[str, Any]]:
    """Parts of a message, with citations anywhere in the text."""
    citation = st.builds(
        lambda end: {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": end},
        st.integers(0, 50),
    )
    text = st.fixed_dictionaries(
        {"type": st.just("output_text"), "text": WORDS},
        optional={"annotations": st.lists(citation, max_size=3)},
    )
    return text | st.fixed_dictionaries({"type": st.just("refusal"), "refusal": WORDS})


MESSAGES = st.fixed_dictionaries(
    {"type": st.just("message"), "content": st.lists(parts(), max_size=3)},
    optional={"audio_chunks": BASE64, "audio_transcript": WORDS, "phase": st.just("commentary")},
)
CALLS = st.fixed_dictionaries({"type": st.just("function_call"), "name": st.just("f"), "arguments": WORDS})
CUSTOM = st.fixed_dictionaries({"type": st.just("custom_tool_call"), "name": st.just("f"), "input": WORDS})
CODE = st.fixed_dictionaries({"type": st.just("code_interpreter_call"), "code": WORDS})
SHELL = st.builds(
    lambda commands: {"type": "shell_call", "action": {"commands": commands}}, st.lists(WORDS, max_size=3)
)
THOUGHTS = st.fixed_dictionaries(
    {"type": st.just("reasoning"), "summary": st.lists(WORDS, max_size=2)},
    optional={"content": st.lists(WORDS, max_size=2)},
)
COMPACTIONS = st.fixed_dictionaries({"type": st.just("compaction")}, optional={"compacting": st.integers(0, 4)})
MADE = st.one_of(MESSAGES, CALLS, CUSTOM, CODE, SHELL, THOUGHTS, COMPACTIONS).map(lambda draft: [draft])
KNOWN = st.sampled_from(list(DRAFTS.values())) | st.sampled_from(LISTINGS)
OUTPUTS = st.lists(KNOWN | MADE, max_size=8).map(
    # an id of one's own may stand in a response once
    lambda groups: [draft for at, group in enumerate(groups) if group not in groups[:at] for draft in group]
)


@examples(150)
@given(output=OUTPUTS, model=st.sampled_from(["gpt-4.1", "gpt-5.6-terra"]), padded=st.booleans(), full=st.booleans())
def test_S9_streams_of_any_items(output: list[dict[str, Any]], model: str, padded: bool, full: bool) -> None:
    everything = [*INCLUDE[:-1], "message.output_text.logprobs"] if model == "gpt-4.1" else list(INCLUDE)
    asked: dict[str, Any] = {"model": model, "include": everything if full else []}
    drive, plain = Driver(), Driver()
    for one in (drive, plain):
        one.script({"reply": {"output": output}})
    stream = drive.stream("hello", stream_options={"include_obfuscation": padded}, **asked)
    check_stream(stream)
    final = stream[-1]["response"]
    assert fold(stream) == final
    body = plain.create("hello", **asked)
    assert body.pop("billing") == {"payer": "developer"}
    assert body == final
    assert drive.replay(final["id"], include_obfuscation=str(padded).lower()) == stream
