"""What running an app from the command line consists of; whole processes are in `test_proxy_cli`."""

from __future__ import annotations

import json
import logging
import socket
import sys

import pytest

from mockserver.config.settings import SettingError, Settings
from mockserver.transport.serve import JsonLines, banner, bind, log_config, server_config


def test_bind_picks_a_free_port() -> None:
    with bind("127.0.0.1", 0) as first, bind("localhost", 0) as second:
        assert 0 < first.getsockname()[1] != second.getsockname()[1] > 0


def test_bind_says_what_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SettingError, match=r"in use.*--port"):
        bind("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(SettingError, match="--host"):
        bind("no-such-host.invalid", 0)


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("box.test", "box.test")])
def test_banner_names_an_address_that_works(host: str, shown: str) -> None:
    lines = banner(Settings(host=host), 99).split("\n")
    assert lines[1:] == [
        f"export OPENAI_BASE_URL=http://{shown}:99/v1",
        "export OPENAI_API_KEY=any",
        f"http://{shown}:99/_mock/",
    ]


def test_server_adds_no_header_of_its_own() -> None:
    config = server_config(lambda: None, Settings(), factory=True)  # type: ignore[arg-type, return-value]
    assert not config.server_header and not config.date_header and not config.access_log and config.factory


def test_log_config() -> None:
    config = log_config(Settings(log_level="debug", log_format="json"))
    assert config["loggers"]["understudy"]["level"] == "DEBUG"
    assert config["loggers"]["uvicorn"]["level"] == "WARNING", "below it, a socket's headers and frames are shown"
    assert log_config(Settings())["loggers"]["uvicorn"]["level"] == "WARNING"


def test_json_lines() -> None:
    try:
        raise ValueError("oh")
    except ValueError:
        info = sys.exc_info()
    line = json.loads(JsonLines().format(logging.LogRecord("a", logging.INFO, "", 1, "say %s", ("é\n",), info)))
    assert (line["logger"], line["level"], line["message"]) == ("a", "info", "say é\n")
    assert line["traceback"].endswith("ValueError: oh")
