"""Every option of the command line and every switch of the behaviour, once.

May import: the standard library and click. Nothing else of this project.
Start reading at `settings.py`; `switches.py` has what nobody knows of the real API for sure.
"""
