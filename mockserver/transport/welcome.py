"""What this server is, as text: for whoever asks `/` or `/_mock/` with curl. A browser gets the viewer there.

It says how to use the server and which control calls there are; it shows no state, so it needs no key.
"""

from __future__ import annotations

from mockserver.config.settings import Settings
from mockserver.delivery.answer import Answer
from mockserver.journal.exchange import Call
from mockserver.version import __version__

PATHS = frozenset(("/", "/_mock", "/_mock/"))


def asks_for_page(call: Call) -> bool:
    """Whether a call wants to know what this is."""
    return call.path in PATHS and call.method in ("GET", "HEAD")


def welcome(call: Call, settings: Settings, controls: list[str]) -> Answer:
    """The text; `controls` are the control calls."""
    origin = f"http://{(call.header(b'host') or '127.0.0.1')[:200]}"
    lines = [
        f"understudy {__version__} · mode {settings.default_mode}",
        "",
        "A local mock of the OpenAI APIs /v1/responses and /v1/conversations. Point a client to it:",
        "",
        f"export OPENAI_BASE_URL={origin}/v1",
        "export OPENAI_API_KEY=any",
        "",
        f"The viewer, for a browser: {origin}/_mock/",
        "",
        "Control calls, with the key of the client whose project they are about:",
        "",
        *controls,
        "",
    ]
    return Answer("\n".join(lines).encode(), content_type=b"text/plain; charset=utf-8")
