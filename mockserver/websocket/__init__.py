"""One WebSocket connection without IO: lanes, turns on their way, steering.

May import: `engine` and below. Start reading at `session.py`.
"""
