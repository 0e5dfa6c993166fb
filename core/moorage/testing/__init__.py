"""The kit for plugin authors: a server in the test's own process, and a suite that every plugin must pass.

`moorage.testing.server` has the server and its clients, `moorage.testing.conformance` the suite; the fixtures come
with the pytest plugin. This package itself imports nothing, because pytest loads it in every project that has Moorage
installed.
"""
