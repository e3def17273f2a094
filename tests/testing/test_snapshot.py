"""Snapshots as a test holds them."""

from __future__ import annotations

import json

from openai import OpenAI

from mockserver import Mock


def test_a_snapshot_tells_what_changed_since() -> None:
    with Mock() as mock, OpenAI(base_url=mock.base_url, api_key="any") as client:
        mock.clock.freeze()
        before = mock.snapshot()
        assert before.diff(mock.snapshot()) == [] and str(before.diff(before)) == "no differences"
        response = client.responses.create(model="gpt-4.1", input="hi")
        found = before.diff(mock.snapshot())
        assert f"responses.{response.id}" in [one.path for one in found] and f"+ responses.{response.id}" in repr(found)
        mock.restore(before)
        assert not before.diff(mock.snapshot())
        assert not before.diff(json.loads(json.dumps(before)))
