"""The tables of the pages say what the product says: options, switches, faults, calls, names."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import yaml
from jsonschema import Draft202012Validator

import mockserver
from mockserver import Mock, MockError
from mockserver.config.settings import SETTINGS
from mockserver.config.switches import SWITCHES
from mockserver.conformance.rule_catalog import catalogue
from mockserver.journal import client_findings
from mockserver.testing import items
from mockserver.wire.errors import scripted
from tests.docs.pages import EXAMPLES, ROOT, anchors, rows, section, switch_rows
from tests.support.environments import FIXTURES

MOCK, TESTING, CONFORMANCE = (f"mockserver/{name}README.md" for name in ("", "testing/", "conformance/"))


def test_the_options_are_the_settings() -> None:
    table = rows(section(MOCK, "Options"))
    named = [option for row in table for option in re.findall(r"--[a-z-]+", row[0])]
    assert sorted(named) == sorted(row.option for row in SETTINGS)
    defaults: dict[str, str] = {}
    for option, default, _ in table:
        defaults |= zip(re.findall(r"--[a-z-]+", option), re.findall(r"`([^`]+)`", default), strict=False)
    for setting in SETTINGS:
        if isinstance(setting.default, str | int) and not isinstance(setting.default, bool):
            assert defaults[setting.option] == str(setting.default)


def test_the_switches_are_those_of_the_table() -> None:
    text = section(MOCK, "Switches")
    assert [line for line in text.splitlines() if line.startswith("| `")] == switch_rows()
    assert len(SWITCHES) == 41


def test_every_switch_that_a_decision_names_exists() -> None:
    for cell in (cell for row in rows(section(MOCK, "Decisions")) for cell in row):
        for group in re.findall(r"\(switch(?:es)? ([^);]*)", cell):
            assert set(re.findall(r"`(\w+)`", group)) <= SWITCHES.keys(), cell


@pytest.fixture(scope="module")
def schema() -> Any:
    """What `understudy scenario schema` prints."""
    command = [sys.executable, "-m", "proxy.cli", "scenario", "schema"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_the_schema_takes_what_the_pages_show(schema: Any) -> None:
    judge = Draft202012Validator(schema)
    judge.validate(yaml.safe_load((EXAMPLES / "weather.yaml").read_text(encoding="utf-8")))
    assert not judge.is_valid(yaml.safe_load((EXAMPLES / "wrong.yaml").read_text(encoding="utf-8")))
    shown = re.findall(r"/_mock/script -d '(.*?)'", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    assert shown
    for body in shown:
        judge.validate(json.loads(body))


def test_every_condition_of_a_line_is_named(schema: Any) -> None:
    (conditions,) = {tuple(found) for found in conditions_of(schema, schema)}
    sentence = section(MOCK, "Lines").partition("* `when`")[2].partition("* `reply`")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == set(conditions)


def conditions_of(part: Any, schema: Any) -> Iterator[list[str]]:
    """Find the keys of every `when` in a JSON Schema."""
    if isinstance(part, dict):
        when = part.get("properties", {}).get("when")
        if when is not None and (keys := properties(when, schema)):  # rules between members list no keys
            yield sorted(keys)
        part = list(part.values())
    if isinstance(part, list):
        for child in part:
            yield from conditions_of(child, schema)


def properties(part: Any, schema: Any) -> dict[str, Any]:
    """The properties of a schema, of what it refers to, or of the one alternative that has some."""
    if "$ref" in part:
        for name in part["$ref"].removeprefix("#/").split("/"):
            schema, part = schema[name], schema[name]
        return dict(part.get("properties", {}))
    alternatives = [properties(one, schema) for one in part.get("anyOf", [])]
    return {key: value for found in [part.get("properties", {}), *alternatives] for key, value in found.items()}


def test_the_names_of_errors_are_listed() -> None:
    listed = set(re.findall(r"`(\w+)`", section(MOCK, "Errors")))
    assert set(scripted.BY_NAME) <= listed


def test_every_fault_has_its_row() -> None:
    values = [re.findall(r"`(.*?)`", row[0])[0] for row in rows(section(MOCK, "Faults")) if len(row) == 4]
    filled = {"seconds": "1", "code": "1011", "n": "1", "{...}": '{"code": "slow_down"}'}
    with Mock() as mock:
        for value in values:
            text = re.sub(r"\{\.\.\.\}|(?<=: )[a-z]+(?=[,}])", lambda match: filled[match[0]], value)
            mock.faults.add(json.loads(text))
        with pytest.raises(MockError) as caught:
            mock.faults.add("nonsense")
    accepted = set(re.findall(r"\b[a-z_]+\b", caught.value.message.rpartition(":")[2] or caught.value.message))
    assert {re.findall(r"[a-z_]+", value)[0] for value in values} <= accepted


def test_the_faults_strike_as_the_page_shows() -> None:
    body = re.findall(r"-d '(.*?)'", section(MOCK, "Faults"), re.S)[0]
    refusals, cuts, _delays, limits = json.loads(body)["faults"]
    with Mock() as mock, httpx2.Client(transport=mock.transport(), base_url="http://mock/v1") as client:
        mock.faults.set([refusals, cuts, limits])
        turn: dict[str, Any] = {"model": "gpt-4.1", "input": "a long story"}
        answers = [client.post("/responses", json=turn) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [503, 503, 200]
        assert answers[0].json()["error"]["code"] == "server_is_overloaded"
        assert "x-ratelimit-remaining-requests" in answers[2].headers
        with pytest.raises(httpx2.TransportError):
            client.post("/responses", json={**turn, "stream": True})
        assert mock.journal.last.ended == "cut" and mock.journal.last.events == 3 + 4


def test_the_calls_of_the_control_api_exist() -> None:
    table = rows(section(MOCK, "Control API"))
    calls = [call for row in table for call in re.findall(r"`([A-Z|]+) (/_mock/[^`]*)`", row[0].replace(r"\|", "|"))]
    assert len(calls) > 10
    with Mock() as mock, httpx2.Client(transport=mock.transport(), base_url="http://mock") as client:
        for methods, path in calls:
            for method in methods.split("|"):
                body = {"nonsense": 1} if method in ("PUT", "POST") else None
                answer = client.request(method, path, json=body)
                known = answer.status_code < 400 or "There is no /_mock" not in answer.text
                assert known and answer.status_code not in (405, 501), (method, path, answer.text)


@pytest.mark.parametrize(
    ("method", "call", "body", "place"),
    [
        ("PUT", "/faults", {"fault": []}, "fault"),
        ("PUT", "/faults", {"faults": [{"do": "x"}]}, "faults[0].do.x"),
        ("PUT", "/faults", {}, None),
        ("GET", "/journal?after=x", None, "after"),
        ("GET", "/journal?model=x", None, "model"),
        ("GET", "/journal?limit=0", None, "limit"),
    ],
)
def test_wrong_input_names_its_place_and_changes_nothing(method: str, call: str, body: Any, place: str | None) -> None:
    with Mock() as mock:
        mock.faults.add("cut")
        with pytest.raises(MockError) as caught:
            mock.control(method, call, body)
        assert place is None or caught.value.param == place
        assert [fault["do"] for fault in mock.faults] == ["cut"]
        assert mock.control("PUT", "/faults", [{"do": "stall"}])["faults"][0]["used"] == 0  # the list alone will do
        mock.faults.clear()
        assert mock.control("GET", "/faults") == {"faults": []}


def test_every_rule_of_the_verdict_has_its_row() -> None:
    listed = [row[0].strip("`") for row in rows(section(MOCK, "Client mistakes"))]
    assert sorted(listed) == sorted(client_findings.CHECKS)


def test_the_number_of_exchanges_is_the_setting_s_default() -> None:
    (setting,) = [one for one in SETTINGS if one.name == "journal"]
    assert f"The mock keeps the last {setting.default} exchanges" in section(MOCK, "Journal")


def test_every_name_of_the_package_is_described() -> None:
    text = (ROOT / TESTING).read_text(encoding="utf-8")
    said = set(re.findall(r"`(\w+)(?:\(|`)", text))
    assert {name for name in mockserver.__all__ if hasattr(items, name) and name[0].islower()} <= said
    members = {name for name in dir(Mock) if name[0] != "_"} - {"close", "tenant"}
    assert members <= said


def test_the_options_of_conform_are_those_of_its_help() -> None:
    command = [sys.executable, "-m", "proxy.cli", "conform", "--help"]
    help_text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    table = rows(section(CONFORMANCE, "understudy conform"))
    listed = {option for row in table for option in re.findall(r"--[a-z-]+", row[0])}
    assert listed == set(re.findall(r"--[a-z][a-z-]+", help_text)) - {"--help"}


def test_every_family_of_rules_is_named() -> None:
    named = {letter for row in rows(section(CONFORMANCE, "The rules")) for letter in row[0].split(", ")}
    assert {re.sub(r"[\d.]+b?$", "", rule) for rule in catalogue()} <= named


def test_the_first_page_is_short() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 250
    first_screen = "\n".join(lines[:25])
    assert "chat/completions" in first_screen and "## Two commands" in first_screen
    assert "contents" in anchors(ROOT / "README.md")


def test_the_clients_are_the_pins() -> None:
    recorders = section("proxy/README.md", "Commands")
    table = " ".join([recorders, *(row[0] for row in rows(section(MOCK, "Clients")))])
    pins = {client.pin for used in FIXTURES.values() for client in used}
    assert set(re.findall(r"\d+\.\d+\.\d+", table)) == pins
