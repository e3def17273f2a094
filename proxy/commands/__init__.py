"""Subcommands of `understudy` that are no server: `scenario` and `snapshot`.

May import: everything of `mockserver`. Start reading at `scenario.py`.
"""
