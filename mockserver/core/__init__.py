"""What the API does: state, admission, turns, conversations, pages, as pure functions.

Reads are a parameter (`State`), writes are a return value (`Change`s), `now` is the last argument.
May import: `mockserver.wire`, `mockserver.switches` and pure standard library. No IO, no clock, no async.
Start reading at `state.py`, `admission.py`, `turn.py`.
"""
