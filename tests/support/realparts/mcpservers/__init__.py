"""MCP servers to put behind the gateway, and what tests MCP itself: fixtures of the conformance suite, faults, npm's.

`everything` and `faulty` are programs: they import nothing of the tests, and so run from wherever they are put.
"""
