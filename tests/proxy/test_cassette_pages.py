"""What the control API lists of cassettes: interactions, which of them were used, and what was missed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from mockserver.wire.errors.api import MockError
from proxy.cassette_pages import RecordingListing, list_interactions
from proxy.cassettes.interaction import Cassette
from tests.support.cassettes import mock_upstream, recording
from tests.support.patience import until
from tests.support.watched_proxy import ask_over_socket, watched


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """A cassette: a turn, one after it, one that was refused, a stream."""
    path = tmp_path / "talk.yaml"
    with recording(path) as url, httpx.Client(base_url=url) as client:

        def ask(text: str, **more: Any) -> httpx.Response:
            return client.post("/responses", json={"model": "gpt-4.1", "input": text, **more})

        first = ask("one").json()
        ask("two", previous_response_id=first["id"])
        ask("three", previous_response_id="resp_nothing")
        ask("four", stream=True)
    return path


def test_what_is_replayed_is_listed_with_its_uses(talk: Path) -> None:
    with watched(mode="replay", cassette=(str(talk),)) as proxy:
        made = proxy.turn("one").json()
        proxy.turn("one")
        page = proxy.control("/cassette")
        one, two, three, four = page["data"]
        assert (page["total"], page["unused"], page["misses"], page["has_more"]) == (4, 3, 0, False)
        assert (one["id"], one["used"], one["made"], one["said"]) == (1, 2, made["id"], "'one'")
        assert one["heard"].startswith("'Mock reply to: one") and one["input_tokens"] > 0
        assert (two["parent"], two["used"]) == (made["id"], 0)
        assert (three["status"], three["made"], three["heard"]) == (400, None, "400")
        assert (four["transport"], four["ended"], four["model"]) == ("sse", "complete", "gpt-4.1")
        assert str(talk) in one["place"]


def test_pages_and_filters(talk: Path) -> None:
    with watched(mode="replay", cassette=(str(talk),)) as proxy:
        proxy.turn("one")
        first = proxy.control("/cassette?limit=3")
        assert ([one["id"] for one in first["data"]], first["has_more"], first["last_id"]) == ([1, 2, 3], True, 3)
        rest = proxy.control("/cassette?limit=3&after=3")
        assert ([one["id"] for one in rest["data"]], rest["has_more"]) == ([4], False)
        assert [one["id"] for one in proxy.control("/cassette?used=true")["data"]] == [1]
        assert [one["id"] for one in proxy.control("/cassette?used=false")["data"]] == [2, 3, 4]
        for wrong in ("used=maybe", "after=x", "limit=0", "model=x"):
            with pytest.raises(MockError) as refused:
                proxy.control(f"/cassette?{wrong}")
            assert refused.value.param == wrong.partition("=")[0]
        with pytest.raises(MockError):
            proxy.control("/cassette/misses?used=true")


def test_a_miss_names_what_came_nearest_and_what_differs(talk: Path) -> None:
    with watched(mode="replay", cassette=(str(talk),)) as proxy:
        answer = proxy.turn("one and a half")
        proxy.client.get("/embeddings")
        miss, other = proxy.control("/cassette/misses")["data"]
        assert (miss["id"], miss["method"], miss["path"], miss["said"]) == (
            1,
            "POST",
            "/v1/responses",
            "'one and a half'",
        )
        assert miss["message"] == answer.json()["error"]["message"]
        nearest = miss["nearest"][0]
        assert (nearest["id"], nearest["path"]) == (1, "context[0].content[0].text")
        assert (nearest["recorded"], nearest["sent"]) == ('"one"', '"one and a half"')
        assert (other["path"], other["nearest"]) == ("/v1/embeddings", [])
        assert [one["id"] for one in proxy.control("/cassette/misses?after=1")["data"]] == [2]
        assert proxy.control("/cassette")["misses"] == 2


def test_a_recording_that_was_used_up_is_named(talk: Path) -> None:
    with watched(mode="replay", cassette=(str(talk),), strict=True) as proxy:
        proxy.turn("one")
        proxy.turn("one")
        [miss] = proxy.control("/cassette/misses")["data"]
        assert "interaction 1" in miss["used_up"] and miss["nearest"] == []


def test_what_is_recorded_is_listed_as_it_is_written(talk: Path) -> None:
    with mock_upstream() as (_, upstream), watched(mode="record", upstream=upstream, cassette=(str(talk),)) as proxy:
        assert [one["id"] for one in proxy.control("/cassette")["data"]] == [1, 2, 3, 4]
        proxy.turn("five")
        assert until(lambda: proxy.control("/cassette")["total"] == 5)
        [five] = proxy.control("/cassette?after=4")["data"]
        assert (five["id"], five["interaction"], five["said"], five["used"]) == (5, 5, "'five'", None)
        ask_over_socket(proxy, "six")
        assert until(lambda: proxy.control("/cassette")["total"] == 6)
        assert proxy.control("/cassette?after=5")["data"][0]["transport"] == "websocket"


def test_what_is_recorded_and_replayed_at_once_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"
    with mock_upstream() as (_, upstream), watched(mode="auto", upstream=upstream, cassette=(str(path),)) as proxy:
        proxy.turn("one")
        proxy.turn("one")
        assert until(lambda: proxy.control("/cassette")["total"] == 1)
        [one] = proxy.control("/cassette")["data"]
        assert (one["said"], one["used"]) == ("'one'", 2)


def test_a_document_that_is_being_written_is_read_the_next_time(talk: Path, tmp_path: Path) -> None:
    text = talk.read_bytes()
    start = text.index(b"---\nid:")
    growing = tmp_path / "growing.yaml"
    growing.write_bytes(text[: start + 40])
    listing = RecordingListing(Cassette(str(growing)), str(growing), start)
    assert len(listing) == 0
    growing.write_bytes(text[:-1])
    assert len(listing) == 3
    growing.write_bytes(text)
    assert len(listing) == 4
    rows = [row for row in list_interactions(listing, None, 2, None) if row is not None]
    assert [row["id"] for row in rows] == [3, 4]


def test_a_secret_in_a_foreign_cassette_is_not_shown(tmp_path: Path) -> None:
    body = json.dumps({"model": "gpt-4.1", "input": "the key is sk-proj-0123456789abcdef0123456789"})
    recorded = {
        "request": {"method": "POST", "uri": "https://api.openai.com/v1/responses", "body": body, "headers": {}},
        "response": {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "{}"}},
    }
    path = tmp_path / "vcr.json"
    path.write_text(json.dumps({"version": 1, "interactions": [recorded]}))
    with watched(mode="replay", cassette=(str(path),)) as proxy:
        page = proxy.control("/cassette")
        assert page["total"] == 1 and "sk-proj-0123456789abcdef0123456789" not in json.dumps(page)


def test_a_server_without_a_cassette_says_so() -> None:
    with watched(upstream="http://127.0.0.1:1/v1") as proxy:
        for path in ("/cassette", "/cassette/misses"):
            with pytest.raises(MockError, match="no cassette") as refused:
                proxy.control(path)
            assert refused.value.status == 404
