"""Faults: what a test author lets go wrong, when it does, and rate limits, which are faults too.

May import: `mockserver.core`, `mockserver.model`, `mockserver.wire`, and the effects in `mockserver.control`.
Start reading at `spec.py`.
"""
