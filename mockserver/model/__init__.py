"""The deterministic model: `Prompt -> Reply`, and the tokenizer that counts what it reads and writes.

May import: `mockserver.wire`, pure standard library, the tokenizer. No clock, no randomness.
Start reading at `prompt.py`, then `seeded.py`.
"""
