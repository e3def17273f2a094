"""A recording as the mock's model: a turn whose like was recorded says what was recorded, in the mock's own state."""

# What is compared is what the model sees: the settings of the request and the context, wherever that came from. How the
# answer is delivered (stream, socket, background) is the mock's business, so it is no part of this key. Encrypted
# content is not either: the mock makes its own.

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mockserver.model.default_model import SeededModel
from mockserver.model.prompt import Prompt, Reply
from mockserver.wire.errors.api import MockError
from proxy.cassettes.canonical import IGNORED, canonical_fields
from proxy.cassettes.interaction import Cassette, Interaction
from proxy.cassettes.ledger import EMPTY, RESPONSES, Key, Ledger
from proxy.cassettes.matching import Library, source_in
from proxy.cassettes.replies import reply_of

DELIVERY = frozenset(("stream", "background", "store", "include", "generate", "service_tier"))


class RecordedModel:
    """Answers as recorded, else like the default model, or, if `strict`, with an error that says what differs."""

    def __init__(
        self, cassettes: Iterable[Cassette], ignored: frozenset[str] = IGNORED, *, strict: bool = False
    ) -> None:
        self._ignored = ignored | DELIVERY
        self._strict = strict
        self._ledger = Ledger(self._ignored, blobs=False)
        self._library = Library((), self._ignored)
        self._replies: dict[bytes, int] = {}  # which recording answers
        self._default = SeededModel()
        for cassette in cassettes:
            ledger = Ledger(self._ignored, blobs=False)
            for index, interaction in enumerate(cassette.interactions):
                place = f"interaction {interaction.id} ({cassette.path})"
                self._add(ledger, interaction, place, source_in(cassette, index))
                ledger.note(interaction)

    def _add(
        self, ledger: Ledger, interaction: Interaction, place: str, source: Callable[[], Interaction] | None
    ) -> None:
        body = interaction.request.value
        turn = interaction.request.socket or interaction.request.path == RESPONSES
        if not (turn and isinstance(body, dict)):
            return
        if reply_of(interaction) is None:
            return
        key = self._key(body, ledger.context_of(body).all_raw())
        self._replies.setdefault(key.digest, self._library.hold(interaction, key, place, source))

    def _key(self, body: Any, items: list[Any]) -> Key:
        fields = canonical_fields({name: value for name, value in body.items() if name != "type"}, self._ignored)
        return Key("a turn", fields, self._ledger.extend(EMPTY, items))

    def respond(self, prompt: Prompt) -> Reply:
        """The reply to a prompt; raises MockError where nothing was recorded and the model is strict."""
        items = list(prompt.newest_first())[::-1]
        key = self._key(prompt.request, items)
        number = self._replies.get(key.digest)
        reply = None if number is None else reply_of(self._library.recorded[number].interaction)
        if reply is not None:
            return reply
        if not self._strict:
            return self._default.respond(prompt)
        nearest = "; ".join(f"{recorded.place} differs at {what}" for recorded, what in self._library.nearest(key))
        raise MockError(f"No recording asks this, and --strict is set. Nearest: {nearest or 'none'}.", status=501)


def scenario_of(cassettes: Iterable[Cassette]) -> dict[str, Any]:
    """The turns of recordings as a scenario: each a line that answers once, told apart by what the user said."""
    lines: list[dict[str, Any]] = []
    for cassette in cassettes:
        ledger = Ledger()
        for interaction in cassette.interactions:
            body = interaction.request.value
            turn = interaction.request.socket or interaction.request.path == RESPONSES
            if turn and isinstance(body, dict) and (line := _line_of(ledger, interaction, body)):
                lines.append(line)
            ledger.note(interaction)
    return {"lines": lines}


def _line_of(ledger: Ledger, interaction: Interaction, body: dict[str, Any]) -> dict[str, Any] | None:
    reply = reply_of(interaction)
    if reply is None:
        return None
    texts = [_text(item) for item in ledger.context_of(body).all_items() if _role(item) == "user"]
    when: dict[str, Any] = {}
    if texts and texts[-1]:
        when["input_contains"] = texts[-1]
    if len(texts) > 1 and texts[0] and texts[0] != texts[-1]:
        when["context_contains"] = texts[0]
    line: dict[str, Any] = {"when": when} if when else {}
    return {**line, "reply": _script_of(reply), "times": 1}


def _script_of(reply: Reply) -> dict[str, Any]:
    if reply.error is not None:
        error = reply.error
        return {"error": {"status": error.status, "code": error.code, "message": error.message}}
    if reply.failed is not None:
        return {"failed": {key: reply.failed[key] for key in ("code", "message") if key in reply.failed}}
    spoken = [item for item in reply.output if item.get("type") != "reasoning"]
    script: dict[str, Any] = {}
    if len(spoken) == 1 and spoken[0].get("type") == "message" and len(spoken[0].get("content") or ()) == 1:
        part = spoken[0]["content"][0]
        key = "refusal" if part.get("type") == "refusal" else "text"
        script[key] = part.get(key, "")
    else:
        script["output"] = [dict(item) for item in reply.output if item.get("type") != "reasoning"]
    if reply.incomplete is not None:
        script["incomplete"] = reply.incomplete
    return script


def _role(item: Any) -> Any:
    return item.get("role") if isinstance(item, dict) else None


def _text(item: Any) -> str:
    content = item.get("content")
    parts = content if isinstance(content, list) else []
    return " ".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)
