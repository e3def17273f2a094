"""The mock: the documented semantics of /v1/responses and /v1/conversations, deterministic and stateful.

Rooms, from the edge inwards: `transport` → `engine` → `core`, `model`, `control`, `cassette`, `store` → `wire`.
Start reading at `engine.py`, then `core/admission.py` and `core/turn.py`.
"""

__version__ = "0.1.0"
