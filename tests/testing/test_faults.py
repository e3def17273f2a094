"""Faults as a test sets them."""

from __future__ import annotations

import openai
import pytest

from mockserver import Mock
from mockserver.wire.errors.api import MockError


def test_faults_are_added_listed_and_cleared() -> None:
    with Mock() as mock:
        mock.faults.add({"error": "server_is_overloaded"}, path="/v1/responses", times=1)
        mock.faults.add("cut", at={"event": "response.created", "count": 1}, stream=True)
        with openai.OpenAI(base_url=mock.base_url, api_key="any", max_retries=0) as client:
            with pytest.raises(openai.InternalServerError):
                client.responses.create(model="gpt-5.5", input="hi")
            assert client.responses.create(model="gpt-5.5", input="hi").status == "completed"
            with pytest.raises(openai.APIConnectionError):
                list(client.responses.create(model="gpt-5.5", input="hi", stream=True))
        assert [one["used"] for one in mock.faults] == [1, 1]
        mock.faults.clear()
        assert len(mock.faults) == 0


def test_a_fault_that_is_added_keeps_the_others_and_wrong_ones_change_nothing() -> None:
    with Mock() as mock:
        mock.faults.set([{"do": {"delay": 0.5}}])
        with pytest.raises(MockError):
            mock.faults.add("explode")
        with pytest.raises(MockError):
            mock.faults.add("cut", colour="red")
        assert [*mock.faults] == [{"do": {"delay": 0.5}, "used": 0}]
