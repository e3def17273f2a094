"""The coordinator: one call is one transaction over a project's records.

May import: `scenarios`, `faults`, `snapshots`, `journal`, `store`, `core` and below. The clock is read here.
Start reading at `engine.py`, then `pipeline.py` and `transactions.py`.
"""
