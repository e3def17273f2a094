"""Who answers which request."""

from __future__ import annotations

import pytest

from mockserver.config.settings import Settings
from proxy.routing import decide

UP = "http://upstream.test/v1"
COVERED = ("/v1/responses", "/v1/responses/resp_1/cancel", "/v1/conversations/conv_1", "/v1/models", "/v1/models/x")
OTHER = ("/v1/chat/completions", "/v1", "/chat/completions", "/v1/responsesx", "/v2/responses", "/_mockery")


@pytest.mark.parametrize("path", COVERED)
def test_covered(path: str) -> None:
    assert decide("GET", path, None, Settings()).answerer == "mock"
    assert decide("GET", path, None, Settings(upstream=UP)).answerer == "upstream"
    assert decide("GET", path, None, Settings(upstream=UP, mode="mock")).answerer == "mock"
    assert decide("GET", path, " Mock ", Settings(upstream=UP)).answerer == "mock"
    assert decide("GET", path, "forward", Settings(upstream=UP, mode="mock")).answerer == "upstream"


@pytest.mark.parametrize("path", OTHER)
def test_other_paths(path: str) -> None:
    error = decide("POST", path, None, Settings()).error
    assert error is not None and error.status == 501 and error.headers == {"x-should-retry": "false"}
    assert f"POST {path} is not mocked" in error.message
    for mode in (None, "mock", "forward"):
        assert decide("POST", path, mode, Settings(upstream=UP)).answerer == "upstream"


@pytest.mark.parametrize("path", ["/_mock", "/_mock/", "/_mock/reset"])
@pytest.mark.parametrize("mode", [None, "forward", "nonsense"])
def test_control_api_is_never_forwarded(path: str, mode: str | None) -> None:
    assert decide("POST", path, mode, Settings(upstream=UP)).answerer == "mock"


@pytest.mark.parametrize(
    ("mode", "upstream", "says"),
    [
        ("nonsense", UP, "takes one of mock, forward"),
        ("", UP, "takes one of mock, forward"),
        ("mock, forward", UP, "takes one of mock, forward"),
        ("record", UP, "record needs a server that was started with --cassette FILE"),
        ("record", None, "started with --upstream URL and --cassette FILE"),
        ("replay", None, "replay needs a server that was started with --cassette FILE"),
        ("auto", UP, "--cassette FILE"),
        ("shadow", None, "--upstream URL"),
        ("forward", None, "--upstream"),
    ],
)
def test_mode_that_can_not_be(mode: str, upstream: str | None, says: str) -> None:
    error = decide("GET", "/v1/models", mode, Settings(upstream=upstream)).error
    assert error is not None and (error.status, error.param) == (400, "X-Understudy-Mode") and says in error.message


@pytest.mark.parametrize("path", ["/responses", "/conversations/conv_1/items", "/models"])
def test_a_path_without_its_v1_is_answered_by_the_mock_which_says_so(path: str) -> None:
    assert decide("POST", path, None, Settings()).answerer == "mock"
    assert decide("POST", path, None, Settings(upstream=UP, mode="mock")).answerer == "mock"
    assert decide("POST", path, None, Settings(upstream=UP)).answerer == "upstream", "forwarded unchanged"


def test_the_root_says_what_this_is_unless_it_is_the_upstream_s() -> None:
    assert decide("GET", "/", None, Settings()).answerer == "mock"
    assert decide("GET", "/", None, Settings(upstream=UP)).answerer == "upstream"


MODES = {"record": "recorder", "replay": "cassette", "auto": "auto", "shadow": "shadow"}


@pytest.mark.parametrize("mode", MODES)
def test_modes_with_cassettes(mode: str) -> None:
    settings = Settings(upstream=UP, cassette=("x.yaml",))
    assert decide("POST", "/v1/responses", mode, settings).answerer == MODES[mode]
    other = "upstream" if mode == "shadow" else MODES[mode]
    assert decide("POST", "/v1/embeddings", mode, settings).answerer == other
    assert decide("POST", "/_mock/reset", mode, settings).answerer == "mock"
