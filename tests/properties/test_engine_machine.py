"""A state machine over the engine: any program of creates, chains, forks, deletes, conversation edits and clock moves
leaves the engine where the reference says. Both stores run it.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule

from mockserver.engine import Engine
from mockserver.settings import Settings
from mockserver.store.sqlite import SQLiteStore
from tests.driving import NOON, Driver, refused, text_of
from tests.properties.reference import THIRTY_DAYS, KnownConversation, KnownResponse, Reference

TEXTS = st.sampled_from(["red", "green", "blue", "white"])
MODELS = st.sampled_from(["gpt-4.1", "gpt-5.2", "gpt-5.6-terra"])


class EngineMachine(RuleBasedStateMachine):
    """Programs over one project of an engine in memory."""

    responses = Bundle("responses")
    conversations = Bundle("conversations")

    def __init__(self) -> None:
        super().__init__()
        self.drive = Driver(self.engine())
        self.known = Reference(int(NOON))

    def engine(self) -> Engine:
        return Engine(Settings(clock=NOON))

    def teardown(self) -> None:
        self.drive.engine.close()

    # --- turns

    def turn(
        self, text: str, model: str, *, store: bool, stream: bool, parent: str | None, conversation: str | None
    ) -> Any:
        fields: dict[str, Any] = {"model": model, "store": store}
        if parent is not None:
            fields["previous_response_id"] = parent
        if conversation is not None:
            fields["conversation"] = conversation
        if stream:
            return self.drive.stream(text, **fields)[-1]["response"]
        return self.drive.create(text, **fields)

    def learn(self, made: dict[str, Any], text: str, *, parent: str | None, conversation: str | None) -> str:
        saw = [*self.known.before(parent, conversation), text]
        [message] = [item for item in made["output"] if item["type"] == "message"]
        hidden = [item for item in made["output"] if item["type"] == "reasoning"]
        assert text_of(message).startswith(f"Mock reply to: {text} [")
        assert made["previous_response_id"] == parent
        assert made.get("conversation") == ({"id": conversation} if conversation else None)
        answered = text_of(message)
        # a reasoning item stands before the message and is part of what later turns see
        saw_next = [*saw, "reasoning"] if hidden else saw
        self.known.responses[made["id"]] = KnownResponse(
            saw_next, answered, made["created_at"], made["store"], conversation, parent
        )
        if conversation is not None:
            mine = self.known.conversations[conversation]
            own = self.drive.items(conversation, limit=str(1 + len(made["output"])))["data"][::-1]
            assert [item["id"] for item in own[1:]] == [item["id"] for item in made["output"]]
            mine.items += [(item["id"], text_of(item)) for item in own]
        return made["id"]

    @rule(target=responses, text=TEXTS, model=MODELS, store=st.booleans(), stream=st.booleans())
    def create(self, text: str, model: str, store: bool, stream: bool) -> str:
        made = self.turn(text, model, store=store, stream=stream, parent=None, conversation=None)
        return self.learn(made, text, parent=None, conversation=None)

    @rule(target=responses, parent=responses, text=TEXTS, model=MODELS, store=st.booleans(), stream=st.booleans())
    def chain(self, parent: str, text: str, model: str, store: bool, stream: bool) -> Any:
        arguments: dict[str, Any] = {"store": store, "stream": stream, "parent": parent, "conversation": None}
        if not self.known.alive(parent):
            error = refused(self.turn, text, model, **arguments)
            assert (error.status, error.code) == (400, "previous_response_not_found")
            return multiple()
        if self.unreadable(parent, None, model):
            return multiple()
        return self.learn(self.turn(text, model, **arguments), text, parent=parent, conversation=None)

    @rule(target=responses, id=conversations, text=TEXTS, model=MODELS, store=st.booleans(), stream=st.booleans())
    def converse(self, id: str, text: str, model: str, store: bool, stream: bool) -> Any:
        arguments: dict[str, Any] = {"store": store, "stream": stream, "parent": None, "conversation": id}
        if self.known.conversations[id].deleted:
            assert refused(self.turn, text, model, **arguments).status == 404
            return multiple()
        if self.unreadable(None, id, model):
            return multiple()
        return self.learn(self.turn(text, model, **arguments), text, parent=None, conversation=id)

    def unreadable(self, parent: str | None, conversation: str | None, model: str) -> bool:
        """Whether the context holds reasoning that a chat model is refused for; then nothing must change."""
        if model != "gpt-4.1" or "reasoning" not in self.known.before(parent, conversation):
            return False
        error = refused(self.turn, "x", model, store=True, stream=False, parent=parent, conversation=conversation)
        assert error.message.startswith("Reasoning input items can only be provided")
        return True

    @rule(id=responses)
    def look(self, id: str) -> None:
        known = self.known.responses[id]
        if not self.known.alive(id):
            assert refused(self.drive.get, id).status == 404
            assert refused(self.drive.input_items, id).status == 404
            return
        assert self.drive.get(id)["previous_response_id"] == known.parent
        seen = self.drive.context(id)
        assert seen == known.saw[: len(seen)]
        assert known.saw[len(seen) :] in ([], ["reasoning"])
        listed = self.drive.input_items(id, order="asc", limit="100")["data"]
        assert [text_of(item) for item in listed] == seen[:100]

    @rule(id=responses)
    def delete(self, id: str) -> None:
        if self.known.alive(id):
            assert self.drive.delete(id) == {"id": id, "object": "response", "deleted": True}
            self.known.responses[id].deleted = True
        else:
            assert refused(self.drive.delete, id).status == 404

    # --- conversations

    @rule(target=conversations, texts=st.lists(TEXTS, max_size=3))
    def converse_anew(self, texts: list[str]) -> str:
        items = [{"role": "user", "content": text} for text in texts]
        id = self.drive.conversation(items=items)["id"]
        listed = self.drive.items(id, order="asc")["data"]
        self.known.conversations[id] = KnownConversation([(item["id"], text_of(item)) for item in listed])
        assert [text_of(item) for item in listed] == texts
        return id

    @rule(id=conversations, texts=st.lists(TEXTS, min_size=1, max_size=3))
    def add(self, id: str, texts: list[str]) -> None:
        items = [{"role": "assistant", "content": text} for text in texts]
        if self.known.conversations[id].deleted:
            assert refused(self.drive.add, id, *items).status == 404
            return
        made = self.drive.add(id, *items)
        self.known.conversations[id].items += [(item["id"], text_of(item)) for item in made]

    @precondition(lambda self: any(one.items and not one.deleted for one in self.known.conversations.values()))
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        filled = [id for id, one in self.known.conversations.items() if one.items and not one.deleted]
        id = data.draw(st.sampled_from(filled))
        items = self.known.conversations[id].items
        gone = data.draw(st.sampled_from(items))
        assert json.loads(self.drive.engine.delete_item("p", id, gone[0]))["id"] == id
        items.remove(gone)

    @rule(id=conversations, value=TEXTS)
    def relabel(self, id: str, value: str) -> None:
        body = json.dumps({"metadata": {"colour": value}}).encode()
        if self.known.conversations[id].deleted:
            assert refused(self.drive.engine.update_conversation, "p", id, body).status == 404
            return
        self.drive.engine.update_conversation("p", id, body)
        self.known.conversations[id].metadata = {"colour": value}

    @rule(id=consumes(conversations))
    def forget(self, id: str) -> None:
        self.drive.engine.delete_conversation("p", id)
        self.known.conversations[id].deleted = True

    # --- time

    @rule(seconds=st.sampled_from([1, 3600, THIRTY_DAYS - 1, THIRTY_DAYS]))
    def wait(self, seconds: int) -> None:
        expected = self.known.expiring(seconds)
        assert self.drive.advance(seconds=seconds)["expired"] == expected
        self.known.now += seconds

    # --- always

    @invariant()
    def conversations_hold_what_was_put(self) -> None:
        for id, known in self.known.conversations.items():
            if known.deleted:
                assert refused(self.drive.items, id).status == 404
                continue
            listed = self.drive.items(id, order="asc", limit="100")["data"]
            assert [(item["id"], text_of(item)) for item in listed] == known.items[:100]
            assert json.loads(self.drive.engine.retrieve_conversation("p", id))["metadata"] == known.metadata

    @invariant()
    def stored_responses_are_those_alive(self) -> None:
        listed = self.drive.engine.levers.list_responses("p", limit=1000, after=None)["data"]
        assert [one["id"] for one in listed] == [id for id in reversed(self.known.responses) if self.known.alive(id)]


class SQLiteMachine(EngineMachine):
    """The same programs over an SQLite file."""

    def engine(self) -> Engine:
        return Engine(Settings(clock=NOON), store=SQLiteStore(":memory:"))


TestEngineMachine = EngineMachine.TestCase
TestEngineMachine.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)
TestSQLiteMachine = SQLiteMachine.TestCase
TestSQLiteMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
