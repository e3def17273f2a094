"""Prometheus' own checker of metrics, from Debian's package `prometheus`."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.support.serving import FROZEN, serving


@pytest.mark.heavy
def test_promtool_accepts_the_metrics() -> None:
    promtool = shutil.which("promtool")
    assert promtool, "this test needs promtool, from Debian's prometheus"
    with serving(*FROZEN) as served:
        for input in ("ping", 7):
            served.request("POST", "/v1/responses", {"model": "gpt-4.1", "input": input})
        text = served.request("GET", "/_mock/metrics").body
    assert b'understudy_turns_total{answered_by="default_model"' in text
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=60)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
