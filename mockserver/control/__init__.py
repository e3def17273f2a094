"""The test author's levers: clock, script queue, snapshots (later faults and journal).

May import: `mockserver.core` and `mockserver.wire`. Start reading at `clock.py`.
"""
