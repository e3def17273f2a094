"""Attacks on a server in a process of its own: it is killed, and sent what nobody should send. Counts are printed."""
