"""`mock.transport()` and `mock.respx` under the client's second generation, which speaks through httpx."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.environments import OPENAI

PROGRAM = """
import asyncio, sys, time
import httpx, openai, respx
from openai import AsyncOpenAI, OpenAI
from mockserver import Mock

assert openai.VERSION.startswith("2.") and "httpx2" not in sys.modules
ASKED = {"model": "gpt-4.1", "input": "hi"}
DELTA = "response.output_text.delta"
SAID = "Mock reply to: hi [1 items in context]"

with Mock() as mock:
    client = OpenAI(api_key="any", http_client=httpx.Client(transport=mock.transport()))
    first = client.responses.create(**ASKED)
    assert first.output_text == SAID
    assert [event.type for event in client.responses.create(**ASKED, stream=True)][-1] == "response.completed"
    mock.script([{"reply": {"text": "one two"}, "pacing": {"first_token": 0.1, "tokens_per_second": 20}}])
    mock.clock.freeze()  # or a slow machine would find the turn over and skip its waits
    happened, time.sleep = [], lambda seconds: happened.append(round(seconds, 3))
    with client.responses.stream(**ASKED) as stream:
        for event in stream:
            if event.type == DELTA:
                happened.append(event.type)
    assert happened == [0.1, 0.05, DELTA, 0.05, DELTA], happened
    mock.clock.run()

    async def main():
        client = AsyncOpenAI(api_key="any", http_client=httpx.AsyncClient(transport=mock.transport()))
        assert (await client.responses.create(**ASKED)).output_text == SAID
        stream = await client.responses.create(**ASKED, stream=True)
        assert [event.type async for event in stream][-1] == "response.completed"
        with respx.mock:
            respx.route(host="api.openai.com").mock(side_effect=mock.respx)
            async with AsyncOpenAI(api_key="any") as plain:
                assert (await plain.responses.retrieve(first.id)).output_text == SAID
                stream = await plain.responses.create(**ASKED, stream=True)
                assert [event.type async for event in stream][-1] == "response.completed"

    asyncio.run(main())
    with respx.mock:
        respx.route(host="api.openai.com").mock(side_effect=mock.respx)
        with OpenAI(api_key="any", max_retries=0) as plain:
            assert plain.responses.create(**ASKED, previous_response_id=first.id).status == "completed"
            assert [event.type for event in plain.responses.create(**ASKED, stream=True)][-1] == "response.completed"
            try:
                plain.responses.retrieve("resp_none")
            except openai.NotFoundError:
                print("all hold with openai", openai.VERSION)
"""


def test_the_older_client_with_no_socket(inprocess_python: Path) -> None:
    done = subprocess.run([str(inprocess_python), "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith(f"all hold with openai {OPENAI[2].version}"), done.stdout + done.stderr
