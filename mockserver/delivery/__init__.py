"""How a turn leaves: its schedule, its events, what faults do to them on the way, and the one player of all transports.

May import `wire` and `config`. Start reading at `schedule.py` (the steps), then `player.py`.
"""
