"""Let the client's own models judge what the mock says: a program for each environment that has `openai`.

It reads `{"bodies": [{name, kind, value}], "scripts": {name: reply}, "include": [...], "model": ...}` on standard input
and prints one JSON object per complaint, `{name, kind, type, what}`, then a line that starts with `judged`. Bodies are
validated by the client's types; scripts are replayed through strict clients: created, streamed and listed.
OPENAI_BASE_URL, OPENAI_API_KEY and UNDERSTUDY_CONTROL say where. It needs the standard library, `openai` and pydantic.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pydantic
from openai.types import Model, responses
from openai.types import conversations as conversation_types
from openai.types.responses.input_token_count_response import InputTokenCountResponse
from openai.types.responses.response_item_list import ResponseItemList

KINDS: dict[str, Any] = {
    "response": responses.Response,
    "event": responses.ResponseStreamEvent,
    "input_items": ResponseItemList,
    "input_tokens": InputTokenCountResponse,
    "conversation": conversation_types.Conversation,
    "conversation_deleted": conversation_types.ConversationDeletedResource,
    "conversation_items": conversation_types.ConversationItemList,
    "conversation_item": conversation_types.ConversationItem,
    "model": Model,
}


def complaint(name: str, kind: str, value: Any, error: Exception) -> dict[str, Any]:
    """Return what is wrong, short enough for a table."""
    what = f"{type(error).__name__}: {error}"
    if isinstance(error, pydantic.ValidationError):
        what = "; ".join(meant(error)) or "no model of the client knows this type"
    shown = value.get("type") if isinstance(value, dict) else None
    if kind == "event" and shown in ("response.output_item.added", "response.output_item.done"):
        shown = f"{shown} {value['item']['type']}"
    return {"name": name, "kind": kind, "type": shown, "what": what[:600]}


def meant(error: pydantic.ValidationError) -> list[str]:
    """Return what is said by the models that are meant: not by those of a union that bear another `type`."""
    found = [(one["loc"], one["msg"]) for one in error.errors(include_url=False, include_input=False)]
    others = [loc[:-1] for loc, _ in found if loc and loc[-1] in ("type", "role")]
    about = [(loc, said) for loc, said in found if not any(loc[: len(other)] == other for other in others)]
    return [f"{'.'.join(map(str, loc))}: {said}" for loc, said in about[:4]]


def judged_bodies(bodies: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Validate bodies with the types of their kinds."""
    adapters = {kind: pydantic.TypeAdapter(type) for kind, type in KINDS.items()}
    for body in bodies:
        try:
            adapters[body["kind"]].validate_python(body["value"])
        except pydantic.ValidationError as error:
            yield complaint(body["name"], body["kind"], body["value"], error)


def enqueue(reply: dict[str, Any]) -> None:
    """Script the next answer."""
    request = urllib.request.Request(
        os.environ["UNDERSTUDY_CONTROL"] + "/_mock/script",
        json.dumps({"lines": [{"reply": reply}]}).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"},
    )
    urllib.request.urlopen(request, timeout=120).read()


class Replay:
    """One scripted reply after the other through a strict client."""

    def __init__(self, model: str, include: list[str]) -> None:
        self.client: Any = openai.OpenAI(max_retries=0, timeout=120, _strict_response_validation=True)
        self.asked: dict[str, Any] = {"model": model, "input": "hello", "include": include}

    def create(self) -> None:
        """Create, retrieve and list."""
        made = self.client.responses.create(**self.asked)
        again = self.client.responses.retrieve(made.id)
        assert again.output == made.output
        assert list(self.client.responses.input_items.list(made.id))

    def stream(self) -> None:
        """Stream events as they are."""
        events = list(self.client.responses.create(**self.asked, stream=True))
        assert events[-1].type in ("response.completed", "response.incomplete", "response.failed")

    def helper(self) -> None:
        """Stream with the helper, which accumulates; its last answer is the one of the terminal event."""
        with self.client.responses.stream(**self.asked) as stream:
            last = list(stream)[-1]
            if last.type == "response.completed":
                final = stream.get_final_response()
                assert [item.id for item in final.output] == [item.id for item in last.response.output]

    def conversation(self) -> None:
        """Answer in a conversation and list it."""
        made = self.client.conversations.create(metadata={"a": "b"})
        self.client.responses.create(**self.asked, conversation=made.id)
        listed = list(self.client.conversations.items.list(made.id, include=self.asked["include"]))
        assert listed
        self.client.conversations.items.retrieve(listed[0].id, conversation_id=made.id)

    @property
    def ways(self) -> dict[str, Callable[[], None]]:
        """The ways a scripted reply is asked for, by name."""
        names = ("create", "stream", "helper", "conversation")
        return {name: getattr(self, name) for name in names}


def replayed(scripts: dict[str, dict[str, Any]], model: str, include: list[str]) -> Iterator[dict[str, Any]]:
    """Ask for every scripted reply in every way."""
    replay = Replay(model, include)
    for name, reply in scripts.items():
        for way, ask in replay.ways.items():
            enqueue(reply)
            try:
                ask()
            except Exception as error:
                yield complaint(name, f"client.{way}", None, error)


def main() -> None:
    """Judge what stands on standard input."""
    told = json.load(sys.stdin)
    for found in judged_bodies(told["bodies"]):
        print(json.dumps(found))
    for found in replayed(told["scripts"], told["model"], told["include"]):
        print(json.dumps(found))
    print(f"judged {len(told['bodies'])} bodies and {len(told['scripts'])} scripts with openai {openai.VERSION}")


if __name__ == "__main__":
    main()
