"""The conformance kit: rules that any server can be checked against, a state machine, and `understudy conform`.

May import: everything of `mockserver`. Start reading at `registry.py`, then `checks/` and `machine/`.
"""
