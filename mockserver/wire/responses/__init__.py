"""What goes out: response objects, resources, stream events, ids, and their encoding.

May import: `config` and `wire`. Start reading at `resources.py`, then `events.py`.
"""
