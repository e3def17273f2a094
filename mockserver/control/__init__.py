"""The test author's levers: clock, script queue, faults, snapshots, journal.

May import: `mockserver.core`, `mockserver.model` and `mockserver.wire`. Start reading at `clock.py`.
"""
