"""One document of a cassette: an interaction as YAML, written by hand and read by the C loader."""

# Why the writer is ours. PyYAML takes milliseconds for what a recorder may spend microseconds on, and chooses its own
# line breaks. All that is written here is JSON, which YAML's flow style contains, and literal blocks. A person reads
# the result in a pull request: bodies are indented, each event of a stream is one line.
#
# What must stay true:
# * Bytes survive: what is written and read again is equal, whatever it is. A text goes into a literal block only if
#   all its characters may stand in one (YAML 1.2 §5.1); else it is a JSON string, or `!!binary` where it is no UTF-8.
# * A JSON body whose value says less than its text (a repeated key, nesting that a parser may refuse, a bare string)
#   is kept as text.
# * `ended` is the last line. A document without it, or with a part of it, is torn: no prefix of a document passes for
#   a whole one, and neither value is the beginning of the other.

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
import yaml

from proxy.cassettes.interaction import Closing, Head, Headers, Interaction, Piece, Request, Response

KIND, VERSION = "cassette", 1
SEPARATOR = "---\n"
_SEPARATOR = SEPARATOR.encode()
HEADERS, STREAM = b"  headers:\n", b"  stream:\n"
ENDINGS = {"complete": b"  ended: complete\n", "cut": b"  ended: cut\n"}  # the last line
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a PyYAML without libyaml reads the same, ten times slower


class DocumentError(ValueError):
    """A document that is none of ours, or torn; the message is the reason."""


# --- writing ---------------------------------------------------------------------------------------------------------

# bytes that a literal block may hold; those above 0x7f are looked at as characters
PLAIN = bytes([9, 10, *range(32, 127)])
_UNPRINTABLE = re.compile("[^\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_DEEPEST = 60  # levels of a value that is written as one; the loader's recursion is bounded by Python's stack
# what a line begins with that is one level deeper; all lines above it together have `_DEEPEST` ** 2 spaces
_TOO_DEEP = b"\n" + b" " * 2 * (_DEEPEST + 1)
_LONGEST_KEY = 500  # YAML takes keys of 1024 characters, escapes included


def format_head(head: Head) -> str:
    """The first document of a file."""
    upstream = "" if head.upstream is None else f"upstream: {format_json(head.upstream)}\n"
    return f"understudy: {KIND}\nversion: {VERSION}\n{upstream}recorded: {format_json(head.recorded)}\n"


def format_interaction(interaction: Interaction) -> str:
    """A document, with the separator before it."""
    return b"".join(format_parts(interaction)).decode()


def format_parts(interaction: Interaction) -> Iterable[bytes]:
    """Yield a document in parts: a stream may be larger than memory."""
    request, response = interaction.request, interaction.response
    yield format_opening(interaction.id, interaction.at)
    yield _format_marks(interaction).encode()
    yield format_request_head(request)
    yield from list_request_body(request.body)
    yield format_status(response.status)
    if response.headers:
        yield HEADERS
        yield "".join([_format_header(pair) for pair in response.headers]).encode()
    yield from _format_body(request.socket, response)
    if response.closing is not None:
        code, reason = response.closing
        yield f"  closing: [{'null' if code is None else code}, {format_json(reason)}]\n".encode()
    yield ENDINGS[response.ended]


def format_opening(number: int, at: float) -> bytes:
    """What a document begins with: the separator, the interaction's number, and its time in seconds."""
    return b"%bid: %d\nat: %b\n" % (_SEPARATOR, number, _format_seconds(at))


def _format_marks(interaction: Interaction) -> str:
    """What few interactions have."""
    transport = "transport: websocket\n" if interaction.request.socket else ""
    connection = "" if interaction.connection is None else f"connection: {interaction.connection}\n"
    lane = "" if interaction.lane is None else f"lane: {format_json(interaction.lane)}\n"
    rehydrated = "rehydrated: true\n" if interaction.rehydrated else ""
    return f"{transport}{connection}{lane}{rehydrated}"


def format_request_head(request: Request) -> bytes:
    """A request without its body."""
    query = f"  query: {format_json(request.query)}\n" if request.query else ""
    listed = ", ".join([f"{format_json(name)}: {format_json(value)}" for name, value in request.headers])
    headers = f"  headers: {{{listed}}}\n" if listed else ""
    return f"request:\n  method: {request.method}\n  path: {format_json(request.path)}\n{query}{headers}".encode()


def list_request_body(body: bytes) -> Sequence[bytes]:
    """The body of a request in parts: the value of a JSON text, else the text."""
    return (b"  body: ", *_list_sent(body), b"\n") if body else ()


def format_status(status: int) -> bytes:
    """What a response begins with."""
    return b"response:\n  status: %d\n" % status


def list_whole(seconds: float, body: bytes, *, is_plain: bool = False) -> Sequence[bytes]:
    """A body that came whole, and when it had come; a plain one is known to have no bytes but those of `PLAIN`."""
    timed = (b"  seconds: ", _format_seconds(seconds), b"\n") if seconds else ()
    if not body:
        return timed
    return *timed, b"  body: ", *(_list_block(body) if is_plain else _list_text(body)), b"\n"


@lru_cache(maxsize=1024)  # a server sends most of them all the time
def _format_header(pair: tuple[str, str]) -> str:
    return f"    - [{format_json(pair[0])}, {format_json(pair[1])}]\n"


def _format_body(socket: bool, response: Response) -> Iterable[bytes]:
    if socket:
        yield b"  frames:\n" if response.pieces else b"  frames: []\n"
        for at, data, sent in response.pieces:
            yield b"    - [%b, %b%b]\n" % (_format_seconds(at), b"sent, " if sent else b"", _scalar(data))
    elif response.streamed:
        yield STREAM if response.pieces else b"  stream: []\n"
        time, before = b"0", 0.0
        for at, data, _ in response.pieces:
            if at != before:  # many events come together
                time, before = _format_seconds(at), at
            yield b"    - [%b, %b]\n" % (time, _scalar(data))
    else:
        yield from list_whole(response.seconds, response.body)


def _format_seconds(value: float) -> bytes:
    """A time with up to three decimals."""
    text = b"%.3f" % value
    return text.rstrip(b"0").rstrip(b".") if text.endswith(b"0") else text


def format_json(value: Any) -> str:
    """A value as JSON that YAML reads alike."""
    return _encode_json(value).decode()


def _encode_json(value: Any) -> bytes:
    return escape_unsafe(orjson.dumps(value))


_DELETE = 0x7F  # a number, because Python finds a byte in a quarter of the time in which it finds bytes


def escape_unsafe(text: bytes) -> bytes:
    """JSON without characters that YAML does not take as they are."""
    if text.isascii() and _DELETE not in text:  # nearly always
        return text
    # what is left after deleting is short: a search in all of a long text takes ten times as long
    if not _UNSAFE_IN_JSON.search(text.translate(None, PLAIN).decode()):
        return text
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text.decode()).encode()


def _scalar(data: bytes) -> bytes:
    """Bytes on one line."""
    try:
        return _encode_json(data.decode())
    except UnicodeDecodeError:
        return _format_binary(data)


def _format_binary(data: bytes) -> bytes:
    return b'!!binary "%b"' % base64.b64encode(data)


def _list_sent(body: bytes) -> Sequence[bytes]:
    if body[:1] in (b"{", b"["):
        text = _format_value(body)
        if text is not None:
            return (text,)
    return _list_text(body)


def _format_value(body: bytes) -> bytes | None:
    """The value of a JSON text if the value says all that the text does, else None."""
    try:
        value = orjson.loads(body)
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # no JSON, or far too deep
        return None
    # a key that is repeated is lost, and two quotes with it; an escaped quote may count differently, which only means
    # that the body is kept as text
    if text.count(b'"') != body.count(b'"') or (len(text) > _DEEPEST**2 and _TOO_DEEP in text):
        return None
    if len(body) > _LONGEST_KEY and not _has_short_keys(value):
        return None
    return escape_unsafe(text).replace(b"\n", b"\n    ")


def _has_short_keys(value: Any) -> bool:
    """Whether all keys are short enough for YAML."""
    if isinstance(value, dict):
        return all(len(key) <= _LONGEST_KEY and _has_short_keys(member) for key, member in value.items())
    return all(map(_has_short_keys, value)) if isinstance(value, list) else True


def _list_text(body: bytes) -> Sequence[bytes]:
    """A text as a literal block, else as JSON or base64, in parts: who joins all of them copies a text once."""
    if unusual := body.translate(None, PLAIN):
        try:
            body.decode()
        except UnicodeDecodeError:
            return (_format_binary(body),)
        if _UNPRINTABLE.search(unusual.decode()):
            return (_encode_json(body.decode()),)
    return _list_block(body)


def _list_block(body: bytes) -> Sequence[bytes]:
    """A text that a literal block may hold."""
    # a block without content has no indentation that a reader could find
    if body[0] in _BLANKS and not body.strip(b"\n\t "):
        return (_encode_json(body.decode()),)
    # the indentation is said where the first line would hide it; it counts from the parent's
    hint = b"2" if body[0] in _BLANKS else b""
    # `-`: no line break at the end; `+`: those that are there
    keep = b"+" if body[-1] == _LINE_BREAK else b"-"
    return b"|", hint, keep, b"\n    ", body.removesuffix(b"\n").replace(b"\n", b"\n    ")


_LINE_BREAK = ord("\n")
_BLANKS = b" \n\t"


# --- reading ---------------------------------------------------------------------------------------------------------


class _Loader(_Base):
    """YAML with the scalars of JSON: `no` and `12:30` are texts, a time is what was written."""


# a dictionary of its own: resolvers are looked up in the class, and the parent's must stay as they are
_Loader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in (
    ("null", r"(?:~|null|)$", ["~", "n", ""]),
    ("bool", r"(?:true|false)$", list("tf")),
    ("int", r"-?[0-9]+$", list("-0123456789")),
    ("float", r"-?(?:[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", list("-0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(_pattern), _first)
for _name, _read in (("int", int), ("float", float)):
    _Loader.add_constructor(
        f"tag:yaml.org,2002:{_name}", lambda loader, node, read=_read: read(loader.construct_scalar(node))
    )


def load_yaml(text: str | bytes) -> Any:
    """The value of one YAML document; raises DocumentError."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise DocumentError(f"{line}not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise DocumentError(f"not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise DocumentError("nested too deeply") from None


def read_head(text: str) -> Head:
    """The head of a cassette; raises DocumentError for anything else, another version too."""
    value = load_yaml(text)
    if not isinstance(value, dict) or value.get("understudy") != KIND:
        raise DocumentError("not a cassette of understudy")
    version = value.get("version")
    if version != VERSION:
        raise DocumentError(f"version {version!r} of the cassette format; this understudy reads version {VERSION}")
    return Head(_text_or_none(value.get("upstream")), _text_or_none(value.get("recorded")))


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def read_interaction(text: str) -> Interaction:
    """The interaction of a document; raises DocumentError with the reason."""
    value = _mapping(load_yaml(text), "the document")
    request, response = _mapping(value.get("request"), "request"), _mapping(value.get("response"), "response")
    socket = value.get("transport") == "websocket"
    ended = response.get("ended")
    if ended not in ("complete", "cut"):
        raise DocumentError("torn: it has no end")
    number, at = value.get("id"), value.get("at", 0)
    if type(number) is not int or not isinstance(at, int | float):
        raise DocumentError("id is a whole number, at is a number of seconds")
    return Interaction(
        id=number,
        at=float(at),
        request=Request(
            method=str(request.get("method", "GET")),
            path=str(request.get("path", "")),
            query=str(request.get("query") or ""),
            headers=_read_headers(request.get("headers"), "request"),
            body=_read_body(request.get("body")),
            socket=socket,
        ),
        response=_read_response(response, ended, socket),
        lane=_text_or_none(value.get("lane")),
        rehydrated=value.get("rehydrated") is True,
        connection=connection if type(connection := value.get("connection")) is int else None,
    )


def _read_response(response: Mapping[str, Any], ended: Any, socket: bool) -> Response:
    status = response.get("status")
    if type(status) is not int or not 100 <= status <= 599:
        raise DocumentError(f"status is a number from 100 to 599, not {status!r}")
    streamed = socket or "stream" in response
    listed = response.get("frames" if socket else "stream") if streamed else None
    if listed is not None and not isinstance(listed, list):
        raise DocumentError("stream and frames are lists")
    if streamed:
        pieces = tuple(_read_piece(entry) for entry in listed or ())
    else:
        seconds, body = response.get("seconds", 0), _read_body(response.get("body"))
        at = float(seconds) if isinstance(seconds, int | float) else 0.0
        pieces = (Piece(at, body),) if body or at else ()
    closing = response.get("closing")
    if closing is not None and not (isinstance(closing, list) and len(closing) == 2):
        raise DocumentError("closing is [code, reason]")
    return Response(
        status=status,
        headers=_read_headers(response.get("headers"), "response"),
        pieces=pieces,
        streamed=streamed,
        ended=ended,
        closing=None if closing is None else Closing(closing[0], str(closing[1])),
    )


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DocumentError(f"{name} is not a mapping")
    return value


def _read_headers(value: Any, name: str) -> Headers:
    """Headers as pairs; a mapping is taken too."""
    if value is None:
        return ()
    pairs: Iterable[Any] = value.items() if isinstance(value, dict) else value
    try:
        return tuple((str(name), str(text)) for name, text in pairs)
    except (TypeError, ValueError):
        raise DocumentError(f"{name}.headers is a list of [name, value]") from None


def _read_body(value: Any) -> bytes:
    """The bytes of a body: its text, its bytes, or the JSON of its value."""
    if value is None:
        return b""
    if isinstance(value, str | bytes):
        return _bytes(value)
    return orjson.dumps(value)


def _read_piece(entry: Any) -> Piece:
    match entry:
        case [int() | float() as at, str() | bytes() as data]:
            return Piece(float(at), _bytes(data))
        case [int() | float() as at, "sent", str() | bytes() as data]:
            return Piece(float(at), _bytes(data), sent=True)
    raise DocumentError("a piece is [seconds, text]")


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
