"""Servers behind nginx, by the recipe: each key has its own server, and chains, streams and sockets go through."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.support.patience import until
from tests.support.ports import free_port
from tests.support.serving import FROZEN, ROOT, Served, serving

pytestmark = pytest.mark.services

RECIPE = ROOT / "fixtures" / "examples" / "nginx.conf"
KEYS = [f"key-{number}" for number in range(24)]


class Behind:
    """Two servers, and nginx before them."""

    def __init__(self, servers: list[Served], port: int) -> None:
        self.servers, self.port = servers, port

    def ask(self, method: str, path: str, body: Any = None, *, key: str) -> bytes:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return bytes(answer.read())


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    assert shutil.which("nginx", path="/usr/sbin:/usr/bin"), "nginx is needed: apt-get install nginx-light"
    place = tmp_path_factory.mktemp("nginx")
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(*FROZEN)) for _ in range(2)]
        port = free_port()
        # All at once: a free port that begins as a shown one does would be replaced again.
        ports = {"4010": port, "4011": servers[0].port, "4012": servers[1].port}
        recipe = re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda shown: str(ports[shown[0]]), RECIPE.read_text())
        nginx = subprocess.Popen(["/usr/sbin/nginx", "-e", f"{place}/error.log", "-c", str(write(place, recipe))])
        stack.callback(nginx.wait, 60)
        stack.callback(nginx.terminate)
        made = Behind(servers, port)
        assert until(lambda: answers(made)), (place / "error.log").read_text()
        yield made


def write(place: Path, recipe: str) -> Path:
    """Write the recipe into a whole configuration, which touches nothing outside of its folder."""
    paths = "".join(
        f"{kind}_temp_path {place}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = f"daemon off; pid {place}/pid; user root;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{recipe}}}\n"
    (place / "nginx.conf").write_text(whole)
    return place / "nginx.conf"


def answers(made: Behind) -> bool:
    try:
        return bool(made.ask("GET", "/v1/models", key="first"))
    except OSError:
        return False


def test_each_key_has_one_server(behind: Behind) -> None:
    for key in KEYS:
        turn: dict[str, Any] = {"model": "gpt-4.1", "input": "hi"}
        first = json.loads(behind.ask("POST", "/v1/responses", turn, key=key))
        second = json.loads(behind.ask("POST", "/v1/responses", {**turn, "previous_response_id": first["id"]}, key=key))
        assert json.loads(behind.ask("GET", f"/v1/responses/{second['id']}", key=key)) == second
    held = [[key for key in KEYS if one.control("GET", "/journal", key=key)["data"]] for one in behind.servers]
    assert sorted(held[0] + held[1]) == sorted(KEYS) and all(held)


def test_streams_and_sockets_go_through(behind: Behind) -> None:
    streamed = behind.ask("POST", "/v1/responses", {"model": "gpt-4.1", "input": "hi", "stream": True}, key="s")
    first = json.loads(streamed.decode().rstrip().splitlines()[-1].removeprefix("data: "))["response"]
    headers = {"authorization": "Bearer s"}
    with connect(f"ws://127.0.0.1:{behind.port}/v1/responses", additional_headers=headers, proxy=None) as socket:
        turn = {"model": "gpt-4.1", "input": "and?", "previous_response_id": first["id"]}
        socket.send(json.dumps({"type": "response.create", **turn}))
        types = []
        while not types or types[-1] != "response.completed":
            types.append(json.loads(socket.recv(60))["type"])
    assert types[0] == "response.created" and "error" not in types
