"""The conversation state guide of OpenAI, in our own words, as a program: each example says what must be true after it.

Run it as `python guide.py [--strict] [--async] [--dump FILE]` with OPENAI_BASE_URL and OPENAI_API_KEY for the client
and UNDERSTUDY_CONTROL for the origin of the control API. It needs the standard library and `openai`, 2 or 3.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
from pathlib import Path
from typing import Any

import openai
from guide_calls import Control, settled
from guide_examples import STATE
from guide_tools import TOOLS

EXAMPLES = (*TOOLS, *STATE)
CLIENT_MAJOR = int(openai.VERSION.partition(".")[0])


def recording_transport(exchanges: list[dict[str, Any]], *, asynchronous: bool) -> Any:
    """Return the client's own transport, which notes the raw body of every answer that is read to its end."""
    httpx: Any = importlib.import_module("httpx2" if CLIENT_MAJOR >= 3 else "httpx")

    class Noted(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __init__(self, request: Any, response: Any) -> None:
            self._stream = response.stream
            self._entry = {
                "request": f"{request.method} {request.url.raw_path.decode()}",
                "status": response.status_code,
            }

        def _note(self, chunks: list[bytes]) -> None:
            exchanges.append({**self._entry, "body": b"".join(chunks).decode()})

        def __iter__(self) -> Any:
            chunks = []
            for chunk in self._stream:
                chunks.append(chunk)
                yield chunk
            self._note(chunks)

        async def __aiter__(self) -> Any:
            chunks = []
            async for chunk in self._stream:
                chunks.append(chunk)
                yield chunk
            self._note(chunks)

        def close(self) -> None:
            self._stream.close()

        async def aclose(self) -> None:
            await self._stream.aclose()

    class Transport(httpx.HTTPTransport):
        def handle_request(self, request: Any) -> Any:
            response = super().handle_request(request)
            response.stream = Noted(request, response)
            return response

    class AsyncTransport(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: Any) -> Any:
            response = await super().handle_async_request(request)
            response.stream = Noted(request, response)
            return response

    return AsyncTransport() if asynchronous else Transport()


async def run(options: argparse.Namespace) -> None:
    """Run all examples with one client."""
    exchanges: list[dict[str, Any]] = []
    kind = openai.AsyncOpenAI if options.asynchronous else openai.OpenAI
    http = openai.DefaultAsyncHttpxClient if options.asynchronous else openai.DefaultHttpxClient
    transport = recording_transport(exchanges, asynchronous=options.asynchronous)
    client: Any = kind(
        max_retries=0,
        timeout=120,
        _strict_response_validation=options.strict,
        http_client=http(transport=transport),
    )
    control = Control(os.environ["UNDERSTUDY_CONTROL"], client.api_key, exchanges)
    failures = 0
    for example in EXAMPLES:
        try:
            await example(client, control)
            print(f"ok      {example.__name__}", flush=True)
        except Exception as error:
            failures += 1
            print(f"FAILED  {example.__name__}: {_told(error)}", flush=True)
    await settled(client.close())
    if options.dump:
        with open(options.dump, "w", encoding="utf-8") as file:
            json.dump(exchanges, file, indent=1)
    if failures:
        raise SystemExit(f"{failures} of {len(EXAMPLES)} examples failed")
    print(f"all {len(EXAMPLES)} examples hold with openai {openai.VERSION}")


def _told(error: BaseException) -> str:
    """Return an error with the lines of the example that led to it."""
    lines = []
    trace = error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.name.startswith("guide_"):
            lines.append(f"{path.name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return f"{' > '.join(lines)}: {type(error).__name__}: {error}"


def main() -> None:
    """Run from a command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--strict", action="store_true", help="let the client validate everything it gets")
    parser.add_argument("--async", dest="asynchronous", action="store_true", help="use the asynchronous client")
    parser.add_argument("--dump", metavar="FILE", help="write all answers down, body by body")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
