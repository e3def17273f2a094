"""An SQLite file and a snapshot made by an earlier version open, and what follows gives the same bytes."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mockserver.config.settings import load
from mockserver.transport.abort import Abort
from mockserver.transport.app import MockApp, create_app

UPGRADES = Path(__file__).resolve().parents[2] / "fixtures" / "upgrades"
CONTINUED = json.loads((UPGRADES / "continued.json").read_text("utf-8"))
HEADERS = [(name.encode(), value.encode()) for name, value in CONTINUED["headers"].items()]
NEWER = frozenset(
    (
        "blobs",
        "files",
        "contents",
        "file_batches",
        "containers",
        "container_files",
        "vector_stores",
        "vector_store_files",
    )
)
DURATION = re.compile(rb'("duration_ms": ?)[0-9.e-]+')


def ask(app: MockApp, request: Mapping[str, Any]) -> tuple[int, bytes]:
    """Send one request as an ASGI server would; returns the status and the body, the journal's durations as 0."""
    method, _, target = request["request"].partition(" ")
    path, _, query = target.partition("?")
    body = json.dumps(request["body"]).encode() if "body" in request else b""
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": HEADERS}
    incoming: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        return incoming.pop() if incoming else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    with suppress(Abort):  # a fault that cuts the answer
        asyncio.run(app(scope, receive, send))
    return sent[0]["status"], DURATION.sub(rb"\g<1>0", b"".join(message.get("body", b"") for message in sent[1:]))


# R1.41 has changed since, and its older form is a switch.
OLDER = {"set": "encrypted_content=stateless_or_included"}


def options(document: str, folder: Path) -> dict[str, Any]:
    """Return the options that open a copy of a document."""
    if document == "snapshot":
        return {"snapshot": str(UPGRADES / "eda55ca.snapshot.json"), **OLDER}
    copy = folder / "copy.sqlite"
    shutil.copy(UPGRADES / "eda55ca.sqlite", copy)
    return {"store": f"sqlite:///{copy}", "seed": "7", "clock": "2026-11-20T12:00:00Z", **OLDER}


def without_news(snapshot: dict[str, Any]) -> dict[str, Any]:
    """A snapshot without what later versions have besides, all of it empty in an older document."""
    kept = {name: value for name, value in snapshot.items() if name not in NEWER or value}
    for node in [*kept["nodes"].values(), *(running["node"] for running in kept["running"].values())]:
        assert node["summary"].pop("prefix") is None
    return kept


@pytest.mark.parametrize("document", ["sqlite", "snapshot"])
def test_a_project_of_eda55ca_continues_with_the_same_bytes(document: str, tmp_path: Path) -> None:
    app = create_app(load(options(document, tmp_path), {}))
    try:
        for number, request in enumerate(CONTINUED["after"]):
            expected = request.get("both") or request[document]
            status, body = ask(app, request)
            if "/_mock/snapshot" in request["request"]:  # it may keep its records in another way
                assert status == 200
            elif "/_mock/" in request["request"] and body:  # control calls promise values, not bytes
                told = json.loads(body)
                for exchange in told.get("data", ()) if "/_mock/journal" in request["request"] else ():
                    exchange.pop("near_misses", None)  # which is newer
                assert (status, told) == (expected["status"], json.loads(expected["body"])), number
            else:
                assert (status, body.decode()) == (expected["status"], expected["body"]), (number, request["request"])
    finally:
        app.engine.close()


@pytest.mark.parametrize("document", ["sqlite", "snapshot"])
def test_the_documents_hold_what_they_are_there_to_show(document: str, tmp_path: Path) -> None:
    app = create_app(load(options(document, tmp_path), {}))
    try:
        snapshot = json.loads(ask(app, {"request": "GET /_mock/snapshot"})[1])
        faults = json.loads(ask(app, {"request": "GET /_mock/faults"})[1])["faults"]
        journal = json.loads(ask(app, {"request": "GET /_mock/journal"})[1])["data"]
    finally:
        app.engine.close()
    assert without_news(snapshot) == json.loads((UPGRADES / "eda55ca.snapshot.json").read_text("utf-8"))
    for section in ("responses", "conversations", "running", "lines", "scenario", "played", "faults", "cache", "nodes"):
        assert snapshot[section], section
    assert (len(snapshot["running"]), len(snapshot["lines"])) == (2, 2)
    assert [fault["used"] for fault in faults][:3] == [1, 1, 0]
    assert len(journal) == (13 if document == "sqlite" else 0)
