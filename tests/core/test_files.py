"""Uploaded files: objects and bytes, pages, expiry, and the files that a request names. Spec: P24, P25."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.core import files
from mockserver.engine.engine import Engine
from tests.support.doubles import Client
from tests.support.driving import NOON, refused


def client(**settings: Any) -> Client:
    return Client(Engine(Settings(**{"clock": NOON, **settings})))


def records_of(call: Client, kind: str) -> list[str]:
    return [put.id for put in call.engine.store.records(call.project) if put.kind == kind]


def test_an_object_and_its_bytes_are_two_records() -> None:
    """Spec: P24."""
    call = client()
    file = call.upload("data.csv", b"1,2\r\n", purpose="user_data")
    assert file == {
        "id": file["id"],
        "object": "file",
        "created_at": int(NOON),
        "status": "processed",
        "bytes": 5,
        "expires_at": None,
        "filename": "data.csv",
        "purpose": "user_data",
        "status_details": None,
    }
    assert records_of(call, "file") == records_of(call, "content") == [file["id"]]
    assert call("GET", f"files/{file['id']}") == file
    assert call.send("GET", f"files/{file['id']}/content") == b"1,2\r\n"


def test_an_empty_file_has_no_bytes() -> None:
    call = client()
    file = call.upload(content=b"")
    assert file["bytes"] == 0 and call.send("GET", f"files/{file['id']}/content") == b""


def test_a_file_that_was_never_uploaded_is_not_found() -> None:
    """Spec: P24."""
    call = client()
    for method, path in (("GET", "files/file-x"), ("GET", "files/file-x/content"), ("DELETE", "files/file-x")):
        error = refused(call.send, method, path)
        assert (error.status, error.message) == (404, "No such File object: file-x")


def test_a_list_is_narrowed_by_purpose_and_by_cursors() -> None:
    """Spec: P25."""
    call = client()
    first, other, last = (call.upload(purpose=purpose)["id"] for purpose in ("vision", "batch", "vision"))

    def listed(**query: str) -> list[str]:
        return [file["id"] for file in call("GET", "files", **query)["data"]]

    assert listed() == [last, other, first]
    assert listed(purpose="vision", order="asc") == [first, last]
    assert listed(purpose="vision", after=last) == [first]
    page = call("GET", "files", order="asc", limit="2")
    assert ([file["id"] for file in page["data"]], page["has_more"]) == ([first, other], True)
    error = refused(call, "GET", "files", purpose="vision", after=other)
    assert (error.status, error.message) == (404, f"No such File object: {other}"), "it stands in no such list"


def test_a_deleted_file_leaves_every_vector_store() -> None:
    """Spec: P24."""
    call = client()
    gone, stays = call.upload()["id"], call.upload()["id"]
    both = call("POST", "vector_stores", {"file_ids": [gone, stays]})["id"]
    one = call("POST", "vector_stores", {"file_ids": [stays]})["id"]
    assert call("DELETE", f"files/{gone}") == {"id": gone, "object": "file", "deleted": True}
    assert records_of(call, "file") == records_of(call, "content") == [stays]
    for store in (both, one):
        assert [file["id"] for file in call("GET", f"vector_stores/{store}/files")["data"]] == [stays]


def test_an_expired_file_is_invisible_at_once_and_gone_after_the_next_upload() -> None:
    """Spec: P24."""
    call = client()
    soon = call.upload(**{"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"})
    assert soon["expires_at"] == int(NOON) + 3600
    store = call("POST", "vector_stores", {"file_ids": [soon["id"]]})["id"]
    call.engine.control.advance_clock("p", 3600)
    assert refused(call, "GET", f"files/{soon['id']}").status == 404
    assert call("GET", "files")["data"] == []
    assert records_of(call, "file") == [soon["id"]], "reading changes nothing"
    new = call.upload()["id"]
    assert records_of(call, "file") == records_of(call, "content") == [new]
    assert call("GET", f"vector_stores/{store}/files")["data"] == []


# --- files that are named --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        ({}, []),
        ({"input": "file-a", "instructions": {"file_id": "file-b"}}, []),
        (
            {"input": [{"content": "x"}, {"content": [{"type": "input_file", "file_id": "file-a"}]}]},
            [("input[1].content[0].file_id", "file-a")],
        ),
        ({"items": [{"content": [{"file_id": "file-a"}]}]}, [("items[0].content[0].file_id", "file-a")]),
        (
            {"tools": [{"type": "code_interpreter", "container": {"file_ids": ["file-a", 7, "file-b"]}}]},
            [("tools[0].container.file_ids[0]", "file-a"), ("tools[0].container.file_ids[2]", "file-b")],
        ),
        ({"input": [{"type": "file_search_call", "results": [{"file_id": "file-a"}]}]}, []),
        ({"input": [{"content": [{"type": "output_text", "annotations": [{"file_id": "file-a"}]}]}]}, []),
        ({"tools": [{"parameters": {"file_id": "file-a"}, "filters": {"file_ids": ["file-b"]}}]}, []),
        ({"input": [{"file_id": None, "arguments": {"file_id": "file-a"}}]}, []),
    ],
)
def test_the_files_that_a_request_names(request_: dict[str, Any], named: list[tuple[str, str]]) -> None:
    """Neither what was found or cited before, nor members whose keys are the caller's own."""
    assert list(files.files_in(request_)) == named


def test_unknown_files_are_refused_only_if_the_switch_says_so() -> None:
    """Spec: P24."""
    request = {"file_ids": ["file-a"]}
    assert client()("POST", "vector_stores", request)["file_counts"]["total"] == 1
    strict = client(set=(("unknown_file", "refuse"),))
    error = refused(strict, "POST", "vector_stores", request)
    assert (error.status, error.message, error.param) == (404, "No such File object: file-a", "file_ids[0]")
    known = strict.upload()["id"]
    assert strict("POST", "vector_stores", {"file_ids": [known]})["file_counts"]["total"] == 1
    assert refused(strict, "POST", "vector_stores", {"file_ids": [known, "file-b"]}).param == "file_ids[1]"
