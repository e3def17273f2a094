"""The control calls one by one: what each answers, and that a refused one has changed nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.engine.control import LONGEST_S, RESETTABLE, ProjectControl, check_number
from mockserver.engine.engine import Engine
from mockserver.version import __version__
from mockserver.wire.errors.api import MockError
from tests.support.driving import CHAT, NOON, Driver, text_of

DAY = 86_400


@pytest.fixture
def drive() -> Driver:
    return Driver()


@pytest.fixture
def control(drive: Driver) -> ProjectControl:
    return drive.engine.control


def complaint(call: Any, *args: Any, **kwargs: Any) -> tuple[str, str | None]:
    """The message and the parameter of the error that a control call raises."""
    with pytest.raises(MockError) as caught:
        call(*args, **kwargs)
    return caught.value.message, caught.value.param


# --- health, and what a proxy around the mock adds --------------------------------------------------------------------


def test_health_tells_the_version_the_mode_and_the_kind_of_store(control: ProjectControl) -> None:
    health = control.health()
    assert {name: health[name] for name in ("status", "version", "mode", "store")} == {
        "status": "ok",
        "version": __version__,
        "mode": "mock",
        "store": "memory",
    }
    assert "recorder" not in health


def test_health_names_the_store_without_its_path(tmp_path: Path) -> None:
    engine = Engine(Settings(clock=NOON, store=f"sqlite:///{tmp_path}/state.db"))
    assert engine.control.health()["store"] == "sqlite"
    engine.close()


def test_a_proxy_adds_what_its_recorder_says(control: ProjectControl) -> None:
    control.sections["recorder"] = lambda: {"written": 3}
    assert control.health()["recorder"] == {"written": 3}


def test_drift_is_what_the_proxy_found_until_it_is_cleared(control: ProjectControl) -> None:
    found = [{"path": "/v1/responses"}]
    control.sections |= {"drift": lambda: found, "clear_drift": found.clear}
    assert control.drift("p") == {"data": [{"path": "/v1/responses"}]}
    control.clear_drift("p")
    assert control.drift("p") == {"data": []}


def test_without_a_proxy_nothing_drifts(control: ProjectControl) -> None:
    control.clear_drift("p")
    assert control.drift("p") == {"data": []}


# --- the clock --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("time", ["2026-11-20T12:00:00Z", "2026-11-20T12:00:00", "2026-11-20T13:00:00+01:00", NOON])
def test_the_clock_is_set_by_seconds_or_by_an_iso_time(control: ProjectControl, time: str | float) -> None:
    control.advance_clock("p", 7)
    assert control.set_clock("p", time) == {"now": NOON, "mode": "manual"} == control.read_clock("p")


OUT_OF_RANGE = ("0001-01-01", "1969-12-31T23:59:59Z", "2106-02-07T06:28:16Z", "9999-12-31T23:59:59+00:00", 2**32, -1)


@pytest.mark.parametrize("time", ["noon", *OUT_OF_RANGE, True, LONGEST_S + 1, float("nan")])
def test_a_time_that_is_none_leaves_the_clock(control: ProjectControl, time: Any) -> None:
    moved: list[str] = []
    control.on_clock_moved(moved.append)
    message, param = complaint(control.set_clock, "p", time)
    assert message.startswith("now: takes ") and param == "now"
    assert control.read_clock("p")["now"] == NOON and moved == []


@pytest.mark.parametrize("time", [0, 2**32 - 1, "1970-01-01", "2106-02-07T06:28:15Z"])
def test_ids_at_the_ends_of_time_have_their_form(control: ProjectControl, time: Any) -> None:
    control.set_clock("p", time)
    control.give("p", {"responses": [{"input": "a", "output": "b"}]})
    (response,) = control.list_responses("p", limit=1, after=None)["data"]
    assert len(response["id"]) == len("resp_") + 50


def test_no_clock_is_moved_beyond_what_ids_can_say(control: ProjectControl) -> None:
    control.set_clock("p", 2**32 - 2)
    assert control.advance_clock("p", 1)["now"] == 2**32 - 1
    message, param = complaint(control.advance_clock, "p", 1)
    assert (message, param) == ("seconds: no clock goes beyond 2106-02-07T06:28:15Z.", "seconds")
    assert control.read_clock("p")["now"] == 2**32 - 1


@pytest.mark.parametrize("clock", [{"frozen": -1.0}, {"frozen": 2.0**32}, {"shift": 2.0**32}, {"shift": -(2.0**32)}])
def test_a_snapshot_brings_no_other_time(control: ProjectControl, clock: dict[str, float]) -> None:
    document = control.snapshot("p")
    document["clock"] = {"shift": 0.0, "frozen": None, **clock}
    message, param = complaint(control.restore, "p", document)
    assert (message, param) == ("clock: takes times from 1970 to 2106-02-07.", "clock")
    assert control.read_clock("p")["now"] == NOON


@pytest.mark.parametrize("value", [0, 1, 2.5, LONGEST_S])
def test_a_number_of_seconds_is_taken_as_it_is(value: float) -> None:
    assert check_number(value, "seconds") == value


@pytest.mark.parametrize("value", [-0.1, LONGEST_S * 2, float("nan"), "1", None, False])
def test_no_other_number_of_seconds_is(value: Any) -> None:
    message, param = complaint(check_number, value, "seconds")
    assert message == f"seconds: takes a number from 0 to {LONGEST_S:g}, not {value!r}." and param == "seconds"


def test_watchers_are_told_of_the_project_whose_clock_moved(control: ProjectControl) -> None:
    moved: list[tuple[str, float]] = []
    control.on_clock_moved(lambda project: moved.append((project, control.read_clock(project)["now"])))
    control.advance_clock("p", 5)
    control.set_clock("q", 9)
    control.reset("p", ["state", "journal"])
    control.reset("p")
    control.restore("q", control.snapshot("p"))
    assert moved == [("p", NOON + 5), ("q", 9), ("p", NOON), ("q", NOON)]


def test_advancing_tells_which_turns_ended_and_which_responses_expired(drive: Driver, control: ProjectControl) -> None:
    kept = drive.create()
    drive.script({"reply": {"text": "slow"}, "pacing": {"first_token": 60}})
    slow = drive.create(background=True)
    assert control.advance_clock("p", 30) == {"now": NOON + 30, "expired": [], "completed": []}
    assert control.advance_clock("p", 30) == {"now": NOON + 60, "expired": [], "completed": [slow["id"]]}
    moved = control.advance_clock("p", 31 * DAY)
    assert set(moved["expired"]) == {kept["id"], slow["id"]} and moved["completed"] == []


# --- scripts and scenarios --------------------------------------------------------------------------------------------

LINES = [{"when": {"model": "other"}, "reply": {"text": "never"}}, {"reply": {"text": "always"}}]


def test_a_scenario_counts_the_uses_of_its_lines(drive: Driver, control: ProjectControl) -> None:
    shown = control.set_scenario("p", {"lines": LINES, "seed": 5})
    assert (shown["seed"], shown["unused"], shown["queue"]) == (5, [0, 1], [])
    drive.create()
    drive.create()
    shown = control.scenario("p")
    assert [line["used"] for line in shown["lines"]] == [0, 2] and shown["unused"] == [0]
    assert control.enqueue("p", [{"reply": {"text": "first"}}, {"reply": {"text": "second"}}]) == 2
    assert [line["reply"]["text"] for line in control.scenario("p")["queue"]] == ["first", "second"]
    assert [line["used"] for line in control.set_scenario("p", {"lines": LINES})["lines"]] == [0, 0]
    assert len(control.scenario("p")["queue"]) == 2, "queued lines stay"


def test_without_a_scenario_there_is_the_seed_and_nothing_else(control: ProjectControl) -> None:
    assert control.scenario("p") == {"seed": 0, "lines": [], "unused": [], "queue": []}


def test_another_seed_draws_other_ids_and_a_reset_the_first_again(drive: Driver, control: ProjectControl) -> None:
    first = drive.create()["id"]
    control.set_scenario("p", {"lines": [], "seed": 5})
    control.reset("p", ["state"])
    seeded = drive.create()["id"]
    control.reset("p")
    assert seeded != first == drive.create()["id"]


@pytest.mark.parametrize("document", [{"lines": [{"reply": {"bogus": 1}}]}, {"lines": "x"}, [], {"given": {"x": []}}])
def test_a_wrong_scenario_changes_nothing(drive: Driver, control: ProjectControl, document: Any) -> None:
    control.set_scenario("p", {"lines": LINES})
    before = control.snapshot("p")
    complaint(control.set_scenario, "p", document)
    assert control.snapshot("p") == before


def test_a_wrong_line_puts_none_in_the_queue(control: ProjectControl) -> None:
    complaint(control.enqueue, "p", [{"reply": {"text": "good"}}, {"reply": {"bogus": 1}}])
    assert control.scenario("p")["queue"] == []


GIVEN = {"conversations": [{"items": [{"role": "user", "content": "before"}]}]}


def test_what_is_given_can_be_read_by_its_ids(drive: Driver, control: ProjectControl) -> None:
    ids = control.give("p", GIVEN)
    (id,) = ids["conversations"]
    assert [text_of(item) for item in drive.items(id)["data"]] == ["before"]
    assert control.give("p", GIVEN)["conversations"] != [id], "each has ids of its own"


def test_what_a_scenario_gives_is_shown_and_given_again_after_a_reset_of_the_state(
    drive: Driver, control: ProjectControl
) -> None:
    assert control.set_scenario("p", {"lines": [], "given": GIVEN})["given"] == GIVEN
    drive.conversation()
    control.reset("p", ["state"])
    (only,) = control.list_conversations("p", limit=9, after=None)["data"]
    assert [text_of(item) for item in drive.items(only["id"])["data"]] == ["before"]
    control.reset("p")
    assert control.list_conversations("p", limit=9, after=None)["data"] == []


# --- faults, resets, snapshots ----------------------------------------------------------------------------------------


def test_faults_are_replaced_together_or_not_at_all(control: ProjectControl) -> None:
    assert [fault["do"] for fault in control.set_faults("p", [{"do": "cut"}])["faults"]] == ["cut"]
    complaint(control.set_faults, "p", [{"do": "stall"}, {"do": "bogus"}])
    assert [fault["do"] for fault in control.faults("p")["faults"]] == ["cut"]
    control.reset("p", ["faults"])
    assert control.faults("p") == {"faults": []}


@pytest.mark.parametrize("parts", [["bogus"], ["state", "states"]])
def test_a_reset_of_an_unknown_part_forgets_nothing(drive: Driver, control: ProjectControl, parts: list[str]) -> None:
    made = drive.create()
    assert complaint(control.reset, "p", parts) == (f"only: takes a list of {', '.join(RESETTABLE)}.", "only")
    assert drive.get(made["id"]) == made


def test_a_cleared_journal_is_empty_and_the_state_stays(drive: Driver, control: ProjectControl) -> None:
    id = drive.call("POST", "/v1/responses", {"model": "gpt-4.1", "input": "x"})["id"]
    assert [entry["response_id"] for entry in control.journal("p")["data"]] == [id]
    control.clear_journal("p")
    assert control.journal("p")["data"] == [] and control.verdict("p") == []
    assert drive.get(id)["id"] == id


def test_a_fork_goes_on_as_the_original_does(drive: Driver, control: ProjectControl) -> None:
    drive.create("one")
    control.restore("fork", control.snapshot("p"))
    assert control.snapshot("fork") == control.snapshot("p")
    assert Driver(drive.engine, project="fork").create("two") == drive.create("two")


@pytest.mark.parametrize("document", [None, {}, {"version": 1}])
def test_what_is_no_snapshot_changes_nothing(drive: Driver, control: ProjectControl, document: Any) -> None:
    made = drive.create()
    complaint(control.restore, "p", document)
    assert drive.get(made["id"]) == made


def test_a_snapshot_of_another_seed_is_refused(control: ProjectControl) -> None:
    foreign = Driver(seed=7).engine.control.snapshot("p")
    complaint(control.restore, "p", foreign)


# --- lists ------------------------------------------------------------------------------------------------------------


def ids(listed: dict[str, Any]) -> list[str]:
    return [one["id"] for one in listed["data"]]


def test_responses_are_listed_newest_first_in_pages(drive: Driver, control: ProjectControl) -> None:
    made = [drive.create(f"{number}")["id"] for number in range(3)][::-1]
    page = control.list_responses("p", limit=2, after=None)
    assert ids(page) == made[:2] and page["has_more"]
    page = control.list_responses("p", limit=2, after=made[1])
    assert ids(page) == made[2:] and not page["has_more"]


def test_responses_are_listed_by_model_status_and_conversation(drive: Driver, control: ProjectControl) -> None:
    place = drive.conversation()["id"]
    plain, mini = drive.create()["id"], drive.create(model="gpt-4.1-mini")["id"]
    placed = drive.create(conversation=place)["id"]

    def found(**where: str | None) -> list[str]:
        return ids(control.list_responses("p", limit=9, after=None, **where))

    assert found(model="gpt-4.1") == found(model=CHAT) == [placed, plain], "an alias finds those of its model"
    assert found(conversation=place) == [placed] and found(status="in_progress") == []
    assert found(status="completed", model=None, conversation=None) == [placed, mini, plain]
    assert found(model="unheard-of") == []


def test_conversations_are_listed_newest_first(drive: Driver, control: ProjectControl) -> None:
    made = [drive.conversation()["id"] for _ in range(3)][::-1]
    page = control.list_conversations("p", limit=2, after=None)
    assert ids(page) == made[:2] and page["has_more"]
    assert ids(control.list_conversations("p", limit=2, after=made[1])) == made[2:]
