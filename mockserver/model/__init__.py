"""The deterministic model: `Prompt -> Reply`, and the tokenizer that counts what it reads and writes.

May import: `config`, `wire` and `config.pacing`, the tokenizer. No clock, no randomness.
Start reading at `prompt.py`, then `default_model.py`.
"""
