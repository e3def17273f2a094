"""A talk of a program's own tests, recorded by pytest-recording with vcrpy; `--disable-recording` runs it plainly.

OPENAI_BASE_URL says where; what came back is written to the directory SAID as JSON, a file a test.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

MODEL = "gpt-4.1"


def keep(name: str, *said: Any) -> None:
    """Write down what a test got."""
    values = [[one.model_dump(mode="json") for one in (part if isinstance(part, list) else [part])] for part in said]
    (Path(os.environ["SAID"]) / name).write_text(json.dumps(values))


@pytest.mark.vcr
def test_sync() -> None:
    with OpenAI(max_retries=0) as client:
        create = client.responses.create
        first = create(model=MODEL, input="I am Ada.")
        second = create(model=MODEL, input="Who am I?", previous_response_id=first.id)
        events = list(create(model=MODEL, input="And now?", previous_response_id=second.id, stream=True))
        again = client.responses.retrieve(second.id)
    keep("sync", first, second, events, again)


@pytest.mark.vcr
def test_async() -> None:
    async def talk() -> None:
        async with AsyncOpenAI(max_retries=0) as client:
            create = client.responses.create
            talk = await client.conversations.create(metadata={"topic": "names"})
            first = await create(model=MODEL, input="I am Ada.", conversation=talk.id)
            stream = await create(model=MODEL, input="Who am I?", conversation=talk.id, stream=True)
            events = [event async for event in stream]
            items = await client.conversations.items.list(talk.id)
        keep("async", talk, first, events, items.data)

    asyncio.run(talk())
