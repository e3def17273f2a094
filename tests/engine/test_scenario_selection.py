"""Scenarios of the server and of projects: which line answers, what is counted, what is loud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from mockserver.config.settings import SettingError, Settings
from mockserver.engine.engine import Engine
from mockserver.engine.scenario_selection import Scenarios
from mockserver.model.prompt import Prompt, Reply
from mockserver.store.memory import MemoryStore
from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.encoding import json_body
from mockserver.wire.responses.resources import assistant_message, text_part
from tests.support.driving import NOON, Driver, refused, text_of
from tests.support.sockets import Frames

ECHO = "Mock reply to: hello [1 items in context]"


def line(text: str, times: int | None = None, **when: Any) -> dict[str, Any]:
    return {"when": when, "reply": {"text": text}} | ({"times": times} if times else {})


def said(drive: Driver, text: str = "hello", **fields: Any) -> str:
    return text_of(drive.create(text, **fields)["output"][-1])


def put(drive: Driver, *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    return drive.engine.control.set_scenario("p", {"lines": list(lines), **more})


def unmatched(drive: Driver, text: str = "hello", **fields: Any) -> MockError:
    with pytest.raises(MockError) as caught:
        drive.create(text, **fields)
    return caught.value


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Two files, the second of which answers everything."""
    first, second = tmp_path / "first.yaml", tmp_path / "second.json"
    first.write_text("seed: 7\nlines:\n  - when: {input_contains: weather}\n    reply: {text: sunny}\n")
    second.write_text(json.dumps({"lines": [line("rest")]}))
    return str(first), str(second)


# --- which line answers -----------------------------------------------------------------------------------------


def test_the_first_line_that_holds_answers_and_stays() -> None:
    drive = Driver()
    put(drive, line("one", turn=1), line("any"), line("never"))
    first = drive.create()
    assert text_of(first["output"][0]) == "one" and said(drive) == "one"
    assert said(drive, previous_response_id=first["id"]) == "any"


def test_queued_lines_answer_first() -> None:
    drive = Driver()
    put(drive, line("stays"))
    drive.script(line("queued"), line("waits", input_contains="later"))
    assert [said(drive), said(drive), said(drive, "later"), said(drive)] == ["queued", "stays", "waits", "stays"]


def test_a_line_answers_as_often_as_it_may() -> None:
    drive = Driver()
    put(drive, line("twice", times=2), line("once", times=1))
    assert [said(drive) for _ in range(4)] == ["twice", "twice", "once", ECHO]


def test_projects_start_with_the_server_s_files_in_their_order(files: tuple[str, str]) -> None:
    drive = Driver(scenario=files)
    assert (said(drive, "weather?"), said(drive)) == ("sunny", "rest")
    other = Driver(drive.engine, project="other")
    assert said(other) == "rest"
    assert drive.engine.control.scenario("other")["unused"] == [0]
    assert drive.engine.control.scenario("p")["unused"] == []


def test_R5_9_a_compaction_trigger_is_answered_by_a_line_that_names_it() -> None:
    drive = Driver(strict=True)
    put(
        drive, line("any"), {"when": {"last_item": "compaction_trigger"}, "reply": {"output": [{"type": "compaction"}]}}
    )
    trigger = [{"role": "user", "content": "x"}, {"type": "compaction_trigger"}]
    assert [item["type"] for item in drive.create(trigger)["output"]] == ["compaction"]
    assert drive.engine.control.scenario("p")["unused"] == [0]
    put(drive)
    assert [item["type"] for item in drive.create(trigger)["output"]] == ["compaction"], "nobody need script it"


def test_an_error_line_is_counted_and_nothing_else_changes() -> None:
    drive = Driver()
    put(drive, {"reply": {"error": {"code": "rate_limit_exceeded"}}, "times": 1})
    assert refused(drive.create).status == 429
    assert said(drive) == ECHO


# --- a project's own --------------------------------------------------------------------------------------------


def test_what_can_be_read_of_it(files: tuple[str, str]) -> None:
    drive = Driver(scenario=files)
    assert drive.engine.control.scenario("p") == {
        "seed": 7,
        "lines": [
            {"when": {"input_contains": "weather"}, "reply": {"text": "sunny"}, "used": 0},
            {**line("rest"), "used": 0},
        ],
        "unused": [0, 1],
        "queue": [],
    }
    drive.script(line("queued", times=3))
    assert [said(drive), said(drive, "weather")] == ["queued", "queued"]
    found = put(drive, line("own"))
    assert found["lines"] == [{**line("own"), "used": 0}]
    assert found["queue"] == [{**line("queued", times=3), "used": 2}], "what is queued goes on waiting"


def test_another_scenario_begins_unused() -> None:
    drive = Driver()
    put(drive, line("once", times=1))
    assert said(drive) == "once"
    put(drive, line("again", times=1))
    assert said(drive) == "again"


def test_a_wrong_scenario_changes_nothing() -> None:
    drive = Driver()
    put(drive, line("kept"))
    with pytest.raises(MockError) as caught:
        put(drive, line("a"), line("b", tunr=1))
    assert caught.value.param == "lines[1].when.tunr"
    assert said(drive) == "kept"


def test_reset_brings_back_the_server_s_lines(files: tuple[str, str]) -> None:
    drive = Driver(scenario=files)
    said(drive)
    put(drive, line("own"), seed=3)
    drive.script(line("queued"))
    drive.engine.control.reset("p", ["state"])
    assert [said(drive), said(drive)] == ["queued", "own"], "the scenario is no state"
    drive.script(line("queued"))
    drive.engine.control.reset("p", ["scenario"])
    assert drive.engine.control.scenario("p")["unused"] == [0, 1] and said(drive) == "rest"
    drive.engine.control.set_scenario("p", {"lines": []})
    assert said(drive) == ECHO
    drive.engine.control.reset("p")
    assert said(drive) == "rest"


def test_counts_are_seen_by_whoever_shares_the_store() -> None:
    store = MemoryStore()
    one, other = (Driver(Engine(Settings(clock=NOON), store=store)) for _ in range(2))
    put(one, line("once", times=1))
    assert [said(other), said(one)] == ["once", ECHO]


def test_nothing_is_written_when_no_line_is_used() -> None:
    drive = Driver()
    said(drive)
    kinds = {record.kind for record in drive.engine.store.records("p")}
    assert not kinds & {"line", "scenario", "played"}


def test_snapshots_carry_it_to_servers_with_other_lines(files: tuple[str, str]) -> None:
    drive, bare = Driver(scenario=files), Driver(seed=7)
    said(drive)
    taken = json.loads(json_body(drive.engine.control.snapshot("p")))
    bare.engine.control.restore("p", taken)
    assert json.loads(json_body(bare.engine.control.snapshot("p"))) == taken
    assert bare.create("weather") == drive.create("weather")
    assert bare.engine.control.scenario("p") == drive.engine.control.scenario("p")
    drive.engine.control.restore("p", json.loads(json_body(Driver(seed=7).engine.control.snapshot("p"))))
    assert said(drive) == ECHO, "it was taken where there were no lines"


def test_a_snapshot_with_wrong_lines_is_refused() -> None:
    drive = Driver()
    put(drive, line("a"))
    taken = json.loads(json_body(drive.engine.control.snapshot("p")))
    taken["scenario"]["scenario"]["lines"][0]["reply"] = {}
    with pytest.raises(MockError) as caught:
        drive.engine.control.restore("p", taken)
    assert caught.value.param == "scenario.scenario.lines[0].reply"


# --- the seed ---------------------------------------------------------------------------------------------------


def test_a_file_s_seed_is_the_run_s_unless_one_is_given(files: tuple[str, str]) -> None:
    assert Driver(scenario=files).create() == Driver(scenario=files, seed=7).create()
    assert Driver(scenario=files[1:]).engine.settings.seed == 0
    assert Driver(scenario=files, seed=0).engine.settings.seed == 0


def test_files_must_agree_on_it(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.yaml").write_text(f"seed: {number}\nlines: []\n")
    paths = (str(tmp_path / "1.yaml"), str(tmp_path / "2.yaml"))
    with pytest.raises(SettingError, match="different seeds"):
        Scenarios(Settings(scenario=paths))
    assert Scenarios(Settings(scenario=paths, seed=5)).seed == 5


def test_a_project_s_own_seed_makes_it_draw_other_ids() -> None:
    drive, twin, plain = Driver(), Driver(), Driver()
    put(drive, seed=3)
    put(twin, seed=3)
    first = drive.create()
    assert first == twin.create() != plain.create()
    drive.engine.control.reset("p", ["state"])
    assert drive.create() == first
    drive.engine.control.reset("p")
    put(drive, seed=0)
    plain.engine.control.reset("p")
    assert drive.create() == plain.create(), "the server's own seed changes nothing"


# --- files that can't be used -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "can't be read: No such file"),
        (b"\xff\xfe\xff", "not UTF-8"),
        (b"", ":1: the file is empty"),
        (b"lines:\n  - reply: {txt: a}\n", ":2: lines[0].reply.txt: Unknown key"),
        (b"lines:\n  - reply: {text: 1}\n  - replies: 1\n", "and 2 more: understudy scenario check"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_line(tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "x.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingError) as caught:
        Engine(Settings(scenario=(str(file),)))
    said = str(caught.value)
    assert said.startswith(f"--scenario {file}") and words in said and "\n" not in said


# --- strict -----------------------------------------------------------------------------------------------------


def test_strict_refuses_what_no_line_answers_and_changes_nothing(files: tuple[str, str]) -> None:
    drive = Driver(scenario=files[:1], strict=True)
    first = drive.create("weather")
    before = drive.engine.store.records("p")
    error = unmatched(drive)
    assert (error.status, error.param, error.headers) == (501, None, {"x-should-retry": "false"})
    assert f'{files[0]}:3 (0 of 1 keys hold): input_contains wants "weather", found "hello"' in error.message
    assert drive.engine.store.records("p") == before
    assert said(drive, "weather", previous_response_id=first["id"]) == "sunny"


def test_strict_names_the_queue_and_the_project_s_lines() -> None:
    drive = Driver(strict=True)
    assert "nothing is queued and the scenario is empty" in unmatched(drive).message
    put(drive, line("a", turn=2, store=True), line("b", times=1))
    drive.script(line("q", stream=True))
    assert said(drive) == "b"
    message = unmatched(drive).message
    assert "lines[0] (1 of 2 keys hold): turn wants 2, found 1" in message
    assert "queue[0] (0 of 1 keys hold): stream wants true, found false" in message
    assert "lines[1] (no keys): it was used as often as" in message


def test_strict_holds_for_streams_too() -> None:
    with pytest.raises(MockError):
        Driver(strict=True).stream()


def test_R4_4_a_warm_up_needs_no_line() -> None:
    assert Driver(strict=True).create(prompt_cache_options={"prewarm": True}, model="gpt-5.6-terra")["output"] == []


# --- models -----------------------------------------------------------------------------------------------------


def test_a_plain_function_is_a_model() -> None:
    def shout(prompt: Prompt) -> Reply:
        return Reply(output=(assistant_message(prompt.model, text_part(prompt.request["input"].upper())),))

    class Model:
        def respond(self, prompt: Prompt) -> Reply:
            return shout(prompt)

    for model in (shout, Model()):
        drive = Driver(Engine(Settings(clock=NOON), model=model))
        drive.script(line("queued"))
        assert [said(drive), said(drive)] == ["queued", "HELLO"]


# --- sockets ----------------------------------------------------------------------------------------------------


def test_R4_5_sockets_share_the_scenario_its_counts_and_strictness() -> None:
    frames = Frames(Engine(Settings(clock=NOON, strict=True)))
    drive = Driver(frames.engine, project=frames.project)
    lines = [line("framed", transport="websocket", times=1), line("http", transport="http")]
    drive.engine.control.set_scenario(frames.project, {"lines": lines})
    assert text_of(frames.create("hello", store=False)["output"][-1]) == "framed" and said(drive) == "http"
    refusal = frames.send("hello")[-1]
    assert (refusal["type"], refusal["error"]["type"]) == ("error", "mock_error")
    assert "lines[0] (1 of 1 keys hold): it was used as often as" in refusal["error"]["message"]
    assert drive.engine.control.scenario(frames.project)["unused"] == []


PROMPT = {"id": "pmpt_1", "version": "2", "variables": {"city": "Oslo"}}


def test_R15_4_a_line_that_names_a_prompt_template_makes_it_known() -> None:
    drive = Driver()
    drive.script({"when": {"prompt": "pmpt_1"}, "reply": {"text": "of a template"}})
    assert refused(drive.create, prompt={"id": "pmpt_2"}).message == "Prompt with id 'pmpt_2' not found."
    made = drive.create(prompt=PROMPT)
    said = text_of(made["output"][-1])
    assert (said, made["prompt"], made["model"]) == ("of a template", PROMPT, "gpt-4.1-2025-04-14")
    assert list(made).index("prompt") == list(made).index("previous_response_id") + 1
    assert refused(drive.create, prompt=PROMPT).status == 404, "the line is used up"


def test_R15_4_templates_are_served_on_after_their_endpoint_was_shut_down() -> None:
    drive = Driver(clock=1_798_761_600.0, set=(("shutdown_models", "refuse"),))  # 2027-01-01
    drive.script(*[{"when": {"prompt": "pmpt_1"}, "reply": {"text": "of a template"}}] * 2)
    assert text_of(drive.create(model="gpt-5.6", prompt=PROMPT)["output"][-1]) == "of a template"
    assert refused(drive.create, model="gpt-5", prompt=PROMPT).code == "model_not_found", "P18: shut down 2026-12-11"


def test_R15_4_a_template_stands_in_for_model_and_input() -> None:
    engine = Engine(Settings(clock=NOON))
    line = {"when": {"prompt": True}, "reply": {"text": "{{ turn }} of {{ item_count }}"}, "times": 2}
    engine.control.enqueue("p", [line])
    first = orjson.loads(engine.create_response("p", orjson.dumps({"prompt": PROMPT})).body or b"")
    assert text_of(first["output"][-1]) == "1 of 0" and first["model"].startswith("gpt-5.6")
    again = {"prompt": PROMPT, "previous_response_id": first["id"], "input": "more"}
    second = orjson.loads(engine.create_response("p", orjson.dumps(again)).body or b"")
    assert text_of(second["output"][-1]) == "2 of 2"
    unknown = {**again, "previous_response_id": "resp_1"}
    assert refused(engine.create_response, "p", orjson.dumps(unknown)).message.startswith("Prompt with id"), "R1.45"
