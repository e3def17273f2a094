"""What the machine checks of a foreign server in the profile `state`: echoes if they are there, and what the model saw.

Assertion rewriting is off, so failures show only the messages written here: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mockserver.conformance.machine.reference_model import Item
from mockserver.model.echo_model import read_echo, shown

Json = dict[str, Any]


def check_echoes(body: Json, expected: Mapping[str, Any]) -> None:
    """Check the echoes that a response has; missing and null ones claim nothing."""
    for name, value in expected.items():
        found = body.get(name)
        assert found is None or found == value, f"{name} is {found!r}, was {value!r}"


def check_seen(output: Sequence[Item], context: Iterable[Item], instructions: str | None) -> None:
    """Check what an echo model says that it saw; other outputs say nothing. Spec: R1.20, R1.21, R1.28, R2.8."""
    echo = read_echo(output[-1].text) if output and output[-1].type == "message" else None
    if echo is None:
        return
    wanted = [_line(item.type, item.role, shown(item.text)) for item in context]
    found = [_line(item["type"], item.get("role"), item["text"]) for item in echo["echo"]]
    # a gateway may send instructions as the first message
    if instructions is not None and found[:1] == [_line("message", "system", shown(instructions))]:
        found = found[1:]
    else:
        assert echo["instructions"] in (instructions, None if instructions is None else shown(instructions)), (
            f"the model got the instructions {echo['instructions']!r}, not {instructions!r} (R1.21)"
        )
    assert found == wanted, f"the model saw {found}, not {wanted} (R1.20)"


def _line(type: str, role: str | None, text: str | None) -> str:
    if type != "message":
        return type
    return f"{'system' if role == 'developer' else role}: {text}"
