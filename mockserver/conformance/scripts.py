"""A failure as something to paste into a bug report: a curl script, or a Python file that needs the openai client only.

Both send the calls that led to the failure and end with status 0 where the server answers as this mock does.
"""

# How it works. The calls are played again on an engine in this process, whose model is the echo model. Where the
# engine answers otherwise (refused or not, the texts of the items) stands the expectation of the script.
#
# What must stay true: ids are the server's own, so a script names them by the answer that brought them. A secret can't
# get in: calls have no headers, and the key comes from the environment.

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from mockserver.config.settings import Settings
from mockserver.conformance.drivers import NOON, Answer, EngineDriver
from mockserver.conformance.leniency import is_refusal
from mockserver.conformance.recorder import Exchange
from mockserver.engine.engine import Engine
from mockserver.model.echo_model import read_echo

_ID = re.compile(r"(?:resp|conv|msg|fc|rs|cmp|call|item)_[A-Za-z0-9_=-]{8,}")
OURS = Settings(clock=NOON, model="echo")


class Story(NamedTuple):
    """A failure: the rule, its sentence, what was found, and the calls that led there."""

    id: str
    sentence: str
    evidence: str
    calls: tuple[Exchange, ...]


class Step(NamedTuple):
    """A call with ids named by earlier answers, and what has to come."""

    method: str
    path: str
    body: Any
    refused: bool
    texts: list[str] | None  # where the texts of the items differ, those that are right


def steps_of(calls: Sequence[Exchange]) -> list[Step]:
    """The calls with the ids named `{aN.path}`, up to the first that this mock answers otherwise.

    The texts of a model that is no echo are its own, so then it is only compared what is refused.
    """
    echoes = any(read_echo(text) for call in calls for text in texts_of(call.answer))
    names: dict[str, str] = {}  # of the foreign ids
    ours: dict[str, str] = {}  # the engine's id for each foreign one
    steps = []
    with closing(EngineDriver(Engine(OURS))) as engine:
        for number, call in enumerate(calls):
            query = {key: _swap(value, ours) for key, value in call.query.items()}
            answer = engine.call(call.method, _swap(call.path, ours), _swap(call.body, ours), **query)
            asked = "&".join(f"{key}={value}" for key, value in call.query.items())
            sent = call.path + (f"?{asked}" if asked else "")
            path, body = _swap(sent, names), _swap(call.body, names)
            chosen = {id for id in _ID.findall(f"{sent} {call.body}") if id not in names}  # by the client: a literal
            for place, id in _ids(_whole(call.answer)):
                if id in chosen:
                    continue
                found = _at(_whole(answer), place)
                names.setdefault(id, f"{{a{number}.{'.'.join(map(str, place))}}}")
                if isinstance(found, str):
                    ours.setdefault(id, found)
            expected = texts_of(answer)
            differs = echoes and expected != texts_of(call.answer) and not is_refusal(answer)
            texts = expected if differs else None
            steps.append(Step(call.method, path, body, is_refusal(answer), texts))
            if differs or is_refusal(answer) != (call.answer.status != 200 or is_refusal(call.answer)):
                break
    return steps


def texts_of(answer: Answer) -> list[str]:
    """The texts of the items of an answer, in order: of a list, or of a response's output."""
    whole = _whole(answer)
    items = (whole.get("data") or whole.get("output")) if isinstance(whole, dict) else None
    return [_text(item) for item in items or () if isinstance(item, dict)]


def _text(item: dict[str, Any]) -> str:
    parts = item.get("content")
    if isinstance(parts, list):
        return "".join(str(part.get("text") or "") for part in parts if isinstance(part, dict))
    return str(item.get("output") or item.get("arguments") or item.get("type"))


def _whole(answer: Answer) -> Any:
    """The body, or the response that a stream ends with."""
    if answer.events is None:
        return answer.body
    return (answer.events or [{}])[-1].get("response")


def _ids(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every id in an answer, with its place."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _ids(member, (*place, name))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _ids(member, (*place, index))
    elif isinstance(value, str) and _ID.fullmatch(value):
        yield place, value


def _at(value: Any, place: Sequence[str | int]) -> Any:
    for key in place:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _swap(value: Any, names: dict[str, str]) -> Any:
    """The value with each known id replaced."""
    if isinstance(value, dict):
        return {name: _swap(member, names) for name, member in value.items()}
    if isinstance(value, list):
        return [_swap(member, names) for member in value]
    if not isinstance(value, str):
        return value
    return _ID.sub(lambda match: names.get(match[0], match[0]), value)


def _remarks(story: Story) -> list[str]:
    told = [f"{story.id}: {story.sentence}", *story.evidence.splitlines()]
    return ["# " + " ".join(line.split())[:400] for line in told if line.strip()]


_PYTHON = '''import json
import os

from openai import APIStatusError, OpenAI

client = OpenAI(
    base_url=os.environ.get("OPENAI_BASE_URL", {base_url!r}),
    api_key=os.environ.get("OPENAI_API_KEY", "any"),
    max_retries=0,
)


def ask(method, path, body=None):
    """Send a request; returns the status and the JSON, of a stream the response that it ends with."""
    fields = {{}} if body is None else {{"body": body}}
    try:
        status, text = 200, getattr(client, method.lower())(path, cast_to=str, **fields)
    except APIStatusError as error:
        status, text = error.status_code, error.response.text
    lines = [line[5:] for line in text.splitlines() if line.startswith("data:") and "[DONE]" not in line]
    found = json.loads(lines[-1] if lines else text or "null")
    if lines:
        status = 400 if found.get("type") in ("error", "response.failed") else status
    return status, found.get("response", found) if lines else found


def texts(answer):
    """The texts of the items, in order."""
    told = []
    for item in answer.get("data") or answer.get("output") or ():
        parts = item.get("content")
        if isinstance(parts, list):
            told.append("".join(part.get("text") or "" for part in parts))
        else:
            told.append(item.get("output") or item.get("arguments") or item["type"])
    return told


def expect(what, truth, found):
    if not truth:
        raise SystemExit(f"not so: {{what}}; found {{json.dumps(found)[:2000]}}")
'''

_PLACE = re.compile(r"\{(a\d+)\.([^}]+)\}")


def as_python(story: Story, base_url: str) -> str:
    """The story as a Python file that needs the openai client alone; it ends with status 0 where all is right."""
    lines = [*_remarks(story), _PYTHON.format(base_url=base_url), ""]
    for number, step in enumerate(steps_of(story.calls)):
        body = "" if step.body is None else f", {_python(step.body)}"
        lines.append(f"status, a{number} = ask({step.method!r}, {_python(step.path)}{body})")
        refused = "400 <= status < 500" if step.refused else "status < 300"
        what = "is refused" if step.refused else "succeeds"
        lines.append(f'expect("{step.method} {number} {what}", {refused}, [status, a{number}])')
        if step.texts is not None:
            lines.append(f'expect("its items", texts(a{number}) == {step.texts!r}, texts(a{number}))')
    return "\n".join([*lines, 'print("all as expected")', ""])


def _python(value: Any) -> str:
    """A value as Python, ids as what the answers brought."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name!r}: {_python(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_python, value)) + "]"
    if not isinstance(value, str) or not _PLACE.search(value):
        return repr(value)
    whole = _PLACE.fullmatch(value)
    if whole:
        return whole[1] + _keys(whole[2])
    literal = repr(_PLACE.sub(lambda match: f"\0{match[0]}\0", value)).replace("{", "{{").replace("}", "}}")
    quoted = re.sub(
        r"\\x00\{\{(a\d+)\.([^}]+)\}\}\\x00", lambda match: "{" + match[1] + _keys(match[2], '"') + "}", literal
    )
    return "f" + quoted


def _keys(place: str, quote: str = "'") -> str:
    keys = place.split(".")
    return "".join(f"[{key}]" if key.isdigit() else f"[{quote}{key}{quote}]" for key in keys)


_CURL = """set -u
base=${{OPENAI_BASE_URL:-{base_url}}}
key=${{OPENAI_API_KEY:-any}}
ask() {{ # METHOD PATH [BODY]: the answer is in $answer, its status in $status
  answer=$(curl -s -w '\\n%{{http_code}}' -X "$1" "$base$2" -H "Authorization: Bearer $key" \\
    -H 'Content-Type: application/json' ${{3+-d "$3"}})
  status=${{answer##*$'\\n'}} answer=${{answer%$'\\n'*}}
  case $answer in *data:*) # of a stream what it ends with
    answer=$(grep '^data: {{' <<<"$answer" | tail -1 | cut -c7-)
    case $answer in *'"type":"error"'* | *'"type":"response.failed"'*) status=400 ;; esac
    answer=$(jq -c '.response // .' <<<"$answer") ;;
  esac
}}
texts() {{ jq -c '[(.data // .output // [])[] | if (.content | type) == "array" then [.content[].text // ""] | add // ""
  else .output // .arguments // .type end]' <<<"$answer"; }}
wrong() {{ echo "not so: $1; found $status $answer"; exit 1; }}
"""


def as_curl(story: Story, base_url: str) -> str:
    """The story as a script of bash, curl and jq; it ends with status 0 where all is right."""
    lines = ["#!/usr/bin/env bash", *_remarks(story), _CURL.format(base_url=base_url)]
    for number, step in enumerate(steps_of(story.calls)):
        body = "" if step.body is None else " " + _shell(json.dumps(step.body, ensure_ascii=False))
        lines.append(f"ask {step.method} {_shell(step.path)}{body}")
        lines.append(f"a{number}=$answer")
        test, what = ("4??", "is refused") if step.refused else ("2??", "succeeds")
        lines.append(f'case $status in {test}) ;; *) wrong "{step.method} {number} {what}" ;; esac')
        if step.texts is not None:
            texts = shlex.quote(json.dumps(step.texts, ensure_ascii=False, separators=(",", ":")))
            lines.append(f"""[ "$(texts)" = {texts} ] || wrong "its items" """.rstrip())
    return "\n".join([*lines, 'echo "all as expected"', ""])


def _shell(text: str) -> str:
    """A text as a word of bash, ids as what jq finds in the answers."""
    parts, end = [], 0
    for match in _PLACE.finditer(text):
        parts.append(shlex.quote(text[end : match.start()]) if end < match.start() else "")
        parts.append(f"""\"$(jq -r '{_jq(match[2])}' <<<"${match[1]}")\"""")
        end = match.end()
    return "".join(parts) + (shlex.quote(text[end:]) if end < len(text) or not parts else "")


def _jq(place: str) -> str:
    return "".join(f"[{key}]" if key.isdigit() else f".{key}" for key in place.split("."))
