"""What comes in: bodies, query strings and frames, checked in the API's own order.

May import: `config` and `wire`. Start reading at `bodies.py`, then `validation.py`.
"""
