"""The edge, the only async room of the mock: ASGI in, engine calls, JSON or events out.

May import: `websocket`, `engine` and below, starlette, uvicorn. Start reading at `app.py`, then `http.py`.
"""
