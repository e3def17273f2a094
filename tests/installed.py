"""Start an installed `understudy` command, ask it one thing, stop it: `python -m tests.installed PATH`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request


def main(command: str) -> None:
    """Raise when the command does not start, answer and stop."""
    process = subprocess.Popen([command, "--port", "0"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    banner = [process.stdout.readline().strip() for _ in range(4)]
    base_url = banner[1].removeprefix("export OPENAI_BASE_URL=")
    asked = urllib.request.Request(
        f"{base_url}/responses",
        data=json.dumps({"model": "gpt-4.1", "input": "ping"}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        said = json.load(answer)["output"][0]["content"][0]["text"]
    with urllib.request.urlopen(f"{base_url.removesuffix('/v1')}/_mock/viewer/main.js", timeout=30) as answer:
        assert b"createStore" in answer.read(), "the viewer's files are part of the package"
    process.send_signal(signal.SIGTERM)
    assert said == "Mock reply to: ping [1 items in context]", said
    assert process.wait(timeout=30) == 0
    print("\n".join([*banner, said]))


if __name__ == "__main__":
    main(sys.argv[1])
