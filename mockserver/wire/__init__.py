"""What the bytes mean: requests, items, events, resources, errors, ids, the model catalogue.

May import: pydantic, orjson and the standard library's pure parts. Nothing else of this project.
Start reading at `resources.py` (what goes out) and `requests.py` (what comes in).
"""
