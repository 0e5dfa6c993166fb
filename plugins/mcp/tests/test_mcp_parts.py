"""What the other tests of the plugin run against, by itself: servers and the conformance suite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from realparts.mcpservers.parts import (
    LEGACY,
    MODERN,
    Conformance,
    Served,
    everything,
    faulty,
    npm_server,
    pypi_server,
    required,
    serve_everything,
    serve_faulty,
    serve_proxy,
)


def client(command: list[str], mode: str = "auto", **env: str) -> Client:
    return Client(stdio_client(StdioServerParameters(command=command[0], args=command[1:], env=env)), mode=mode)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    server = serve_everything(tmp_path_factory.mktemp("everything"))
    yield server
    server.stop()


def test_the_server_passes_the_whole_suite_of_both_revisions(served: Served, tmp_path: Path, mcp_parts) -> None:
    """It is what scenarios through the gateway are compared with."""
    folders = {revision: tmp_path / revision for revision in (LEGACY, MODERN)}
    for folder in folders.values():
        folder.mkdir()
    running = {revision: Conformance(served.url, revision, folder) for revision, folder in folders.items()}
    for revision, suite in running.items():
        found = suite.results()
        wrong = {name: each.failed for name, each in found.items() if each.failed and not name.startswith("tasks-")}
        assert wrong == {}
        assert required(revision) <= found.keys()
        assert len(required(revision)) >= 30


def test_the_suite_finds_what_a_header_is_needed_for(served: Served, tmp_path: Path, mcp_parts) -> None:
    """Through the proxy that puts it in, nothing is lost: not even that a wrong Host is refused."""
    proxy = serve_proxy(tmp_path, served.url, "X-Seen: yes")
    try:
        found = Conformance(proxy.url, LEGACY, tmp_path).results()
    finally:
        proxy.stop()
    assert {name: each.failed for name, each in found.items() if each.failed} == {}


@pytest.mark.parametrize(
    ("era", "mode"), [("both", "auto"), ("legacy", "auto"), ("legacy", "legacy"), ("modern", MODERN)]
)
async def test_the_server_speaks_the_eras_that_it_is_told_to(era: str, mode: str) -> None:
    async with client(everything("--era", era), mode) as one:
        found = (await one.call_tool("client", {})).structured_content
    assert found["version"] == (LEGACY if era == "legacy" else MODERN)


@pytest.mark.parametrize(("era", "mode"), [("legacy", MODERN), ("modern", "legacy")])
async def test_the_server_refuses_the_other_era(era: str, mode: str, tmp_path: Path) -> None:
    server = serve_everything(tmp_path, "--era", era)
    try:
        for place in (
            server.url,
            stdio_client(StdioServerParameters(command=everything()[0], args=everything("--era", era)[1:])),
        ):
            with pytest.raises((MCPError, ExceptionGroup)):
                async with Client(place, mode=mode) as one:
                    await one.list_tools()
        async with Client(server.url, mode="auto") as one:
            assert (await one.call_tool("echo", {"message": "hello"})).content[0].text == "hello"
    finally:
        server.stop()


@pytest.mark.parametrize("name", ["server-everything", "server-filesystem", "server-memory"])
async def test_servers_of_npm_run(name: str, tmp_path: Path, mcp_parts) -> None:
    arguments = {"server-everything": ["stdio"], "server-filesystem": [str(tmp_path)], "server-memory": []}[name]
    async with client(npm_server(name, *arguments)) as one:
        assert len((await one.list_tools()).tools) > 8


async def test_a_server_of_pypi_runs() -> None:
    async with client(pypi_server("mcp_server_time")) as one:
        assert (await one.call_tool("get_current_time", {"timezone": "UTC"})).content


async def test_the_server_that_does_wrong_can_also_do_right(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with client(faulty("--log", str(log))) as one:
        assert (await one.call_tool("ok", {})).content[0].text == "ok"
        found = (await one.call_tool("counts", {})).content[0].text
        assert json.loads(found)["starts"] == 1
    server = serve_faulty(tmp_path)
    try:
        async with Client(server.url, mode="legacy") as one:
            assert (await one.call_tool("twice", {})).content[0].text == "first"
    finally:
        server.stop()
