"""Fixtures of the whole test run, for `tests/` and the plugins' own tests alike."""

import inspect

import httpx
from waits import WAIT

pytest_plugins = ["realparts.fixtures"]

# What a request without a limit of its own has: httpx's five seconds can pass on a busy machine.
inspect.signature(httpx.Client).parameters["timeout"].default.__init__(WAIT)
