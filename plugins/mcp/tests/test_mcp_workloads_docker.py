"""A workspace's workload as a container of a real Docker engine, in an image that is busybox and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from moorage.api import Unavailable, ValidationFailed
from moorage.testing.pytest_plugin import MakeServer
from moorage.testing.server import Server
from moorage_mcp import McpPlugin
from moorage_mcp.config import McpConfig
from moorage_mcp.records import Kind, Status, UpstreamInfo, WorkspaceInfo
from moorage_mcp.workloads import Workloads
from realparts.docker_engine import DockerEngine
from waits import WAIT

SHELL = ("/bin/sh", "-c")


def workspace(number: int = 1, **more: Any) -> WorkspaceInfo:
    now = datetime.now(UTC)
    made: dict[str, Any] = {"id": number, "pid": f"ws_Test{number}", "name": "w", "user_id": 1, "user_pid": "user_x"}
    made |= {"status": Status.ACTIVE, "created_at": now, "updated_at": now, "runtime": "docker"}
    return WorkspaceInfo(**{**made, **more})


def upstream(*command: str, **more: Any) -> UpstreamInfo:
    made: dict[str, Any] = {"id": 1, "pid": "up_1", "workspace_id": 1, "name": "one", "kind": Kind.STDIO}
    return UpstreamInfo(**{**made, "command": command, **more})


@asynccontextmanager
async def workloads(server: Server, **settings: Any) -> AsyncIterator[Workloads]:
    made = Workloads(server.hub("mcp"), McpConfig(**{"image": "busybox:test", **settings}))
    await made.start()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def server(moorage_server: MakeServer, docker_engine: DockerEngine, busybox_image: str) -> AsyncIterator[Server]:
    docker = {"enabled": True, "url": docker_engine.url}
    async with moorage_server(McpPlugin, config={"runtimes": {"docker": docker}}) as running:
        yield running
        left = docker_engine.docker("ps", "-aq", "--filter", "name=mcp.ws-").stdout
        assert left == ""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT):
        while not condition():
            await asyncio.sleep(0.02)


async def test_servers_are_executed_in_one_container_and_see_the_workspaces_folder(
    server: Server, docker_engine: DockerEngine
) -> None:
    async with workloads(server) as all_of_them:
        here, secret = workspace(), "s3cret-of-the-upstream"
        wanted = upstream(*SHELL, "pwd; echo $HOME $KEY; touch made; exec cat", secrets={"KEY": secret})
        one, two = await asyncio.gather(all_of_them.exec(here, wanted), all_of_them.exec(here, upstream("cat")))
        folder = await all_of_them.folder(here)
        said = b""
        while said.count(b"\n") < 2:
            said += await one.read()
        assert said.decode().splitlines() == [str(folder), f"{folder.parent} {secret}"]
        await one.write(b"x")
        assert await one.read() == b"x"
        assert (folder / "made").is_file()
        unit, status = all_of_them.figures(here.id)
        assert status == "running"
        assert docker_engine.docker("ps", "-q", "--no-trunc", "--filter", "name=mcp.ws-").stdout.strip() == unit
        assert unit is not None
        assert secret not in docker_engine.docker("inspect", unit).stdout
        assert secret not in docker_engine.docker("top", unit, "-o", "pid,args").stdout
        shown = b"".join(read(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
        assert secret.encode() not in shown
        await one.close()
        await two.write(b"still\n")
        assert await two.read() == b"still\n"
        await all_of_them.stop(here.id)
        assert await two.read() == b""
        assert all_of_them.figures(here.id) == (None, "stopped")


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def test_a_container_that_is_killed_ends_its_servers_and_is_made_again(
    server: Server, docker_engine: DockerEngine
) -> None:
    async with workloads(server) as all_of_them:
        here = workspace()
        program = await all_of_them.exec(here, upstream("cat"))
        unit, _ = all_of_them.figures(here.id)
        assert unit is not None
        docker_engine.docker("kill", unit)
        assert await program.read() == b""
        again = await all_of_them.exec(here, upstream(*SHELL, "echo again; exec cat"))
        assert await again.read() == b"again\n"
        assert all_of_them.figures(here.id)[0] != unit


async def test_what_is_missing_is_told(server: Server) -> None:
    async with workloads(server) as all_of_them:
        failing = await all_of_them.exec(workspace(), upstream(*SHELL, "echo no config >&2; exit 3"))
        assert await failing.read() == b""
        assert await failing.why() == "it ended with exit code 3: no config"
        for wanted, name in ((upstream("no-such"), "no-such"), (upstream(kind=Kind.PROVIDED), "python3")):
            program = await all_of_them.exec(workspace(), wanted)
            while await program.read():
                pass
            said = await program.why()
            assert said.startswith(f"{name!r} cannot be run. It must be installed in the image ([plugins.mcp] image)")
    async with workloads(server, image="nothing:such") as others:
        with pytest.raises(ValidationFailed, match="'nothing:such' is not on the Docker engine"):
            await others.exec(workspace(2), upstream("cat"))
        assert others.figures(2) == (None, "failed")


async def test_an_engine_that_is_away_is_told_and_nothing_waits_for_it(
    moorage_server: MakeServer, tmp_path: Path
) -> None:
    docker = {"enabled": True, "url": f"unix://{tmp_path}/none.sock"}
    async with (
        moorage_server(McpPlugin, config={"runtimes": {"docker": docker}}) as server,
        workloads(server) as all_of_them,
    ):
        with pytest.raises(Unavailable, match="Docker engine"):
            await all_of_them.exec(workspace(), upstream("cat"))
        await all_of_them.stop(1)


@pytest.mark.slow
async def test_an_engine_that_goes_away_takes_its_servers_and_comes_back(
    moorage_server: MakeServer, own_docker_engine: DockerEngine
) -> None:
    engine = own_docker_engine
    engine.import_busybox()
    docker = {"enabled": True, "url": engine.url, "timeout": 5}
    async with (
        moorage_server(McpPlugin, config={"runtimes": {"docker": docker}}) as server,
        workloads(server) as all_of_them,
    ):
        one, two = workspace(1), workspace(2)
        programs = [await all_of_them.exec(here, upstream("cat")) for here in (one, two)]
        for program in programs:
            await program.write(b"x")
            assert await program.read() == b"x"
        await asyncio.to_thread(engine.end)
        for program in programs:
            assert await program.read() == b""
        await all_of_them.stop(one.id)
        assert all_of_them.figures(one.id) == (None, "stopped")
        with pytest.raises(Unavailable, match="Docker engine"):
            await all_of_them.exec(two, upstream("cat"))
        await asyncio.to_thread(engine.start)
        again = await all_of_them.exec(two, upstream(*SHELL, "echo again; exec cat"))
        assert await again.read() == b"again\n"
        async with asyncio.timeout(WAIT):
            while len(engine.docker("ps", "-aq").stdout.split()) > 1:
                await asyncio.sleep(0.2)


async def test_the_folder_is_made_over_to_the_containers_user(
    moorage_server: MakeServer, docker_engine: DockerEngine, busybox_image: str
) -> None:
    docker = {"enabled": True, "url": docker_engine.url, "user": "1234:1234"}
    async with (
        moorage_server(McpPlugin, config={"runtimes": {"docker": docker}}) as server,
        workloads(server) as all_of_them,
    ):
        # The server's folders are for its own user; the engine, which mounts them, is root.
        program = await all_of_them.exec(workspace(), upstream(*SHELL, "id -u; touch made && cat .git/HEAD; exec cat"))
        said = b""
        while said.count(b"\n") < 2:
            part = await program.read()
            assert part, (said, await program.why())
            said += part
        assert said == b"1234\nref: refs/heads/main\n"
        folder = await all_of_them.folder(workspace())
        assert {path.stat().st_uid for path in (folder.parent, folder, folder / "made", folder / ".git/HEAD")} == {1234}
        await all_of_them.purge(workspace())
        assert not folder.parent.exists()
