"""WebSocket mode under OpenAI's client, directly and through a proxy to a second instance: the same frames, all bytes.

Twins, two mocks with one seed and one frozen clock, are asked the same; a recorder before each way in keeps the frames.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.support.recorder import CUT, Recorder, Socket, messages, recording
from tests.support.serving import FROZEN, KEY, Served, serving

PROGRAM = Path(__file__).with_name("socket_guide.py")
NODE_PROGRAM = Path(__file__).with_name("node") / "sockets.mjs"
LIMIT_S = 600


@pytest.fixture(scope="module")
def direct() -> Iterator[Served]:
    """A mock that is asked directly."""
    with serving(*FROZEN) as served:
        yield served


@pytest.fixture(scope="module")
def behind() -> Iterator[Served]:
    """Its twin, which is asked through the proxy."""
    with serving(*FROZEN) as served:
        yield served


@pytest.fixture(scope="module")
def through(behind: Served) -> Iterator[Served]:
    """The proxy."""
    with serving("--upstream", behind.base_url) as served:
        yield served


def run_program(python: Path, base_url: str, control: str, *options: str, key: str, cut: str = "") -> str:
    """Run the examples for Python as the project of this key; returns what was printed."""
    return run([str(python), str(PROGRAM), *options], base_url, control, key=key, cut=cut)


def run(command: list[str], base_url: str, control: str, *, key: str, cut: str = "") -> str:
    """Run examples to their end, which must be a good one."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "UNDERSTUDY_"))}
    told = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": key, "UNDERSTUDY_CONTROL": control, "UNDERSTUDY_CUT": cut}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**inherited, "NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1", **told},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("major", [3, 2])
def test_the_same_frames_either_way(
    clients: Mapping[int, Path], direct: Served, behind: Served, through: Served, major: int, kind: str
) -> None:
    def ask(base_url: str, control: str) -> None:
        options = ["--async"] * (kind == "async")
        printed = run_program(clients[major], base_url, control, *options, key=f"sockets-{major}-{kind}")
        assert printed.splitlines()[-1].startswith(f"10 of 10 hold with openai {major}.")

    assert compared(ask, direct, behind, through) == 12
    kept = through.control("GET", "/responses", key=f"sockets-{major}-{kind}")
    assert kept["data"] == [], "the proxy keeps nothing"


def test_the_same_frames_for_node(node_client: Path, direct: Served, behind: Served, through: Served) -> None:
    def ask(base_url: str, control: str) -> None:
        printed = run(["node", str(NODE_PROGRAM), str(node_client)], base_url, control, key="sockets-node")
        assert printed.splitlines()[-1].startswith("4 of 4 hold with openai 7.")

    assert compared(ask, direct, behind, through) == 8


def compared(ask: Callable[[str, str], None], direct: Served, behind: Served, through: Served) -> int:
    """Ask both ways, compare what went over the sockets, and return how many there were."""

    def recorded(port: int, control: str) -> Recorder:
        with recording(port) as recorder:
            ask(recorder.base_url, control)
        return recorder

    with ThreadPoolExecutor(2) as pool:
        plain, relayed = pool.map(recorded, (direct.port, through.port), (direct.origin, behind.origin))
    for one, other in zip(in_order(plain.sockets), in_order(relayed.sockets), strict=True):
        assert (other.path, other.status, other.asked) == (one.path, one.status, one.asked)
        assert other.answered == one.answered
        assert other.closes == one.closes
    return len(plain.sockets)


def in_order(sockets: Iterable[Socket]) -> list[Socket]:
    """Return sockets by what was asked over them: a client may open two at once, and either may be there first."""
    return sorted(sockets, key=lambda one: json.dumps([one.status, one.asked]))


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("place", ["before the mock", "before the proxy", "behind the proxy"])
def test_a_cut_is_reconnected(clients: Mapping[int, Path], direct: Served, place: str, kind: str) -> None:
    options = ["--cut", *["--async"] * (kind == "async")]
    with ExitStack() as stack:
        last = direct.port
        if place == "before the proxy":
            last = stack.enter_context(serving("--upstream", direct.base_url)).port
        recorder = stack.enter_context(recording(last))
        first = recorder.base_url
        if place == "behind the proxy":
            first = stack.enter_context(serving("--upstream", first)).base_url
        cut = f"http://127.0.0.1:{recorder.port}{CUT}"
        printed = run_program(clients[3], first, direct.origin, *options, key=f"cut-{place}-{kind}", cut=cut)
    assert printed.splitlines()[-1].startswith("1 of 1 hold with openai 3.")
    assert [one.status for one in recorder.sockets] == [101, 101, 101]


BAD = [
    "not JSON",
    "[]",
    '{"type":"response.create"}',
    '{"type":"response.create","model":"gpt-4.1","input":"x","stream_id":""}',
    '{"type":"response.steer","previous_response_id":"resp_1","input":"x"}',
    '{"type":"response.inject","response_id":"resp_1","input":[]}',
    '{"type":"response.create","model":"gpt-4.1","input":"x","stream":true,"stream_options":{},"verbosity":"low"}',
    b'{"type":"response.create","model":"gpt-4.1","input":"binary"}',
    b"\xff\xfe",
]


def test_frames_no_client_sends(direct: Served, through: Served) -> None:
    def answers(served: Served) -> list[str | bytes]:
        url = served.base_url.replace("http", "ws", 1) + "/responses"
        with connect(url, proxy=None, additional_headers={"authorization": f"Bearer {KEY}"}) as socket:
            found = []
            for frame in BAD:
                socket.send(frame)
            while len(found) < 1 or not last_of_all(found):
                found.append(socket.recv(10))
            return found

    plain = answers(direct)
    assert plain == answers(through)
    assert all(isinstance(one, str) for one in plain)


def last_of_all(found: list[str | bytes]) -> bool:
    """Whether every bad frame was answered: two turns end, all others are errors."""
    text = [one.decode() if isinstance(one, bytes) else one for one in found]
    ends = sum(one.startswith('{"type":"response.completed"') for one in text)
    errors = sum(
        one.startswith(('{"type":"error"', '{"type":"response.steer.f', '{"type":"response.inject.f')) for one in text
    )
    return ends + errors == len(BAD)


@pytest.mark.parametrize(
    ("options", "headers", "status"),
    [
        (("--set", "websocket=off"), {}, 426),
        pytest.param(("--api-key", "right"), {"authorization": "Bearer wrong"}, 401, marks=pytest.mark.slow),
        pytest.param(("--set", "auth=enforce"), {}, 401, marks=pytest.mark.slow),
    ],
)
def test_refusals_pass_through(options: tuple[str, ...], headers: dict[str, str], status: int) -> None:
    with serving(*FROZEN, *options) as mock, serving("--upstream", mock.base_url) as proxy:
        found = []
        for served in (mock, proxy):
            url = served.base_url.replace("http", "ws", 1) + "/responses"
            with pytest.raises(InvalidStatus) as refused, connect(url, proxy=None, additional_headers=headers):
                pass
            response = refused.value.response
            own = ("date", "connection", "x-request-id")
            kept = [pair for pair in response.headers.raw_items() if pair[0].lower() not in own]
            found.append((response.status_code, response.body, kept))
    assert found[0] == found[1] and found[0][0] == status
    assert proxy_is_quiet(proxy)


def proxy_is_quiet(proxy: Served) -> bool:
    """Whether nothing of note happened there."""
    return proxy.process.returncode == 0


def test_a_page_cannot_spend_the_key_of_the_proxy(behind: Served) -> None:
    with (
        recording(behind.port) as recorder,
        serving("--upstream", recorder.base_url, "--upstream-api-key", "sk") as proxy,
    ):
        url = proxy.base_url.replace("http", "ws", 1) + "/responses"
        for headers in ({"origin": "https://evil.test"}, {"origin": "http://localhost:3000"}, {"origin": "null"}):
            with pytest.raises(InvalidStatus) as refused, connect(url, proxy=None, additional_headers=headers):
                pass
            assert refused.value.response.status_code == 403
        assert recorder.sockets == []
        with connect(url, proxy=None, additional_headers={"authorization": "Bearer mine"}) as socket:
            socket.send('{"type":"response.create","model":"gpt-4.1","input":"x"}')
            while "response.completed" not in str(socket.recv(10))[:30]:
                pass
        (seen,) = recorder.sockets
        assert isinstance(seen, Socket) and seen.headers["authorization"] == "Bearer sk"


def test_an_instance_that_stops_says_so_through_the_proxy() -> None:
    with serving() as mock, serving("--upstream", mock.base_url) as proxy:
        ended = []
        for served in (mock, proxy):
            url = served.base_url.replace("http", "ws", 1) + "/responses"
            ended.append(connect(url, proxy=None).__enter__())
        mock.stop()
        closes = []
        for socket in ended:
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(10)
            closes.append(closed.value.rcvd)
    assert closes[0] is not None and closes[0] == closes[1] and closes[0].code == 1012


def test_a_proxy_that_stops_says_so_to_both_sides() -> None:
    with serving() as mock, recording(mock.port) as recorder, serving("--upstream", recorder.base_url) as proxy:
        socket = connect(proxy.base_url.replace("http", "ws", 1) + "/responses", proxy=None).__enter__()
        proxy.stop()
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(10)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        (seen,) = recorder.sockets
        assert messages(bytes(seen.sent), kinds=(8,)) == [(1012).to_bytes(2, "big")]
