"""A workspace's workload: started once, used by its servers, ended when idle, stopped, killed, or left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from moorage.api import Conflict, Unavailable, ValidationFailed, WorkloadSpec
from moorage.testing.pytest_plugin import MakeServer
from moorage.testing.server import Server
from moorage_mcp import McpPlugin, folders
from moorage_mcp.config import McpConfig
from moorage_mcp.executed import LOG_LINES, since
from moorage_mcp.records import Kind, Status, UpstreamInfo, WorkspaceInfo
from moorage_mcp.workloads import Workloads
from realparts.lines import Lines
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


PROVIDED = upstream(kind=Kind.PROVIDED)


async def test_every_workspace_has_files_and_git_without_setup(server: Server) -> None:
    owner = (await server.as_user("operator", name="ada")).user
    async with workloads(server) as all_of_them:
        here = workspace(user_id=owner.id)
        program = await all_of_them.exec(here, PROVIDED)
        talk = Lines(program)
        assert (await talk.open())["serverInfo"]["name"] == "moorage-workspace"
        assert {"git_status", "read_file"} <= {tool["name"] for tool in (await talk.ask("tools/list"))["tools"]}
        status = await talk.tool("git_status")
        assert (status["branch"], status["status"]) == ("main", "clean")
        await talk.tool("write_file", path="a.txt", content="hello\n")
        await talk.tool("git_add", files=["a.txt"])
        await talk.tool("git_commit", message="First")
        assert "Author: ada" in (await talk.tool("git_log"))["text"]
        folder = await all_of_them.folder(here)
        assert (folder / "a.txt").read_text() == "hello\n"
        await program.close()


async def test_the_contracts_tools_by_rest(server: Server) -> None:
    client = await server.as_user("operator")
    made = (await client.post("/api/v1/workspaces", json={"name": "mine"})).json()["data"]
    listed = await client.get("/api/v1/mcp/tools", params={"workspace_id": made["id"]}, timeout=WAIT)
    assert {"git_status", "read_file"} <= {tool["name"] for tool in listed.json()["data"]["tools"]}

    async def invoke(tool: str, **parameters: Any) -> Any:
        asked = {"workspace_id": made["id"], "tool": tool, "parameters": parameters}
        answer = await client.post("/api/v1/mcp/invoke", json=asked, timeout=WAIT)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["result"]

    status = await invoke("git_status")
    assert (status["branch"], status["status"]) == ("main", "clean")
    await invoke("write_file", path="a.txt", content="x")
    assert (await invoke("git_status"))["untracked"] == ["a.txt"]
    shown = (await client.get(f"/api/v1/workspaces/{made['id']}")).json()["data"]
    assert shown["container_status"] == "running"
    assert shown["container_id"]
    assert (await client.delete(f"/api/v1/workspaces/{made['id']}")).status_code == 204
    view = await server.hub("mcp").runtimes.get("process")
    async with asyncio.timeout(WAIT):
        while await view.list():
            await asyncio.sleep(0.05)


async def test_the_sandbox_shows_neither_the_servers_data_nor_other_workspaces(server: Server) -> None:
    async with workloads(server) as all_of_them:
        other = await all_of_them.folder(workspace(2))
        (other / "private").write_text("private")
        look = f"cat {other}/private {server.folder}/moorage.toml; ls {server.folder}/data; echo end"
        program = await all_of_them.exec(workspace(), upstream(*SHELL, look))
        said = (await lines(program, lambda data: b"end" in data)).decode()
        assert "private" not in said
        assert "data_dir" not in said
        assert "moorage.db" not in said


async def test_a_hundred_first_calls_start_one_workload(server: Server) -> None:
    async with workloads(server) as all_of_them:
        here = workspace()
        begun = asyncio.gather(*(all_of_them.exec(here, upstream("cat")) for _ in range(100)))
        await until(lambda: all_of_them.figures(here.id)[1] != "stopped")
        programs = await begun
        names = await (await server.hub("mcp").runtimes.get("process")).list()
        assert len(names) == 1
        assert all_of_them.running() == 100
        await programs[7].write(b"seven\n")
        assert await programs[7].read() == b"seven\n"
        await all_of_them.stop(here.id)
        assert {await program.wait() for program in programs} <= {0, 143, 137, 255}
        assert not await (await server.hub("mcp").runtimes.get("process")).list()


async def test_who_leaves_does_not_end_the_start_of_others(server: Server) -> None:
    async with workloads(server) as all_of_them:
        here = workspace()
        first = asyncio.create_task(all_of_them.exec(here, upstream("cat")))
        second = asyncio.create_task(all_of_them.exec(here, upstream("cat")))
        await until(lambda: all_of_them.figures(here.id)[1] == "starting")
        first.cancel()
        program = await second
        await program.write(b"x")
        assert await program.read() == b"x"


async def test_an_idle_workspace_is_stopped_and_starts_again(server: Server) -> None:
    async with workloads(server, idle_seconds=0.2) as all_of_them:
        here = workspace()
        program = await all_of_them.exec(here, upstream("cat"))
        # One that is used is not idle, however long it says nothing.
        other = await all_of_them.exec(here, upstream("cat"))
        await other.close()
        await asyncio.sleep(0.6)
        assert all_of_them.figures(here.id)[1] == "running"
        await program.close()
        await until(lambda: all_of_them.figures(here.id)[1] == "stopped")
        again = await all_of_them.exec(here, upstream(*SHELL, "echo again"))
        assert await again.read() == b"again\n"


async def test_a_workload_that_is_killed_ends_its_servers_and_is_made_again(server: Server) -> None:
    async with workloads(server) as all_of_them:
        here = workspace()
        program = await all_of_them.exec(here, upstream("cat"))
        view = await server.hub("mcp").runtimes.get("process")
        (state,) = (await view.list()).values()
        assert state.unit is not None
        os.kill(int(state.unit), signal.SIGKILL)
        assert await lines(program, lambda _: False) == b""
        assert "signal" in await program.why() or "ended" in await program.why()
        again = await all_of_them.exec(here, upstream(*SHELL, "echo again"))
        assert await again.read() == b"again\n"
        await until(lambda: all_of_them.running() == 0)
        assert len(await view.list()) == 1


async def test_a_keeper_that_is_killed_leaves_nothing_and_it_is_made_again(server: Server) -> None:
    async with workloads(server) as all_of_them:
        here = workspace()
        program = await all_of_them.exec(here, upstream(*SHELL, "sleep 1000 & echo $!; exec cat"))
        inner = (await program.read()).decode().strip()
        view = await server.hub("mcp").runtimes.get("process")
        ((name, state),) = (await view.list()).items()
        assert state.unit is not None
        parent = int(Path(f"/proc/{state.unit}/stat").read_text().rpartition(")")[2].split()[1])
        keeper = keeper_of(parent)
        os.kill(keeper, signal.SIGKILL)
        assert inner
        assert await lines(program, lambda _: False) == b""
        assert (await program.why()).startswith("it was ended, maybe with all that runs")
        again = await all_of_them.exec(here, upstream(*SHELL, "echo again"))
        assert await again.read() == b"again\n"
        await until(lambda: not Path(f"/proc/{state.unit}").exists())
        assert name not in await view.list()


def keeper_of(pid: int) -> int:
    """The keeper above a process."""
    while b"keeper" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        assert pid > 1
    return pid


async def test_what_a_server_started_ends_with_it(server: Server) -> None:
    async with workloads(server) as all_of_them:
        here = workspace()
        keep = await all_of_them.exec(here, upstream("cat"))
        script = "trap '' TERM; (trap '' TERM; sleep 1000) & echo ready; wait; sleep 1000"
        program = await all_of_them.exec(here, upstream(*SHELL, script))
        assert await program.read() == b"ready\n"
        view = await server.hub("mcp").runtimes.get("process")
        (name,) = await view.list()
        before = await view.stats(name)
        assert before is not None
        assert before.processes >= 4
        await program.close()
        assert await program.wait() == 137
        async with asyncio.timeout(WAIT):
            while (now := await view.stats(name)) is None or now.processes > 2:
                await asyncio.sleep(0.05)
        await keep.write(b"still\n")
        assert await keep.read() == b"still\n"


async def test_what_is_missing_is_told_with_what_to_do(server: Server) -> None:
    async with workloads(server) as all_of_them:
        with pytest.raises(ValidationFailed, match=r"'no-such-program' cannot be run.*\[plugins\.mcp\] programs"):
            await all_of_them.exec(workspace(), upstream("no-such-program"))
        with pytest.raises(ValidationFailed, match="no program"):
            await all_of_them.exec(workspace(), upstream(kind=Kind.HTTP))
        with pytest.raises(ValidationFailed, match=r"\[plugins\.mcp\] image"):
            await all_of_them.exec(workspace(2, runtime="docker"), PROVIDED)
        assert all_of_them.figures(2) == (None, "failed")
        with pytest.raises(Unavailable, match="not switched on"):
            await all_of_them.exec(workspace(3, runtime="nothing-such"), PROVIDED)
        for status in (Status.DELETED, Status.INACTIVE):
            with pytest.raises(Conflict, match=status.value):
                await all_of_them.exec(workspace(4, status=status), PROVIDED)
        with pytest.raises(Conflict, match="another server"):
            await all_of_them.exec(workspace(5, server="ffffffff"), PROVIDED)
        failing = await all_of_them.exec(
            workspace(), upstream(*SHELL, "echo no config, key $KEY >&2; exit 3", secrets={"KEY": "abcdef"})
        )
        assert await failing.read() == b""
        assert await failing.why() == "it ended with exit code 3: no config, key …"


async def test_the_reason_of_an_end_is_not_what_another_program_said(server: Server) -> None:
    async with workloads(server) as all_of_them:
        other = upstream("cat", secrets={"KEY": "abcdef"})
        here = workspace(upstreams=(upstream("cat"), other))
        script = "echo no config, key abcdef >&2; exit 3"
        for _ in range(2):
            failing = await all_of_them.exec(here, upstream(*SHELL, script))
            assert await failing.read() == b""
            assert await failing.why() == "it ended with exit code 3: no config, key …"
        killed = await all_of_them.exec(here, upstream(*SHELL, "kill -9 $$"))
        assert await killed.read() == b""
        assert await killed.why() == "it was ended by signal 9"


def test_what_is_new_in_a_log() -> None:
    assert since(b"a\nb\n", b"") == b"a\nb\n"
    assert since(b"a\na\n", b"a\n") == b"a\n"
    assert since(b"b\nc\n", b"a\nb\n") == b"c\n"
    assert since(b"a\n", b"a\n") == b""
    assert since(b"c\n", b"a\nb\n") == b"c\n"
    assert since(b"a\n" * LOG_LINES, b"a\n" * LOG_LINES) == b"a\n" * LOG_LINES


async def test_tools_that_are_not_installed_are_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moorage_mcp.programs.find_spec", lambda name: None)
    async with workloads(server) as all_of_them:
        with pytest.raises(ValidationFailed, match=r"moorage\[mcp\]"):
            await all_of_them.exec(workspace(), PROVIDED)


async def test_secrets_are_seen_by_the_program_alone(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async with workloads(server) as all_of_them:
        secret = "s3cret-of-the-upstream"
        here = upstream(*SHELL, "echo $KEY $PLAIN; exec cat", secrets={"KEY": secret}, env={"PLAIN": "plain"})
        program = await all_of_them.exec(workspace(), here)
        assert await program.read() == f"{secret} plain\n".encode()
        shown = b"".join(path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if readable(path))
        assert secret.encode() not in shown
        view = await server.hub("mcp").runtimes.get("process")
        ((name, state),) = (await view.list()).items()
        assert secret not in repr(state)
        assert secret not in repr(here)
        assert secret.encode() not in await view.logs(name)
        written = subprocess.run(["grep", "-rl", secret, str(server.folder)], capture_output=True, timeout=60)
        assert written.stdout == b""
    assert secret not in caplog.text


def readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


async def test_what_an_earlier_life_left_is_removed_and_a_living_one_is_let_be(server: Server) -> None:
    view = await server.hub("mcp").runtimes.get("process")
    async with workloads(server) as all_of_them:
        program = await all_of_them.exec(workspace(), upstream("cat"))
        await view.create(WorkloadSpec(name="left", command=("sleep", "1000"), labels={"life": "before"}))
        await view.start("left")
        async with workloads(server) as others:
            async with asyncio.timeout(WAIT):
                while "left" in await view.list():
                    await asyncio.sleep(0.02)
            await others.exec(workspace(), upstream("cat"))
            assert len(await view.list()) == 2
        await program.write(b"still\n")
        assert await program.read() == b"still\n"
    assert not await view.list()


async def test_a_folder_that_its_programs_removed_is_made_again(server: Server) -> None:
    async with workloads(server) as all_of_them:
        here = workspace()
        program = await all_of_them.exec(here, upstream(*SHELL, "cd ..; rm -rf files; echo gone; exec cat"))
        assert await program.read() == b"gone\n"
        await all_of_them.stop(here.id)
        lines = Lines(await all_of_them.exec(here, PROVIDED))
        await lines.open()
        await lines.tool("git_init")
        assert (await lines.tool("git_status"))["status"] == "clean"


async def test_without_a_sandbox_it_works_too(moorage_server: MakeServer) -> None:
    none = {"runtimes": {"process": {"isolation": "none"}}}
    async with moorage_server(McpPlugin, config=none) as server, workloads(server) as all_of_them:
        lines = Lines(await all_of_them.exec(workspace(), PROVIDED))
        await lines.open()
        assert (await lines.tool("git_status"))["status"] == "clean"
        refused = await lines.ask("tools/call", name="read_file", arguments={"path": "../.gitconfig"})
        assert "leads out" in refused["content"][0]["text"]


async def test_purge_removes_the_folder_whatever_is_in_it(server: Server) -> None:
    async with workloads(server) as all_of_them:
        here = workspace()
        program = await all_of_them.exec(here, upstream(*SHELL, "mkdir -p a/b; ln -s / a/b/root; chmod 0 a; exec cat"))
        folder = await all_of_them.folder(here)
        await until((folder / "a").exists)
        await all_of_them.purge(here)
        assert await program.read() == b""
        assert not folder.parent.exists()
        assert not list(folder.parent.parent.iterdir())
        await all_of_them.purge(here)
        with pytest.raises(Conflict, match="deleted"):  # A request that began before.
            await all_of_them.exec(here, upstream(*SHELL, "exec cat"))
        assert not list(folder.parent.parent.iterdir())
        assert (await all_of_them.folder(here)).is_dir()


async def test_more_memory_or_processes_than_may_be_end_the_workload_with_the_reason(server: Server) -> None:
    async with workloads(server, memory_bytes=64 * 1024 * 1024) as all_of_them:
        eat = "python3 -c 'x = bytearray(200 << 20); import time; time.sleep(60)'"
        program = await all_of_them.exec(workspace(), upstream(*SHELL, eat))
        assert await lines(program, lambda _: False) == b""
        again = await all_of_them.exec(workspace(), upstream(*SHELL, "echo again"))
        assert await again.read() == b"again\n"


async def test_after_the_end_nothing_is_started(server: Server) -> None:
    async with workloads(server) as all_of_them:
        program = await all_of_them.exec(workspace(), upstream("cat"))
    assert await lines(program, lambda _: False) == b""
    with pytest.raises(Unavailable, match="stopping"):
        await all_of_them.exec(workspace(), upstream("cat"))
    assert not await (await server.hub("mcp").runtimes.get("process")).list()


@pytest.mark.parametrize("name", ['A "quoted" \\ name', "<x@y>\n[core]\n\thooksPath = /tmp", "", "Ädä 😀", "."])
def test_any_name_commits(tmp_path: Path, name: str) -> None:
    folders.make(tmp_path / "w" / "ws_1", name, "")
    files = tmp_path / "w" / "ws_1" / folders.FILES
    environment = {"HOME": str(files.parent), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", "-C", str(files), "commit", "--allow-empty", "-q", "-m", "x"],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    listed = subprocess.run(["git", "config", "--global", "--list", "--name-only"], env=environment,
                            capture_output=True, text=True, timeout=60).stdout.split()  # fmt: skip
    assert sorted(listed) == ["init.defaultbranch", "safe.directory", "user.email", "user.name"]
