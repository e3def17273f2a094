"""Write down a talk of a web page as Chromium does: `python -m tests.contract.record_chromium`.

The page calls a mock with `fetch`; the HAR goes to `fixtures/recordings/chromium.har`, without what names the machine
that made it. Needs playwright and Chromium.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from mockserver import Mock
from tests.support.page_talk import CALLS, HAR

CHROMIUM = "/usr/bin/chromium"
KEY = "sk-a-page-0123456789"
UPSTREAM = "https://api.openai.com"
KEPT_HEADERS = ("accept", "authorization", "content-type", "x-request-id")
# a call's body and path may name the id of the answer before it
SCRIPT = """async ([calls, key]) => {
  let last = '';
  for (const [method, path, body] of calls) {
    const fill = (text) => text.replaceAll('{last}', last);
    const answer = await fetch(fill(path), {
      method,
      headers: {'authorization': `Bearer ${key}`, ...(body === null ? {} : {'content-type': 'application/json'})},
      body: body === null ? undefined : fill(JSON.stringify(body)),
    });
    const said = await answer.text();
    const found = /"id": ?"(resp_[^"]+)"/.exec(said);
    if (found) last = found[1];
  }
}"""


def record(place: Path) -> Any:
    """What Chromium makes of the talk."""
    file = place / "talk.har"
    with Mock(clock="2026-11-20T12:00:00Z", seed=7) as api, sync_playwright() as playwright:
        base_url = api.base_url
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        context = browser.new_context(
            record_har_path=file, record_har_content="embed", record_har_url_filter="**/v1/**"
        )
        page = context.new_page()
        page.goto(base_url.removesuffix("/v1") + "/_mock/health")
        page.evaluate(SCRIPT, [CALLS, KEY])
        context.close()
        browser.close()
        text = file.read_text().replace(base_url.removesuffix("/v1"), UPSTREAM)
    return json.loads(text)


def scrub(har: Any) -> Any:
    """The HAR without addresses, timings and headers of the machine that made it; the key stays, to be found."""
    log = har["log"]
    entries = [
        {
            "startedDateTime": f"2026-11-20T12:00:{number:02}.000Z",
            "time": 40.0,
            "request": _scrub_headers(entry["request"]),
            "response": _scrub_headers(entry["response"]),
        }
        for number, entry in enumerate(log["entries"])
    ]
    return {
        "log": {"version": log["version"], "creator": log["creator"], "browser": log["browser"], "entries": entries}
    }


def _scrub_headers(message: Mapping[str, Any]) -> dict[str, Any]:
    headers = [pair for pair in message["headers"] if pair["name"].lower() in KEPT_HEADERS]
    kept = ("method", "url", "queryString", "postData", "status", "statusText", "content")
    return {"headers": headers, **{name: message[name] for name in kept if name in message}}


def main() -> None:
    """Record, and write the fixture."""
    with tempfile.TemporaryDirectory() as place:
        HAR.write_text(json.dumps(scrub(record(Path(place))), indent=1) + "\n")
    print(f"{HAR.name}: {HAR.stat().st_size} bytes")


if __name__ == "__main__":
    main()
