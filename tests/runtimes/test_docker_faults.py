"""What the Docker runtime does when the engine is away, hangs or restarts, and when others meddle with containers."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time

import pytest
from containers import docker_runtime, remove_all
from moorage.errors import Unavailable
from moorage.runtimes import TerminalSize, WorkloadSpec, WorkloadStatus
from realparts.docker_engine import DockerEngine, no_busybox
from realparts.fixtures import need

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def engine(own_docker_engine: DockerEngine) -> DockerEngine:
    """An engine that tests end and start, with the image in it."""
    need(no_busybox())
    own_docker_engine.import_busybox()
    return own_docker_engine


@pytest.fixture
def up(engine):
    """The engine; it runs again afterwards, whatever the test did."""
    yield engine
    if engine._child is None:
        engine.start()


def spec(name, script="exec sleep 1000", **more):
    return WorkloadSpec(
        name=f"test.{name}", image="busybox:test", command=("sh", "-c", script), stop_seconds=0.5, **more
    )


async def until(condition, seconds=60):
    """Wait until an async condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def in_thread(do, *arguments):
    return await asyncio.to_thread(do, *arguments)


async def test_it_opens_without_an_engine_and_works_once_there_is_one(up, tmp_path):
    await in_thread(up.end)
    async with docker_runtime(up.url, tmp_path) as runtime:
        health = await runtime.health()
        assert (health.status, health.data) == ("failed", None)
        for call in (runtime.create(spec("a")), runtime.start("test.a"), runtime.list(), runtime.digest("x")):
            with pytest.raises(Unavailable, match="cannot be reached"):
                await call
        await in_thread(up.start)

        async def well():
            return (await runtime.health()).status == "ok"

        await until(well)
        assert (await runtime.health()).data["version"]
        await runtime.create(spec("a"))
        assert (await runtime.start("test.a")).running
        await remove_all(runtime)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_an_engine_that_restarts_ends_workloads_and_those_who_wait_hear_of_it(up, tmp_path, how):
    async with docker_runtime(up.url, tmp_path) as runtime:
        for name in ("waits", "term"):
            await runtime.create(spec(name))
            await runtime.start(f"test.{name}")
        waiting = asyncio.create_task(runtime.wait("test.waits"))
        terminal = await runtime.exec("test.term", ("sh",), terminal=TerminalSize())
        told = asyncio.create_task(terminal.wait())
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await in_thread(up.end, how)
        async with asyncio.timeout(30):
            while await terminal.read():
                pass
        with pytest.raises(Unavailable):
            await runtime.stop("test.waits")
        await in_thread(up.start)
        async with asyncio.timeout(60):
            state = await waiting
            assert await told != 0
            await terminal.close()
        assert state.status is WorkloadStatus.EXITED
        assert (await runtime.start("test.waits")).running
        async with asyncio.timeout(30):
            assert (await runtime.stop("test.waits")).status is WorkloadStatus.EXITED
        await remove_all(runtime)


async def test_an_engine_that_restarts_in_the_middle_of_a_stop(up, tmp_path):
    async with docker_runtime(up.url, tmp_path) as runtime:
        await runtime.create(spec("deaf", "trap '' TERM; echo deaf; while :; do sleep 1; done"))
        await runtime.start("test.deaf")

        async def deaf():
            return b"deaf" in await runtime.logs("test.deaf")

        await until(deaf)
        stopping = asyncio.create_task(runtime.stop("test.deaf", 60))
        await asyncio.sleep(0.2)
        await in_thread(up.end)
        await in_thread(up.start)
        async with asyncio.timeout(60):
            assert (await stopping).status is WorkloadStatus.EXITED
        await remove_all(runtime)


async def test_starts_in_the_middle_of_an_engines_end_fail_clearly_and_leave_what_can_be_found(up, tmp_path):
    async with docker_runtime(up.url, tmp_path) as runtime:
        names = [f"n{number}" for number in range(6)]
        for name in names:
            await runtime.create(spec(name))
        starting = [asyncio.create_task(runtime.start(f"test.{name}")) for name in names]
        await asyncio.sleep(0.1)
        await in_thread(up.end, signal.SIGKILL)
        async with asyncio.timeout(60):
            came = await asyncio.gather(*starting, return_exceptions=True)
        assert any(isinstance(one, Unavailable) for one in came), came
        assert [one for one in came if isinstance(one, Exception) and not isinstance(one, Unavailable)] == []
        await in_thread(up.start)

        async def listed():
            try:
                return len(await runtime.list()) == len(names)
            except Unavailable:
                return False

        await until(listed)
        for name in names:
            assert (await runtime.start(f"test.{name}")).running
        await remove_all(runtime)


async def test_an_engine_that_hangs_keeps_nobody_for_ever(up, tmp_path):
    async with docker_runtime(up.url, tmp_path, timeout=1.5, threads=2) as runtime:
        await runtime.create(spec("a"))
        await runtime.start("test.a")
        waiting = asyncio.create_task(runtime.wait("test.a"))
        await asyncio.sleep(0.1)
        os.kill(up.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            came = await asyncio.gather(
                *(runtime.inspect("test.a") for _ in range(8)), runtime.health(), return_exceptions=True
            )
            assert time.monotonic() - began < 10
            assert all(isinstance(one, Unavailable) for one in came[:-1]), came
            assert came[-1].status == "failed"
            assert "does not answer" in came[-1].detail
        finally:
            os.kill(up.pid, signal.SIGCONT)

        async def runs():
            try:
                return (await runtime.inspect("test.a")).running
            except Unavailable:
                return False

        await until(runs)
        assert not waiting.done()
        await runtime.stop("test.a")
        async with asyncio.timeout(30):
            assert (await waiting).status is WorkloadStatus.EXITED
        await remove_all(runtime)


async def test_a_runtime_whose_engine_hangs_can_be_closed(up, tmp_path):
    async with docker_runtime(up.url, tmp_path, timeout=600, threads=2) as runtime:
        await runtime.create(spec("b"))
        await runtime.start("test.b")
        os.kill(up.pid, signal.SIGSTOP)
        try:
            calls = [asyncio.create_task(runtime.inspect("test.b")) for _ in range(4)]
            await asyncio.sleep(0.2)
            began = time.monotonic()
            await runtime.close()
            assert time.monotonic() - began < 10
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
            assert all(t.daemon for t in threading.enumerate() if t.name.startswith("docker-"))
        finally:
            os.kill(up.pid, signal.SIGCONT)
    async with docker_runtime(up.url, tmp_path) as runtime:
        assert (await runtime.inspect("test.b")).running
        await remove_all(runtime)
