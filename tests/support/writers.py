"""Clients that write until their server is gone, and keep what was acknowledged."""

from __future__ import annotations

from http.client import HTTPException
from random import Random
from threading import Event
from typing import Any

from tests.support.serving import Served


class Writer:
    """A client that writes until the server is gone, and keeps what was acknowledged."""

    def __init__(self, number: int, cycle: int) -> None:
        self.number, self.cycle = number, cycle
        self.acknowledged: list[dict[str, Any]] = []

    def write(self, served: Served, enough: Event, most: int) -> None:
        random, parent, conversation = Random(f"{self.cycle}/{self.number}"), None, None
        try:
            for number in range(most):
                text = f"{self.cycle} {self.number} {number}"
                body = {"model": "gpt-4.1", "input": text, "previous_response_id": parent}
                if random.random() < 0.2 or (conversation is not None and random.random() < 0.5):
                    if conversation is None:
                        made = served.request("POST", "/v1/conversations", {})
                        assert made.status == 200, made.body
                        conversation = made.json["id"]
                    body = {"model": "gpt-4.1", "input": text, "conversation": conversation}
                reply = served.request("POST", "/v1/responses", body)
                assert reply.status == 200, reply.body
                self.acknowledged.append(reply.json)
                parent = reply.json["id"] if random.random() < 0.8 else None
        except (OSError, HTTPException):
            pass  # it was killed
        finally:
            enough.set()
