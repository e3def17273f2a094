"""What users import in their tests: so far the drivers that the conformance kit judges servers through.

May import: everything of `mockserver`. Start reading at `driver.py`.
"""
