"""A project as one JSON document: written, read again, compared.

May import: `core` and below. Start reading at `document.py`.
"""
