"""Every option of the command line and every behaviour switch, each defined once.

May import: the standard library and click. Nothing else of this project.
Start reading at `settings.py`; `switches.py` has the behaviour on which sources disagree.
"""
