"""Recording beside the laws: what fails, what is large, what is coded, sockets that are steered, lost or refused."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from proxy.cassettes.content import decoded, pieces_of
from proxy.cassettes.file import Appender, load, save
from proxy.cassettes.interaction import Cassette, Head
from proxy.cassettes.redaction import Redactor
from proxy.recorder import Recorder
from proxy.socket_recorder import SocketTape
from proxy.tape import LIMIT, Chunks
from proxy.verify import Verifier
from tests.support.cassettes import mock_upstream, proxying, recording, replaying
from tests.support.patience import until
from tests.support.raw_upstream import Peer, RawUpstream, exchange, get, parse


def get_text(url: str, path: str) -> str:
    with httpx.Client(trust_env=False) as client:
        return client.get(url + path).text


def behaviour(*parts: bytes, head: bytes = b"content-type: text/plain"):
    def behave(peer: Peer) -> None:
        peer.read_body()
        peer.send(b"HTTP/1.1 200 OK\r\n%b\r\ntransfer-encoding: chunked\r\n\r\n" % head)
        for part in parts:
            peer.send(b"%x\r\n%b\r\n" % (len(part), part))
        peer.send(b"0\r\n\r\n")

    return behave


def test_a_full_disk_harms_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    path = tmp_path / "talk.yaml"
    with ExitStack() as stack:
        _, upstream = stack.enter_context(mock_upstream())
        with proxying(mode="record", upstream=upstream, cassette=(str(path),)) as (app, url):
            first = get_text(url, "/models/gpt-5.5")

            def fail(*_: object) -> int:
                raise OSError(28, "No space left on device")

            recorder = app.modes.recorder  # writes after the client has its answer
            assert until(lambda: recorder.recorded == 1)
            monkeypatch.setattr("os.pwrite", fail)
            assert [get_text(url, "/models/gpt-5.5") for _ in range(2)] == [first, first]
            assert until(lambda: recorder.failures == 2)
            monkeypatch.undo()
            assert get_text(url, "/models/gpt-5.5") == first
            assert until(lambda: recorder.recorded == 2)
            health = recorder.health()
    assert health["failures"] == 2 and "No space" in health["last_failure"]
    assert capfd.readouterr().err.count("the recorder failed") == 1
    assert [one.id for one in load(path).interactions] == [1, 4]


def test_an_answer_larger_than_memory_is_spooled_and_redacted(tmp_path: Path) -> None:
    """A key that lies across two chunks is found too."""
    path = tmp_path / "big.yaml"
    line = b"x" * 1000 + b"\n"
    parts = [line * 1000] * (LIMIT // 1_000_000 + 2) + [b"key sk-01234", b"56789abc\n", b"end"]
    with RawUpstream({"/v1/files": behaviour(*parts)}) as upstream:
        with proxying(mode="record", upstream=upstream.url, cassette=(str(path),)) as (_, url):
            big = get_text(url, "/files")
            assert len(big) > LIMIT
            small = get_text(url, "/files?small")
        assert small == big
    text = path.read_text()
    assert "sk-0123456789abc" not in text and "sk-01234" not in text
    with replaying(path) as url:
        replayed = get_text(url, "/files")
    assert len(load(path).interactions) == 2
    start = big.index("key sk-")
    assert (
        replayed[:start] == big[:start] and replayed[start:].startswith("key <redacted:") and replayed[-4:] == "\nend"
    )


def test_chunks_on_disk_are_those_that_came() -> None:
    chunks = Chunks()
    sent = [(float(number), bytes([number]) * 1_000_000) for number in range(6)]
    for at, data in sent:
        chunks.add(at, data)
    assert chunks.spilled and list(chunks) == sent == list(chunks)
    chunks.close()


@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data)[2:-4]),
        ("identity", bytes),
    ],
)
def test_codings_are_taken_off(coding: str, encode) -> None:
    data = encode(b"hello world" * 10)
    chunks = [(0.1, data[:5]), (0.2, data[5:])]
    assert b"".join(part for _, part in decoded(chunks, coding)) == b"hello world" * 10
    for wrong in ("br", "gzip"):
        with pytest.raises(ValueError, match=wrong):
            list(decoded([(0.0, b"no")], wrong))


def test_events_of_a_chunk_are_pieces() -> None:
    chunks = [(0.1, b"a\n\nb\n\nc"), (0.2, b"c\n\n"), (0.3, b"d\r\n\r\n")]
    assert [(piece.at, piece.data) for piece in pieces_of(chunks)] == [
        (0.1, b"a\n\n"),
        (0.1, b"b\n\n"),
        (0.1, b"c"),
        (0.2, b"c\n\n"),
        (0.3, b"d\r\n\r\n"),
    ]


def test_an_unknown_coding_is_kept_as_it_came(tmp_path: Path) -> None:
    path = tmp_path / "br.yaml"
    head = b"content-type: text/plain\r\ncontent-encoding: br"
    with ExitStack() as stack:
        upstream = stack.enter_context(RawUpstream({"/v1/files": behaviour(b"\x0b\x02\x80hello\x03", head=head)}))
        _, url = stack.enter_context(proxying(mode="record", upstream=upstream.url, cassette=(str(path),)))
        port = int(url.split(":")[2].split("/")[0])
        recorded = parse(exchange(port, get("/v1/files")))
    with replaying(path) as url:
        replayed = parse(exchange(int(url.split(":")[2].split("/")[0]), get("/v1/files")))
    assert replayed.body == recorded.body and replayed.all(b"content-encoding") == [b"br"]


def test_an_upstream_without_an_answer_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with proxying(mode="record", upstream="http://127.0.0.1:9/v1", cassette=(str(path),)) as (_, url):
        assert "gave no answer" in get_text(url, "/models")
    assert load(path).interactions == ()


def test_a_cassette_that_somebody_records_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "talk.yaml"
    appender = Appender(path, None, 0)
    header = {"x-understudy-mode": "record"}
    with proxying(upstream="http://127.0.0.1:9/v1", cassette=(str(path),)) as (_, url):
        answer = httpx.get(f"{url}/models", headers=header, trust_env=False)
    appender.close()
    assert answer.status_code == 409 and "recorded by another process" in answer.text


# --- sockets ---------------------------------------------------------------------------------------------------------


def steered(url: str) -> list[str]:
    """The types of the frames of a turn that is steered while it runs."""
    kinds: list[str] = []
    first = ""
    with connect(url.replace("http", "ws", 1) + "/responses", proxy=None) as socket:
        text = "tell me a long story about the sea, the wind and the ships " * 3
        socket.send(json.dumps({"type": "response.create", "model": "gpt-6-astra", "input": text, "stream_id": "a"}))
        while kinds.count("response.completed") + kinds.count("response.incomplete") < 2:
            event = json.loads(socket.recv(20))
            kinds.append(event["type"])
            if event["type"] == "response.output_item.added" and kinds.count("response.output_item.added") == 1:
                socket.send(json.dumps({"type": "response.steer", "previous_response_id": first, "input": "stop"}))
            if event["type"] == "response.created":
                first = event["response"]["id"]
    return kinds


def frame(kind: str, **more: object) -> dict[str, object]:
    return {"type": "websocket.send", "text": json.dumps({"type": kind, **more})}


def socket_tape() -> tuple[SocketTape, list]:
    kept: list = []
    scope = {"type": "websocket", "raw_path": b"/v1/responses", "query_string": b"", "headers": []}
    recorder = Recorder(None, Redactor())
    recorder.listeners.append(kept.append)
    return SocketTape(recorder, scope), kept


def client_frame(kind: str, **more: object) -> dict[str, object]:
    return {**frame(kind, **more), "type": "websocket.receive"}


def test_frames_are_sorted_into_turns_by_lane() -> None:
    """Spec: R4.9."""
    tape, kept = socket_tape()
    tape.note_client(client_frame("response.create", input="one"))
    tape.note_client(client_frame("response.create", input="two", stream_id="b"))
    tape.note_client(client_frame("response.create", input="three"))
    for kind, id, lane in (
        ("response.created", "r1", {}),
        ("response.created", "r2", {"stream_id": "b"}),
        ("response.completed", "r1", {}),
        ("response.created", "r3", {}),
        ("response.failed", "r2", {"stream_id": "b"}),
    ):
        tape.note_server(frame(kind, response={"id": id}, **lane))
    tape.note_server({"type": "websocket.close", "code": 1001, "reason": "bye"})
    assert [(one.id, one.lane, [event["response"]["id"] for event in one.events]) for one in kept] == [
        (1, None, ["r1", "r1"]),
        (2, "b", ["r2", "r2"]),
        (3, None, ["r3"]),
    ]
    assert kept[2].response.ended == "cut" and kept[2].response.closing == (1001, "bye")


def test_a_steered_turn_is_one_interaction() -> None:
    """Spec: R4.16."""
    tape, kept = socket_tape()
    tape.note_client(client_frame("response.create", input="one"))
    tape.note_server(frame("response.created", response={"id": "r1"}))
    tape.note_client(client_frame("response.steer", previous_response_id="r1", input="x"))
    tape.note_server(frame("response.steer.accepted", steer={"previous_response_id": "r1"}))
    tape.note_server(frame("response.incomplete", response={"id": "r1"}))
    assert kept == []
    tape.note_server(frame("response.created", response={"id": "r2"}))
    tape.note_server(frame("response.completed", response={"id": "r2"}))
    assert [piece.sent for piece in kept[0].response.pieces] == [False, True, False, False, False, False]
    # refused, and given to a turn that is over
    tape.note_client(client_frame("response.create", input="two"))
    tape.note_server(frame("response.created", response={"id": "r3"}))
    tape.note_client(client_frame("response.steer", previous_response_id="r3", input="x"))
    tape.note_server(frame("response.completed", response={"id": "r3"}))
    tape.note_server(frame("response.steer.failed", steer={"previous_response_id": "r3"}))
    tape.note_client(client_frame("response.steer", previous_response_id="r3", input="y"))
    tape.note_server(frame("response.steer.failed", steer={"previous_response_id": "r3"}))
    assert [one.request.value["type"] for one in kept] == ["response.create", "response.create", "response.steer"]


def test_an_error_in_a_stream_may_be_all() -> None:
    """Spec: S12.4."""
    tape, kept = socket_tape()
    for text in ("one", "two", "three"):
        tape.note_client(client_frame("response.create", input=text))
    tape.note_server(frame("error", status=400, error={}))
    tape.note_server(frame("response.created", response={"id": "r2"}))
    tape.note_server(frame("error", sequence_number=3, error={}))
    tape.note_server(frame("response.created", response={"id": "r3"}))
    tape.note_server(frame("error", sequence_number=3, error={}))
    tape.note_server(frame("response.failed", response={"id": "r3"}))
    assert [(len(one.events), one.response.ended) for one in kept] == [
        (1, "complete"),
        (2, "complete"),
        (3, "complete"),
    ]
    tape.note_client(client_frame("response.create", input="four"))
    tape.note_server(frame("error", sequence_number=3, error={}))
    tape.end(None)
    assert kept[3].response.ended == "complete"


def test_a_steered_turn_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "steer.yaml"
    with recording(path, pacing=_slow()) as url:
        recorded = steered(url)
    assert "response.steer.accepted" in recorded
    with replaying(path) as url:
        assert steered(url) == recorded


def _slow():
    from mockserver.config.pacing import Pacing

    return Pacing(0.2, 200)


def test_a_socket_that_was_lost_or_refused_is_so_again(tmp_path: Path) -> None:
    path = tmp_path / "refused.yaml"
    with recording(path, set=(("websocket", "off"),)) as url, pytest.raises(InvalidStatus) as refused:
        connect(url.replace("http", "ws", 1) + "/responses", proxy=None)
    with replaying(path) as url:
        with pytest.raises(InvalidStatus) as again:
            connect(url.replace("http", "ws", 1) + "/responses", proxy=None)
        assert again.value.response.status_code == refused.value.response.status_code
        assert again.value.response.body == refused.value.response.body
    lost = tmp_path / "lost.yaml"
    lost.write_text(
        "understudy: cassette\nversion: 1\n---\nid: 1\nat: 0\ntransport: websocket\nrequest: {method: GET, path: "
        "/v1/responses, body: {type: response.create, input: a}}\nresponse: {status: 101, frames: [[0.1, '{}']], "
        "closing: [null, ''], ended: cut}\n---\nid: 2\nat: 0\ntransport: websocket\nrequest: {method: GET, path: "
        "/v1/responses, body: {type: response.create, input: b}}\nresponse: {status: 101, frames: [[0.1, '{}']], "
        "closing: [1001, bye], ended: cut}\n"
    )
    with replaying(lost, replay_speed=100.0) as url:
        for text, code in (("a", None), ("b", 1001)):
            with connect(url.replace("http", "ws", 1) + "/responses", proxy=None) as socket:
                socket.send(json.dumps({"type": "response.create", "input": text}))
                assert socket.recv(20) == "{}"
                with pytest.raises(ConnectionClosed) as closed:
                    socket.recv(20)
            assert (closed.value.rcvd.code if closed.value.rcvd else None) == code
        with connect(url.replace("http", "ws", 1) + "/responses", proxy=None) as socket:
            socket.send(json.dumps({"type": "response.create", "input": "c"}))
            error = json.loads(socket.recv(20))
            assert error["status"] == 501 and "no recording asks this" in error["error"]["message"]


def test_a_socket_that_is_closed_between_turns(tmp_path: Path) -> None:
    """A client finds its socket closed and opens another one; its replay has to make it do so too."""
    path = tmp_path / "sockets.yaml"

    def talk(url: str) -> list[object]:
        said: list[object] = []
        address = url.replace("http", "ws", 1) + "/responses"
        for text in ("I am Ada", "Who am I?"):
            with connect(address, proxy=None) as socket:
                socket.send(json.dumps({"type": "response.create", "model": "gpt-4.1", "input": text}))
                kinds = []
                while not kinds or kinds[-1] != "response.completed":
                    kinds.append(json.loads(socket.recv(20))["type"])
                said.append(kinds)
                if text == "I am Ada":
                    with pytest.raises(ConnectionClosed) as closed:
                        socket.recv(20)
                    said.append((closed.value.rcvd.code, closed.value.rcvd.reason))
        return said

    with ExitStack() as stack:
        upstream = stack.enter_context(serve(closing_upstream, "127.0.0.1", 0))
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{upstream.socket.getsockname()[1]}/v1"
        _, url = stack.enter_context(proxying(mode="record", upstream=origin, cassette=(str(path),)))
        recorded = talk(url)
    first, closing, second = load(path).interactions
    assert recorded[1] == (4000, "enough")
    assert closing.closes and closing.response.closing == (4000, "enough")
    assert [one.connection for one in (first, closing, second)] == [first.id, first.id, second.id]
    with replaying(path, replay_speed=100.0) as url:
        assert talk(url) == recorded
    verifier = Verifier()
    verifier.check_all(load(path))
    assert (verifier.checked, verifier.skipped) == (2, 0)
    verifier.close()


def closing_upstream(socket: ServerConnection) -> None:
    """Answers one turn, and closes the socket after the first."""
    asked = json.loads(socket.recv(20))
    for kind in ("response.created", "response.completed"):
        socket.send(json.dumps({"type": kind, "response": {"id": f"resp_{len(asked['input'])}"}}))
    if asked["input"] == "I am Ada":
        socket.close(4000, "enough")
    else:
        socket.recv(20)


def test_a_socket_that_is_closed_before_anything_was_asked(tmp_path: Path) -> None:
    tape, kept = socket_tape()
    tape.note_server({"type": "websocket.accept", "headers": []})
    tape.note_server({"type": "websocket.close", "code": 1013, "reason": "later"})
    (closing,) = kept
    assert closing.closes and closing.connection == closing.id
    path = tmp_path / "closed.yaml"
    save(Cassette("", Head(), (closing,)), path)
    assert load(path).interactions == (closing,)
    with replaying(path) as url, connect(url.replace("http", "ws", 1) + "/responses", proxy=None) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(20)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1013


def test_a_socket_that_the_client_closes_leaves_no_word() -> None:
    tape, kept = socket_tape()
    tape.note_client({"type": "websocket.disconnect", "code": 1000})
    tape.end(None, by_upstream=True)  # the upstream's side ends after it
    assert kept == []
