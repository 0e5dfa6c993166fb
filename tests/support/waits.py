"""How long tests wait for what must come. An event that comes costs nothing of it, on whatever machine.

Only for what is bound to come at some time. Where a test is about the time that something takes, it has its own limit.
"""

WAIT = 30.0
"""Seconds for a message, an answer, a process."""
PAGE = 60_000
"""Milliseconds for what a browser shows."""
