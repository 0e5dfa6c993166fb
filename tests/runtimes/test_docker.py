"""Workloads as containers of a real engine: what a spec becomes, and each call of the protocol."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from containers import docker_runtime, remove_all
from harness import running
from moorage.config.settings import DockerSettings
from moorage.errors import Conflict, NotFound, Unavailable, ValidationFailed
from moorage.ownid import own_id
from moorage.runtimes import Limits, Mount, TerminalSize, WorkloadSpec, WorkloadStatus
from moorage.runtimes import docker as docker_module
from moorage.runtimes.docker import DockerRuntime
from realparts.docker_engine import DockerEngine


@pytest.fixture
async def runtime(docker_engine: DockerEngine, busybox_image: str, tmp_path: Path) -> AsyncIterator[DockerRuntime]:
    """A Docker runtime with an id of its own."""
    async with docker_runtime(docker_engine.url, tmp_path / "runtime") as runtime:
        yield runtime
        await remove_all(runtime)


@pytest.fixture
def spec(busybox_image: str) -> Callable[..., WorkloadSpec]:
    """Makes a spec: `spec("name", "script of sh", …)`."""

    def make(name: str, script: str = "exec sleep 1000", **more: Any) -> WorkloadSpec:
        given: dict[str, Any] = {"image": busybox_image, "stop_seconds": 1, "command": ("sh", "-c", script), **more}
        return WorkloadSpec(name=f"test.{name}", **given)

    return make


SERVE = "mkdir /tmp/www && echo {port:web} > /tmp/www/index.html && exec httpd -f -p {host}:{port:web} -h /tmp/www"


def shown(engine, runtime, name):
    """What the engine itself says of a workload."""
    return json.loads(engine.docker("inspect", f"moorage-{runtime._server}-test.{name}").stdout)[0]


async def run(runtime, name, *command, **more):
    """Run a program inside to its end: (exit code, stdout)."""
    program = await runtime.exec(f"test.{name}", command, **more)
    try:
        said = b""
        while part := await program.read():
            said += part
        return await program.wait(), said.decode()
    finally:
        await program.close()


async def test_a_workload_is_made_started_reached_stopped_and_removed(docker_engine, runtime, spec):
    assert (await runtime.inspect("test.one")).status is WorkloadStatus.MISSING
    made = await runtime.create(spec("one", SERVE, ports=("web", "other"), labels={"session": "s1"}))
    assert (made.status, made.labels, made.isolation) == (WorkloadStatus.CREATED, {"session": "s1"}, "container")
    assert made.started_at is None
    assert made.digest == await runtime.digest("busybox:test")
    assert made.digest.startswith("sha256:")

    state = await runtime.start("test.one")
    assert state.running
    assert state.endpoints.keys() == {"web", "other"}
    endpoint = state.endpoints["web"]
    assert endpoint.host == "127.0.0.1"
    async with httpx.AsyncClient() as client:
        for _ in range(100):
            try:
                answer = await client.get(f"http://127.0.0.1:{endpoint.port}/")
                break
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    assert answer.text == "41820\n"
    assert (await runtime.start("test.one")).started_at == state.started_at

    stopped = await runtime.stop("test.one")
    assert (stopped.status, stopped.endpoints) == (WorkloadStatus.EXITED, {})
    assert stopped.ended_at >= state.started_at
    assert (await runtime.stop("test.one")).ended_at == stopped.ended_at
    again = await runtime.start("test.one")
    assert again.started_at > stopped.ended_at
    assert again.unit == state.unit
    await runtime.remove("test.one")
    await runtime.remove("test.one")
    assert (await runtime.inspect("test.one")).status is WorkloadStatus.MISSING
    assert docker_engine.docker("ps", "-aq", "--filter", f"label=moorage.server={runtime._server}").stdout == ""


async def test_a_container_is_locked_down(docker_engine, runtime, spec, tmp_path):
    (home := tmp_path / "home").mkdir()
    limits = Limits(memory_bytes=64 * 2**20, cpus=0.5, processes=50, open_files=99, log_bytes=2**20)
    await runtime.create(spec("shut", home=home, limits=limits))
    await runtime.start("test.shut")
    told = shown(docker_engine, runtime, "shut")
    host = told["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert (host["ReadonlyRootfs"], host["Init"], host["Privileged"]) == (True, True, False)
    assert host["RestartPolicy"]["Name"] == "no"
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"], host["PidsLimit"]) == (2**26, 2**26, 5 * 10**8, 50)
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": str(2**19), "max-file": "2"}}
    assert told["Config"]["User"] == f"{os.getuid()}:{os.getgid()}"
    script = "touch /x; touch /srv/x; echo a > /tmp/y && touch ~/z && ulimit -n && grep CapEff /proc/self/status"
    code, said = await run(runtime, "shut", "sh", "-c", script)
    assert (code, said) == (0, "99\nCapEff:\t0000000000000000\n")
    assert (home / "z").exists()


async def test_a_workload_sees_its_environment_and_mounts_and_nothing_of_the_servers(runtime, spec, tmp_path):
    for name in ("home", "open", "shut"):
        (tmp_path / name).mkdir()
    (tmp_path / "shut/kept").write_text("old\n")
    given = spec(
        "env",
        'env; cat "$SHUT/kept"; echo new > "$SHUT/kept" || echo refused; echo made > open; exec sleep 1000',
        home=tmp_path / "home",
        workdir=str(tmp_path),
        env={"SHUT": str(tmp_path / "shut"), "PLACE": "{host}:{port:api}", "NOTHING": ""},
        secrets={"PASSWORD": "{host}"},
        ports=("api",),
        mounts=(
            Mount(tmp_path / "open", target=str(tmp_path / "elsewhere")),
            Mount(tmp_path / "shut", read_only=True),
        ),
    )
    os.environ["MOORAGE_TEST_SECRET"] = "not for workloads"
    assert "PASSWORD" not in repr(given)
    await runtime.create(given)
    state = await runtime.start("test.env")
    assert "PASSWORD" not in repr(state)
    said = await logged(runtime, "test.env", b"refused")
    lines = dict(line.partition("=")[::2] for line in said.decode().splitlines())
    home = str(tmp_path / "home")
    assert (lines["HOME"], lines["XDG_STATE_HOME"], lines["TERM"]) == (home, f"{home}/.local/state", "xterm-256color")
    assert (lines["PLACE"], lines["NOTHING"], lines["PASSWORD"]) == ("0.0.0.0:41820", "", "{host}")
    assert "MOORAGE_TEST_SECRET" not in lines
    assert "old" in lines
    assert (tmp_path / "shut/kept").read_text() == "old\n"


async def logged(runtime, name, what):
    """The log, once something is in it."""
    async with asyncio.timeout(30):
        while what not in (said := await runtime.logs(name)):
            await asyncio.sleep(0.05)
    return said


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"image": "nobody/nothing:1"}, "nobody/nothing:1.*docker pull nobody/nothing:1"),
        ({"image": "Not An Image"}, "Not An Image"),
        ({"image": None}, "needs an image"),
        ({"mounts": (Mount("/not/there"),)}, "/not/there"),
        ({"mounts": (Mount("relative"),)}, "whole paths"),
        ({"env": {"A": "{port:web}"}}, "'web'"),
        ({"env": {"A=B": "x"}}, "variable"),
        ({"labels": {"moorage.server": "other"}}, "moorage.server"),
        ({"limits": Limits(memory_bytes=1000)}, "memory"),
    ],
)
async def test_a_spec_that_cannot_be_is_refused_with_the_reason(runtime, spec, wrong, words):
    from dataclasses import replace
    from pathlib import Path

    if "mounts" in wrong:
        wrong = {"mounts": tuple(Mount(Path(mount.source)) for mount in wrong["mounts"])}
    with pytest.raises(ValidationFailed, match=words):
        await runtime.create(replace(spec("wrong"), **wrong))
    assert await runtime.list() == {}


async def test_a_program_that_is_not_there_is_told(runtime, spec):
    await runtime.create(spec("none", command=("/no/such/program",)))
    await runtime.start("test.none")
    async with asyncio.timeout(30):
        state = await runtime.wait("test.none")
    assert (state.status, state.exit_code) == (WorkloadStatus.EXITED, 127)
    assert "not in the image" in state.reason
    assert b"/no/such/program" in await runtime.logs("test.none")


async def test_calls_for_unknown_and_ended_workloads(runtime, spec):
    for call in (runtime.start, runtime.stop, runtime.wait, runtime.logs, runtime.stats):
        with pytest.raises(NotFound):
            await call("test.nobody")
    with pytest.raises(NotFound):
        await runtime.exec("test.nobody", ("true",))
    await runtime.create(spec("ended"))
    assert await runtime.stats("test.ended") is None
    assert (await runtime.wait("test.ended")).status is WorkloadStatus.CREATED
    assert (await runtime.stop("test.ended")).status is WorkloadStatus.CREATED
    with pytest.raises(Conflict):
        await runtime.exec("test.ended", ("true",))
    with pytest.raises(Conflict):
        await runtime.create(spec("ended"))


async def test_exit_codes_and_waiting(runtime, spec):
    for name, script, code in (("seven", "exit 7", 7), ("killed", "kill -9 $$", 137), ("well", "true", 0)):
        await runtime.create(spec(name, script))
        await runtime.start(f"test.{name}")
        async with asyncio.timeout(30):
            state = await runtime.wait(f"test.{name}")
        assert (state.status, state.exit_code, state.reason) == (WorkloadStatus.EXITED, code, "")
    await runtime.create(spec("long"))
    await runtime.start("test.long")
    waits = [asyncio.create_task(runtime.wait("test.long")) for _ in range(50)]
    await asyncio.sleep(0.3)
    assert not any(task.done() for task in waits)
    assert (await run(runtime, "long", "kill", "-TERM", "1"))[0] == 0
    async with asyncio.timeout(30):
        assert {(await task).exit_code for task in waits} == {143}


async def test_a_removal_does_not_wait_for_what_will_not_end(runtime, spec):
    await runtime.create(spec("deaf", "trap '' TERM HUP INT; echo deaf; while :; do sleep 1; done"))
    await runtime.start("test.deaf")
    await logged(runtime, "test.deaf", b"deaf")
    stopping = asyncio.create_task(runtime.stop("test.deaf", 60))
    await asyncio.sleep(0.2)
    async with asyncio.timeout(20):
        await runtime.remove("test.deaf")
        assert (await stopping).status in (WorkloadStatus.EXITED, WorkloadStatus.MISSING)


async def test_out_of_memory_is_told(runtime, spec):
    await runtime.create(spec("big", "exec tail /dev/zero", limits=Limits(memory_bytes=16 * 2**20)))
    await runtime.start("test.big")
    async with asyncio.timeout(60):
        state = await runtime.wait("test.big")
    assert (state.exit_code, state.reason) == (137, "out of memory")


async def test_a_program_inside_with_pipes(runtime, spec):
    await runtime.create(spec("pipes", env={"A": "kept"}))
    await runtime.start("test.pipes")
    assert await run(runtime, "pipes", "sh", "-c", "echo $A $B; pwd; exit 3", env={"B": "new"}, workdir="/tmp") == (
        3,
        "kept new\n/tmp\n",
    )
    program = await runtime.exec("test.pipes", ("sh", "-c", "echo problem >&2; cat; echo over"))
    sent = os.urandom(3_000_000)

    async def send():
        for at in range(0, len(sent), 100_000):
            await program.write(sent[at : at + 100_000])
        await program.close_input()

    sending = asyncio.create_task(send())
    found = bytearray()
    while part := await program.read(5000):
        assert len(part) <= 5000
        found += part
    await sending
    assert bytes(found) == sent + b"over\n"
    assert await program.wait() == 0
    assert bytes(program.stderr) == b"problem\n"
    with pytest.raises(ConnectionError):
        await program.write(b"x")
    await program.close()
    assert (await run(runtime, "pipes", "/no/such"))[0] in (126, 127)


@pytest.mark.parametrize("terminal", [TerminalSize(), None])
async def test_closing_ends_a_program_and_all_that_it_started(runtime, spec, terminal):
    await runtime.create(spec("close"))
    await runtime.start("test.close")
    other = await runtime.exec("test.close", ("sleep", "999"))
    script = "trap '' HUP TERM; (setsid sleep 333 &) ; (sleep 444 &); echo ready; sleep 555; sleep 666"
    program = await runtime.exec("test.close", ("sh", "-c", script), terminal=terminal)
    assert (await program.read()).startswith(b"ready")
    async with asyncio.timeout(30):
        await asyncio.gather(program.close(), program.close())
        assert await program.wait() in (129, 137, 143)
    _, left = await run(runtime, "close", "ps")
    assert "sleep 999" in left
    assert not [number for number in ("333", "444", "555", "666") if f"sleep {number}" in left]
    await other.close()


async def test_programs_inside_need_no_thread(runtime, spec):
    await runtime.create(spec("many"))
    await runtime.start("test.many")
    programs = [await runtime.exec("test.many", ("cat",)) for _ in range(20)]
    reads = [asyncio.create_task(program.read()) for program in programs]
    waits = [asyncio.create_task(program.wait()) for program in programs]
    await asyncio.sleep(0)
    for number, program in enumerate(programs):
        await program.write(f"{number}\n".encode())
    async with asyncio.timeout(30):
        assert [await read for read in reads] == [f"{number}\n".encode() for number in range(20)]
        await runtime.remove("test.many")
        assert all(code in (137, -1) for code in await asyncio.gather(*waits))
    for program in programs:
        assert await program.read() == b""
        await program.close()


async def test_calls_at_once_are_put_in_an_order(runtime, spec):
    results = await asyncio.gather(*(runtime.create(spec("same")) for _ in range(5)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict"] * 4 + ["WorkloadState"]
    states = await asyncio.gather(*(runtime.start("test.same") for _ in range(5)))
    assert len({state.started_at for state in states}) == 1
    await asyncio.gather(runtime.stop("test.same"), runtime.start("test.same"), runtime.stop("test.same"))
    names = [f"p{number}" for number in range(6)]
    await asyncio.gather(*(runtime.create(spec(name)) for name in names))
    await asyncio.gather(*(runtime.start(f"test.{name}") for name in names))
    found = await runtime.list()
    assert {name for name, state in found.items() if state.running} == {f"test.{name}" for name in names}
    await asyncio.gather(*(runtime.remove(name) for name in found), *(runtime.remove(name) for name in found))
    assert await runtime.list() == {}
    assert len(runtime._turns) == 0


async def test_a_container_that_somebody_removed_is_missing(docker_engine, tmp_path, spec):
    async with docker_runtime(docker_engine.url, tmp_path) as runtime:
        await runtime.create(spec("gone"))
        state = await runtime.start("test.gone")
        waiting = asyncio.create_task(runtime.wait("test.gone"))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(docker_engine.docker, "rm", "-f", state.unit)
        async with asyncio.timeout(30):
            assert (await waiting).status in (WorkloadStatus.MISSING, WorkloadStatus.EXITED)
        assert (await runtime.inspect("test.gone")).status is WorkloadStatus.MISSING
        with pytest.raises(NotFound):
            await runtime.start("test.gone")
        await runtime.remove("test.gone")
        await runtime.create(spec("gone"))
        await remove_all(runtime)


async def test_nothing_of_others_is_touched(docker_engine, tmp_path, spec):
    async with (
        docker_runtime(docker_engine.url, tmp_path / "a", keep=False) as mine,
        docker_runtime(docker_engine.url, tmp_path / "b") as other,
    ):
        for runtime in (mine, other):
            await runtime.create(spec("same"))
            await runtime.start("test.same")
        # A stranger's, under a name that ours would have.
        stranger = f"moorage-{mine._server}-test.taken"
        await asyncio.to_thread(docker_engine.docker, "run", "-d", "--name", stranger, "busybox:test", "sleep", "1000")
        assert list(await mine.list()) == ["test.same"]
        assert (await mine.inspect("test.taken")).status is WorkloadStatus.MISSING
        with pytest.raises(Conflict):
            await mine.create(spec("taken"))
        for call in (mine.start, mine.stop, mine.logs):
            with pytest.raises(NotFound):
                await call("test.taken")
        await mine.remove("test.taken")
        running = docker_engine.docker("ps", "--format", "{{.Names}}").stdout.split()
        assert stranger in running
        # `on_stop = "stop"` ends its own alone.
        await mine.close()
        assert (await other.inspect("test.same")).running
        left = docker_engine.docker("ps", "--format", "{{.Names}}").stdout.split()
        assert sorted(left) == sorted([stranger, f"moorage-{other._server}-test.same"])
        docker_engine.docker("rm", "-f", stranger)
        await remove_all(other)
    async with docker_runtime(docker_engine.url, tmp_path / "a") as mine:
        assert (await mine.inspect("test.same")).status is WorkloadStatus.EXITED
        await remove_all(mine)


async def test_what_a_killed_server_left_open_inside_is_ended_by_the_next(docker_engine, tmp_path, spec, monkeypatch):
    async with docker_runtime(docker_engine.url, tmp_path) as runtime:
        await runtime.create(spec("kept"))
        state = await runtime.start("test.kept")
        terminal = await runtime.exec("test.kept", ("sh", "-c", "sleep 4321; true"), terminal=TerminalSize())
        # As kill -9 does it: the connections end, and nothing else is done.
        monkeypatch.setattr(docker_module, "END_SECONDS", 0.0)
        await terminal._answer.close()
        await runtime._watcher.stop()

        async def left():
            return docker_engine.docker("exec", state.unit, "ps").stdout

        assert "sleep 4321" in await left()
        async with docker_runtime(docker_engine.url, tmp_path) as later:

            async def ended():
                return "sleep 4321" not in await left()

            async with asyncio.timeout(60):
                while not await ended():
                    await asyncio.sleep(0.05)
            assert (await later.inspect("test.kept")).started_at == state.started_at
            fresh = await later.exec("test.kept", ("sleep", "5"))
            assert "sleep 5" in await left()
            await fresh.close()
            await remove_all(later)


async def test_the_id_is_kept_and_a_broken_one_is_told(tmp_path):
    ids = {own_id(tmp_path) for _ in range(3)}
    assert len(ids) == 1
    assert own_id(tmp_path / "other") not in ids
    (tmp_path / "id").write_text("../../x")
    with pytest.raises(Unavailable, match="mend or remove"):
        own_id(tmp_path)


async def test_what_is_no_engine(tmp_path):
    async def rubbish(reader, writer):
        await reader.read(10)
        writer.write(b"SSH-2.0-nothing here\r\n\r\n" * 10)
        writer.close()

    server = await asyncio.start_unix_server(rubbish, tmp_path / "socket")
    try:
        async with docker_runtime(f"unix://{tmp_path}/socket", tmp_path / "r") as runtime:
            assert (await runtime.health()).status == "failed"
            with pytest.raises(Unavailable):
                await runtime.list()
    finally:
        server.close()


async def test_a_server_in_a_container_reaches_workloads_at_their_address(docker_engine, tmp_path, spec, request):
    docker_engine.docker("network", "create", "apart")
    request.addfinalizer(lambda: docker_engine.docker("network", "rm", "apart", check=False))
    subnet = docker_engine.docker("network", "inspect", "apart", "--format", "{{(index .IPAM.Config 0).Subnet}}").stdout
    async with docker_runtime(docker_engine.url, tmp_path, reach="address", network="apart") as runtime:
        made = await runtime.create(spec("near", "exec httpd -f -p {host}:{port:web}", ports=("other", "web")))
        assert made.endpoints == {}
        endpoint = (await runtime.start("test.near")).endpoints["web"]
        assert ipaddress.ip_address(endpoint.host) in ipaddress.ip_network(subnet.strip())
        assert endpoint.port == 41821
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
                    break
                except OSError:
                    await asyncio.sleep(0.05)
        writer.close()
        assert shown(docker_engine, runtime, "near")["HostConfig"]["PortBindings"] in (None, {})
        await remove_all(runtime)
    async with docker_runtime(docker_engine.url, tmp_path, network="not-made") as runtime:
        await runtime.create(spec("lost"))
        with pytest.raises(Unavailable, match="docker network create"):
            await runtime.start("test.lost")
        await remove_all(runtime)
    async with docker_runtime(docker_engine.url, tmp_path, network="none") as runtime:
        with pytest.raises(ValidationFailed, match="network"):
            await runtime.create(spec("deaf", ports=("web",)))
        await runtime.create(spec("quiet"))
        assert (await runtime.start("test.quiet")).running
        assert (await runtime.stats("test.quiet")).net_in_bytes is None
        await remove_all(runtime)


@pytest.mark.parametrize("network", ["host", "container:other"])
def test_containers_have_a_network_of_their_own(network):
    with pytest.raises(ValueError, match="network of their own"):
        DockerSettings(network=network)


async def test_a_writable_image_and_a_user(docker_engine, tmp_path, spec):
    async with docker_runtime(docker_engine.url, tmp_path, read_only=False, user="1234:5678") as runtime:
        await runtime.create(spec("who"))
        await runtime.start("test.who")
        assert await run(runtime, "who", "sh", "-c", "id -u; id -g; touch /tmp/x && echo made") == (
            0,
            "1234\n5678\nmade\n",
        )
        assert not shown(docker_engine, runtime, "who")["HostConfig"]["ReadonlyRootfs"]
        await remove_all(runtime)


async def test_a_limit_beyond_the_machine_is_no_error(runtime, spec):
    await runtime.create(spec("much", limits=Limits(cpus=512.0, memory_bytes=2**50, processes=100_000)))
    assert (await runtime.start("test.much")).running


def test_a_server_tells_how_the_engine_is(docker_engine, tmp_path):
    settings = {"runtimes": {"docker": {"enabled": True, "url": docker_engine.url}}}
    with running(tmp_path, settings) as server, server.client() as client:
        deadline = time.monotonic() + 30
        while "version" not in (shown := client.get("/api/v1/health").json()["components"]["docker"]):
            assert time.monotonic() < deadline, shown
            time.sleep(0.1)
        assert shown == {
            "status": "healthy",
            "version": docker_engine.docker("version", "--format", "{{.Server.Version}}").stdout.strip(),
        }
        assert client.get("/api/v1/health").json()["status"] == "healthy"
