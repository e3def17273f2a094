"""Recordings of other tools, read as they are: vcrpy and pytest-recording, Ruby's VCR, HAR 1.2."""

# A file is told by what is in it, not by its name. Each reader yields plain requests and answers; here they become
# interactions: redacted like our own, content codings taken off, streams split into events without gaps, for these
# formats know no times inside a body. What can't be used is a problem with its index and reason, never just dropped.

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson
import yaml

from proxy.cassettes.content import decoded, is_event_stream, pieces_of
from proxy.cassettes.document import DocumentError, load_yaml
from proxy.cassettes.interaction import Cassette, CassetteError, Head, Interaction, Piece, Problem, Request, Response
from proxy.cassettes.redaction import Redactor

Pairs = list[tuple[str, str]]


class Unusable(ValueError):
    """A recorded exchange that can't be used; the message is the reason."""


@dataclass(frozen=True)
class Exchange:
    """One exchange of a foreign file: `seconds` is how long the answer took, `recorded` when (any text)."""

    method: str
    url: str
    request_headers: Pairs
    request_body: bytes
    status: int
    response_headers: Pairs
    response_body: bytes
    seconds: float = 0.0
    recorded: str | None = None
    encoded: bool = True  # whether the body is still in its content coding


def load_foreign(data: bytes, name: str) -> Cassette:
    """Read a foreign file; raises CassetteError for one of no known format."""
    value = _parse(data, name)
    kind, entries = _recognize(value, name)
    return _convert(kind, entries, name)


def _parse(data: bytes, name: str) -> Any:
    if data.lstrip()[:1] in (b"{", b"["):
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            pass  # YAML's flow style looks the same
    try:
        return load_yaml(data.decode("utf-8-sig"))
    except (DocumentError, UnicodeDecodeError) as error:
        # vcrpy writes Python's tuples and bytes in some versions
        value = _load_tagged(data)
        if value is not None:
            return value
        why = error if isinstance(error, DocumentError) else "not UTF-8"
        raise CassetteError(f"{name} is neither a cassette of ours nor of vcrpy, VCR or a HAR: {why}") from None


class _TaggedLoader(yaml.SafeLoader):
    """YAML in which tags of other languages are plain values; nothing is ever called."""


def _plain(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)  # type: ignore[arg-type]


_TaggedLoader.add_multi_constructor("!", _plain)
_TaggedLoader.add_multi_constructor("tag:yaml.org,2002:python/", _plain)


def _load_tagged(data: bytes) -> Any:
    try:
        return yaml.load(data, Loader=_TaggedLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _recognize(value: Any, name: str) -> tuple[str, Iterable[Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("interactions"), list):
            return "vcrpy", map(_read_vcrpy, value["interactions"])
        if isinstance(value.get("http_interactions"), list):
            return "VCR", map(_read_vcr, value["http_interactions"])
        log = value.get("log")
        if isinstance(log, dict) and isinstance(log.get("entries"), list):
            return "HAR", map(_read_har, log["entries"])
    raise CassetteError(f"{name} is neither a cassette of ours nor of vcrpy, VCR or a HAR")


def _convert(kind: str, exchanges: Iterable[Any], name: str) -> Cassette:
    interactions: list[Interaction] = []
    problems: list[Problem] = []
    redactor = Redactor()
    reading, number, origin, recorded = iter(exchanges), 0, None, None
    while True:
        number += 1
        try:
            exchange = next(reading, None)
            if exchange is None:
                break
            interaction = _to_interaction(exchange, len(interactions) + 1, redactor)
        except Unusable as reason:
            problems.append(Problem(f"{name} [{number - 1}]", str(reason)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problems.append(Problem(f"{name} [{number - 1}]", f"not as {kind} writes it: {_describe(error)}"))
        else:
            interactions.append(interaction)
            parts = urlsplit(exchange.url)
            recorded = recorded or exchange.recorded
            origin = origin or f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    if not interactions and problems:
        raise CassetteError(f"{name}: none of its exchanges can be used; the first: {problems[0].reason}")
    return Cassette(name, Head(origin, recorded), tuple(interactions), tuple(problems), kind=kind)


def _describe(error: Exception) -> str:
    return f"there is no {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"


def _to_interaction(exchange: Exchange, id: int, redactor: Redactor) -> Interaction:
    parts = urlsplit(exchange.url)
    if parts.scheme not in ("http", "https"):
        raise Unusable(f"its URL is {exchange.url[:100]!r}")
    if not 100 <= exchange.status <= 599 or exchange.status == 101:
        raise Unusable(f"its status is {exchange.status}")
    sent, came = _as_bytes(exchange.request_headers), _as_bytes(exchange.response_headers)
    authorization = next((value.decode("latin-1") for name, value in sent if name == b"authorization"), None)
    secrets = redactor.secrets_of(authorization, exchange.request_body)
    request = Request(
        method=exchange.method.upper(),
        path=redactor.redact_text(_api_path(parts.path), secrets),
        query=redactor.redact_query(parts.query, secrets),
        headers=redactor.request_headers(sent),
        body=redactor.redact_bytes(exchange.request_body, secrets),
    )
    body = _decode(exchange, came)
    headers = tuple(pair for pair in redactor.response_headers(came, secrets) if pair[0] != "content-encoding")
    body = redactor.redact_bytes(body, secrets)
    streamed = is_event_stream(came)
    at = round(exchange.seconds, 3)
    pieces = pieces_of([(at, body)]) if streamed and body else ((Piece(at, body),) if body or at else ())
    return Interaction(id, 0.0, request, Response(exchange.status, headers, pieces, streamed))


def _as_bytes(headers: Pairs) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in headers]


def _api_path(path: str) -> str:
    """The path as a client of ours sends it: below `/v1`, where the other API had it below something else."""
    if "/v1/" in path:
        return path[path.index("/v1/") :]
    for place in ("/responses", "/conversations"):
        if place in path:
            return f"/v1{path[path.index(place) :]}"
    return path or "/"


def _decode(exchange: Exchange, headers: list[tuple[bytes, bytes]]) -> bytes:
    coding = next((value.decode("latin-1") for name, value in headers if name == b"content-encoding"), None)
    if coding is None or not exchange.encoded:
        return exchange.response_body
    try:
        return b"".join([data for _, data in decoded([(0.0, exchange.response_body)], coding)])
    except ValueError as error:
        # some recorders decode the body and keep the header
        if exchange.response_body[:1] in (b"{", b"[", b"e", b"d", b"<") or not exchange.response_body:
            return exchange.response_body
        raise Unusable(f"its body is {coding}, which can't be decoded: {error}") from None


# --- vcrpy, pytest-recording ------------------------------------------------------------------------------------------


def _read_vcrpy(entry: Any) -> Exchange:
    request, response = entry["request"], entry["response"]
    # vcrpy's stubs of httpx wrote `status_code` until version 6
    status = response.get("status_code", response.get("status"))
    return Exchange(
        method=request["method"],
        url=request.get("uri") or request["url"],
        request_headers=list(_pairs(request.get("headers"))),
        request_body=_body_of(request),
        status=int(status["code"] if isinstance(status, dict) else status),
        response_headers=list(_pairs(response.get("headers"))),
        response_body=_body_of(response),
    )


def _body_of(message: Any) -> bytes:
    """The body of a request or an answer: `parsed_body`, `body.string`, `content`, or plain."""
    if "parsed_body" in message:
        parsed = message["parsed_body"]
        return _to_bytes(parsed) if isinstance(parsed, str) else orjson.dumps(parsed)
    body = message.get("body", message.get("content"))
    if isinstance(body, dict):
        if "base64_string" in body:
            return _from_base64(body["base64_string"])
        if (
            "encoding" in body
            and body.get("encoding") in ("base64", "ASCII-8BIT")
            and "base64" in str(body["encoding"])
        ):
            return _from_base64(body.get("string"))
        body = body["string"] if "string" in body else orjson.dumps(body)
    return _to_bytes(body)


def _to_bytes(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode(errors="surrogateescape")
    return orjson.dumps(body)


def _from_base64(text: Any) -> bytes:
    import base64

    return base64.b64decode(text or "")


def _pairs(headers: Any) -> Iterator[tuple[str, str]]:
    """Headers as pairs: a mapping to a text or to several, or a list of pairs."""
    if headers is None:
        return
    if isinstance(headers, dict):
        listed = list(headers.items())
    else:
        listed = [(pair["name"], pair["value"]) if isinstance(pair, dict) else tuple(pair) for pair in headers]
    for name, values in listed:
        for value in values if isinstance(values, list | tuple) else [values]:
            yield str(name), value.decode("latin-1") if isinstance(value, bytes) else str(value)


# --- VCR (Ruby) -------------------------------------------------------------------------------------------------------


def _read_vcr(entry: Any) -> Exchange:
    request, response = entry["request"], entry["response"]
    return Exchange(
        method=str(request["method"]).lstrip(":"),
        url=request["uri"],
        request_headers=list(_pairs(request.get("headers"))),
        request_body=_body_of(request),
        recorded=str(entry["recorded_at"]) if "recorded_at" in entry else None,
        status=int(response["status"]["code"]),
        response_headers=list(_pairs(response.get("headers"))),
        response_body=_body_of(response),
    )


# --- HAR --------------------------------------------------------------------------------------------------------------


def _read_har(entry: Any) -> Exchange:
    if entry.get("_resourceType") == "websocket" or "_webSocketMessages" in entry:
        raise Unusable("a WebSocket in a HAR has no turns that could be told apart")
    request, response = entry["request"], entry["response"]
    sent, content = request.get("postData") or {}, response.get("content") or {}
    text = content.get("text") or ""
    body = _from_base64(text) if content.get("encoding") == "base64" else _to_bytes(text)
    if not body and content.get("size", 0) > 0:
        raise Unusable("its answer was recorded without its body")
    return Exchange(
        method=request["method"],
        url=request["url"],
        request_headers=list(_pairs(request.get("headers"))),
        request_body=_from_base64(sent["text"]) if sent.get("encoding") == "base64" else _to_bytes(sent.get("text")),
        status=int(response["status"]),
        response_headers=list(_pairs(response.get("headers"))),
        response_body=body,
        recorded=entry.get("startedDateTime"),
        seconds=max(0.0, float(entry.get("time") or 0) / 1000),
        encoded=False,  # HAR 1.2: the text of a content is decoded
    )
