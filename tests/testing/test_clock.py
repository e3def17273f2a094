"""The clock of a mock in a test."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mockserver import Mock, MockError
from tests.support.driving import NOON

PACED = {"reply": {"text": "x"}, "pacing": {"first_token": 60}}


def test_it_runs_until_it_is_frozen() -> None:
    with Mock() as mock:
        clock = mock.clock
        assert not clock.frozen and abs(clock.now - datetime.now(UTC).timestamp()) < 5
        for at in (NOON, "2026-11-20T12:00:00Z", datetime(2026, 11, 20, 12), datetime(2026, 11, 20, 12, tzinfo=UTC)):
            clock.freeze(at)
            assert (clock.now, clock.frozen) == (NOON, True)
        clock.run()
        assert not clock.frozen
        clock.freeze()
        assert clock.frozen and clock.now == clock.now


def test_moving_it_says_what_ended() -> None:
    with Mock(clock=NOON) as mock:
        assert mock.clock.advance(days=1, hours=1, minutes=1, seconds=1).now == NOON + 86400 + 3600 + 61
        import httpx

        with httpx.Client(base_url="http://x/v1", transport=mock.transport()) as client:
            mock.script([PACED])
            body = {"model": "gpt-4.1", "input": "hi", "background": True}
            id = client.post("/responses", json=body).json()["id"]
            assert mock.clock.advance(minutes=2).completed == [id]
            assert mock.clock.advance(days=31).expired == [id]
        with pytest.raises(MockError):
            mock.clock.advance(days=-1)
        with pytest.raises(MockError):
            mock.clock.freeze("yesterday")
