"""Where records live: six methods, two stores, one test suite for both.

May import: `mockserver.core.state` only (and its own driver). Start reading at `view.py`.
"""
