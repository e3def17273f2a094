"""How a turn leaves: events, steps in time, faults on the way, and the player that all transports share.

May import: `config` and `wire`. No clock, no IO. Start reading at `events.py`, then `player.py`.
"""
