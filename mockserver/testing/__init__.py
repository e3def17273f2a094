"""What users import in their tests: drivers, the fixed rules with their catalogue, the state machine, `conform`.

May import: everything of `mockserver`. Start reading at `driver.py`, then `rules.py` and `machine.py`.
"""
