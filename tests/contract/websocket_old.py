"""Two unstored turns over one connection with openai 2.x: `python websocket_old.py BASE_URL`."""

from __future__ import annotations

import sys
from typing import Any

from openai import OpenAI


def final(connection: Any) -> Any:
    """Return the response that a turn ends in."""
    for event in connection:
        if event.type == "response.completed":
            return event.response
        assert event.type != "error", event
    raise AssertionError("the connection ended")


def main(base_url: str) -> None:
    """Print what the second turn says."""
    client = OpenAI(base_url=base_url, api_key="old")
    with client.responses.connect() as connection:
        connection.response.create(model="gpt-4.1", input="one", store=False)
        first = final(connection)
        connection.response.create(model="gpt-4.1", input="two", store=False, previous_response_id=first.id)
        print(final(connection).output[0].content[0].text)


if __name__ == "__main__":
    main(sys.argv[1])
