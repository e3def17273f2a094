"""`mock.given`: the guide's own example as it is written, under the real client; and its types."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest
from openai import OpenAI

from mockserver import Mock, MockError
from mockserver.scenarios import given as models
from mockserver.testing import given as types


def test_R15_7_the_guide_s_conversation_is_there_as_the_guide_writes_it() -> None:
    with Mock() as mock, OpenAI(base_url=mock.base_url, api_key="any") as client:
        mock.given(
            conversations=[
                {
                    "id": "conv_689667905b048191b4740501625afd940c7533ace33a2dab",
                    "items": [{"role": "user", "content": "Hello there"}],
                }
            ]
        )
        response = client.responses.create(
            model="gpt-4.1",
            input=[{"role": "user", "content": "What are the 5 Ds of dodgeball?"}],
            conversation="conv_689667905b048191b4740501625afd940c7533ace33a2dab",
        )
        assert mock.context(response.id).texts[:2] == ["Hello there", "What are the 5 Ds of dodgeball?"]
        assert len(client.conversations.items.list("conv_689667905b048191b4740501625afd940c7533ace33a2dab").data) == 3


def test_it_returns_the_ids_and_raises_for_what_cannot_be() -> None:
    with Mock(clock="2026-11-29T12:00:00Z") as mock:
        ids = mock.given(responses=[{"input": "Hi.", "output": "Hello.", "age": {"days": 1}}])
        assert mock.responses()[0]["id"] == ids["responses"][0] and ids["conversations"] == []
        with pytest.raises(MockError, match="Previous response with id 'resp_x' not found"):
            mock.given(responses=[{"input": "Hi.", "output": "Hello.", "previous_response_id": "resp_x"}])


@pytest.mark.parametrize("name", ["Age", "GivenConversation", "GivenResponse"])
def test_the_types_have_the_members_of_the_models(name: str) -> None:
    model: Any = getattr(models, name)
    assert set(get_type_hints(getattr(types, name))) == set(model.model_fields)
