"""Fixtures of the whole test run, for `tests/` and the plugins' own tests alike."""

import functools
import inspect

import httpx
import httpx._transports.default as transports
import pytest
from waits import WAIT

pytest_plugins = ["realparts.fixtures", "secondchance"]

# What a request without a limit of its own has: httpx's five seconds can pass on a busy machine.
inspect.signature(httpx.Client).parameters["timeout"].default.__init__(WAIT)

# Each client reads the certificates of all authorities anew, 25 ms of computing; thousands are made here.
transports.create_ssl_context = functools.cache(transports.create_ssl_context)

# A browser breaks off what it loads whenever a network interface comes or goes, and containers bring theirs.
NETWORK = {"chromium", "docker_engine", "own_docker_engine", "podman"}


# What takes longest, one group after the other; begun last, one would go on alone at the end.
LONG = (
    "network",
    "test_opencode_",
    "test_fuzz",
    "test_third",
    "test_guide",
    "test_files_",
    "test_tmux_",
    "test_lifecycle",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For `--dist loadgroup`: a file's tests stay together, and files that need the machine's network to themselves."""
    groups: dict[object, str] = {}
    for item in items:
        used = NETWORK & set(getattr(item, "fixturenames", ()))
        groups[item.path] = "network" if used else groups.get(item.path, str(item.path.name))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item.path]))
    rank = {
        group: next((n for n, name in enumerate(LONG) if group.startswith(name)), len(LONG))
        for group in groups.values()
    }
    items.sort(key=lambda item: rank[groups[item.path]])
