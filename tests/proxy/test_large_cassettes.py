"""Cassettes that stay on disk: the same as in memory, whatever is wrong with them, and memory by count, not by size."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mockserver import Mock
from proxy import Proxy
from proxy.cassettes import file as cassette_file
from proxy.cassettes.document import format_head, format_interaction
from proxy.cassettes.file import Appender, load, parse
from proxy.cassettes.interaction import Cassette, CassetteError, Head, Interaction, Piece, Request, Response
from proxy.cassettes.large import REMEMBERED
from proxy.cassettes.ledger import Ledger
from proxy.cassettes.matching import Library, Recorded, Session
from proxy.cassettes.spool import SMALL, Spool, Stored, loaded
from proxy.recorded_model import RecordedModel
from proxy.verify import Verifier


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is large."""
    monkeypatch.setattr(cassette_file, "LARGE", 1)


def turn(number: int, size: int, parent: str | None = None) -> Interaction:
    """A turn that is asked and answered with so many characters, another text each time."""
    words = f"{number} " * (size // 2)
    asked = {"model": "gpt-4.1", "input": words[:size], "previous_response_id": parent}
    part = {"type": "output_text", "text": words[:size], "annotations": []}
    message = {"type": "message", "id": f"msg_{number:012d}", "role": "assistant", "content": [part]}
    resource = {"id": f"resp_{number:012d}", "object": "response", "status": "completed", "output": [message]}
    request = Request("POST", "/v1/responses", body=json.dumps(asked).encode())
    response = Response(200, (("content-type", "application/json"),), (Piece(0.1, json.dumps(resource).encode()),))
    return Interaction(number, float(number), request, response)


def turns(count: int, size: int) -> Iterator[Interaction]:
    """Chains of five turns."""
    for number in range(1, count + 1):
        yield turn(number, size, None if number % 5 == 1 else f"resp_{number - 1:012d}")


def write(path: Path, count: int, size: int) -> None:
    with path.open("w") as file:
        file.write(format_head(Head("http://x/v1", "2026-11-29T02:10:00Z")))
        file.writelines(map(format_interaction, turns(count, size)))


DAMAGES = {
    "none": lambda data: data,
    "a separator first": lambda data: b"---\n" + data,
    "torn": lambda data: data[:-20],
    "torn in the middle of a separator": lambda data: data + b"--",
    "no last line end": lambda data: data[:-1],
    "nonsense in the middle": lambda data: data.replace(b"---\nid: 2\n", b"---\nid: two\n"),
    "nonsense before the torn end": lambda data: data.replace(b"---\nid: 9\n", b"---\nid: nine\n")[:-30],
    "an id twice": lambda data: data.replace(b"---\nid: 3\n", b"---\nid: 2\n"),
    "not UTF-8": lambda data: data.replace(b"4 4 4", b"\xff\xfe "),
    "an editor on Windows": lambda data: data.replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("damage", [*DAMAGES])
def test_a_large_file_reads_as_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    path, copy = tmp_path / "talk.yaml", tmp_path / "copy.yaml"
    write(path, 10, 40)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    copy.write_bytes(path.read_bytes())
    small = load(path)
    appended = Appender(path, None, 0.0)
    appended.append(turn(appended.take_id(), 40))
    appended.close()
    monkeypatch.setattr(cassette_file, "LARGE", 1)
    large = parse(copy.read_bytes(), str(path))
    assert not isinstance(load(copy).interactions, tuple)
    assert [*load(copy).interactions] == [*small.interactions] == [*large.interactions]
    one, other = load(copy), small
    assert [problem.reason for problem in one.problems] == [problem.reason for problem in other.problems]
    assert (one.head, one.lines) == (other.head, other.lines)
    appended = Appender(copy, None, 0.0)
    appended.append(turn(appended.take_id(), 40))
    appended.close()
    assert copy.read_bytes() == path.read_bytes()


def test_one_interaction_of_many(tmp_path: Path, large: None) -> None:
    path = tmp_path / "talk.yaml"
    write(path, 30, 40)
    interactions = load(path).interactions
    assert len(interactions) == 30 and interactions[-1].id == 30 and [one.id for one in interactions[3:5]] == [4, 5]
    assert interactions[7] is interactions[7]
    with pytest.raises(IndexError):
        interactions[30]
    path.write_text("understudy: cassette\nversion: 9\n---\n")
    with pytest.raises(CassetteError, match="version 9"):
        load(path)


def test_replay_mock_and_verify_read_from_disk(tmp_path: Path, large: None) -> None:
    path = tmp_path / "talk.yaml"

    def talk(url: str) -> list[str]:
        said = []
        with httpx.Client(base_url=url, trust_env=False) as client:
            parent = None
            for text in ("I am Ada. " + "x" * 2 * SMALL, "Who am I?", "And now?"):
                body = {"model": "gpt-4.1", "input": text, "previous_response_id": parent}
                answer = client.post("/responses", json=body).json()
                parent = answer.get("id")
                said.append(answer["output"][-1]["content"][0]["text"] if parent else answer["error"]["message"])
        return said

    with Mock() as mock, Proxy(mode="record", cassette=path, upstream=mock.base_url) as proxy:
        said = talk(proxy.base_url)
    for mode in ("replay", "mock"):
        with Proxy(mode=mode, cassette=path) as proxy:
            assert talk(proxy.base_url) == said
    verifier = Verifier()
    verifier.check_all(load(path))
    assert (verifier.checked, verifier.drift.groups()) == (3, [])
    verifier.close()
    with Proxy(cassette=path) as proxy, httpx.Client(base_url=proxy.base_url, trust_env=False) as client:
        body = {"model": "gpt-4.1", "input": "I am Ada. " + "x" * SMALL + "y"}
        message = client.post("/responses", json=body).json()["error"]["message"]
    assert "interaction 1 " in message and message.endswith('xxxy".')


def test_a_conversation_on_disk_is_taken_up_in_its_middle(tmp_path: Path, large: None) -> None:
    tools = [{"type": "function", "name": "f", "description": "x" * 2 * SMALL, "parameters": {}}]

    def asked(number: int) -> Interaction:
        body = {"model": "gpt-4.1", "input": f"{number}", "conversation": "conv_1", "tools": tools}
        made = turn(number, 3 * SMALL)
        return Interaction(number, 0.0, Request("POST", "/v1/responses", body=json.dumps(body).encode()), made.response)

    path = tmp_path / "talk.yaml"
    path.write_text(format_head(Head()) + "".join(map(format_interaction, map(asked, (1, 2, 3)))))
    session = Session(Library([load(path)]))
    for number in (2, 3):
        found = session.find(asked(number).request)
        assert isinstance(found, Recorded) and found.interaction.id == number


def held(path: Path) -> tuple[int, int]:
    """The bytes that a library of a file holds, and those after some turns were asked for."""
    cassette = load(path)
    tracemalloc.start()
    library = Library([cassette])
    alone, _ = tracemalloc.get_traced_memory()
    session = Session(library)
    for interaction in cassette.interactions:
        assert isinstance(session.find(interaction.request), Recorded)
    asked, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return alone, asked


@pytest.mark.slow  # all allocations are traced
def test_memory_does_not_grow_with_the_bodies(tmp_path: Path, large: None) -> None:
    """Twenty times as much is said in as many turns; what is held beside the last few interactions stays."""
    files, memory = [], []
    for size in (10_000, 200_000):
        path = tmp_path / f"{size}.yaml"
        write(path, 60, size)
        files.append(path.stat().st_size)
        memory.append(held(path))
    assert files[1] > 15 * files[0]
    assert memory[1][0] - memory[0][0] < 200_000
    # those asked for last are held: a megabyte of text, parsed it is several times as much
    assert memory[1][1] - memory[0][1] < 6 * REMEMBERED < files[1] / 3


def test_the_model_of_a_recording_holds_no_answers(tmp_path: Path, large: None) -> None:
    path = tmp_path / "talk.yaml"
    write(path, 40, 100_000)
    tracemalloc.start()
    RecordedModel([load(path)])
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < path.stat().st_size / 4


def test_values_on_disk() -> None:
    spool = Spool()
    long = {"text": "ä" * SMALL}
    assert spool.keep("short") == "short" and spool.keep(None) is None and spool.keep({1, 2}) == {1, 2}
    stored = spool.keep(long)
    assert isinstance(stored, Stored) and stored.load() == long and spool.keep({**long}) is stored
    assert spool.keep(stored) is stored and loaded([1, stored]) == [1, long]


def test_items_that_are_known_by_id_are_on_disk() -> None:
    ledger = Ledger()
    ledger.note(turn(1, 3 * SMALL))
    assert ledger.find_item("msg_000000000001")["content"][0]["text"].startswith("1 1 1")
    assert ledger.find_item("msg_none") is None
    assert Cassette("x").interactions == ()
