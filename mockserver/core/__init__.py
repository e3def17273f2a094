"""What the API does: admission, turns, conversations, lists, as pure functions.

Reads are a parameter (`State`), writes are a return value (`Change`s), `now` is the last argument.
May import: `model`, `delivery`, `wire`, `config`. No IO, no clock, no async.
Start reading at `records.py`, `admission.py`, `turn.py`.
"""
