"""Given state: conversations and stored responses that a test starts from, with ids of its own choice. Spec: R15.7."""

# How it works. A given response is a turn that was played in the past: what is written here is its request and its
# reply, and the engine plays it at that time. So its tokens, calls, expiry and chain are those of a turn that a
# client has made, and whatever the API would refuse is a mistake here too.
#
# What must stay true: items are written as a client sends them, and outputs as a line writes them, so there is
# nothing to learn twice.

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Strict, Tag

from mockserver.scenarios.document import Accepts, Labelled, ScriptObject, Shaped, Text, TextMap, optional, reject
from mockserver.scenarios.item_rules import output_mistakes
from mockserver.scenarios.item_shapes import ContextItem, OutputItem
from mockserver.wire.requests.schema import identifier, kind


def _check_output(items: list[Any]) -> list[Any]:
    reject(output_mistakes(items))
    return items


ConversationId = Annotated[str, Shaped(identifier("conv_"))]
ResponseId = Annotated[str, Shaped(identifier("resp_"))]
# about 30 years; a clock goes no further back
Span = Annotated[float, Strict(), Field(ge=0, le=1e9), Accepts("a number from 0")]
Items = Annotated[list[ContextItem], Strict()]
Outputs = Annotated[list[OutputItem], Strict(), AfterValidator(_check_output)]
Said = Annotated[
    Annotated[Text, Tag("string")] | Annotated[Items, Tag("array")],
    Discriminator(kind),
    Labelled("a text or a list of items"),
]
Answered = Annotated[
    Annotated[Text, Tag("string")] | Annotated[Outputs, Tag("array")],
    Discriminator(kind),
    Labelled("a text or a list of items"),
]


class Age(ScriptObject):
    """How long ago something was created: the sum of these."""

    days: Span = optional("days of 24 hours")
    hours: Span = optional("hours")
    minutes: Span = optional("minutes")
    seconds: Span = optional("seconds")


class GivenConversation(ScriptObject):
    """A conversation that is there before the first request."""

    id: ConversationId = optional("its id; one is drawn when it is left out")
    metadata: TextMap = optional("its metadata")
    items: Items = optional("its items, oldest first")
    age: Age = optional("how long ago it was created")


class GivenResponse(ScriptObject):
    """A stored response that is there before the first request: a turn that was played in the past."""

    id: ResponseId = optional("its id; one is drawn when it is left out")
    model: Text = optional("its model; gpt-5.6 when it is left out")
    instructions: Text = optional("its instructions")
    input: Said = optional("its own input")
    output: Answered = Field(description="what the model answered")
    previous_response_id: ResponseId = optional("the response that it continues")
    conversation: ConversationId = optional("the conversation that it belongs to")
    metadata: TextMap = optional("its metadata")
    age: Age = optional("how long ago it was created; it expires by that")


class GivenState(ScriptObject):
    """Conversations and responses that a test starts from; conversations come first, then the responses in order."""

    conversations: Annotated[list[GivenConversation], Strict()] = optional("conversations")
    responses: Annotated[list[GivenResponse], Strict()] = optional("stored responses")
