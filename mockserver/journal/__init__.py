"""The journal: one exchange per call, the context that the model saw, the mistakes of clients.

May import: `core` and below. Start reading at `exchange.py`.
"""
