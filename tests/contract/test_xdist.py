"""The pytest plugin under pytest-xdist: nothing of one test is seen by another, and what the fixture costs.

200 tests on 4 workers, three times: with an empty fixture, with `openai_mock` and nothing done, with two turns of a
conversation each by OpenAI's client. Run with `-s` to see the figures.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

TESTS, WORKERS = 200, 4
LIMIT_S = 600

EMPTY = """
import pytest

@pytest.fixture
def nothing():
    yield

@pytest.mark.parametrize("number", range({tests}))
def test_one(nothing, number):
    pass
"""
IDLE = """
import pytest

@pytest.mark.parametrize("number", range({tests}))
def test_one(openai_mock, number):
    pass
"""
TALKING = """
import pytest
from openai import OpenAI

@pytest.fixture(scope="session")
def client_of():
    clients = []

    def make():
        clients.append(OpenAI(max_retries=0))
        return clients[-1]

    yield make
    for client in clients:
        client.close()

@pytest.mark.parametrize("number", range({tests}))
def test_one(openai_mock, number, client_of):
    client = client_of()
    openai_mock.clock.advance(days=number)
    openai_mock.reply(f"first {{number}}", f"second {{number}}")
    first = client.responses.create(model="gpt-4.1", input=f"say {{number}}")
    second = client.responses.create(model="gpt-4.1", input="more", previous_response_id=first.id)
    assert [first.output_text, second.output_text] == [f"first {{number}}", f"second {{number}}"]
    assert openai_mock.context(second.id).texts == [f"say {{number}}", f"first {{number}}", "more"]
    assert [one["id"] for one in openai_mock.responses()] == [second.id, first.id]
    with open(f"seen-{{number}}", "x") as file:
        file.write(first.id)
"""


def run(python: Path, place: Path, source: str) -> float:
    """Run the tests of a source; all must pass. Returns the seconds that pytest says it took."""
    place.mkdir()
    (place / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (place / "test_it.py").write_text(source.format(tests=TESTS))
    command = [str(python), "-m", "pytest", "-q", "-n", str(WORKERS), "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=LIMIT_S)
    said = re.search(rf"^{TESTS} passed in ([\d.]+)s", done.stdout, re.MULTILINE)
    assert done.returncode == 0 and said, done.stdout + done.stderr
    return float(said[1])


def test_workers_share_nothing(xdist_python: Path, tmp_path: Path) -> None:
    empty, idle, talking = (
        run(xdist_python, tmp_path / name, source)
        for name, source in (("empty", EMPTY), ("idle", IDLE), ("talking", TALKING))
    )
    ids = {one.read_text() for one in (tmp_path / "talking").glob("seen-*")}
    assert len(ids) == TESTS
    print(
        f"\n{TESTS} tests on {WORKERS} workers: empty fixture {empty:.1f} s, openai_mock {idle:.1f} s"
        f" ({(idle - empty) / TESTS * 1000:.1f} ms a test, servers included), two turns each {talking:.1f} s"
    )
