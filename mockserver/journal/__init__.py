"""What happened: one exchange per call, the context that the model saw, what clients get wrong.

May import: `core` and below. Start reading at `exchange.py`.
"""
