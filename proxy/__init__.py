"""The proxy: decide per request, forward byte for byte or hand over to the mock.

Imports `mockserver`; never the reverse. Start reading at `app.py`, then `relay.py`.
"""
