"""JSON that satisfies a JSON Schema, always the same for the same schema and seed.

May import: the standard library and jsonschema. Start reading at `generate.py`.
"""
