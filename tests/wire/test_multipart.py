"""Forms as clients send them: every byte of a file, names in quotes, and what is no form."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.wire.requests.multipart import Part, read_multipart

TYPE = "multipart/form-data; boundary=b"


def test_fields_and_a_file() -> None:
    body = (
        b'preamble\r\n--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--b  \r\ncontent-type: text/plain\r\ncontent-disposition: form-data; filename="\xc3\xbc.txt"; name=file\r\n'
        b"\r\na\r\n--\r\n\r\n--b--\r\nepilogue"
    )
    assert read_multipart(TYPE, body) == [Part("purpose", None, b"batch"), Part("file", "ü.txt", b"a\r\n--\r\n")]
    assert read_multipart('multipart/form-data; boundary="b"', body) is not None


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'),
        (TYPE, b""),
        (TYPE, b"--b"),
        (TYPE, b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'),
        (TYPE, b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b\r\n'),
        (TYPE, b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n"),
        (TYPE, b"--b\r\n\r\n1\r\n--b--\r\n"),
        (TYPE, b"--b\r\nno blank line\r\n--b--\r\n"),
        (TYPE, b'--bc\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'),
    ],
)
def test_what_is_no_form(content_type: str, body: bytes) -> None:
    assert read_multipart(content_type, body) is None


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=20)


@given(name=NAMES.filter(lambda name: "%" not in name and name == name.strip()), data=st.binary(max_size=300))
def test_what_httpx_writes_is_read(name: str, data: bytes) -> None:
    request = httpx.Request("POST", "http://x", data={"purpose": "vision"}, files={"file": (name, data)})
    parts = read_multipart(request.headers["content-type"], request.read())
    assert parts == [Part("purpose", None, b"vision"), Part("file", name, data)]


@given(st.binary(max_size=200), st.sampled_from([TYPE, "multipart/form-data; boundary=", "multipart/form-data;b=\xff"]))
def test_nothing_raises(body: bytes, content_type: str) -> None:
    read_multipart(content_type, body)
    read_multipart(content_type, b"--b\r\n" + body + b"\r\n--b--")
