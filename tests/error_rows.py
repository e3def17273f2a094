"""The error table, row by row: fixtures of `fixtures/errors/` run against the mock, and the count of those that pass.

`python -m tests.error_rows` prints every row with its verdict, then rows with a passing fixture over all rows.

A fixture is `{row, trigger, source, confidence, cases}`; a case is `{name, settings?, setup?, request, expected}`:

* `settings`: options by name, as on the command line;
* `setup`: requests to send before, each `{as, method, path, body…}`; `as` names what it answered;
* a request has one of `body` (JSON), `text`, `base64`, and may have `headers` (null: not sent) and `abandon`;
* `expected` has `status` and one of `error` (the four members), `body` (JSON members), `text`, `events` with `error`
  (the nested one), and may have `headers`;
* `{{name.path}}` stands for a member of an answer of the setup, `{"$repeat": [text or value, n]}` for n of them;
* `waits_for` says what a case still needs: it is counted, not asserted.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mockserver.config.settings import load
from mockserver.engine.engine import Engine
from mockserver.transport.app import MockApp
from mockserver.wire.errors.api import UNKNOWN_REQUEST

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "errors"
MEMBERS = ("message", "type", "param", "code")
CLOCK = "2026-11-20T12:00:00Z"

_NUMBERS = (*range(1, 59), *range(60, 85), *range(90, 104))
ROWS = tuple(f"E{number}" for number in _NUMBERS)

LEFT_OUT = {
    "E2": "a sentence of Chat Completions, never of these routes; E1 is what they say",
    "E61": "a sentence of another backend, never of api.openai.com; E60 is what it says",
}


@dataclass(frozen=True)
class Case:
    """One case of a row."""

    row: str
    name: str
    document: Mapping[str, Any]

    @property
    def id(self) -> str:
        """What a test report calls it."""
        return f"{self.row}-{self.name}"

    @property
    def settings(self) -> dict[str, Any]:
        """The options it needs, as the command line parses them."""
        return dict(self.document.get("settings", {}))

    @property
    def waits_for(self) -> str | None:
        """What has to be built before it can pass."""
        return self.document.get("waits_for")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Asker(Protocol):
    """A way to reach a server."""

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, abandon: bool) -> Answer: ...


class InProcess:
    """A mock of its own, called as an ASGI server would."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._app = MockApp(Engine(load({"clock": CLOCK, **options}, {})))

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, abandon: bool) -> Answer:
        """Send one request; `abandon` goes away before the answer comes."""
        sent: list[Any] = []
        heard = [{"type": "http.request", "body": body, "more_body": False}]
        target, _, query = path.partition("?")
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": method, "path": target, "query_string": query.encode(), "headers": raw}

        async def receive() -> Any:
            if heard:
                return heard.pop()
            if not abandon:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self._app(scope, receive, send))
        if not sent:
            return Answer(0, {}, b"")
        got = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], got, b"".join(message.get("body", b"") for message in sent[1:]))


def fixtures() -> list[dict[str, Any]]:
    """Return all fixtures in the order of the rows."""
    documents = [json.loads(path.read_text("utf-8")) for path in FIXTURES.glob("*.json")]
    return sorted(documents, key=lambda document: ROWS.index(document["row"]))


def cases() -> list[Case]:
    """Return all cases in the order of the rows."""
    return [Case(one["row"], case["name"], case) for one in fixtures() for case in one["cases"]]


# --- Filling in ---------------------------------------------------------------------------------------------------

_PLACE = re.compile(r"\{\{([^{}]+)\}\}")


def filled(value: Any, answers: Mapping[str, Any]) -> Any:
    """Return a value with its placeholders replaced by what the setup answered."""
    if isinstance(value, str):
        return _PLACE.sub(lambda match: str(_member(answers, match[1])), value)
    if isinstance(value, list):
        return [filled(one, answers) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"$repeat"}:
        what, times = value["$repeat"]
        return what * times if isinstance(what, str) else [filled(what, answers)] * times
    if value.keys() == {"$value"}:
        return _member(answers, value["$value"])
    return {filled(key, answers): filled(one, answers) for key, one in value.items()}


def _member(answers: Mapping[str, Any], path: str) -> Any:
    value: Any = answers
    for step in path.split("."):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


# --- Running ------------------------------------------------------------------------------------------------------


def run(case: Case, asker: Asker) -> None:
    """Play a case through; raises AssertionError when the answer is not the one of the fixture."""
    answers: dict[str, Any] = {}
    for step in case.document.get("setup", ()):
        answer = _send(case, asker, filled(step, answers))
        assert step.get("abandon") or answer.status < 400, f"setup: {answer}"
        if "as" in step:
            answers[step["as"]] = json.loads(answer.body)
    _check(filled(case.document["expected"], answers), _send(case, asker, filled(case.document["request"], answers)))


def _send(case: Case, asker: Asker, request: Mapping[str, Any]) -> Answer:
    headers = {"authorization": f"Bearer {case.id}", "content-type": "application/json", **request.get("headers", {})}
    sent = {name: value for name, value in headers.items() if value is not None}
    abandon = request.get("abandon", False)
    return asker.ask(request["method"], request["path"], sent, _payload(request), abandon=abandon)


def _payload(request: Mapping[str, Any]) -> bytes:
    if "text" in request:
        return request["text"].encode()
    if "base64" in request:
        return base64.b64decode(request["base64"])
    return json.dumps(request["body"]).encode() if "body" in request else b""


def _check(expected: Mapping[str, Any], answer: Answer) -> None:
    assert answer.status == expected["status"], answer
    request_id = answer.headers["x-request-id"]
    assert re.fullmatch("req_[0-9a-f]{32}", request_id)
    if "events" not in expected:  # a plain error that names its request names this one
        expected = json.loads(json.dumps(expected).replace(UNKNOWN_REQUEST, request_id))
    for name, value in expected.get("headers", {}).items():
        assert answer.headers.get(name) == value, name
    if "events" in expected:
        _check_events(expected, answer)
    elif "body" in expected:
        body = json.loads(answer.body)
        assert {key: body.get(key) for key in expected["body"]} == expected["body"]
    else:
        _check_whole(expected, answer)


def _check_whole(expected: Mapping[str, Any], answer: Answer) -> None:
    """An error is told to the byte: indent 2, four members in order, ASCII, no final newline. Spec: errors §1."""
    if "text" in expected:
        assert answer.body == expected["text"].encode()
        return
    assert list(expected["error"]) == list(MEMBERS), "the fixture itself"
    assert answer.body.decode("ascii") == json.dumps({"error": expected["error"]}, indent=2)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert "transfer-encoding" not in answer.headers


def _check_events(expected: Mapping[str, Any], answer: Answer) -> None:
    """The nested error event has its own order of members, and the response repeats two of them. Spec: S12."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = answer.body.decode().removesuffix("\n\n").split("\n\n")
    names, lines = zip(*(block.split("\n") for block in blocks), strict=True)
    assert list(names) == [f"event: {name}" for name in expected["events"]]
    error = {key: expected["error"][key] for key in ("type", "code", "message", "param")}
    number = names.index("event: error")
    told = {"type": "error", "error": error, "sequence_number": number}
    assert lines[number] == "data: " + json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    final = json.loads(lines[-1].removeprefix("data: "))["response"]
    assert final["error"] == {"code": error["code"], "message": error["message"]}
    assert (final["status"], final["usage"], final["completed_at"]) == ("failed", None, None)


# --- Counting -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """How a row fares: cases that pass, cases that wait for something, cases that fail, all by name."""

    row: str
    passing: tuple[str, ...]
    waiting: tuple[str, ...]
    failing: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the row counts: something shows it and nothing contradicts it."""
        return bool(self.passing) and not self.failing

    def __str__(self) -> str:
        if self.row in LEFT_OUT:
            return f"{self.row:5} left out   {LEFT_OUT[self.row]}"
        if not (self.passing or self.waiting or self.failing):
            return f"{self.row:5} NO FIXTURE"
        parts = [f"{len(self.passing)} pass"] if self.passing else []
        parts += [f"FAILS: {one}" for one in self.failing] + [f"waits: {one}" for one in self.waiting]
        return f"{self.row:5} {'pass' if self.passed else 'OPEN':10} {'; '.join(parts)}"


def verdicts() -> Iterator[Verdict]:
    """Run everything and judge each row."""
    found: dict[str, list[tuple[Case, bool]]] = {row: [] for row in ROWS}
    for case in cases():
        found[case.row].append((case, passes(case)))
    for row, results in found.items():
        yield Verdict(
            row,
            tuple(case.name for case, ok in results if ok),
            tuple(f"{case.name} (for {case.waits_for})" for case, ok in results if not ok and case.waits_for),
            tuple(case.name for case, ok in results if not ok and not case.waits_for),
        )


def passes(case: Case) -> bool:
    """Whether a case passes in process."""
    try:
        run(case, InProcess(case.settings))
    except (AssertionError, KeyError, ValueError):
        return False
    return True


def main(rows: Sequence[Verdict] = ()) -> None:
    """Print the table, of what was found already or is found now."""
    rows = rows or list(verdicts())
    print(*rows, sep="\n")
    print(f"\n{sum(row.passed for row in rows)} of {len(rows)} rows have a passing fixture")
    print(f"{sum(len(row.passing) for row in rows)} cases pass, {sum(len(row.waiting) for row in rows)} wait, ", end="")
    print(f"{sum(len(row.failing) for row in rows)} fail")


if __name__ == "__main__":
    main()
