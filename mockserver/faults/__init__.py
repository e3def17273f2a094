"""Faults: what a test author may break, when it applies, and what it remembers.

May import: `core` and below. Start reading at `spec.py`, then `apply.py`.
"""
