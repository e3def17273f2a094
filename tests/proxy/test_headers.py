"""Which headers pass."""

from __future__ import annotations

from proxy.headers import for_client, for_upstream


def test_order_case_and_duplicates_are_kept() -> None:
    sent = [(b"X-B", b"1"), (b"Host", b"localhost"), (b"x-a", b"\xe9"), (b"X-B", b"2"), (b"Content-Length", b"3")]
    assert for_upstream(sent, b"up.test", None) == [
        (b"X-B", b"1"),
        (b"Host", b"up.test"),
        (b"x-a", b"\xe9"),
        (b"X-B", b"2"),
        (b"Content-Length", b"3"),
    ]


def test_single_connection_headers_stay() -> None:
    names = "Connection Keep-Alive Proxy-Authenticate Proxy-Authorization Proxy-Connection TE Trailer Trailers Upgrade"
    sent = [(name.encode(), b"x-one, X-Two ,content-length") for name in names.split()]
    sent += [(b"X-One", b"1"), (b"x-two", b"2"), (b"content-length", b"0"), (b"x-understudy-mode", b"forward")]
    assert for_upstream(sent, b"h", None) == [(b"content-length", b"0"), (b"host", b"h")]


def test_framing_of_a_body_without_length() -> None:
    assert for_upstream([(b"host", b"a"), (b"transfer-encoding", b"chunked"), (b"x", b"1")], b"h", None) == [
        (b"host", b"h"),
        (b"x", b"1"),
        (b"transfer-encoding", b"chunked"),
    ]


def test_authorization() -> None:
    assert for_upstream([(b"authorization", b"a"), (b"x", b"1"), (b"authorization", b"b")], b"h", b"Bearer k") == [
        (b"authorization", b"Bearer k"),
        (b"x", b"1"),
        (b"host", b"h"),
    ]


def test_for_client() -> None:
    came = [(b"Connection", b"close, x-hop"), (b"Transfer-Encoding", b"chunked"), (b"X-Hop", b"1"), (b"X-A", b"1")]
    assert for_client(came, 200) == [(b"X-A", b"1")]
    assert for_client([(b"Content-Length", b"5"), (b"ETag", b"x")], 304) == [(b"ETag", b"x")]
