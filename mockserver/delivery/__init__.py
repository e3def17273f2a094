"""How a turn leaves: what is written when, and how fast.

May import: `mockserver.wire` and below. Start reading at `pacing.py`.
"""
