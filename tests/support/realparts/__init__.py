"""Real parts that tests run against: PostgreSQL, Redis, tmux, Chromium, a Docker engine.

Each class starts its own process on loopback, in a folder of its own, and ends what it started by process id.
"""
