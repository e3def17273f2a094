"""Calls that the mock does not answer, in its journal, its events and its counts."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from mockserver.config.pacing import Pacing
from mockserver.journal.relayed import MOST_BYTES, RelayedAnswer
from proxy.observer import BATCH
from tests.support.cassettes import mock_upstream, recording
from tests.support.patience import until
from tests.support.raw_upstream import RawUpstream
from tests.support.watched_proxy import KEY, Watched, ask_over_socket, watched


@contextmanager
def forwarding(**options: Any) -> Iterator[Watched]:
    with mock_upstream() as (_, upstream), watched(upstream=upstream, **options) as one:
        yield one


def test_a_forwarded_turn_is_listed_with_what_it_says_of_itself() -> None:
    with forwarding() as proxy:
        stream = proxy.listen()
        first = proxy.turn().json()
        proxy.turn("again", previous_response_id=first["id"], stream=True)
        one, other = proxy.listed(2)
        assert (one["answered_by"], one["status"], one["transport"], one["ended"]) == (
            "upstream",
            200,
            "http",
            "delivered",
        )
        assert (one["response_id"], one["response_status"], one["model"]) == (first["id"], "completed", first["model"])
        assert one["input_tokens"] == first["usage"]["input_tokens"] and one["store"] is True
        assert (other["transport"], other["previous_response_id"]) == ("sse", first["id"])
        assert other["output_tokens"] > 0 and other["response_id"].startswith("resp_")
        events = stream.next().data
        assert events.count(b"event: exchange.began") == events.count(b"event: exchange.ended") == 2
        assert KEY.encode() not in events


def test_what_was_sent_and_answered_is_in_the_journal_without_the_key() -> None:
    with forwarding() as proxy:
        proxy.listen()
        made = proxy.turn(f"my key is {KEY}").json()
        proxy.listed(1)
        [exchange] = proxy.control("/journal")["data"]
        assert exchange["answered_by"] == "upstream" and exchange["request"]["model"] == "gpt-4.1"
        assert json.loads(exchange["answer"])["id"] == made["id"] and exchange["context"] is None
        assert KEY not in json.dumps(exchange)
        assert proxy.control("/verdict")["findings"] == []


def test_while_nobody_listens_what_goes_upstream_is_only_counted() -> None:
    with forwarding() as proxy:
        for _ in range(BATCH + 1):
            assert proxy.turn().status_code == 200
        assert proxy.turn(model="gpt-nothing").status_code == 400
        assert until(lambda: sum(proxy.requests().values()) == BATCH + 2)
        assert proxy.requests() == {("http", "200", "upstream"): BATCH + 1, ("http", "400", "upstream"): 1}
        assert proxy.control("/journal")["data"] == []
        proxy.turn(stream=True)
        assert until(lambda: proxy.requests().get(("sse", "200", "upstream")) == 1)


def test_each_call_is_counted_once_whether_somebody_listens_or_not() -> None:
    with forwarding() as proxy:
        proxy.turn()
        stream = proxy.listen()
        proxy.turn()
        proxy.listed(1)
        assert proxy.requests() == {("http", "200", "upstream"): 2}
        stream.leave()


def test_an_upstream_s_error_is_the_exchange_s() -> None:
    with forwarding() as proxy:
        proxy.listen()
        proxy.turn(previous_response_id="resp_nothing")
        [one] = proxy.listed(1)
        assert (one["status"], one["error_code"]) == (400, "previous_response_not_found")
        assert one["previous_response_id"] == "resp_nothing"


def test_a_cut_is_a_cut_and_no_answer_is_502() -> None:
    def tear(peer: Any) -> None:
        peer.read_body()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        peer.sock.close()

    with RawUpstream({"/v1/torn": tear}) as upstream, watched(upstream=upstream.url) as proxy:
        proxy.listen()
        with pytest.raises(httpx.RemoteProtocolError):
            proxy.client.get("/torn")
        [one] = proxy.listed(1)
        assert (one["ended"], one["status"], one["path"]) == ("cut", 200, "/v1/torn")
    with watched(upstream="http://127.0.0.1:1/v1") as proxy:
        assert proxy.turn().status_code == 502
        assert proxy.requests() == {("http", "502", "upstream"): 1}


def test_a_caller_who_is_not_let_in_is_counted_and_in_no_journal() -> None:
    with forwarding(api_key=("sk-right",)) as proxy:
        assert proxy.turn().status_code == 401
        proxy.listen()
        assert proxy.turn().status_code == 401
        assert until(lambda: proxy.requests() == {("http", "401", "upstream"): 2})


def test_a_mode_that_is_refused_is_the_proxy_s_answer() -> None:
    with forwarding() as proxy:
        answer = proxy.client.get("/models", headers={"x-understudy-mode": "replay"})
        assert answer.status_code == 400
        [one] = proxy.listed(1)
        assert (one["answered_by"], one["error_code"]) == ("proxy", "mock_error")


def test_a_hit_names_its_recording_and_a_miss_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "talk.yaml"
    with recording(path) as url:
        httpx.post(f"{url}/responses", json={"model": "gpt-4.1", "input": "one"}).raise_for_status()
    with watched(mode="replay", cassette=(str(path),)) as proxy:
        assert proxy.turn("one").status_code == 200
        assert proxy.turn("two").status_code == 501
        hit, miss = proxy.listed(2)
        assert (hit["answered_by"], hit["status"]) == ("cassette #1", 200)
        assert (miss["answered_by"], miss["status"], miss["error_code"]) == ("cassette miss", 501, "mock_error")
        error = proxy.control("/journal?after=1")["data"][0]["error"]
        assert 'recorded "one", sent "two"' in error["message"]
        assert proxy.requests() == {("http", "200", "cassette"): 1, ("http", "501", "cassette"): 1}


def test_auto_says_which_calls_went_upstream(tmp_path: Path) -> None:
    path = tmp_path / "talk.yaml"
    with mock_upstream() as (_, upstream), watched(mode="auto", upstream=upstream, cassette=(str(path),)) as proxy:
        proxy.turn("one")
        proxy.turn("one")
        assert [one["answered_by"] for one in proxy.listed(2)] == ["upstream, recorded", "cassette #1"]
        assert proxy.requests() == {("http", "200", "recorder"): 1, ("http", "200", "cassette"): 1}


def test_recorded_and_compared_calls_are_listed_while_somebody_listens(tmp_path: Path) -> None:
    path = tmp_path / "talk.yaml"
    for mode, answered_by in (("record", "upstream, recorded"), ("shadow", "upstream, compared")):
        with mock_upstream() as (_, upstream), watched(mode=mode, upstream=upstream, cassette=(str(path),)) as proxy:
            proxy.listen()
            proxy.turn("one")
            assert [one["answered_by"] for one in proxy.listed(1)] == [answered_by]


@pytest.mark.parametrize("lanes", [False, True])
def test_each_turn_of_a_forwarded_socket_is_an_exchange(lanes: bool) -> None:
    with forwarding() as proxy:
        assert ask_over_socket(proxy, "one", "two", lanes=lanes) == ["response.completed"] * 2
        handshake, *turns = proxy.listed(3)
        assert (handshake["method"], handshake["status"], handshake["transport"]) == ("GET", 101, "websocket")
        for turn in turns:
            assert (turn["method"], turn["status"], turn["answered_by"]) == ("POST", 200, "upstream")
            assert turn["response_status"] == "completed" and turn["events"] > 5 and turn["input_tokens"] > 0


def test_a_replayed_socket_names_its_recordings_and_misses(tmp_path: Path) -> None:
    path = tmp_path / "talk.yaml"
    with mock_upstream() as (_, upstream), watched(mode="record", upstream=upstream, cassette=(str(path),)) as proxy:
        ask_over_socket(proxy, "one")
    with watched(mode="replay", cassette=(str(path),)) as proxy:
        assert ask_over_socket(proxy, "one", "never") == ["response.completed", "error"]
        listed = proxy.listed(3)
        assert [one["answered_by"] for one in listed[1:]] == ["cassette #1", "cassette miss"]
        assert (listed[2]["status"], listed[2]["error_code"]) == (501, "mock_error")


def test_a_turn_in_progress_ends_with_its_socket() -> None:
    with mock_upstream(pacing=Pacing(tokens_per_s=0.01)) as (_, upstream), watched(upstream=upstream) as proxy:
        with connect(f"{proxy.url.replace('http', 'ws', 1)}/responses", proxy=None) as socket:
            socket.send(json.dumps({"type": "response.create", "model": "gpt-4.1", "input": "slow"}))
            socket.recv(20)
        proxy.project = proxy.engine.project(None, None)
        assert proxy.listed(2)[1]["ended"] == "disconnected"


def test_a_journal_in_a_store_has_them_too(tmp_path: Path) -> None:
    with forwarding(store=f"sqlite:///{tmp_path}/s.db") as proxy:
        proxy.listen()
        proxy.turn()
        assert [one["answered_by"] for one in proxy.listed(1)] == ["upstream"]


def answer_with(body: bytes, **headers: str) -> RelayedAnswer:
    answer = RelayedAnswer("upstream", 0.0)
    answer.headers = [(name.encode().replace(b"_", b"-"), value.encode()) for name, value in headers.items()]
    answer.add(body)
    return answer


def test_a_compressed_answer_is_read() -> None:
    body = gzip.compress(b'{"id": "resp_1"}')
    assert answer_with(body, content_encoding="gzip").read_resource() == {"id": "resp_1"}
    assert answer_with(body, content_encoding="br").read_resource() == {}
    assert answer_with(b"no gzip", content_encoding="gzip").read_resource() == {}


def test_of_a_long_answer_the_end_is_kept_and_of_a_long_request_the_beginning() -> None:
    answer = answer_with(b"x", content_type="text/event-stream")
    for number in range(100):
        answer.add(b"data: {}\n\n" * 1000)
        answer.add_sent(b"%04d" % number * 2500)
    answer.add(b'event: response.completed\ndata: {"response": {"id": "resp_1"}}\n\n')
    assert answer.read_resource() == {"id": "resp_1"} and not answer.is_whole
    assert sum(map(len, answer.pieces)) == answer.size <= MOST_BYTES
    sent = answer.sent_body()
    assert len(sent) <= MOST_BYTES and sent.startswith(b"00000000")
    assert sent.endswith("… [cut, 1000000 bytes in all]".encode())
