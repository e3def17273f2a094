"""What users import in their tests. Empty until the test author's kit is built.

May import: everything of `mockserver`.
"""
