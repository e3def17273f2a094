"""Vector stores: their counts, their life, their files and batches. Spec: P24, P25."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from tests.support.doubles import Client
from tests.support.driving import NOON, refused

DAY = 86_400


@pytest.fixture
def call() -> Client:
    return Client(Engine(Settings(clock=NOON)))


def counts(total: int) -> dict[str, int]:
    return {"cancelled": 0, "completed": total, "failed": 0, "in_progress": 0, "total": total}


def test_a_store_without_anything(call: Client) -> None:
    """Spec: P24."""
    store = call("POST", "vector_stores", {})
    assert store == {
        "id": store["id"],
        "object": "vector_store",
        "created_at": int(NOON),
        "status": "completed",
        "description": None,
        "expires_after": None,
        "expires_at": None,
        "file_counts": counts(0),
        "last_active_at": int(NOON),
        "name": "",
        "usage_bytes": 0,
        "metadata": {},
    }
    assert call("GET", f"vector_stores/{store['id']}") == store


def test_counts_and_sizes_are_those_of_the_files(call: Client) -> None:
    """Spec: P24."""
    three, four = call.upload(content=b"123")["id"], call.upload(content=b"1234")["id"]
    store = call("POST", "vector_stores", {"file_ids": [three, three], "metadata": {"k": "v"}})
    path = f"vector_stores/{store['id']}"
    assert (store["file_counts"], store["usage_bytes"]) == (counts(1), 3)
    call("POST", f"{path}/files", {"file_id": four})
    found = call("GET", path)
    assert (found["file_counts"], found["usage_bytes"], found["metadata"]) == (counts(2), 7, {"k": "v"})
    marker = call("DELETE", f"{path}/files/{three}")
    assert marker == {"id": three, "object": "vector_store.file.deleted", "deleted": True}
    assert call("GET", path)["usage_bytes"] == 4
    assert call("GET", f"files/{three}")["id"] == three, "the file itself stays"


def test_pages_of_stores(call: Client) -> None:
    """Spec: P25."""
    first, second, third = (call("POST", "vector_stores", {"name": name})["id"] for name in "abc")
    page = call("GET", "vector_stores", limit="2")
    assert ([one["name"] for one in page["data"]], page["has_more"]) == (["c", "b"], True)
    assert (page["first_id"], page["last_id"]) == (third, second)
    assert [one["id"] for one in call("GET", "vector_stores", after=second)["data"]] == [first]
    assert [one["id"] for one in call("GET", "vector_stores", order="asc", before=third)["data"]] == [first, second]
    error = refused(call, "GET", "vector_stores", after="vs_x")
    assert (error.status, error.message) == (404, "Vector store with id 'vs_x' not found.")


def test_an_update_changes_what_it_names_and_extends_the_life(call: Client) -> None:
    """Spec: P24."""
    expiry = {"anchor": "last_active_at", "days": 2}
    path = f"vector_stores/{call('POST', 'vector_stores', {'name': 'a', 'expires_after': expiry})['id']}"
    call.engine.control.advance_clock("p", DAY)
    found = call("POST", path, {"metadata": {"a": "b"}})
    assert (found["name"], found["metadata"]) == ("a", {"a": "b"})
    assert (found["last_active_at"], found["expires_at"]) == (int(NOON) + DAY, int(NOON) + 3 * DAY)
    assert call("GET", path) == found, "reading is no activity"


def test_an_expired_store_can_be_read_and_deleted_but_not_changed(call: Client) -> None:
    """Spec: P24."""
    request = {"file_ids": ["file-a"], "expires_after": {"anchor": "last_active_at", "days": 1}}
    id = call("POST", "vector_stores", request)["id"]
    path = f"vector_stores/{id}"
    call.engine.control.advance_clock("p", DAY - 1)
    assert call("GET", path)["status"] == "completed"
    call.engine.control.advance_clock("p", 1)
    found = call("GET", path)
    assert (found["status"], found["file_counts"]) == ("expired", counts(0))
    for method, below, body in (
        ("POST", "", {"name": "b"}),
        ("POST", "/files", {"file_id": "file-b"}),
        ("GET", "/files", None),
        ("GET", "/files/file-a", None),
        ("POST", "/file_batches", {"file_ids": ["file-b"]}),
    ):
        error = refused(call, method, path + below, body)
        assert (error.status, error.message) == (404, f"Vector store with id '{id}' not found."), below
    assert call("DELETE", path) == {"id": id, "object": "vector_store.deleted", "deleted": True}


def test_a_deleted_store_takes_its_records_along(call: Client) -> None:
    """Spec: P24."""
    file = call.upload()["id"]
    id = call("POST", "vector_stores", {"file_ids": [file]})["id"]
    call("POST", f"vector_stores/{id}/file_batches", {"file_ids": ["file-b"]})
    call("DELETE", f"vector_stores/{id}")
    kinds = {put.kind for put in call.engine.store.records("p")}
    assert kinds.isdisjoint(("vector_store", "vector_store_file", "file_batch")) and "file" in kinds
    for method in ("GET", "DELETE"):
        assert refused(call, method, f"vector_stores/{id}").status == 404


# --- files of a store ------------------------------------------------------------------------------------------------


def test_a_file_of_a_store_is_completed_from_the_start(call: Client) -> None:
    """Spec: P24."""
    file = call.upload(content=b"12345")["id"]
    store = call("POST", "vector_stores", {})["id"]
    attached = call("POST", f"vector_stores/{store}/files", {"file_id": file, "attributes": {"year": 2026}})
    assert attached == {
        "id": file,
        "object": "vector_store.file",
        "created_at": int(NOON),
        "status": "completed",
        "attributes": {"year": 2026},
        "chunking_strategy": {
            "type": "static",
            "static": {"chunk_overlap_tokens": 400, "max_chunk_size_tokens": 800},
        },
        "last_error": None,
        "usage_bytes": 5,
        "vector_store_id": store,
    }
    assert call("GET", f"vector_stores/{store}/files/{file}") == attached


def test_a_chunking_strategy_is_told_back(call: Client) -> None:
    chunking = {"type": "static", "static": {"chunk_overlap_tokens": 100, "max_chunk_size_tokens": 300}}
    store = call("POST", "vector_stores", {"file_ids": ["file-a"], "chunking_strategy": chunking})["id"]
    assert call("GET", f"vector_stores/{store}/files/file-a")["chunking_strategy"] == chunking


def test_new_attributes_replace_the_old_ones_and_the_order_stays(call: Client) -> None:
    """Spec: P24."""
    path = f"vector_stores/{call('POST', 'vector_stores', {'file_ids': ['file-a', 'file-b']})['id']}/files"
    call("POST", f"{path}/file-a", {"attributes": {"x": True}})
    assert call("POST", f"{path}/file-a", {"attributes": {"y": 1.5}})["attributes"] == {"y": 1.5}
    listed = call("GET", path, order="asc")["data"]
    assert [(one["id"], one["attributes"]) for one in listed] == [("file-a", {"y": 1.5}), ("file-b", {})]


def test_pages_of_a_stores_files(call: Client) -> None:
    """Spec: P25."""
    path = f"vector_stores/{call('POST', 'vector_stores', {'file_ids': ['file-a', 'file-b', 'file-c']})['id']}/files"

    def listed(**query: str) -> list[str]:
        return [one["id"] for one in call("GET", path, **query)["data"]]

    assert listed() == listed(filter="completed") == ["file-c", "file-b", "file-a"]
    assert listed(filter="in_progress") == []
    assert listed(order="asc", after="file-a", limit="1") == ["file-b"]
    error = refused(listed, after="file-x")
    assert (error.status, error.message) == (404, "Vector store file with id 'file-x' not found.")


def test_the_content_of_a_stores_file_is_its_text(call: Client) -> None:
    """Spec: P24."""
    file = call.upload(content="grüße".encode())["id"]
    path = f"vector_stores/{call('POST', 'vector_stores', {'file_ids': [file, 'file-never']})['id']}/files"
    assert call("GET", f"{path}/{file}/content") == {
        "object": "vector_store.file_content.page",
        "data": [{"type": "text", "text": "grüße"}],
        "has_more": False,
        "next_page": None,
    }
    assert call("GET", f"{path}/file-never/content")["data"][0]["text"] == ""


@pytest.mark.parametrize(
    ("method", "below", "body"),
    [
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "", {"attributes": {}}),
        ("GET", "/content", None),
    ],
)
def test_a_file_that_is_not_in_the_store(call: Client, method: str, below: str, body: Any) -> None:
    """Spec: P24."""
    store = call("POST", "vector_stores", {})["id"]
    file = call.upload()["id"]
    error = refused(call, method, f"vector_stores/{store}/files/{file}{below}", body)
    assert (error.status, error.message) == (404, f"Vector store file with id '{file}' not found.")


# --- batches ---------------------------------------------------------------------------------------------------------


def test_a_batch_with_the_same_attributes_for_all(call: Client) -> None:
    """Spec: P24."""
    store = call("POST", "vector_stores", {"file_ids": ["file-before"]})["id"]
    path = f"vector_stores/{store}"
    batch = call("POST", f"{path}/file_batches", {"file_ids": ["file-a", "file-b"], "attributes": {"k": 1}})
    assert batch == {
        "id": batch["id"],
        "object": "vector_store.files_batch",
        "created_at": int(NOON),
        "status": "completed",
        "file_counts": counts(2),
        "vector_store_id": store,
    }
    assert call("GET", f"{path}/file_batches/{batch['id']}") == batch
    inside = call("GET", f"{path}/file_batches/{batch['id']}/files", order="asc")["data"]
    assert [(one["id"], one["attributes"]) for one in inside] == [("file-a", {"k": 1}), ("file-b", {"k": 1})]
    everything = call("GET", f"{path}/files", order="asc")["data"]
    assert [one["id"] for one in everything] == ["file-before", "file-a", "file-b"]


def test_a_batch_with_attributes_of_each_files_own(call: Client) -> None:
    """Spec: P24."""
    path = f"vector_stores/{call('POST', 'vector_stores', {})['id']}"
    call("POST", f"{path}/file_batches", {"files": [{"file_id": "file-a", "attributes": {"n": 1}}, {"file_id": "f"}]})
    assert call("GET", f"{path}/files/file-a")["attributes"] == {"n": 1}
    assert call("GET", f"{path}/files/f")["attributes"] == {}


def test_a_batch_that_does_not_exist(call: Client) -> None:
    """Spec: P24."""
    path = f"vector_stores/{call('POST', 'vector_stores', {})['id']}/file_batches/vsfb_x"
    for below in ("", "/files"):
        error = refused(call, "GET", path + below)
        assert (error.status, error.message) == (404, "Vector store file batch with id 'vsfb_x' not found.")


def test_unknown_files_of_a_batch_are_named_by_their_place() -> None:
    """Spec: P24."""
    call = Client(Engine(Settings(clock=NOON, set=(("unknown_file", "refuse"),))))
    path = f"vector_stores/{call('POST', 'vector_stores', {})['id']}"
    known = {"file_id": call.upload()["id"]}
    error = refused(call, "POST", f"{path}/file_batches", {"files": [known, {"file_id": "file-x"}]})
    assert (error.status, error.param) == (404, "files[1].file_id")
    assert refused(call, "POST", f"{path}/files", {"file_id": "file-x"}).param == "file_id"
    assert call("GET", f"{path}/files")["data"] == [], "nothing of a refused batch stays"
