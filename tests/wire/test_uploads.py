"""Requests of files, vector stores and containers: what is read, and what is refused by which sentence. Spec: P24."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest

from mockserver.config.switches import Switches
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.requests import uploads
from mockserver.wire.requests.query import ListQuery
from mockserver.wire.requests.uploads import HOUR, MONTH, Upload
from tests.support.doubles import FORM, form

RULES = Switches()
FILE = ("a.txt", b"a\r\nb\x00")
JSON = {b"content-type": b"application/json"}
ANCHOR, SECONDS = "expires_after[anchor]", "expires_after[seconds]"


class Sent(NamedTuple):
    """A request as far as its body is read."""

    body: bytes
    headers: Mapping[bytes, bytes] = FORM


def create_file(*, file: tuple[str, bytes] | None = FILE, rules: Switches = RULES, **fields: str) -> Upload:
    return uploads.create_file(Sent(form(file=file, **fields)), None, rules)


def refused(call: Callable[[], Any]) -> APIError:
    with pytest.raises(APIError) as caught:
        call()
    assert caught.value.status == 400 and caught.value.type == "invalid_request_error"
    return caught.value


def raw(**members: Any) -> bytes:
    return json.dumps(members).encode()


# --- bodies of JSON --------------------------------------------------------------------------------------------------


def test_a_vector_store_needs_nothing() -> None:
    assert uploads.create_vector_store(b"") == uploads.create_vector_store(b"{}")


def test_a_vector_store_with_all_its_fields() -> None:
    static = {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}
    given = {
        "name": "s",
        "description": "d",
        "expires_after": {"anchor": "last_active_at", "days": 7},
        "metadata": {"a": "b"},
        "file_ids": ["file-1"],
        "chunking_strategy": {"type": "static", "static": static},
    }
    read = uploads.create_vector_store(raw(**given))
    assert {key: read[key] for key in given} == given


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor", "invalid_value"),
        (
            {"expires_after": {"anchor": "last_active_at", "days": 0}},
            "expires_after.days",
            "integer_below_min_value",
        ),
        (
            {"expires_after": {"anchor": "last_active_at", "days": 366}},
            "expires_after.days",
            "integer_above_max_value",
        ),
        ({"name": 7}, "name", "invalid_type"),
        ({"files": []}, "files", "unknown_parameter"),
    ],
)
def test_what_a_vector_store_must_not_have(members: dict[str, Any], param: str, code: str) -> None:
    error = refused(lambda: uploads.create_vector_store(raw(**members)))
    assert (error.param, error.code) == (param, code)


def test_null_takes_an_expiry_away_and_absence_leaves_it() -> None:
    assert uploads.update_vector_store(b'{"expires_after": null}')["expires_after"] is None
    assert uploads.update_vector_store(b'{"name": "n", "expires_after": null}')["name"] == "n"
    assert "expires_after" not in uploads.update_vector_store(b'{"name": "n"}')
    expiry = {"anchor": "last_active_at", "days": 365}
    assert uploads.update_vector_store(raw(expires_after=expiry))["expires_after"] == expiry


def test_a_file_is_attached_by_its_id() -> None:
    attributes = {"text": "a", "number": 1.5, "flag": True}
    read = uploads.attach_file(raw(file_id="file-1", attributes=attributes, chunking_strategy={"type": "auto"}))
    assert (read["file_id"], read["attributes"]) == ("file-1", attributes)
    error = refused(lambda: uploads.attach_file(b"{}"))
    assert error.message == "Missing required parameter: 'file_id'."  # Spec: E8


def test_attributes_can_be_changed_and_must_be_there() -> None:
    assert uploads.update_attached(raw(attributes={"a": "b"})) == {"attributes": {"a": "b"}}
    assert uploads.update_attached(b'{"attributes": null}') == {"attributes": None}
    assert refused(lambda: uploads.update_attached(b"{}")).param == "attributes"
    many = {f"k{number}": 1 for number in range(17)}  # one more than there may be
    assert refused(lambda: uploads.update_attached(raw(attributes=many))).param == "attributes"


def test_a_batch_has_ids_or_files() -> None:
    assert uploads.create_batch(raw(file_ids=["file-1", "file-2"]))["file_ids"] == ["file-1", "file-2"]
    files = [{"file_id": "file-1", "attributes": {"a": 1}}]
    assert uploads.create_batch(raw(files=files))["files"][0]["file_id"] == "file-1"
    error = refused(lambda: uploads.create_batch(b"{}"))
    assert (error.param, error.code) == ("file_ids", "missing_required_parameter")


def test_a_container_has_a_name() -> None:
    expiry = {"anchor": "last_active_at", "minutes": 20}
    policy = {"type": "allowlist", "allowed_domains": ["a.test"]}
    given = {"name": "c", "expires_after": expiry, "memory_limit": "4g", "network_policy": policy, "file_ids": ["f"]}
    read = uploads.create_container(raw(**given, skills=[]))
    assert {key: read[key] for key in given} == given and "skills" not in read
    assert refused(lambda: uploads.create_container(b"{}")).param == "name"
    assert refused(lambda: uploads.create_container(raw(name="c", memory_limit="2g"))).param == "memory_limit"


def test_a_container_with_skills_is_refused_loudly() -> None:
    with pytest.raises(MockError) as caught:
        uploads.create_container(raw(name="c", skills=[{"type": "skill_reference"}]))
    assert (caught.value.status, caught.value.param) == (501, "skills")


@pytest.mark.parametrize(
    "read",
    [
        uploads.create_vector_store,
        uploads.update_vector_store,
        uploads.attach_file,
        uploads.update_attached,
        uploads.create_batch,
        uploads.create_container,
    ],
)
def test_a_body_is_json(read: Callable[[bytes], Any]) -> None:  # Spec: E1
    assert refused(lambda: read(b"{")).code == "invalid_json"


# --- queries ---------------------------------------------------------------------------------------------------------


def test_a_list_of_files_holds_ten_thousand() -> None:
    assert uploads.list_files([]) == (ListQuery(limit=10_000), None)
    asked = [("purpose", "batch"), ("purpose", "vision"), ("limit", "10000"), ("order", "asc"), ("after", "file-1")]
    assert uploads.list_files(asked) == (ListQuery(10_000, "asc", "file-1"), "vision")
    error = refused(lambda: uploads.list_files([("limit", "10001")]))
    assert (error.param, error.code) == ("limit", "integer_above_max_value")


def test_a_list_of_containers_is_asked_for_a_name() -> None:
    assert uploads.list_containers([]) == (ListQuery(), None)
    assert uploads.list_containers([("name", "c"), ("name", "")]) == (ListQuery(), "c")
    assert refused(lambda: uploads.list_containers([("limit", "101")])).param == "limit"


@pytest.mark.parametrize("status", ["in_progress", "completed", "failed", "cancelled"])
def test_attached_files_are_asked_for_by_status(status: str) -> None:
    assert uploads.list_attached([("filter", status)]) == (ListQuery(), status)


def test_no_other_status_can_be_asked_for() -> None:
    assert uploads.list_attached([]) == (ListQuery(), None)
    error = refused(lambda: uploads.list_attached([("filter", "done")]))
    assert error.param == "filter" and error.message == (
        "Invalid value: 'done'. Supported values are: 'in_progress', 'completed', 'failed', and 'cancelled'."
    )


# --- forms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["assistants", "fine-tune", "vision", "user_data", "evals"])
def test_a_file_is_uploaded_and_kept_for_ever(purpose: str) -> None:
    assert create_file(purpose=purpose) == Upload("a.txt", FILE[1], purpose, None)


def test_batch_input_lives_thirty_days_unless_it_is_told_otherwise() -> None:
    assert create_file(purpose="batch").seconds == 30 * 86_400
    assert create_file(purpose="batch", **{ANCHOR: "created_at", SECONDS: "3600"}).seconds == 3600


@pytest.mark.parametrize("seconds", [HOUR, MONTH])
def test_a_file_lives_between_an_hour_and_thirty_days(seconds: int) -> None:
    assert create_file(purpose="vision", **{ANCHOR: "created_at", SECONDS: str(seconds)}).seconds == seconds


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({SECONDS: "3600"}, ANCHOR, "missing_required_parameter"),
        ({ANCHOR: "created_at"}, SECONDS, "missing_required_parameter"),
        ({ANCHOR: "last_active_at", SECONDS: "3600"}, ANCHOR, "invalid_value"),
        ({ANCHOR: "created_at", SECONDS: "soon"}, SECONDS, "invalid_type"),
        ({ANCHOR: "created_at", SECONDS: "1e4"}, SECONDS, "invalid_type"),
        ({ANCHOR: "created_at", SECONDS: "3599"}, SECONDS, "integer_below_min_value"),
        ({ANCHOR: "created_at", SECONDS: "-1"}, SECONDS, "integer_below_min_value"),
        ({ANCHOR: "created_at", SECONDS: "2592001"}, SECONDS, "integer_above_max_value"),
        ({"colour": "red"}, "colour", "unknown_parameter"),
        ({"purpose": "fun"}, "purpose", "invalid_value"),
    ],
)
def test_fields_that_are_refused(fields: dict[str, str], param: str, code: str) -> None:
    error = refused(lambda: create_file(**{"purpose": "batch", **fields}))
    assert (error.param, error.code) == (param, code)


def test_an_unknown_field_passes_where_the_switch_says_so() -> None:
    ignoring = Switches(unknown_body_key="ignore")
    assert create_file(rules=ignoring, purpose="vision", colour="red").purpose == "vision"


def test_a_file_needs_a_purpose_and_a_file() -> None:
    assert refused(create_file).message == "Missing required parameter: 'purpose'."
    assert refused(lambda: create_file(file=None, purpose="vision")).message == "Missing required parameter: 'file'."


def test_a_file_without_a_name_is_a_mere_text() -> None:
    body = form(purpose="vision", text="hello").replace(b'name="text"', b'name="file"')
    error = refused(lambda: uploads.create_file(Sent(body), None, RULES))
    assert error.message == "Invalid type for 'file': expected a file, but got a string instead."


@pytest.mark.parametrize("content_type", [b"application/json", b"text/plain; a=b"])
def test_another_content_type_is_no_form(content_type: bytes) -> None:  # Spec: E4
    sent = Sent(b"{}", {b"content-type": content_type})
    error = refused(lambda: uploads.create_file(sent, None, RULES))
    assert error.code == "unsupported_content_type" and f"'{content_type.decode()}'" in error.message


def test_a_form_without_an_end_is_malformed() -> None:
    sent = Sent(form(file=FILE, purpose="vision")[:-4])
    assert refused(lambda: uploads.create_file(sent, None, RULES)).message.startswith("Could not parse multipart form")


def test_a_file_of_a_container_is_a_form_or_an_id() -> None:
    upload = uploads.create_container_file(Sent(form(file=FILE)), None, RULES)
    assert upload == Upload("a.txt", FILE[1])
    assert uploads.create_container_file(Sent(b'{"file_id": "file-1"}', JSON), None, RULES) == "file-1"
    assert uploads.create_container_file(Sent(b'{"file_id": "file-1"}', {}), None, RULES) == "file-1"
    assert refused(lambda: uploads.create_container_file(Sent(b"{}", JSON), None, RULES)).param == "file_id"
    assert refused(lambda: uploads.create_container_file(Sent(form()), None, RULES)).param == "file"
