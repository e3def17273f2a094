"""Files, vector stores and containers in a snapshot: readable, given back byte by byte, judged as a whole."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from mockserver.core.records import Put
from mockserver.snapshots import doubles
from mockserver.snapshots.document import restore
from mockserver.snapshots.records import SECTIONS
from mockserver.wire.errors.api import MockError
from tests.support.doubles import Client, make_doubles
from tests.support.driving import Driver

NAMES = ("files", "contents", "vector_stores", "vector_store_files", "file_batches", "containers", "container_files")
Document = dict[str, Any]


@pytest.fixture(scope="module")
def driver() -> Driver:
    """A project in which there is one of everything that the doubles keep."""
    drive = Driver()
    make_doubles(Client(drive.engine, drive.project))
    return drive


@pytest.fixture
def document(driver: Driver) -> Document:
    """Its snapshot, which a test may change."""
    return json.loads(json.dumps(driver.engine.control.snapshot(driver.project)))


def first(document: Document, section: str) -> tuple[str, Any]:
    return next(iter(document[section].items()))


def mistake(document: Document) -> MockError:
    with pytest.raises(MockError) as caught:
        restore(document, document["seed"])
    return caught.value


def test_every_kind_has_a_section(document: Document) -> None:
    assert {SECTIONS[name].kind for name in NAMES} == doubles.KINDS
    assert all(document[name] for name in NAMES) and document["others"] == []


def test_every_record_comes_back(driver: Driver, document: Document) -> None:
    kept = [put for put in driver.engine.store.records(driver.project) if put.kind in doubles.KINDS]
    assert {put.kind for put in kept} == doubles.KINDS
    given = [put for put in restore(document, document["seed"]).records if put.kind in doubles.KINDS]
    assert sorted(given) == sorted(kept)


def test_a_file_is_readable_and_its_bytes_are_base64(document: Document) -> None:
    id, file = first(document, "files")
    assert file["object"]["id"] == id and file["object"]["filename"] == "a.txt" and file["object"]["bytes"] == 256
    assert b64decode(document["contents"][id]["base64"]) == bytes(range(256))


def test_what_is_below_another_is_named_by_both(document: Document) -> None:
    store, _ = first(document, "vector_stores")
    container, _ = first(document, "containers")
    assert all(key.startswith(f"{store}/") for name in NAMES[3:5] for key in document[name])
    assert all(key.startswith(f"{container}/") for key in document["container_files"])


@pytest.mark.parametrize("section", ["files", "vector_stores", "containers"])
def test_a_key_is_the_id_of_its_object(document: Document, section: str) -> None:
    id, record = first(document, section)
    document[section]["other"] = record
    error = mistake(document)
    assert (error.status, error.param) == (400, f"{section}.other")
    assert error.message == f"{section}.other: is not '{id}'."


@pytest.mark.parametrize("section", ["vector_store_files", "file_batches", "container_files"])
def test_a_key_names_the_parent_too(document: Document, section: str) -> None:
    key, record = first(document, section)
    del document[section][key]
    document[section]["other"] = record
    assert mistake(document).message == f"{section}.other: is not '{key}'."


@pytest.mark.parametrize(
    ("section", "parents"),
    [("vector_store_files", "vector_stores"), ("file_batches", "vector_stores"), ("container_files", "containers")],
)
def test_a_parent_must_be_there(document: Document, section: str, parents: str) -> None:
    # only this section stays: of several that lack their parent the first would be told
    for name in {"vector_store_files", "file_batches", "container_files"} - {section}:
        document[name] = {}
    parent, _ = first(document, parents)
    document[parents] = {}
    key, _ = first(document, section)
    error = mistake(document)
    assert error.param == f"{section}.{key}" and error.message == f"{section}.{key}: there is no '{parent}'."


def test_content_belongs_to_a_file(document: Document) -> None:
    document["contents"]["file-none"] = first(document, "contents")[1]
    error = mistake(document)
    assert error.param == "contents.file-none" and error.message == "contents.file-none: is the content of no file."


def test_content_of_a_file_of_a_container_needs_no_other(document: Document) -> None:
    document["files"] = {}
    held = {one["object"]["id"] for one in document["container_files"].values()}
    document["contents"] = {id: one for id, one in document["contents"].items() if id in held}
    assert document["contents"]
    restore(document, document["seed"])


@pytest.mark.parametrize("kind", sorted(doubles.KINDS))
def test_a_kind_with_a_section_is_nothing_other(document: Document, kind: str) -> None:
    document["others"] = [{"kind": "strange", "id": "a", "doc": {}}, {"kind": kind, "id": "b", "doc": {}}]
    error = mistake(document)
    assert error.param == "others[1].kind" and error.message == f"others[1].kind: '{kind}' has a section of its own."


def spoil_days(document: Document) -> str:
    id, store = first(document, "vector_stores")
    store["expires_after"]["days"] = 366
    return f"vector_stores.{id}.expires_after.days"


def spoil_minutes(document: Document) -> str:
    id, container = first(document, "containers")
    container["expires_after"]["minutes"] = 0
    return f"containers.{id}.expires_after.minutes"


def spoil_base64(document: Document) -> str:
    id, content = first(document, "contents")
    content["base64"] = "a"
    return f"contents.{id}.base64"


def spoil_size(document: Document) -> str:
    id, file = first(document, "files")
    file["object"]["bytes"] = 2**48 + 1  # sums of such numbers would leave JSON's 64 bits
    return f"files.{id}.object.bytes"


def spoil_status(document: Document) -> str:
    key, one = first(document, "vector_store_files")
    one["object"]["status"] = "done"
    return f"vector_store_files.{key}.object.status"


def add_member(document: Document) -> str:
    key, one = first(document, "file_batches")
    one["batch"]["colour"] = "red"
    return f"file_batches.{key}.batch.colour"


def take_member(document: Document) -> str:
    key, one = first(document, "container_files")
    del one["object"]["path"]
    return f"container_files.{key}.object.path"


@pytest.mark.parametrize(
    "spoil", [spoil_days, spoil_minutes, spoil_base64, spoil_size, spoil_status, add_member, take_member]
)
def test_a_wrong_place_is_named(document: Document, spoil: Callable[[Document], str]) -> None:
    where = spoil(document)
    assert mistake(document).param == where


@pytest.mark.parametrize("name", NAMES)
def test_shapes_have_no_other_members(document: Document, name: str) -> None:
    judge: Any = TypeAdapter(SECTIONS[name].shape)
    _, record = first(document, name)
    judge.validate_python(record)
    with pytest.raises(ValidationError):
        judge.validate_python({**record, "colour": "red"})


def test_a_batch_lies_below_its_store() -> None:
    batch = {"id": "vsfb_1", "created_at": 1, "vector_store_id": "vs_1", "file_ids": ["file-1"]}
    shape = doubles.Batch.model_validate({"order": 4, "batch": batch})
    put = doubles.store_batch("vs_1/vsfb_1", shape)
    assert (put.kind, put.id, put.parent, put.order) == ("file_batch", "vs_1/vsfb_1", "vs_1", 4)
    assert json.loads(put.doc) == batch
    assert doubles.show_batch(put) == {"order": 4, "batch": batch}


def test_bytes_of_a_file_are_kept_as_they_are() -> None:
    put = Put("content", "file-1", b"\x00\xff", "", 7)
    assert doubles.show_content(put) == {"order": 7, "base64": "AP8="}
    shape = doubles.Content.model_validate({"order": 7, "base64": "AP8="})
    assert doubles.store_content("file-1", shape) == put
