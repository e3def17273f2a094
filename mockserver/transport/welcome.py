"""The page at `/` and `/_mock/`: what this server is, for whoever opens its address in a browser or with curl.

It says how to use the server and which control calls there are; it shows no state, so it needs no key.
"""

from __future__ import annotations

from html import escape

from mockserver.config.settings import Settings
from mockserver.delivery.answer import Answer
from mockserver.journal.exchange import Call
from mockserver.version import __version__

PATHS = frozenset(("/", "/_mock", "/_mock/"))
# no script, no style of others, no frame: there is nothing here that a page needs
POLICY = ((b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),)


def asks_for_page(call: Call) -> bool:
    """Whether a call wants to know what this is."""
    return call.path in PATHS and call.method in ("GET", "HEAD")


def welcome(call: Call, settings: Settings, controls: list[str]) -> Answer:
    """The page, as HTML for a browser and as text for others; `controls` are the control calls."""
    origin = f"http://{(call.header(b'host') or '127.0.0.1')[:200]}"
    lines = [
        f"understudy {__version__} · mode {settings.default_mode}",
        "",
        "A local mock of the OpenAI APIs /v1/responses and /v1/conversations. Point a client to it:",
        "",
        f"export OPENAI_BASE_URL={origin}/v1",
        "export OPENAI_API_KEY=any",
        "",
        "Control calls, with the key of the client whose project they are about:",
        "",
        *controls,
        "",
    ]
    text = "\n".join(lines)
    if "text/html" not in (call.header(b"accept") or ""):
        return Answer(text.encode(), content_type=b"text/plain; charset=utf-8")
    page = f'<!doctype html><meta charset="utf-8"><title>understudy</title><pre>{escape(text)}</pre>'
    return Answer(page.encode(), content_type=b"text/html; charset=utf-8", headers=POLICY)
