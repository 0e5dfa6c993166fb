"""MCP's official conformance suite against workspaces: what passes without Moorage in between passes with it.

The suite knows no credentials, so a proxy on loopback puts them in. The server behind is one that passes all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from mcpsite import Site, site
from realparts.mcpservers.parts import (
    LEGACY,
    MODERN,
    Conformance,
    Scenario,
    everything,
    required,
    serve_everything,
    serve_proxy,
)

Found = dict[str, Scenario]

LEGACY_ON_MODERN = {
    "server-sse-multiple-streams": "answers that nothing comes before are JSON, so there is no stream to look at",
    "server-sse-polling": "the newer era knows no stream that a server closes for a while",
}
"""What a client of the older era does not get from a server of the newer one, and why. See ADR 0018."""
MODERN_ON_LEGACY = {
    "input-required-result-basic-elicitation": "a question has no name in the older era: it gets the gateway's",
    "input-required-result-ignore-extra-params": "the suite answers by the name that the question does not have",
    "input-required-result-multiple-input-requests": "servers of the older era ask one thing after the other",
}
"""The same the other way round."""


class Cells:
    """Everything that is run, begun at once: most of what the suite takes is waiting."""

    def __init__(self, folder: Path, stack: ExitStack, upstreams: dict[str, Any], here: Site) -> None:
        self._folder, self._stack, self._here = folder, stack, here
        self._running: dict[str, Conformance] = {}
        self._found: dict[str, Found] = {}
        self._workspaces = {name: here.workspace(name, upstream) for name, upstream in upstreams.items()}
        self._proxies: dict[str, str] = {}

    def begin(self, name: str, url: str, revision: str) -> None:
        folder = self._folder / name
        folder.mkdir()
        self._running[name] = Conformance(url, revision, folder)

    def through(self, name: str, workspace: str, revision: str) -> None:
        if workspace not in self._proxies:
            made = self._workspaces[workspace]
            proxy = serve_proxy(self._folder, made.url, f"Authorization: Bearer {made.key}")
            self._stack.callback(proxy.stop)
            self._proxies[workspace] = proxy.url
        self.begin(name, self._proxies[workspace], revision)

    def found(self, name: str) -> Found:
        if name not in self._found:
            self._found[name] = self._running[name].results()
        return self._found[name]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory, mcp_parts: None) -> Iterator[Cells]:
    """Both revisions direct and through workspaces whose servers know one era only."""
    folder = tmp_path_factory.mktemp("cells")
    with ExitStack() as stack:
        here = stack.enter_context(site(folder, calls_per_minute=0))
        servers = {era: serve_everything(folder, "--era", era, port=here.port()) for era in ("legacy", "modern")}
        for server in servers.values():
            stack.callback(server.stop)
        cells = Cells(folder, stack, {era: server.url for era, server in servers.items()}, here)
        cells.begin("direct-legacy", servers["legacy"].url, LEGACY)
        cells.begin("direct-modern", servers["modern"].url, MODERN)
        cells.through("legacy-legacy", "legacy", LEGACY)
        cells.through("modern-modern", "modern", MODERN)
        cells.through("legacy-modern", "modern", LEGACY)
        cells.through("modern-legacy", "legacy", MODERN)
        yield cells


def lost(direct: Found, through: Found) -> dict[str, tuple[str, ...]]:
    """What passes in `direct` and not in `through`, with what the suite says of it."""
    worse = {}
    for name, scenario in direct.items():
        there = through.get(name, Scenario(name, 0, ("it was not run",)))
        fewer = (f"{there.passed} checks of {scenario.passed} passed",) if there.passed < scenario.passed else ()
        if new := tuple(each for each in there.failed if each not in scenario.failed) or fewer:
            worse[name] = new
    return worse


@pytest.mark.parametrize(("era", "revision"), [("legacy", LEGACY), ("modern", MODERN)])
def test_nothing_is_lost_where_client_and_server_are_of_one_era(cells: Cells, era: str, revision: str) -> None:
    direct, through = cells.found(f"direct-{era}"), cells.found(f"{era}-{era}")
    assert {name: direct[name].failed for name in required(revision) if direct[name].failed} == {}
    assert lost(direct, through) == {}


@pytest.mark.parametrize(
    ("cell", "direct", "exceptions"),
    [
        ("legacy-modern", "direct-legacy", LEGACY_ON_MODERN),
        ("modern-legacy", "direct-modern", MODERN_ON_LEGACY),
    ],
)
def test_across_the_eras_only_that_is_lost_which_is_written_down(
    cells: Cells, cell: str, direct: str, exceptions: dict[str, str]
) -> None:
    worse = lost(cells.found(direct), cells.found(cell))
    assert {name: why for name, why in worse.items() if name not in exceptions} == {}
    assert exceptions.keys() - worse.keys() == set(), "written down as lost, and it is not"


@pytest.mark.slow
def test_the_same_holds_where_the_gateway_has_to_read_everything(tmp_path: Path, mcp_parts: None) -> None:
    """A server over stdio: nothing passes untouched there. It knows both eras, and is spoken to in the newer one."""
    with ExitStack() as stack:
        here = stack.enter_context(site(tmp_path, calls_per_minute=0))
        served = serve_everything(tmp_path)
        stack.callback(served.stop)
        piped = everything()
        cells = Cells(tmp_path, stack, {"piped": piped}, here)
        cells.begin("direct-legacy", served.url, LEGACY)
        cells.begin("direct-modern", served.url, MODERN)
        cells.through("piped-legacy", "piped", LEGACY)
        cells.through("piped-modern", "piped", MODERN)
        for era in ("legacy", "modern"):
            worse = lost(cells.found(f"direct-{era}"), cells.found(f"piped-{era}"))
            assert worse.keys() == (LEGACY_ON_MODERN.keys() if era == "legacy" else set())
