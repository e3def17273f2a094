"""A PostgreSQL server of our own: in a temporary folder, on a free port of the loopback, ended by its process."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.ports import free_port

PLACES = ("/usr/lib/postgresql/*/bin", "/usr/local/bin")
# nothing is lost when the server is killed (fsync matters only to a power cut), and a test's server is soon up again
SETTINGS = ("fsync=off", "max_connections=200", "log_min_messages=fatal", "unix_socket_directories=")


def find_binaries() -> Path:
    """The newest PostgreSQL of this machine; raises AssertionError where there is none."""
    found = [path.parent for place in PLACES for path in Path("/").glob(f"{place[1:]}/postgres")]
    assert found, "PostgreSQL is needed: apt-get install postgresql"
    return max(found, key=lambda path: ("postgresql" in path.parts, path.parts))


class PostgresServer:
    """A server that a test starts, kills and starts again."""

    def __init__(self) -> None:
        self._binaries = find_binaries()
        # PostgreSQL refuses to run as root
        self._user = next(name for name in ("postgres", "nobody") if _is_user(name)) if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="understudy-postgres-"))
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self._data = self._folder / "data"
        self.port = free_port()
        self.url = f"postgresql://tester@127.0.0.1:{self.port}/postgres"
        options = ("--auth=trust", "--username=tester", "--encoding=UTF8", "--locale=C", "--no-sync")
        self._run("initdb", "-D", str(self._data), *options)
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            user=self._user,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        settings = " ".join(
            f"-c {setting}" for setting in (f"port={self.port}", "listen_addresses=127.0.0.1", *SETTINGS)
        )
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-s", "-l", log, "-o", settings, "start")

    def stop(self, how: str = "fast") -> None:
        """Stop the server; `immediate` lets it no time for anything."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-s", "-m", how, "stop")

    def kill(self) -> None:
        """Kill the server's process."""
        pid = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)

    def create_database(self, name: str) -> str:
        """Make an empty database; returns its address."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "tester", name)
        return self.url.removesuffix("postgres") + name

    def close(self) -> None:
        """Stop the server and remove its folder."""
        if (self._data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self._folder)


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server for the tests of a module."""
    made = PostgresServer()
    yield made
    made.close()


@pytest.fixture
def url(server: PostgresServer) -> str:
    """The address of a database without tables of ours."""
    empty(server.url)
    return server.url


def empty(url: str) -> None:
    """Remove our tables."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS understudy_records, understudy_version")
