"""What a client is told when something is wrong: status, type, code, param, message.

May import: `config` and `wire`. Start reading at `api.py`; `validation.py` has the sentences about single parameters.
"""
