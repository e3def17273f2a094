"""What the bytes mean: requests, responses, errors, tokens, and the catalogue of models.

May import: `config`, pydantic, orjson and the pure parts of the standard library.
Start reading at `requests/bodies.py` (what comes in) and `responses/resources.py` (what goes out).
"""
