"""Containers: their life and the files in them. Spec: P24, P25."""

from __future__ import annotations

import pytest

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from tests.support.doubles import Client
from tests.support.driving import NOON, refused


@pytest.fixture
def call() -> Client:
    return Client(Engine(Settings(clock=NOON)))


def test_a_container_and_its_defaults(call: Client) -> None:
    """Spec: P24."""
    container = call("POST", "containers", {"name": "c"})
    assert container == {
        "id": container["id"],
        "object": "container",
        "created_at": int(NOON),
        "status": "running",
        "expires_after": {"anchor": "last_active_at", "minutes": 20},
        "last_active_at": int(NOON),
        "memory_limit": "1g",
        "name": "c",
        "network_policy": {"type": "disabled"},
    }
    assert call("GET", f"containers/{container['id']}") == container


def test_what_a_container_is_asked_for(call: Client) -> None:
    asked = {"name": "c", "expires_after": {"anchor": "last_active_at", "minutes": 5}, "memory_limit": "16g"}
    container = call("POST", "containers", asked)
    assert {key: container[key] for key in asked} == asked


def test_pages_of_containers(call: Client) -> None:
    """Spec: P25."""
    first, second, third = (call("POST", "containers", {"name": name})["id"] for name in ("a", "b", "a"))

    def listed(**query: str) -> list[str]:
        return [one["id"] for one in call("GET", "containers", **query)["data"]]

    assert listed() == [third, second, first]
    assert listed(name="a", order="asc") == [first, third] and listed(name="x") == []
    assert listed(limit="1", after=third) == [second]
    error = refused(listed, after="cntr_x")
    assert (error.status, error.message) == (404, "Container with id 'cntr_x' not found.")


def test_a_deleted_container_takes_its_files_along(call: Client) -> None:
    """Spec: P24."""
    file = call.upload()["id"]
    gone, stays = (call("POST", "containers", {"name": name, "file_ids": [file]})["id"] for name in "ab")
    assert call("DELETE", f"containers/{gone}") == {"id": gone, "object": "container.deleted", "deleted": True}
    for method in ("GET", "DELETE"):
        error = refused(call, method, f"containers/{gone}")
        assert (error.status, error.message) == (404, f"Container with id '{gone}' not found.")
    (copy,) = call("GET", f"containers/{stays}/files")["data"]
    kept = {put.id for put in call.engine.store.records("p") if put.kind == "content"}
    assert kept == {file, copy["id"]}


def test_an_expired_container_can_be_read_but_its_files_are_gone(call: Client) -> None:
    """Spec: P24."""
    asked = {"name": "c", "expires_after": {"anchor": "last_active_at", "minutes": 1}, "file_ids": ["file-a"]}
    path = f"containers/{call('POST', 'containers', asked)['id']}"
    (file,) = call("GET", f"{path}/files")["data"]
    call.engine.control.advance_clock("p", 59)
    assert call("GET", path)["status"] == "running"
    call.engine.control.advance_clock("p", 1)
    assert call("GET", path)["status"] == "expired"
    for method, below, body in (
        ("GET", "files", None),
        ("GET", f"files/{file['id']}", None),
        ("GET", f"files/{file['id']}/content", None),
        ("DELETE", f"files/{file['id']}", None),
        ("POST", "files", {"file_id": "file-b"}),
    ):
        assert refused(call, method, f"{path}/{below}", body).status == 400, below


def test_a_write_extends_the_life_and_reading_does_not(call: Client) -> None:
    """Spec: P24."""
    path = f"containers/{call('POST', 'containers', {'name': 'c'})['id']}"
    call.engine.control.advance_clock("p", 600)
    call("GET", f"{path}/files")
    assert call("GET", path)["last_active_at"] == int(NOON)
    call("POST", f"{path}/files", {"file_id": "file-a"})
    assert call("GET", path)["last_active_at"] == int(NOON) + 600
    call.engine.control.advance_clock("p", 1199)
    assert call("GET", path)["status"] == "running"
    call.engine.control.advance_clock("p", 1)
    assert call("GET", path)["status"] == "expired"


# --- files of a container --------------------------------------------------------------------------------------------


def test_a_file_that_comes_with_the_request(call: Client) -> None:
    """Spec: P24."""
    id = call("POST", "containers", {"name": "c"})["id"]
    file = call.upload("b.bin", b"\x00\xff", path=f"containers/{id}/files")
    assert file == {
        "id": file["id"],
        "object": "container.file",
        "created_at": int(NOON),
        "bytes": 2,
        "container_id": id,
        "path": "/mnt/data/b.bin",
        "source": "user",
    }
    assert call("GET", f"containers/{id}/files/{file['id']}") == file
    assert call.send("GET", f"containers/{id}/files/{file['id']}/content") == b"\x00\xff"


def test_a_copy_outlives_the_uploaded_file(call: Client) -> None:
    """Spec: P24."""
    uploaded = call.upload("a.csv", b"1,2")["id"]
    path = f"containers/{call('POST', 'containers', {'name': 'c', 'file_ids': [uploaded]})['id']}/files"
    call("DELETE", f"files/{uploaded}")
    (copy,) = call("GET", path)["data"]
    assert (copy["path"], copy["bytes"]) == ("/mnt/data/a.csv", 3) and copy["id"] != uploaded
    assert call.send("GET", f"{path}/{copy['id']}/content") == b"1,2"


def test_a_copy_of_what_nobody_uploaded_is_empty_and_has_the_id_as_its_name(call: Client) -> None:
    path = f"containers/{call('POST', 'containers', {'name': 'c'})['id']}/files"
    copy = call("POST", path, {"file_id": "file-never"})
    assert (copy["path"], copy["bytes"]) == ("/mnt/data/file-never", 0)
    assert call.send("GET", f"{path}/{copy['id']}/content") == b""


def test_pages_of_a_containers_files(call: Client) -> None:
    """Spec: P25."""
    path = f"containers/{call('POST', 'containers', {'name': 'c', 'file_ids': ['file-a', 'file-b']})['id']}/files"
    call("POST", path, {"file_id": "file-c"})
    listed = call("GET", path, order="asc")["data"]
    assert [one["path"].rpartition("/")[2] for one in listed] == ["file-a", "file-b", "file-c"]
    page = call("GET", path, limit="1", after=listed[2]["id"])
    assert (page["data"], page["has_more"]) == ([listed[1]], True)
    error = refused(call, "GET", path, before="cfile_x")
    assert (error.status, error.message) == (404, "Container file with id 'cfile_x' not found.")


def test_a_deleted_file_of_a_container(call: Client) -> None:
    """Spec: P24."""
    path = f"containers/{call('POST', 'containers', {'name': 'c', 'file_ids': ['file-a', 'file-b']})['id']}/files"
    gone, stays = call("GET", path, order="asc")["data"]
    assert call("DELETE", f"{path}/{gone['id']}") == {
        "id": gone["id"],
        "object": "container.file.deleted",
        "deleted": True,
    }
    assert call("GET", path)["data"] == [stays]
    for method, below in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        error = refused(call, method, f"{path}/{gone['id']}{below}")
        assert (error.status, error.message) == (404, f"Container file with id '{gone['id']}' not found.")


def test_unknown_files_are_named_by_their_place() -> None:
    """Spec: P24."""
    call = Client(Engine(Settings(clock=NOON, set=(("unknown_file", "refuse"),))))
    known = call.upload()["id"]
    assert refused(call, "POST", "containers", {"name": "c", "file_ids": [known, "file-x"]}).param == "file_ids[1]"
    path = f"containers/{call('POST', 'containers', {'name': 'c', 'file_ids': [known]})['id']}/files"
    error = refused(call, "POST", path, {"file_id": "file-x"})
    assert (error.status, error.message, error.param) == (404, "No such File object: file-x", "file_id")
