"""The fixed rules, a module per subject; a check takes a server under test and raises AssertionError.

May import: `conformance` and below. Start reading at `storage.py`.
"""
