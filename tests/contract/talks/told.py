"""What a talk is told: the city that it asks about, and a word that differs from run to run.

CITY is part of the prompts. RUN goes into everything that does not change what is asked: metadata, users, cache keys,
ids that a client makes up. OPENAI_BASE_URL and OPENAI_API_KEY are for the client. A talk prints what it heard as JSON.
"""

from __future__ import annotations

import json
import os
from typing import Any

CITY, RUN = os.environ["CITY"], os.environ["RUN"]
CHAT, THINKER = "gpt-4.1", "gpt-5.5"
ASKED = f"What is the weather in {CITY}?"
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "Current weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


def look(city: str) -> str:
    """What the tool says."""
    return f"18 degrees in {city}"


def tell(*heard: Any) -> None:
    """Print what was heard."""
    print(json.dumps(heard))
