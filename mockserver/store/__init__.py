"""Where records live: six methods, several stores, one test suite for all.

May import: `core.records` and the stores' own drivers. Start reading at `view.py`.
"""
