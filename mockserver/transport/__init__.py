"""The edge, the only async room of the mock: ASGI in, engine calls, JSON or SSE out.

May import: `mockserver.engine` and below, starlette. Start reading at `app.py`, then `routes.py`.
"""
