"""The test author's language: lines of a scenario, their conditions, replies and mistakes.

May import: `core` and below. Start reading at `lines.py`, then `loader.py`.
"""
