"""Cassette files: what is written is read again, and what is torn, foreign, newer or in use is said."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cassettes.document import format_interaction, read_interaction
from proxy.cassettes.file import Appender, load, parse, save
from proxy.cassettes.interaction import Cassette, CassetteError, Closing, Head, Interaction, Piece, Request, Response
from tests.support.examples import examples

HEADER = st.tuples(st.sampled_from(["content-type", "x-a", "x-b"]), st.text(st.characters(codec="latin-1")))
SECONDS = st.integers(0, 10**7).map(lambda number: number / 1000)
AWKWARD = st.text(st.sampled_from("a \n\t\r-:#|>'\"\\{}[]&*!%@`~0\x00\x7f\x85\u2028\ufeff😀é"), max_size=30)
BODIES = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=40).map(str.encode),
    AWKWARD.map(str.encode),
    st.sampled_from(
        [b'{"a": 1, "a": 2}', b"[" * 300 + b"]" * 300, b'"x"', b"{}", b"null", b'{"' + b"k" * 2000 + b'":1}']
    ),
)
PIECES = st.lists(st.builds(Piece, SECONDS, BODIES, st.just(False)), max_size=4).map(tuple)


def exact(interaction: Interaction) -> Interaction:
    return read_interaction(format_interaction(interaction).removeprefix("---\n"))


@examples(300)
@given(body=BODIES, answer=BODIES, at=SECONDS, query=AWKWARD, path=AWKWARD, headers=st.lists(HEADER).map(tuple))
def test_whatever_was_recorded_is_read_again(body, answer, at, query, path, headers) -> None:
    request = Request("POST", path, query, (("x-c", query),), body)
    response = Response(200, headers, (Piece(at, answer),) if answer or at else ())
    again = exact(Interaction(1, at, request, response))
    assert again.response == response
    assert (again.request.path, again.request.query, again.request.headers) == (path, query, (("x-c", query),))
    # of JSON the value is kept, of all else the bytes
    assert again.request.body == body or (again.request.value == request.value and request.value is not None)


@examples(300)
@given(pieces=PIECES, ended=st.sampled_from(["complete", "cut"]), sent=st.booleans())
def test_streams_and_frames_are_read_again(pieces, ended, sent) -> None:
    stream = Response(200, (), pieces, True, ended)
    assert exact(Interaction(1, 0, Request("GET", "/"), stream)).response == stream
    frames = tuple(piece._replace(sent=sent) for piece in pieces)
    socket = Response(101, (), frames, True, ended, Closing(1001, "bye"))
    turn = Interaction(2, 1.5, Request("GET", "/v1/responses", socket=True), socket, lane="é", rehydrated=True)
    assert exact(turn) == turn


def interaction(number: int, text: str = "hello") -> Interaction:
    answer = Response(200, (("content-type", "text/plain"),), (Piece(0.1, text.encode()),))
    return Interaction(number, 0.5, Request("GET", "/v1/files"), answer)


def test_a_body_is_indented_and_an_event_is_a_line() -> None:
    body = b'{"model": "gpt-5.5", "input": "why?"}'
    stream = Response(200, (), (Piece(0.4, b"event: a\ndata: {}\n\n"),), True)
    assert format_interaction(Interaction(3, 12.481, Request("POST", "/v1/responses", body=body), stream)) == (
        '---\nid: 3\nat: 12.481\nrequest:\n  method: POST\n  path: "/v1/responses"\n  body: {\n'
        '      "model": "gpt-5.5",\n      "input": "why?"\n    }\nresponse:\n  status: 200\n  stream:\n'
        '    - [0.4, "event: a\\ndata: {}\\n\\n"]\n  ended: complete\n'
    )


@pytest.mark.parametrize(("depth", "as_value"), [(60, True), (61, False), (300, False)])
@pytest.mark.parametrize("levels", [("[", "0", "]"), ('{"a":', "0", "}")], ids=["lists", "objects"])
def test_a_body_that_is_nested_deeper_than_the_reader_takes_is_a_text(depth: int, as_value: bool, levels) -> None:
    begin, inner, end = levels
    body = (begin * depth + inner + end * depth).encode()
    document = format_interaction(Interaction(1, 0, Request("POST", "/", body=body), Response(200)))
    assert (f"  body: {begin[0]}\n" in document) == as_value
    assert json.loads(read_interaction(document.removeprefix("---\n")).request.body) == json.loads(body)


@pytest.mark.parametrize("text", ["hello", "two\nlines\n", "ended: complete", "---\nid: 1"])
def test_a_recorder_killed_at_any_byte_leaves_all_that_had_ended(tmp_path, text) -> None:
    """Law 7 of cassettes."""
    path = tmp_path / "talk.yaml"
    appender = Appender(path, "http://up.test/v1", 0)
    lengths = [path.stat().st_size]
    for number in (1, 2):
        appender.append(interaction(appender.take_id(), text * number))
        lengths.append(path.stat().st_size)
    appender.close()
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        ended = sum(size >= length for length in lengths[1:])
        early = sum(size >= length - 1 for length in lengths[1:])  # its last line break says nothing
        if size:
            read = load(path)
            assert ended <= len(read.interactions) <= early
            assert [one.response.body for one in read.interactions] == [
                (text * number).encode() for number in range(1, len(read.interactions) + 1)
            ]
            behind = size - max(length for length in [0, *lengths] if length <= size)  # a torn separator says nothing
            torn = size > lengths[0] and behind > 4 and size + 1 not in lengths
            assert ["torn" in str(problem) for problem in read.problems] in ([True], []) and (read.problems or not torn)
        if size % 11:
            continue
        # a recorder goes on where the killed one was
        again = Appender(path, None, 0)
        again.append(interaction(again.take_id(), "again"))
        again.close()
        read = load(path)
        assert [one.id for one in read.interactions] == list(range(1, len(read.interactions) + 1))
        assert read.interactions[-1].response.body == b"again" and not read.problems
        assert len(read.interactions) - 1 >= ended


def test_a_cassette_has_one_recorder(tmp_path) -> None:
    first = Appender(tmp_path / "talk.yaml", None, 0)
    with pytest.raises(CassetteError, match="recorded by another process"):
        Appender(tmp_path / "talk.yaml", None, 0)
    first.append(interaction(1))
    first.close()
    first.close()
    second = Appender(tmp_path / "talk.yaml", None, 0)
    assert (second.take_id(), second.take_id()) == (2, 3)
    second.close()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("understudy: cassette\nversion: 2\n", "version 2 of the cassette format; this understudy reads version 1"),
        ("understudy: diary\n", "not a cassette"),
        ("understudy: [\n", "not YAML"),
        ("  \n", "is empty"),
        ("\x00\x01", "neither"),
        ("just text", "neither"),
    ],
)
def test_files_that_are_no_cassettes(tmp_path, text, says) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(CassetteError, match=says) as raised:
        load(path)
    assert str(raised.value).startswith(str(path)) and "\n" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path) -> None:
    with pytest.raises(CassetteError, match="can't be read: No such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(CassetteError, match="can't be written"):
        Appender(tmp_path, None, 0)
    with pytest.raises(CassetteError, match="can't be written"):
        save(Cassette("x"), tmp_path / "none" / "x.yaml")


def test_a_foreign_file_is_not_recorded_to(tmp_path) -> None:
    path = tmp_path / "vcr.yaml"
    path.write_text("interactions: []\nversion: 1\n")
    with pytest.raises(CassetteError, match="only these can be recorded to; `understudy cassette import"):
        Appender(path, None, 0)
    assert path.read_text() == "interactions: []\nversion: 1\n"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("5", "the document is not a mapping"),
        ("id: 1\nrequest: 3\nresponse: {ended: complete}", "request is not a mapping"),
        ("id: x\nrequest: {}\nresponse: {status: 200, ended: complete}", "id is a whole number"),
        ("id: 1\nrequest: {}\nresponse: {status: yes, ended: complete}", "status is a number"),
        ("id: 1\nrequest: {}\nresponse: {status: 200, stream: 3, ended: cut}", "are lists"),
        ("id: 1\nrequest: {}\nresponse: {status: 200, stream: [3], ended: cut}", "a piece is"),
        ("id: 1\nrequest: {headers: 3}\nresponse: {status: 200, ended: cut}", "request.headers is a list"),
        ("id: 1\nrequest: {}\nresponse: {status: 200, closing: 3, ended: cut}", "closing is"),
        ("id: 1\nrequest: {}\nresponse: {status: 200}", "torn"),
        ("a: !!python/object:os.system x", "not YAML"),
        ("\xff", "not UTF-8"),
    ],
)
def test_a_document_that_can_not_be_read_is_named_and_costs_only_itself(document, says) -> None:
    good = format_interaction(interaction(2))
    data = b"understudy: cassette\nversion: 1\n---\n" + document.encode("latin-1") + b"\n" + good.encode()
    read = parse(data, "x.yaml")
    assert [one.id for one in read.interactions] == [2]
    (problem,) = read.problems
    assert problem.place == "x.yaml:4" and says in problem.reason


def test_a_person_may_write_it_too() -> None:
    text = """---
understudy: cassette
version: 1
---
# a comment
id: 1
request: {method: POST, path: /v1/responses, body: {model: gpt-5.5, input: no, store: false}}
response:
  status: 200
  headers: {content-type: application/json}
  body: {object: response}
  ended: complete
"""
    read = parse(text.replace("\n", "\r\n").encode(), "x.yaml")
    assert read.interactions[0].request.value == {"model": "gpt-5.5", "input": "no", "store": False}
    assert read.interactions[0].value == {"object": "response"} and read.problems == ()


def test_a_number_is_not_used_twice() -> None:
    one = format_interaction(interaction(1))
    read = parse(f"understudy: cassette\nversion: 1\n{one}{one}".encode(), "x.yaml")
    assert len(read.interactions) == 2 and "id 1 is there already" in str(read.problems[0])


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch) -> None:
    path = tmp_path / "talk.yaml"
    appender = Appender(path, None, 0)
    appender.append(interaction(1))
    before = path.read_bytes()
    write = os.pwrite

    def fail_in_the_middle(file, data, at):
        if len(data) < 10:
            raise OSError(28, "No space left on device")
        return write(file, data[: len(data) // 2], at)

    monkeypatch.setattr(os, "pwrite", fail_in_the_middle)
    with pytest.raises(OSError, match="No space"):
        appender.append(interaction(2))
    monkeypatch.undo()
    assert path.read_bytes() == before
    appender.append(interaction(3))
    appender.close()
    assert [one.id for one in load(path).interactions] == [1, 3]


def test_a_whole_file_is_saved_in_one_step(tmp_path) -> None:
    cassette = Cassette("x", Head("http://up.test", "2026-11-29T00:00:00Z"), (interaction(1), interaction(2)))
    save(cassette, tmp_path / "new.yaml")
    read = load(tmp_path / "new.yaml")
    assert (read.head, read.interactions) == (cassette.head, cassette.interactions)
    assert os.listdir(tmp_path) == ["new.yaml"]
