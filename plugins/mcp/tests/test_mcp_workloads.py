"""A workspace's workload: started once, used by its servers, ended when idle, stopped, killed, or left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from moorage.testing.pytest_plugin import MakeServer
from moorage.testing.server import Server
from moorage_mcp import McpPlugin
from moorage_mcp.config import McpConfig
from moorage_mcp.records import Kind, Status, UpstreamInfo, WorkspaceInfo
from moorage_mcp.workloads import Workloads
from waits import WAIT

SHELL = ("/bin/sh", "-c")


def workspace(number: int = 1, **more: Any) -> WorkspaceInfo:
    now = datetime.now(UTC)
    made: dict[str, Any] = {"id": number, "pid": f"ws_Test{number}", "name": "w", "user_id": 1, "user_pid": "user_x"}
    return WorkspaceInfo(**{**made, "status": Status.ACTIVE, "created_at": now, "updated_at": now, **more})


def upstream(*command: str, **more: Any) -> UpstreamInfo:
    made: dict[str, Any] = {"id": 1, "pid": "up_1", "workspace_id": 1, "name": "one", "kind": Kind.STDIO}
    return UpstreamInfo(**{**made, "command": command, **more})


@asynccontextmanager
async def workloads(server: Server, **settings: Any) -> AsyncIterator[Workloads]:
    made = Workloads(server.hub("mcp"), McpConfig(**settings))
    await made.start()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def server(moorage_server: MakeServer) -> AsyncIterator[Server]:
    async with moorage_server(McpPlugin) as running:
        yield running


async def lines(program: Any, until: Callable[[bytes], bool]) -> bytes:
    data = b""
    async with asyncio.timeout(WAIT):
        while not until(data):
            more = await program.read()
            if not more:
                break
            data += more
    return data


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_server_is_executed_in_the_workspaces_folder(server: Server) -> None:
    async with workloads(server) as all_of_them:
        here = workspace()
        assert all_of_them.figures(here.id) == (None, "stopped")
        program = await all_of_them.exec(here, upstream(*SHELL, "pwd; echo $HOME; read line; echo got $line"))
        await program.write(b"hello\n")
        said = (await lines(program, lambda data: b"got" in data)).decode().splitlines()
        folder = await all_of_them.folder(here)
        assert said == [str(folder), str(folder.parent), "got hello"]
        unit, status = all_of_them.figures(here.id)
        assert unit
        assert status == "running"
        assert await program.wait() == 0
        assert (folder / ".git" / "HEAD").read_text() == "ref: refs/heads/main\n"
        assert folder.stat().st_mode & 0o777 == 0o700
