"""How many tokens a context costs: items, tools, images, as measured.

May import: `config` and `wire`. Start reading at `context.py`.
"""
