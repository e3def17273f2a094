"""Random conversations with a server, checked step by step against a small reference model.

May import: `conformance` and below. Start reading at `random_walk.py`, then `operations.py`.
"""
