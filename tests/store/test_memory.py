"""The memory store passes the stores' suite; a project has one lock, and nothing stays of it."""

import pytest

from mockserver.core.records import Put
from mockserver.store import memory
from mockserver.store.memory import MemoryStore
from tests.support.store_suite import StoreSuite, store

__all__ = ["store"]


class TestMemory(StoreSuite):
    def fresh(self) -> MemoryStore:
        return MemoryStore()


def test_a_project_has_one_lock_which_few_others_share() -> None:
    stored = MemoryStore()
    locks = {id(stored.transaction(f"project {number}")) for number in range(1000)}
    assert stored.transaction("p") is stored.transaction("p")
    assert 500 < len(locks) < 1000


def test_nothing_stays_of_projects_that_are_cleared() -> None:
    stored = MemoryStore()
    for number in range(3):
        with stored.transaction(f"p{number}"):
            stored.apply(f"p{number}", [Put("response", "resp_1", b"{}", "", 1)])
            stored.clear(f"p{number}")
        assert stored.scan(f"p{number}", "response") == []
    assert stored._projects == {}


def response(number: int, *, tools: str = "[]", usage: int = 7) -> bytes:
    """A response as it is stored, whose output imitates what stands around it."""
    text = '\\n  "usage": {}\\n  "parallel_tool_calls": \\n  "output": ['
    return (
        f'{{\n  "id": "resp_{number}",\n  "error": null,\n  "model": "m",\n  "output": [\n    "{number} {text}"\n  ],\n'
        f'  "parallel_tool_calls": true,\n  "tools": {tools},\n  "usage": {{\n    "total_tokens": {usage}\n  }}\n}}'
    ).encode() + b" " * 512


def test_what_responses_have_in_common_is_kept_once() -> None:
    stored = MemoryStore()
    docs = {f"resp_{number}": response(number) for number in range(3)}
    stored.apply("p", [Put("response", id, doc, "", order) for order, (id, doc) in enumerate(docs.items())])
    for id, doc in docs.items():
        assert stored.get("p", "response", id) == doc
    assert [record.doc for record in stored.scan("p", "response")] == [*docs.values()]
    assert [put.doc for put in stored.records("p")] == [*docs.values()]
    first, second, _ = (kept[0] for kept in stored._projects["p"].records["response"].values())  # type: ignore[misc]
    assert [one is other for one, other in zip(first, second, strict=True)] == [False, True, False, True, True]


def test_so_it_is_of_those_that_go_on_from_others() -> None:
    stored = MemoryStore()
    member = b'  "parallel_tool_calls": true,\n'
    docs = {}
    for number, parent in enumerate(
        ["resp_1", "resp_2", "resp_longer", "resp_30", "resp_40", None, "resp_50", "resp_60"]
    ):
        goes_on = member + b'  "previous_response_id": %b,\n' % (b'"%b"' % parent.encode() if parent else b"null")
        docs[f"resp_{number}"] = response(number).replace(member, goes_on)
    stored.apply("p", [Put("response", id, doc, "", order) for order, (id, doc) in enumerate(docs.items())])
    assert [record.doc for record in stored.scan("p", "response")] == [*docs.values()]
    kept = [document for document, _, _ in stored._projects["p"].records["response"].values()]  # type: ignore[misc]
    assert [len(parts) for parts in kept] == [7, 7, 7, 7, 7, 5, 7, 7]
    for parts in kept[1:5] + kept[6:]:
        shared = [one is other for one, other in zip(kept[0], parts, strict=True)]
        assert shared == [False, True, False, True, False, True, True]


@pytest.mark.parametrize(
    "doc",
    [
        b"{}",
        b"{}" * 512,
        response(1).replace(b'\n  "usage"', b'\n  "used"'),
        response(1).replace(b'\n  "error"', b'\n  "mistake"'),
        response(1).replace(b'\n  "parallel_tool_calls"', b'\n  "calls"'),
    ],
)
def test_other_documents_are_kept_whole(doc: bytes) -> None:
    stored = MemoryStore()
    stored.apply("p", [Put("response", "resp_1", doc, "", 1)])
    assert stored._projects["p"].records["response"]["resp_1"] == (doc, "", 1)


def test_what_is_shared_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MOST_SHARED", 2000)
    monkeypatch.setattr(memory, "_LARGE", 3000)
    stored = MemoryStore()
    docs = [response(number, tools="x" * (600 + 500 * number), usage=number) for number in range(8)]
    stored.apply("p", [Put("response", f"resp_{number}", doc, "", number) for number, doc in enumerate(docs)])
    assert [record.doc for record in stored.scan("p", "response")] == docs
    assert stored._parts._bytes == sum(map(len, stored._parts._shared)) < 2000 + 3000
    assert max(map(len, stored._parts._shared)) <= 3000
