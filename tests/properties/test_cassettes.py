"""The laws of cassettes: what was recorded is replayed, contexts are told apart, no secret is written."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.sync.client import connect as connect_websocket

from mockserver.conformance.drivers import Answer, HTTPDriver
from mockserver.conformance.machine.random_walk import walk
from proxy.cassettes.file import load
from proxy.cassettes.interaction import Cassette, Interaction, Piece, Request, Response
from proxy.cassettes.matching import Library, Miss, Recorded, Session
from tests.support.cassettes import proxying, recording, replaying
from tests.support.examples import examples, part_of
from tests.support.raw_upstream import RawUpstream

STEPS = 25


class LoggingDriver(HTTPDriver):
    """A driver that knows no controls and remembers what it was answered."""

    def __init__(self, base_url: str, api_key: str = "sk-machine-0123456789") -> None:
        super().__init__(base_url, api_key)
        self.controls, self.sockets = False, True
        self.log: list[Any] = []

    def _has_controls(self) -> bool:
        return False

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        answer = super().call(method, path, body, **query)
        self.log.append((method, path, answer))
        return answer

    def create_over_socket(self, body: Any) -> Answer:
        answer = super().create_over_socket(body)
        self.log.append(("socket", "", answer))
        return answer


def programme(url: str, seed: int) -> list[Any]:
    """What a program of the state machine is answered."""
    driver = LoggingDriver(url)
    walk(driver, seed, STEPS)
    driver.close()
    return driver.log


@pytest.mark.parametrize("seed", range(part_of(20)))
def test_law_1_what_was_recorded_is_replayed(tmp_path: Path, seed: int) -> None:
    """Over HTTP, SSE and WebSocket: equal statuses, bodies and events, for programs of the state machine."""
    path = tmp_path / "walk.yaml"
    with recording(path) as url:
        recorded = programme(url, seed)
    with replaying(path) as url:
        assert programme(url, seed) == recorded
    assert len(load(path).interactions) == len(recorded) and not load(path).problems


# --- law 1 and 4, byte by byte ----------------------------------------------------------------------------------------

CHUNKS = st.lists(st.one_of(st.binary(min_size=1, max_size=30), st.text(min_size=1).map(str.encode)), max_size=5)


def raw_answer(kind: bytes, chunks: list[bytes], *headers: bytes, ends: bool = True) -> bytes:
    head = b"\r\n".join((b"HTTP/1.1 200 Fine", b"Content-Type: " + kind, b"transfer-encoding: chunked", *headers))
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head + b"\r\n\r\n" + body + (b"0\r\n\r\n" if ends else b"")


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    def behave(peer) -> None:
        peer.read_body()
        peer.send(answer)
        peer.sock.close()

    with RawUpstream({"/v1/files": behave}) as upstream:
        yield upstream.url


def fetch(url: str) -> tuple[int, list[tuple[str, str]], bytes, str]:
    """What a client sees: status, headers, body, and whether it ended well."""
    body = b""
    with httpx.Client(trust_env=False) as client, client.stream("GET", f"{url}/files") as answer:
        try:
            for chunk in answer.iter_bytes():
                body += chunk
        except httpx.HTTPError as failure:
            return answer.status_code, answer.headers.multi_items(), body, type(failure).__name__
    return answer.status_code, answer.headers.multi_items(), body, "complete"


@pytest.mark.parametrize("number", range(part_of(50)))
def test_laws_1_and_4_bytes(tmp_path: Path, number: int) -> None:
    """Any body, coding and end: as forwarded while recording, and equal afterwards."""
    random = Random(number)
    words = [b"data: {}\n\n", b"x", b"\xff\xfe", "é😀\u2028".encode(), b"\r\n", b" ", b"\n", b"---\n", b"id: 1\n\n"]
    body = b"".join(random.choices(words, k=random.randrange(12)))
    kind = random.choice([b"text/event-stream", b"application/json", b"text/plain; charset=utf-8"])
    coded = random.random() < 0.3
    sent = gzip.compress(body, mtime=0) if coded else body
    cuts = sorted(random.sample(range(1, len(sent)), min(3, len(sent) - 1))) if len(sent) > 1 else []
    chunks = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True) if end > start]
    ends = random.random() < 0.8
    more = [b"content-encoding: gzip"] if coded else []
    path = tmp_path / "raw.yaml"
    with answering(raw_answer(kind, chunks, b"X-Odd: \xe9", *more, ends=ends)) as upstream:
        with proxying(upstream=upstream) as (_, url):
            forwarded = fetch(url)
        with proxying(upstream=upstream, mode="record", cassette=(str(path),)) as (_, url):
            assert fetch(url) == forwarded
    with replaying(path) as url:
        status, headers, replayed, ended = fetch(url)
    assert (status, replayed) == (forwarded[0], forwarded[2])
    assert ended == forwarded[3] or (ended == "complete") == (forwarded[3] == "complete")
    assert dict(headers)["content-type"] == dict(forwarded[1])["content-type"]
    assert dict(headers)["x-odd"] == "é" and "content-encoding" not in dict(headers)


# --- laws 2 and 3 -----------------------------------------------------------------------------------------------------


def turn(body: dict[str, Any]) -> Request:
    return Request("POST", "/v1/responses", body=json.dumps(body).encode())


def answered(number: int, body: dict[str, Any], id: str, text: str) -> Interaction:
    item = {
        "id": f"msg_{id}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
    }
    resource = {"id": id, "object": "response", "status": "completed", "output": [item]}
    answer = Response(200, (("content-type", "application/json"),), (Piece(0, json.dumps(resource).encode()),))
    return Interaction(number, 0, turn(body), answer)


WORDS = st.sampled_from(["a", "b", "who am I?"])
CHAIN = st.lists(WORDS, min_size=1, max_size=4)
FORMS = ("chain", "history")


def requests_of(chain: int, words: list[str], form: str, noise: str) -> Iterator[tuple[dict[str, Any], str, str]]:
    """The bodies of a chain, each with the id and the text of its answer, which tells the chain and its length."""
    history: list[dict[str, Any]] = []
    for step, word in enumerate(words):
        body: dict[str, Any] = {"model": "gpt-5.5", "metadata": {"time": noise}, "user": noise}
        question = {"role": "user", "content": word}
        if form == "history":
            body["input"] = [*history, question]
        else:
            body["input"] = word
            if step:
                body["previous_response_id"] = f"resp_{chain}_{step - 1}"
        text = f"answer {step} of {words[: step + 1]}"
        yield body, f"resp_{chain}_{step}", text
        history += [question, {"role": "assistant", "content": [{"type": "output_text", "text": text}], "id": noise}]


@examples(300)
@given(chains=st.lists(st.tuples(CHAIN, st.sampled_from(FORMS)), min_size=1, max_size=4), data=st.data())
def test_laws_2_and_3_order_ids_and_metadata_do_not_matter_and_contexts_do(chains, data) -> None:
    """Chains are recorded one after the other and replayed interleaved, by other callers, in another form."""
    interactions: list[Interaction] = []
    for chain, (words, form) in enumerate(chains):
        for body, id, text in requests_of(chain, words, form, "then"):
            interactions.append(answered(len(interactions) + 1, body, id, text))
    session = Session(Library([Cassette("x", interactions=tuple(interactions))]))
    running = [iter([*requests_of(chain, words, form, "now")]) for chain, (words, form) in enumerate(chains)]
    while running:
        at = data.draw(st.integers(0, len(running) - 1))
        asked = next(running[at], None)
        if asked is None:
            running.pop(at)
            continue
        body, _, text = asked
        found = session.find(turn(body))
        assert isinstance(found, Recorded), found.message
        # the answer belongs to this very context
        assert found.interaction.value["output"][0]["content"][0]["text"] == text


@examples(100)
@given(one=CHAIN, other=CHAIN, last=WORDS)
def test_law_3_the_same_last_question_in_another_context_is_another_question(one, other, last) -> None:
    words, others = [*one, last], [*other, last]
    recorded = tuple(
        answered(number, body, id, text)
        for number, (body, id, text) in enumerate(requests_of(0, words, "history", ""), 1)
    )
    session = Session(Library([Cassette("x", interactions=recorded)]))
    *_, (body, _, _) = requests_of(1, others, "history", "")
    found = session.find(turn(body))
    if words[: len(others)] == others:
        assert isinstance(found, Recorded)
    else:
        assert isinstance(found, Miss) and "context[" in found.message


def socket_turn(url: str, text: str, parent: str | None, key: str) -> tuple[str, list[str]]:
    """A turn on a socket of its own; returns the response's id and its frames."""
    frame = {"type": "response.create", "model": "gpt-5.5", "input": text, "previous_response_id": parent}
    frames: list[str] = []
    address = url.replace("http", "ws", 1) + "/responses"
    with connect_websocket(address, proxy=None, additional_headers={"authorization": f"Bearer {key}"}) as socket:
        socket.send(json.dumps(frame))
        while not frames or '"type":"response.completed"' not in frames[-1]:
            frames.append(str(socket.recv(20)))
    return json.loads(frames[-1])["response"]["id"], frames


@pytest.mark.parametrize("order", [("Ada", "Bob"), ("Bob", "Ada")])
def test_two_users_with_the_same_last_question(tmp_path: Path, order: tuple[str, str]) -> None:
    """Chains, conversations, forks and sockets, recorded interleaved and replayed one after the other."""
    path = tmp_path / "users.yaml"

    def speak(url: str, name: str) -> Iterator[Any]:
        with httpx.Client(base_url=url, headers={"authorization": "Bearer shared-key"}, trust_env=False) as client:

            def create(**body: Any) -> Any:
                return client.post("/responses", json={"model": "gpt-5.5", **body}).raise_for_status().json()

            yield (first := create(input=f"I am {name}."))
            yield (second := create(input="Who am I?", previous_response_id=first["id"]))
            yield create(input="Who am I?", previous_response_id=first["id"])  # a fork that asks the same
            yield create(input="Again: who?", previous_response_id=first["id"])
            conversation = client.post("/conversations", json={"metadata": {"user": name}}).json()
            yield conversation
            yield create(input=f"My name is {name}.", conversation=conversation["id"])
            yield create(input="Who am I?", conversation=conversation["id"])
            yield client.get(f"/conversations/{conversation['id']}/items").json()
            id, frames = socket_turn(url, f"{name} here.", None, "shared-key")
            yield frames
            yield socket_turn(url, "Who am I?", id, "shared-key")
            yield socket_turn(url, "Who am I?", second["id"], "shared-key")  # a fork of the chain, on a socket
            yield client.get(f"/responses/{second['id']}").json()
            yield client.delete(f"/responses/{second['id']}").json()

    said: dict[str, list[Any]] = {"Ada": [], "Bob": []}
    with recording(path) as url:
        both = [("Ada", speak(url, "Ada")), ("Bob", speak(url, "Bob"))]
        for _ in range(13):
            for name, talk in both:
                said[name].append(next(talk))
        assert [next(talk, None) for _, talk in both] == [None, None]
    assert said["Ada"] != said["Bob"]
    with replaying(path) as url:
        for name in order:
            assert list(speak(url, name)) == said[name]


# --- law 6 ------------------------------------------------------------------------------------------------------------

SECRETS = st.text(st.sampled_from("abcXYZ0123456789_-"), min_size=12, max_size=24)
NASTY = st.text(st.sampled_from('abc0123456789"\\/é\n'), min_size=12, max_size=24)


@examples(100)
@given(key=SECRETS, token=NASTY, password=SECRETS, own=SECRETS)
def test_law_6_no_secret_is_written(tmp_path_factory, key, token, password, own) -> None:
    """In a header, a query, a body, a frame, an MCP tool, the userinfo of a URL, and wherever an answer repeats it."""
    from proxy.cassettes.document import format_interaction
    from proxy.cassettes.interaction import split_events
    from proxy.cassettes.redaction import Redactor
    from proxy.plain_document import format_plain
    from proxy.tape import Tape
    from proxy.tape_interaction import interaction_of

    own = f"own{own}"
    key, password = f"sk-{key}", f"pw{password}"
    tool = {
        "type": "mcp",
        "server_label": "x",
        "server_url": f"https://me:{password}@mcp.test/",
        "authorization": token,
        "headers": {"x-any": token + "2"},
    }
    body = {"model": "gpt-5.5", "input": f"my key is {key}, {own}", "tools": [tool]}
    scope = {
        "type": "http",
        "method": "POST",
        "raw_path": b"/v1/responses",
        "query_string": f"a=1&api_key={password}&n={own}".encode(),
        "headers": [
            (b"authorization", f"Bearer {key}x".encode()),
            (b"cookie", key.encode()),
            (b"openai-organization", password.encode()),
            (b"content-type", f"application/json; {key}".encode()),
        ],
    }
    answer = json.dumps({"echo": body, "error": f"Incorrect API key {key}x for {token}"}).encode()
    for kind in (b"application/json", b"text/event-stream"):
        tape = Tape(scope, 1, 0.0)
        tape.note_request({"type": "http.request", "body": json.dumps(body).encode()})
        headers = [(b"content-type", kind), (b"set-cookie", password.encode()), (b"x-echo", f"{key}x".encode())]
        tape.note_response({"type": "http.response.start", "status": 200, "headers": headers})
        whole = b"data: " + answer + b"\n\n" if kind == b"text/event-stream" else answer
        for start in range(0, len(whole), 37):
            part = {"type": "http.response.body", "body": whole[start : start + 37], "more_body": True}
            tape.note_response(part)
        tape.note_response({"type": "http.response.body", "body": b""})
        written = format_interaction(interaction_of(tape, Redactor([r"own[\w-]+"])))
        short = (format_plain(tape, Redactor()) or b"").decode()  # nobody named `own` here
        for secret in (key, token, password, own):
            spelt = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
            spelt |= {json.dumps(one)[1:-1] for one in spelt}
            assert not [one for one in spelt if one in written], written
            assert secret == own or not [one for one in spelt if one in short], short
        assert split_events(whole)


KEY = "sk-machine-0123456789"


def ask(url: str) -> str:
    with httpx.Client(trust_env=False, headers={"authorization": f"Bearer {KEY}"}) as client:
        return client.post(f"{url}/responses", json={"model": "gpt-5.5", "input": f"{KEY}!"}).raise_for_status().text


def test_recording_through_a_real_proxy_hides_the_key(tmp_path: Path) -> None:
    path = tmp_path / "talk.yaml"
    with recording(path) as url:
        said = ask(url)
    text = path.read_text()
    assert KEY not in text and text.count("<redacted:") >= 2 and KEY in said
    with replaying(path) as url:
        assert "<redacted:" in ask(url)
