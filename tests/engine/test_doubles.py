"""The doubles of files, vector stores and containers: state, pages, clock, refusals. Spec: P24."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.wire.errors.api import APIError, MockError
from tests.support.doubles import FORM, Client, form, make_doubles
from tests.support.driving import NOON


def client(**settings: Any) -> Client:
    return Client(Engine(Settings(**{"clock": NOON, **settings})))


def refused(call: Callable[[], Any]) -> tuple[int, str, str | None]:
    with pytest.raises(APIError) as caught:
        call()
    return caught.value.status, caught.value.message, caught.value.param


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_is_stored_read_listed_and_deleted() -> None:
    """Spec: P24; the order of the keys is that of W7, the id that of W2."""
    call, content = client(), bytes(range(256))
    file = call.upload("a b.bin", content)
    assert list(file) == [
        *("id", "object", "created_at", "status", "bytes", "expires_at", "filename", "purpose", "status_details")
    ]
    assert re.fullmatch(r"file-[0-9A-Za-z]{22}", file["id"])
    assert (file["bytes"], file["filename"], file["created_at"]) == (256, "a b.bin", int(NOON))
    assert call("GET", f"files/{file['id']}") == file
    assert call.send("GET", f"files/{file['id']}/content") == content
    assert call("GET", "files")["data"] == [file]
    assert call("DELETE", f"files/{file['id']}") == {"id": file["id"], "object": "file", "deleted": True}
    for path in (f"files/{file['id']}", f"files/{file['id']}/content"):
        assert refused(lambda path=path: call("GET", path)) == (404, f"No such File object: {file['id']}", "id")
    assert call("GET", "files")["data"] == []


def test_pages_of_files() -> None:
    """Spec: P25."""
    call = client()
    ids = [call.upload(purpose=purpose)["id"] for purpose in ("assistants", "vision", "assistants")]

    def listed(**query: str) -> list[str]:
        return [file["id"] for file in call("GET", "files", **query)["data"]]

    assert listed() == ids[::-1] and listed(order="asc") == ids
    assert listed(purpose="assistants") == [ids[2], ids[0]]
    page = call("GET", "files", limit="2")
    assert (page["first_id"], page["last_id"], page["has_more"]) == (ids[2], ids[1], True)
    assert listed(limit="2", after=ids[1]) == [ids[0]]
    assert refused(lambda: listed(after="file-no"))[:2] == (404, "No such File object: file-no")
    assert listed(limit="10000") == ids[::-1]
    assert refused(lambda: listed(limit="10001"))[2] == "limit"


def test_files_expire_on_the_project_s_clock() -> None:
    call = client()
    soon = call.upload(**{"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"})
    batch, stays = call.upload(purpose="batch"), call.upload()
    assert soon["expires_at"] == NOON + 3600 and batch["expires_at"] == NOON + 30 * 86_400
    assert stays["expires_at"] is None
    call.engine.control.advance_clock("p", 3599)
    assert call("GET", f"files/{soon['id']}") == soon
    call.engine.control.advance_clock("p", 1)
    assert refused(lambda: call.send("GET", f"files/{soon['id']}/content"))[0] == 404
    assert [file["id"] for file in call("GET", "files")["data"]] == [stays["id"], batch["id"]]
    call.upload()
    assert soon["id"] not in str(call.engine.control.snapshot("p")), "the next upload takes it away"


@pytest.mark.parametrize(
    ("body", "headers", "status", "param", "words"),
    [
        (form(file=("a", b"")), FORM, 400, "purpose", "Missing required parameter"),
        (form(purpose="vision"), FORM, 400, "file", "Missing required parameter"),
        (form(purpose="vision", file=("a", b""), bogus="1"), FORM, 400, "bogus", "Unknown parameter"),
        (form(purpose="bogus", file=("a", b"")), FORM, 400, "purpose", "Invalid value: 'bogus'"),
        (
            form(purpose="vision", file=("a", b""), **{"expires_after[anchor]": "created_at"}),
            FORM,
            400,
            "expires_after[seconds]",
            "Missing required parameter",
        ),
        (b"{}", {b"content-type": b"application/json"}, 400, None, "only accepts 'multipart/form-data'"),
        (b"", FORM, 400, None, "Could not parse multipart form"),
    ],
)
def test_uploads_that_are_refused(body: bytes, headers: Any, status: int, param: str | None, words: str) -> None:
    call = client()
    found = refused(lambda: call.send("POST", "files", body, headers))
    assert (found[0], found[2]) == (status, param) and words in found[1]
    assert call("GET", "files")["data"] == []


# --- vector stores ---------------------------------------------------------------------------------------------------


def test_a_vector_store_counts_its_files() -> None:
    call = client()
    file = call.upload(content=b"12345")["id"]
    store = call("POST", "vector_stores", {"name": "s", "file_ids": [file, file], "metadata": {"a": "b"}})
    path = f"vector_stores/{store['id']}"
    assert re.fullmatch(r"vs_[0-9a-f]{32}", store["id"]) and (store["status"], store["usage_bytes"]) == ("completed", 5)
    assert store["file_counts"] == {"cancelled": 0, "completed": 1, "failed": 0, "in_progress": 0, "total": 1}
    attached = call("POST", f"{path}/files", {"file_id": "file-never", "attributes": {"n": 1}})
    assert (attached["usage_bytes"], attached["attributes"]) == (0, {"n": 1}), "it was never uploaded"
    assert call("GET", path)["file_counts"]["total"] == 2
    assert [one["id"] for one in call("GET", f"{path}/files", order="asc")["data"]] == [file, "file-never"]
    assert call("GET", f"{path}/files", filter="failed")["data"] == []
    assert call("POST", f"{path}/files/{file}", {"attributes": {"x": True}})["attributes"] == {"x": True}
    assert call("GET", f"{path}/files/{file}/content")["data"] == [{"type": "text", "text": "12345"}]
    assert [one["id"] for one in call("GET", f"{path}/files", order="asc")["data"]] == [file, "file-never"]
    call("DELETE", f"files/{file}")
    assert call("GET", path)["file_counts"]["total"] == 1, "a deleted file is in no store"
    assert call("DELETE", f"{path}/files/file-never")["object"] == "vector_store.file.deleted"
    assert call("DELETE", path)["object"] == "vector_store.deleted"
    assert refused(lambda: call("GET", path)) == (404, f"Vector store with id '{store['id']}' not found.", None)


def test_a_batch_puts_several_files_into_a_store() -> None:
    call = client()
    path = f"vector_stores/{call('POST', 'vector_stores')['id']}"
    call("POST", f"{path}/files", {"file_id": "file-before"})
    files = [{"file_id": "file-a", "attributes": {"a": "1"}}, {"file_id": "file-b"}]
    batch = call("POST", f"{path}/file_batches", {"files": files})
    assert (batch["status"], batch["file_counts"]["completed"]) == ("completed", 2)
    for found in (
        call("GET", f"{path}/file_batches/{batch['id']}"),
        call("POST", f"{path}/file_batches/{batch['id']}/cancel"),
    ):
        assert found == batch, "it is done from the start"
    inside = call("GET", f"{path}/file_batches/{batch['id']}/files", order="asc")["data"]
    assert [(one["id"], one["attributes"]) for one in inside] == [("file-a", {"a": "1"}), ("file-b", {})]
    assert call("GET", path)["file_counts"]["total"] == 3
    assert refused(lambda: call("POST", f"{path}/file_batches", {}))[2] == "file_ids"


def test_a_vector_store_expires_after_days_without_a_write() -> None:
    call = client()
    store = call("POST", "vector_stores", {"file_ids": ["f"], "expires_after": {"anchor": "last_active_at", "days": 1}})
    path = f"vector_stores/{store['id']}"
    assert store["expires_at"] == NOON + 86_400
    call.engine.control.advance_clock("p", 86_399)
    call("POST", path, {"name": "still used"})
    call.engine.control.advance_clock("p", 86_399)
    assert call("GET", path)["status"] == "completed"
    call.engine.control.advance_clock("p", 1)
    found = call("GET", path)
    assert (found["status"], found["file_counts"]["total"], found["name"]) == ("expired", 0, "still used")
    assert call("GET", "vector_stores")["data"] == [found]
    assert refused(lambda: call("POST", f"{path}/files", {"file_id": "f"}))[0] == 404


# --- containers ------------------------------------------------------------------------------------------------------


def test_a_container_holds_files_until_it_was_not_used_for_20_minutes() -> None:
    call = client()
    file = call.upload("a.csv", b"1,2")["id"]
    container = call("POST", "containers", {"name": "c", "file_ids": [file], "memory_limit": "4g"})
    path = f"containers/{container['id']}"
    assert re.fullmatch(r"cntr_[0-9a-f]{48}", container["id"])
    assert (container["status"], container["memory_limit"]) == ("running", "4g")
    (copy,) = call("GET", f"{path}/files")["data"]
    assert re.fullmatch(r"cfile_[0-9a-f]{32}", copy["id"]) and copy["path"] == "/mnt/data/a.csv"
    call("DELETE", f"files/{file}")
    assert call.send("GET", f"{path}/files/{copy['id']}/content") == b"1,2", "it is a copy"
    other = call.upload("b.bin", b"\x00\xff", path=f"{path}/files")
    assert call("POST", f"{path}/files", {"file_id": "file-never"})["bytes"] == 0
    assert call("DELETE", f"{path}/files/{copy['id']}")["deleted"] is True
    assert refused(lambda: call("GET", f"{path}/files/{copy['id']}"))[0] == 404
    call.engine.control.advance_clock("p", 1199)
    assert call("GET", f"{path}/files/{other['id']}") == other
    call.engine.control.advance_clock("p", 1)
    assert call("GET", path)["status"] == "expired"
    assert refused(lambda: call("GET", f"{path}/files"))[0] == 400
    assert call("GET", "containers", name="c")["data"][0]["id"] == container["id"]
    assert call("GET", "containers", name="d")["data"] == []
    call("DELETE", path)
    assert refused(lambda: call("GET", path))[0] == 404
    assert "content" not in {put.kind for put in call.engine.store.records("p")}, "nothing stays"


def test_what_a_container_does_not_have_is_said() -> None:
    call = client()
    with pytest.raises(MockError, match="no skills"):
        call("POST", "containers", {"name": "c", "skills": [{"type": "skill_reference", "skill_id": "s"}]})
    assert refused(lambda: call("POST", "containers", {}))[2] == "name"
    assert refused(lambda: call("POST", "containers", {"name": "c", "memory_limit": "2g"}))[2] == "memory_limit"


# --- state -----------------------------------------------------------------------------------------------------------


def test_projects_do_not_meet_and_the_same_calls_give_the_same_ids() -> None:
    call = client()
    other = Client(call.engine, "other")
    make_doubles(call)
    assert other("GET", "files")["data"] == other("GET", "containers")["data"] == []
    again = client()
    make_doubles(again)
    assert again.engine.control.snapshot("p") == call.engine.control.snapshot("p")
    call.engine.control.reset("p")
    assert call("GET", "vector_stores")["data"] == []


def test_a_snapshot_and_a_file_of_sqlite_have_everything(tmp_path: Path) -> None:
    call = client()
    make_doubles(call)
    kept, restored = client(store=f"sqlite:///{tmp_path}/a.db"), client()
    make_doubles(kept)
    document = call.engine.control.snapshot("p")
    assert document["others"] == [] and document["files"] and document["contents"]
    restored.engine.control.restore("p", document)
    assert restored.engine.control.snapshot("p") == kept.engine.control.snapshot("p") == document
    (file,) = restored("GET", "files")["data"]
    assert restored.send("GET", f"files/{file['id']}/content") == bytes(range(256))
    kept.engine.close()


def test_a_script_comes_before_a_double_and_what_a_double_lacks_is_501() -> None:
    call = client()
    line = {"when": {"path": "/v1/files", "method": "GET"}, "reply": {"http": {"status": 503, "json": "busy"}}}
    call.engine.control.enqueue("p", [line])
    assert call("GET", "files") == "busy" and call("GET", "files")["data"] == []
    with pytest.raises(MockError, match="POST /v1/vector_stores/vs_1/search is not mocked"):
        call("POST", "vector_stores/vs_1/search", {"query": "x"})
    assert refused(lambda: call("PUT", "files"))[:2] == (405, "Invalid method for URL (PUT /v1/files)")


def test_a_response_may_name_an_uploaded_file_when_unknown_ones_are_refused() -> None:
    call = client(set=(("unknown_file", "refuse"),))
    part = {"type": "input_file", "file_id": call.upload()["id"]}
    request = {"model": "gpt-4.1", "input": [{"role": "user", "content": [part]}]}
    assert call("POST", "responses", request)["status"] == "completed"
    call("DELETE", f"files/{part['file_id']}")
    assert refused(lambda: call("POST", "responses", request))[2] == "input[0].content[0].file_id"
