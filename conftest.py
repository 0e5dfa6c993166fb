"""Fixtures of the whole test run, for `tests/` and the plugins' own tests alike."""

pytest_plugins = ["realparts.fixtures"]
