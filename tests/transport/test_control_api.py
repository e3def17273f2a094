"""The control API: every call, its answers, its complaints."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import httpx
import pytest

from mockserver import __version__
from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.journal.client_findings import Finding
from mockserver.transport.app import MockApp
from mockserver.transport.control_api import call_control
from mockserver.transport.inprocess import InProcess
from mockserver.wire.errors.api import MockError
from tests.support.asgi import PING, ask
from tests.support.driving import NOON


@pytest.fixture
def app() -> MockApp:
    return MockApp(Engine(Settings(clock=NOON)))


def control(app: MockApp, method: str, path: str, value: Any = None) -> tuple[int, Any]:
    body = b"" if value is None else value if isinstance(value, bytes) else json.dumps(value).encode()
    status, _, answer = ask(app, method, f"/_mock/{path}", body)
    return status, json.loads(answer) if answer else None


def create(app: MockApp, **fields: Any) -> dict[str, Any]:
    body = json.dumps({"model": "gpt-4.1", "input": "ping", **fields}).encode()
    return json.loads(ask(app, "POST", "/v1/responses", body)[2])


def test_health(app: MockApp) -> None:
    status, health = control(app, "GET", "health")
    assert health.pop("switches")["done_sentinel"] == "off"
    assert health.pop("uptime_s") >= 0
    assert (status, health) == (200, {"status": "ok", "version": __version__, "mode": "mock", "store": "memory"})


def test_clock(app: MockApp) -> None:
    assert control(app, "GET", "clock") == (200, {"now": NOON, "mode": "manual"})
    assert control(app, "PUT", "clock", {"now": 1000}) == (200, {"now": 1000.0, "mode": "manual"})
    assert control(app, "PUT", "clock", {"now": "2026-11-20T12:00:00Z"}) == (200, {"now": NOON, "mode": "manual"})
    assert control(app, "PUT", "clock", {"mode": "system"})[1]["mode"] == "system"


def test_advance_tells_what_expired(app: MockApp) -> None:
    made = create(app)
    later = {"now": NOON + 30 * 86_400 + 5, "expired": [made["id"]], "completed": []}
    assert control(app, "POST", "clock/advance", {"days": 30, "seconds": 5}) == (200, later)


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_R15_7_given_state(app: MockApp, method: str) -> None:
    state = {"conversations": [{"id": "conv_1"}], "responses": [{"id": "resp_1", "input": "a", "output": "b"}]}
    assert control(app, method, "given", state) == (200, {"conversations": ["conv_1"], "responses": ["resp_1"]})
    assert create(app, conversation="conv_1")["conversation"] == {"id": "conv_1"}
    status, refusal = control(app, method, "given", state)
    assert (status, refusal["error"]["param"]) == (400, "given.conversations[0].id")
    assert control(app, method, "given", b"{")[0] == 400


def test_script_and_reset(app: MockApp) -> None:
    assert control(app, "POST", "script", {"lines": [{"reply": {"text": "scripted"}}]}) == (200, {"queued": 1})
    assert create(app)["output"][0]["content"][0]["text"] == "scripted"
    control(app, "POST", "script", {"lines": [{"reply": {"text": "scripted"}}]})
    assert control(app, "POST", "reset", {}) == (204, None)
    assert control(app, "POST", "reset") == (204, None)
    assert create(app)["output"][0]["content"][0]["text"].startswith("Mock reply")
    assert control(app, "POST", "reset", {"only": ["state", "scenario", "faults", "journal", "clock"]}) == (204, None)


def test_listings_and_context(app: MockApp) -> None:
    made = create(app, instructions="brief")
    status, page = control(app, "GET", "responses?limit=1&status=completed")
    assert (status, [one["id"] for one in page["data"]], page["has_more"]) == (200, [made["id"]], False)
    assert control(app, "GET", f"responses/{made['id']}/context")[1]["instructions"] == "brief"
    conversation = json.loads(ask(app, "POST", "/v1/conversations", b"{}")[2])
    assert control(app, "GET", "conversations")[1]["data"] == [conversation]


def test_the_project_comes_from_the_same_headers(app: MockApp) -> None:
    ask(app, "POST", "/v1/responses", PING, authorization="Bearer a")
    assert control(app, "GET", "responses")[1]["data"] == []
    assert len(json.loads(ask(app, "GET", "/_mock/responses", authorization="Bearer a")[2])["data"]) == 1


def test_a_control_call_may_name_a_project(app: MockApp) -> None:
    ask(app, "POST", "/v1/responses", PING, authorization="Bearer a")
    [project] = control(app, "GET", "projects")[1]["data"]
    name = project["name"]
    assert (project["key"], project["responses"]) == ("a…", 1)
    named = json.loads(ask(app, "GET", "/_mock/responses", x_understudy_project=name)[2])
    assert len(named["data"]) == 1
    assert ask(app, "POST", "/_mock/reset", x_understudy_project=name)[0] == 204
    assert control(app, "GET", "projects")[1]["data"][0]["responses"] == 0


def test_an_unknown_project_is_404(app: MockApp) -> None:
    status, _, body = ask(app, "GET", "/_mock/clock", x_understudy_project="nobody")
    assert (status, json.loads(body)["error"]["type"]) == (404, "mock_error")
    assert "'nobody'" in json.loads(body)["error"]["message"]


def test_to_name_a_project_does_not_replace_a_key_that_is_needed() -> None:
    app = MockApp(Engine(Settings(clock=NOON, api_key=("let-me-in",))))
    assert ask(app, "GET", "/_mock/clock", x_understudy_project="default")[0] == 401
    named = ask(app, "GET", "/_mock/clock", x_understudy_project="default", authorization="Bearer let-me-in")
    assert named[0] == 200


def test_the_graph_is_one_json_document(app: MockApp) -> None:
    assert control(app, "GET", "graph") == (200, {"now": NOON, "responses": []})
    first = create(app)["id"]
    second = create(app, previous_response_id=first)["id"]
    status, graph = control(app, "GET", "graph")
    assert (status, [(node["id"], node["parent"]) for node in graph["responses"]]) == (
        200,
        [(first, None), (second, first)],
    )


def test_the_graph_after_a_response(app: MockApp) -> None:
    first, second = create(app)["id"], create(app)["id"]
    status, graph = control(app, "GET", f"graph?after={first}")
    assert (status, [node["id"] for node in graph["responses"]]) == (200, [second])
    status, refused = control(app, "GET", "graph?after=resp_x")
    assert (status, refused["error"]["param"]) == (400, "after") and "resp_x" in refused["error"]["message"]
    assert control(app, "GET", "graph?since=1")[1]["error"]["param"] == "since"


def test_the_journal_in_summaries(app: MockApp) -> None:
    made = create(app)
    status, page = control(app, "GET", "journal?view=summary")
    assert (status, page["data"][0]["response_id"], page["last_id"]) == (200, made["id"], 1)
    assert "body" not in page["data"][0]
    assert control(app, "GET", "journal?view=whole")[1]["data"][0]["body"]
    assert control(app, "GET", "journal?view=x")[1]["error"]["param"] == "view"


def test_events_are_sent_until_the_client_leaves(app: MockApp) -> None:
    request = httpx.Client(transport=InProcess(app), base_url="http://mock")
    with request.stream("GET", "/_mock/events", params={"project": "default"}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"
        lines = stream.iter_lines()
        assert next(lines) == ": understudy"
        create(app)
        names = [line for line in islice(lines, 12) if line.startswith("event")]
        assert names == ["event: exchange.began", "event: state", "event: exchange.ended"]
        id = f"{app.engine.events._run.decode()}-1"
    with request.stream("GET", "/_mock/events", headers={"Last-Event-ID": id}) as stream:
        names = [line for line in islice(stream.iter_lines(), 9) if line.startswith("event")]
    assert names == ["event: state", "event: exchange.ended"]
    assert control(app, "GET", "events?x=1")[1]["error"]["param"] == "x"


def test_events_can_not_be_read_as_a_value(app: MockApp) -> None:
    with pytest.raises(MockError, match="does not end"):
        call_control(app.engine, "default", "GET", "/events")


def test_a_snapshot_goes_back_byte_by_byte_also_into_another_project(app: MockApp) -> None:
    made = create(app)
    control(app, "POST", "script", {"lines": [{"reply": {"text": "kept"}}]})
    taken = ask(app, "GET", "/_mock/snapshot")[2]
    assert taken.startswith(b'{\n  "understudy_snapshot": 1,\n')
    answers = [ask(app, "POST", "/v1/responses", PING)[2] for _ in range(2)]
    for key in ("default", "fork"):
        headers = {} if key == "default" else {"authorization": f"Bearer {key}"}
        assert ask(app, "PUT", "/_mock/snapshot", taken, **headers)[0] == 204
        assert ask(app, "GET", "/_mock/snapshot", **headers)[2] == taken
        assert json.loads(ask(app, "GET", f"/v1/responses/{made['id']}", **headers)[2]) == made
        assert [ask(app, "POST", "/v1/responses", PING, **headers)[2] for _ in range(2)] == answers


def test_a_reset_fork_draws_ids_of_its_own_again(app: MockApp) -> None:
    own = create(app)["id"]
    control(app, "POST", "reset")
    other = ask(app, "GET", "/_mock/snapshot", authorization="Bearer other")[2]
    ask(app, "PUT", "/_mock/snapshot", other)
    assert create(app)["id"] != own
    control(app, "POST", "reset", {"only": ["state"]})
    assert create(app)["id"] == own


def test_faults_as_a_list_or_in_an_object(app: MockApp) -> None:
    faults = [{"do": {"error": 500}, "times": 1}]
    for body in (faults, {"faults": faults}):
        status, answer = control(app, "PUT", "faults", body)
        assert (status, control(app, "GET", "faults")) == (200, (200, answer))
        assert ask(app, "POST", "/v1/responses", PING)[0] == 500
        assert ask(app, "POST", "/v1/responses", PING)[0] == 200
    control(app, "PUT", "faults", faults)
    assert control(app, "DELETE", "faults") == (204, None)
    assert ask(app, "POST", "/v1/responses", PING)[0] == 200


def test_a_scenario_of_the_projects_own(app: MockApp) -> None:
    line = {"reply": {"text": "own"}}
    assert control(app, "PUT", "scenario", {"lines": [line]})[0] == 200
    assert control(app, "GET", "scenario")[1]["lines"][0]["reply"] == line["reply"]
    assert create(app)["output"][0]["content"][0]["text"] == "own"
    assert control(app, "DELETE", "scenario") == (204, None)
    assert create(app)["output"][0]["content"][0]["text"].startswith("Mock reply")


def test_the_journal_page_by_page(app: MockApp) -> None:
    ids = [create(app)["id"] for _ in range(3)]
    _, page = control(app, "GET", "journal?limit=2&context=false")
    assert ([one["response_id"] for one in page["data"]], page["has_more"]) == (ids[:2], True)
    assert "context" not in page["data"][0]
    _, rest = control(app, "GET", f"journal?after={page['data'][-1]['id']}")
    assert ([one["response_id"] for one in rest["data"]], rest["has_more"]) == (ids[2:], False)
    assert "context" in rest["data"][0]
    assert len(control(app, "GET", f"journal?response_id={ids[1]}&path=/v1/responses")[1]["data"]) == 1
    assert control(app, "DELETE", "journal") == (204, None)
    assert control(app, "GET", "journal")[1]["data"] == []


def test_the_verdict_names_what_a_client_did_wrong(app: MockApp) -> None:
    assert control(app, "GET", "verdict") == (200, {"findings": []})
    call = {"type": "function_call", "name": "f", "call_id": "c1", "arguments": {}}
    control(app, "POST", "script", {"lines": [{"reply": {"output": [call]}}]})
    first = create(app, tools=[{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}])
    assert "error" in create(app, previous_response_id=first["id"])
    (finding,) = control(app, "GET", "verdict")[1]["findings"]
    assert list(finding) == list(Finding._fields)
    assert "c1" in finding["sentence"]


def test_a_call_in_this_process_is_the_same_call(app: MockApp) -> None:
    create(app)
    for path in ("clock", "journal?limit=1", "responses?status=completed&limit=5"):
        assert call_control(app.engine, "default", "GET", f"/{path}") == control(app, "GET", path)[1]
    assert call_control(app.engine, "default", "POST", "/reset", {"only": ["state"]}) is None
    assert call_control(app.engine, "default", "GET", "/responses")["data"] == []
    with pytest.raises(MockError, match=r"^There is no /_mock/nope\.$"):
        call_control(app.engine, "default", "GET", "/nope")


WRONG: list[tuple[str, str, Any, str | None]] = [
    ("POST", "clock/advance", {}, "seconds"),
    ("POST", "clock/advance", {"seconds": -1}, "seconds"),
    ("POST", "clock/advance", {"days": "x"}, "days"),
    ("POST", "clock/advance", {"hours": 1}, "hours"),
    ("POST", "clock/advance", [1], None),
    ("POST", "clock/advance", b"{", None),
    ("PUT", "scenario", b"", None),
    ("PUT", "faults", b"{", None),
    ("PUT", "faults", {"rules": []}, "rules"),
    ("POST", "reset", {"only": "state"}, "only"),
    ("PUT", "clock", {}, "mode"),
    ("PUT", "clock", {"now": "noon"}, "now"),
    ("PUT", "clock", {"mode": "backwards"}, "mode"),
    ("POST", "script", {"lines": "x"}, "lines"),
    ("POST", "script", {}, "lines"),
    ("POST", "script", {"lines": [{"reply": {}}]}, "lines[0].reply"),
    ("POST", "reset", {"only": ["everything"]}, "only"),
    ("PUT", "snapshot", [], "understudy_snapshot"),
    ("PUT", "snapshot", {"understudy_snapshot": 99}, "understudy_snapshot"),
    ("PUT", "snapshot", {"understudy_snapshot": 1}, "seed"),
    ("GET", "responses?limit=0", None, "limit"),
    ("GET", "responses?limit=x", None, "limit"),
    ("GET", "responses?colour=red", None, "colour"),
    ("GET", "responses?after=resp_x", None, "after"),
    ("GET", "conversations?model=x", None, "model"),
    ("GET", "journal?context=maybe", None, "context"),
    ("GET", "journal?colour=red", None, "colour"),
    ("GET", "journal?after=resp_x", None, "after"),
]


@pytest.mark.parametrize(("method", "path", "body", "param"), WRONG)
def test_wrong_input_is_400_and_changes_nothing(
    app: MockApp, method: str, path: str, body: Any, param: str | None
) -> None:
    twin = MockApp(Engine(Settings(clock=NOON)))
    status, answer = control(app, method, path, body)
    assert status == 400
    assert (answer["error"]["type"], answer["error"]["param"]) == ("mock_error", param)
    assert control(app, "GET", "clock") == control(twin, "GET", "clock")
    assert create(app) == create(twin)


def test_unknown_calls_are_loud(app: MockApp) -> None:
    assert control(app, "GET", "nope")[0] == 404
    assert control(app, "DELETE", "clock")[0] == 405
    assert control(app, "GET", "responses/resp_x/context")[0] == 404
    # a mock without a proxy in mode `shadow` has nothing to tell
    assert control(app, "GET", "drift") == (200, {"data": []})
    assert control(app, "DELETE", "drift")[0] == 204


def test_what_the_viewer_reads_of_a_response(app: MockApp) -> None:
    made = create(app)
    assert control(app, "GET", f"responses/{made['id']}") == (200, made)
    assert control(app, "GET", "responses/resp_x")[0] == 404
    events = control(app, "GET", f"responses/{made['id']}/events?first_token=1&tokens_per_second=2")[1]
    assert events["seconds"][:3] == [0.0, 0.0, 1.0] and len(events["seconds"]) == len(events["events"])
    for query, param in (("first_token=soon", "first_token"), ("first_token=-1", "first_token"), ("pace=1", "pace")):
        status, answer = control(app, "GET", f"responses/{made['id']}/events?{query}")
        assert (status, answer["error"]["param"]) == (400, param)
    assert "gpt-5.5" in {model["id"] for model in control(app, "GET", "models")[1]["data"]}


def test_the_interactions_of_a_cassette_page_by_page(app: MockApp) -> None:
    def read(after: int, used: bool | None) -> Any:
        rows = [{"id": number, "used": number % 2} for number in range(after + 1, 6)]
        found = [row for row in rows if used is None or bool(row["used"]) == used]
        return {"total": 5, "misses": 1}, iter([None, *found])

    for path in ("cassette", "cassette/misses"):
        status, refused = control(app, "GET", path)
        assert status == 404 and "no cassette" in refused["error"]["message"]
    misses = [{"id": 1, "message": "the key is sk-proj-0123456789abcdef0123"}]
    app.engine.control.sections.update(interactions=read, misses=lambda after: iter(misses[after:]))
    status, page = control(app, "GET", "cassette?limit=2&after=1")
    assert (status, [row["id"] for row in page["data"]], page["has_more"], page["last_id"]) == (200, [2, 3], True, 3)
    assert (page["total"], page["misses"]) == (5, 1)
    assert [row["id"] for row in control(app, "GET", "cassette?used=false")[1]["data"]] == [2, 4]
    status, page = control(app, "GET", "cassette/misses")
    assert (page["data"][0]["id"], "sk-proj" in page["data"][0]["message"], page["has_more"]) == (1, False, False)
    assert control(app, "GET", "cassette/misses?after=1")[1]["data"] == []
    for path, param in (
        ("cassette?used=1", "used"),
        ("cassette?after=x", "after"),
        ("cassette?model=x", "model"),
        ("cassette/misses?used=true", "used"),
    ):
        status, refused = control(app, "GET", path)
        assert (status, refused["error"]["param"]) == (400, param)
