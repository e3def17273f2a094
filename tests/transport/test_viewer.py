"""The viewer's files: who gets the page, which headers stand on it, what can't be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.transport.app import MockApp
from mockserver.transport.guard import Guard
from mockserver.transport.viewer import FOLDER
from tests.support.asgi import ask

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
MOST_BYTES = 150 * 1024


@pytest.fixture
def app() -> MockApp:
    return MockApp(Engine(Settings(api_key=("secret",))))  # the page needs no key: it shows nothing by itself


@pytest.mark.parametrize("path", ["/", "/_mock"])
def test_a_browser_is_led_to_the_page(app: MockApp, path: str) -> None:
    status, headers, body = ask(app, "GET", path, **BROWSER)
    assert (status, headers["location"], body) == (307, "/_mock/", b"")
    assert ask(app, "GET", path)[1]["content-type"] == "text/plain; charset=utf-8", "curl reads a text"


def test_the_page_has_headers_that_let_nothing_else_in(app: MockApp) -> None:
    status, headers, body = ask(app, "GET", "/_mock/", **BROWSER)
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
    assert policy["require-trusted-types-for"] == "'script'" and policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-cache"
    preloaded = {part.partition(">")[0].removeprefix("<viewer/") for part in headers["link"].split(", ")}
    assert preloaded == {path.name for path in FOLDER.glob("*.js")}
    assert b"needs JavaScript" in body and b"<script>" not in body and b"style=" not in body


@pytest.mark.parametrize(
    ("name", "type"),
    [("main.js", "text/javascript"), ("viewer.css", "text/css"), ("icon.svg", "image/svg+xml")],
)
def test_files_have_their_type_and_are_not_sent_twice(app: MockApp, name: str, type: str) -> None:
    status, headers, body = ask(app, "GET", f"/_mock/viewer/{name}")
    assert (status, headers["content-type"].partition(";")[0]) == (200, type)
    assert body == (FOLDER / name).read_bytes() and "script-src 'self'" in headers["content-security-policy"]
    assert ask(app, "GET", f"/_mock/viewer/{name}", **{"if-none-match": headers["etag"]})[0] == 304
    assert ask(app, "HEAD", f"/_mock/viewer/{name}")[2] == b"" and "link" not in headers


@pytest.mark.parametrize(
    "name", ["nothing.js", "", "__init__.py", "../engine/engine.py", "..%2fREADME.md", "../../README.md", "\0"]
)
def test_nothing_else_can_be_had(app: MockApp, name: str) -> None:
    assert ask(app, "GET", f"/_mock/viewer/{name}")[0] == 404


def test_other_methods_are_control_calls(app: MockApp) -> None:
    assert ask(app, "POST", "/_mock/viewer/main.js")[0] == 401


def test_the_documentation_is_there(app: MockApp) -> None:
    status, headers, body = ask(app, "GET", "/_mock/README.md")
    assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert body == (FOLDER.parent / "README.md").read_bytes()


@pytest.mark.parametrize("path", ["/_mock/", "/_mock/viewer/main.js", "/"])
def test_pages_of_other_origins_are_refused(app: MockApp, path: str) -> None:
    guarded = Guard(app, Settings())
    assert ask(guarded, "GET", path, host="127.0.0.1:1", origin="http://evil.test", **BROWSER)[0] == 403
    assert ask(guarded, "GET", path, host="evil.test", **BROWSER)[0] == 403


def test_the_page_is_small_and_loads_nothing_from_elsewhere() -> None:
    files = [path for path in FOLDER.iterdir() if path.suffix in (".html", ".css", ".js", ".svg")]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    for path in files:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text, path.name
        assert not any(word in text for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(")), path.name


def test_every_module_is_a_file_of_the_folder() -> None:
    for path in FOLDER.glob("*.js"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith(("import ", "} from ")) and " from " in line:
                name = line.rsplit('"', 2)[1]
                assert name.startswith("./") and (FOLDER / Path(name)).is_file(), (path.name, name)
