"""Is that server right? Rules that can be checked from outside, a state machine, and `conform`.

May import: everything of `mockserver`. Start reading at `registry.py`, then `checks/` and `machine/`.
"""
