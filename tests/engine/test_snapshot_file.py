"""Snapshots in files: what every project starts from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mockserver import Mock
from mockserver.config.settings import SettingError, Settings
from mockserver.engine.engine import Engine
from mockserver.engine.snapshot_file import Unreadable, read
from tests.support.driving import NOON, Driver
from tests.support.serving import serving

LINES: list[dict[str, Any]] = [{"reply": {"text": "first"}}, {"reply": {"text": "second"}}]


def saved(path: Path, **settings: Any) -> tuple[Path, Driver, dict[str, Any]]:
    """Return a file with a snapshot of a project, that project, and a response in it."""
    driver = Driver(**settings)
    response = driver.create("remember me")
    driver.script(*LINES)
    driver.engine.control.set_faults(driver.project, [{"do": {"delay": 0.001}}])
    file = path / "state.json"
    file.write_text(json.dumps(driver.engine.control.snapshot(driver.project)))
    return file, driver, response


def started(file: Path, **settings: Any) -> Engine:
    return Engine(Settings(**{"snapshot": str(file), **settings}))


def test_every_project_starts_from_it_and_goes_on_by_itself(tmp_path: Path) -> None:
    file, driver, response = saved(tmp_path, seed=7)
    engine = started(file)
    assert engine.settings.seed == 7
    one, other = Driver(engine, "one"), Driver(engine, "other")
    expected = driver.create("and?", previous_response_id=response["id"])
    assert one.get(response["id"]) == response
    assert one.create("and?", previous_response_id=response["id"]) == expected
    assert other.create("and?", previous_response_id=response["id"]) == expected
    assert other.engine.control.read_clock("other") == {"now": NOON, "mode": "manual"}
    one.delete(response["id"])
    assert other.get(response["id"]) == response


@pytest.mark.parametrize(
    ("only", "back", "queued", "faults", "now"),
    [
        (None, True, 2, 1, NOON),
        (["state"], True, 0, 0, NOON + 60),
        (["scenario"], False, 2, 0, NOON + 60),
        (["faults", "clock"], False, 0, 1, NOON),
        (["journal"], False, 0, 0, NOON + 60),
    ],
)
def test_reset_goes_back_to_it_part_by_part(
    tmp_path: Path, only: Any, back: bool, queued: int, faults: int, now: float
) -> None:
    file, _, response = saved(tmp_path)
    driver = Driver(started(file))
    levers = driver.engine.control
    before = levers.snapshot("p")
    levers.reset("p")
    assert levers.snapshot("p") == before
    for _ in LINES:
        driver.create("use a line")
    driver.delete(response["id"])
    levers.set_faults("p", [])
    levers.advance_clock("p", 60)
    levers.reset("p", only)
    assert [one["id"] for one in levers.list_responses("p", limit=9, after=None)["data"]][-1:] == (
        [response["id"]] if back else [levers.list_responses("p", limit=9, after=None)["data"][-1]["id"]]
    )
    assert len(levers.scenario("p")["queue"]) == queued and len(levers.faults("p")["faults"]) == faults
    assert levers.read_clock("p")["now"] == now


def test_a_frozen_clock_is_its_clock(tmp_path: Path) -> None:
    file, _, _ = saved(tmp_path)
    driver = Driver(started(file, clock=NOON + 5))
    assert driver.create()["created_at"] == NOON + 5


def test_a_store_that_knows_a_project_keeps_it(tmp_path: Path) -> None:
    file, _, response = saved(tmp_path)
    where = f"sqlite:///{tmp_path / 'state.db'}"
    first = Driver(started(file, store=where))
    first.delete(response["id"])
    first.engine.close()
    again = Driver(started(file, store=where))
    assert again.engine.control.list_responses("p", limit=9, after=None)["data"] == []
    again.engine.close()


@pytest.mark.parametrize(
    ("text", "settings", "complaint"),
    [
        ("{", {}, "is not JSON"),
        ("{}", {}, "understudy_snapshot: a snapshot is a JSON object that says its version here"),
        ('{"understudy_snapshot": 99}', {}, "version 99 is unknown"),
        ('{"understudy_snapshot": 1}', {}, "seed: field required"),
        (None, {"seed": 8}, "the snapshot is of a server with seed 0, this one has 8"),
    ],
)
def test_what_can_not_be_used_is_said(tmp_path: Path, text: Any, settings: dict[str, Any], complaint: str) -> None:
    file, _, _ = saved(tmp_path)
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingError, match=complaint) as caught:
        started(file, **settings)
    assert str(caught.value).startswith(f"--snapshot {file}")
    with pytest.raises(SettingError, match=r"--snapshot .* can't be read: No such file"):
        started(tmp_path / "none.json")


def test_lines_and_faults_are_judged_too(tmp_path: Path) -> None:
    file, _, _ = saved(tmp_path)
    document = read(str(file))
    document["faults"]["000000"]["fault"]["do"] = "nothing"
    file.write_text(json.dumps(document))
    with pytest.raises(SettingError, match=r"faults\.000000\.fault"):
        started(file)


def test_files_without_a_snapshot(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(Unreadable, match=r"x\.json: understudy_snapshot"):
        read(str(tmp_path / "x.json"))


def test_mock_and_command_line_take_it(tmp_path: Path) -> None:
    file, _, response = saved(tmp_path)
    with Mock(snapshot=file) as mock:
        assert [one["id"] for one in mock.responses()] == [response["id"]]
    with serving("--snapshot", str(file)) as served:
        for key in ("a", "b"):
            assert served.request("GET", f"/v1/responses/{response['id']}", key=key).json == response
    with serving(env={"UNDERSTUDY_SNAPSHOT": str(file)}) as served:
        assert served.request("GET", f"/v1/responses/{response['id']}").json == response
