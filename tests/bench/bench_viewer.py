"""What an open viewer costs the server: its CPU per turn with one page in a browser, as a ratio to none.

Two servers take turns: one has the page of its project open in a real chromium, the other nobody looks at. (After a
page has left, a server goes on to keep events for a minute; so one server can't be both.) Each answers the same turns
over one connection. CPU is that of all threads of the server's process, from /proc. What the page reads once a burst is
over (the graph, the verdict) is told apart. Run with `pytest -m bench tests/bench/bench_viewer.py -s`, or as a script;
it needs the extra `browser`.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
from pathlib import Path

import pytest

from tests.support.serving import KEY, Served, serving

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "9"))
TURNS = 400  # in a round, of which each kind is a half
BODIES = [json.dumps({"model": "gpt-4.1", "input": "ping", "stream": stream}).encode() for stream in (False, True)]
HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
OPTIONS = ("--log-level", "warning", "--seed", "7")
# the page has drawn all that it was told of, and has read the graph again
SETTLED = """(count) => new Promise((done) => {
  const look = () => Number(document.querySelector('.pane-list .count').textContent.replace(',', '')) >= count
    && performance.now() - window.lastRead > 3000 ? done() : setTimeout(look, 100);
  look();
})"""
NOTE_READS = """() => {
  window.lastRead = performance.now();
  new PerformanceObserver(() => { window.lastRead = performance.now(); }).observe({ type: 'resource' });
}"""


def cpu_s(served: Served) -> float:
    """The seconds that all threads of a server have run."""
    tasks = Path(f"/proc/{served.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def load(served: Served, turns: int = TURNS) -> float:
    """Send turns one after the other; returns the server's microseconds of CPU for each."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    before = cpu_s(served)
    for number in range(turns):
        connection.request("POST", "/v1/responses", BODIES[number % 2], HEADERS)
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
    used = cpu_s(served) - before
    connection.close()
    return used / turns * 1e6


def run() -> float:
    """Measure, print, and return the median ratio."""
    from playwright.sync_api import expect, sync_playwright

    from tests.browser.conftest import ARGUMENTS, CHROMIUM

    with serving(*OPTIONS) as watched, serving(*OPTIONS) as alone, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page()
        for served in (watched, alone):
            load(served)
        page.goto(f"{watched.origin}/_mock/")
        page.evaluate(NOTE_READS)
        expect(page.locator(".live")).to_have_text("live", timeout=60_000)
        rows, reads = [], []
        for turn in range(1, ROUNDS + 1):
            order = (watched, alone) if turn % 2 else (alone, watched)
            found = {served.port: load(served) for served in order}
            rows.append((found[watched.port], found[alone.port]))
            before = cpu_s(watched)
            page.evaluate("window.lastRead = performance.now()")
            page.evaluate(SETTLED, (turn + 1) * TURNS)
            reads.append((cpu_s(watched) - before) * 1000)
        browser.close()
    ratios = [one / other for one, other in rows]
    with_page, without = (statistics.median(column) for column in zip(*rows, strict=True))
    print(
        f"\nCPU of the server per turn: {with_page:.0f} µs with a page open, {without:.0f} µs without; "
        f"ratio of the median round {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), "
        f"of the least {min(row[0] for row in rows) / min(row[1] for row in rows):.2f}\n"
        f"what the page reads after a burst of {TURNS} turns: {statistics.median(reads):.0f} ms of CPU"
    )
    return statistics.median(ratios)


@pytest.mark.bench
def test_an_open_viewer_costs_little() -> None:
    run()


if __name__ == "__main__":
    run()
