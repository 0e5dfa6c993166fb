"""Worker processes: asked, crashed, late, idle, gone with the server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from moorage.events import TaskSupervisor
from moorage.workers import Worker, WorkerBusy, WorkerGone, WorkerRefused, WorkerSpec

SUPPORT = str(Path(__file__).parents[1] / "support")


@contextlib.asynccontextmanager
async def worker(**options) -> AsyncIterator[Worker]:
    tasks = TaskSupervisor("test")
    made = Worker(tasks, WorkerSpec("thing", "workerobject:Thing", environ={"PYTHONPATH": SUPPORT}, **options))
    try:
        yield made
    finally:
        await made.close()
        assert await tasks.stop() == []


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_call_gives_data_and_bytes() -> None:
    async with worker() as one:
        assert one.pid is None, "nothing is started before it is needed"
        first = await one.call("add", b"abc", by=2)
        assert first.data["count"] == 2
        assert first.body == b"cba"
        big = os.urandom(5_000_000)
        assert (await one.call("add", big)).body == big[::-1]
        assert (await one.call("modules")).data == [], "a worker starts fast"
        pid = one.pid
    assert gone(pid)


async def test_an_error_of_the_object_is_told_and_ends_nothing() -> None:
    async with worker() as one:
        with pytest.raises(WorkerRefused) as caught:
            await one.call("refuse")
        assert (caught.value.kind, caught.value.message) == ("ValueError", "not like this")
        assert (await one.call("add")).data["count"] == 1


async def test_a_crash_is_told_to_all_who_wait_and_the_next_call_begins_anew() -> None:
    async with worker() as one:
        await one.call("add")
        pid = one.pid
        with pytest.raises(WorkerGone, match=r"SIGABRT.*native words"):
            await one.call("crash")
        assert (await one.call("add")).data["count"] == 1
        assert one.pid != pid


async def test_a_session_ends_with_its_process() -> None:
    async with worker(idle_seconds=0.01) as one, one.session() as session:
        assert (await session.call("add")).data["count"] == 1
        assert (await session.call("add")).data["count"] == 2
        with pytest.raises(WorkerGone):
            await one.call("crash")
        with pytest.raises(WorkerGone):
            await session.call("add")
        assert (await one.call("add")).data["count"] == 1


async def test_what_takes_too_long_is_ended() -> None:
    async with worker() as one:
        await one.call("add")
        pid = one.pid
        with pytest.raises(WorkerGone, match=r"more than 0\.2 s"):
            await one.call("sleep", within=0.2, seconds=60)
        assert (await one.call("add")).data["count"] == 1
        assert gone(pid)


async def test_calls_wait_for_their_turn_up_to_a_bound() -> None:
    async with worker(max_waiting=2) as one:
        calls = [asyncio.create_task(one.call("add")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(WorkerBusy):
            await one.call("add")
        assert [call.data["count"] for call in await asyncio.gather(*calls)] == [1, 2]


async def test_a_cancelled_call_leaves_the_next_ones_answer_alone() -> None:
    async with worker() as one:
        await one.call("add")
        waits = asyncio.create_task(one.call("add", b"dropped"))
        await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        assert (await one.call("add", b"kept")).body == b"tpek"


async def test_calls_that_were_cancelled_do_not_pile_up_before_the_next() -> None:
    async with worker(call_timeout=0.5) as one:
        await one.call("add")
        pid = one.pid
        for _ in range(20):
            waits = asyncio.create_task(one.call("sleep", seconds=0.1))
            await asyncio.sleep(0.002)
            waits.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waits
        assert (await one.call("add")).data["count"] == 2
        assert one.pid == pid


async def test_a_cancelled_call_that_hangs_is_ended_by_the_next() -> None:
    async with worker(call_timeout=0.2) as one:
        await one.call("add")
        waits = asyncio.create_task(one.call("sleep", seconds=60))
        await asyncio.sleep(0.01)
        waits.cancel()
        with pytest.raises(WorkerGone, match=r"more than 0\.2 s"):
            await one.call("add")
        assert (await one.call("add")).data["count"] == 1


async def test_one_that_is_closed_while_it_starts_leaves_no_process() -> None:
    tasks = TaskSupervisor("test")
    one = Worker(tasks, WorkerSpec("thing", "workerobject:Thing", environ={"PYTHONPATH": SUPPORT}))
    waits = asyncio.create_task(one.call("add"))
    async with asyncio.timeout(10):
        while one._process is None and not one._turn.locked():
            await asyncio.sleep(0)
    await one.close()
    with pytest.raises(WorkerGone, match="stopped"):
        await waits
    assert one.pid is None
    assert await tasks.stop() == []


async def test_an_idle_process_is_ended_and_started_again() -> None:
    async with worker(idle_seconds=0.05) as one:
        await one.call("add")
        async with asyncio.timeout(10):
            while one.pid is not None:
                await asyncio.sleep(0.01)
        assert (await one.call("add")).data["count"] == 1


async def test_one_that_cannot_be_made_says_why() -> None:
    async with worker(settings={"fail": True}) as one:
        with pytest.raises(WorkerGone, match="cannot be made"):
            await one.call("add")
    tasks = TaskSupervisor("test")
    nowhere = Worker(tasks, WorkerSpec("thing", "no.such.module:Thing"))
    with pytest.raises(WorkerGone, match=r"no\.such|No module"):
        await nowhere.call("add")
    await nowhere.close()
    await tasks.stop()


async def test_a_worker_is_given_no_secrets(monkeypatch) -> None:
    monkeypatch.setenv("MOORAGE_TEST_SECRET", "s3cret")
    async with worker() as one:
        assert "MOORAGE_TEST_SECRET" not in (await one.call("environ")).data


async def test_a_server_that_is_killed_takes_its_workers_along() -> None:
    program = (
        "import asyncio\n"
        "from moorage.events import TaskSupervisor\n"
        "from moorage.workers import Worker, WorkerSpec\n"
        "async def main():\n"
        "    one = Worker(TaskSupervisor('t'), WorkerSpec('thing', 'workerobject:Thing'))\n"
        "    print((await one.call('add')).data['pid'], flush=True)\n"
        "    await one.call('sleep', seconds=60)\n"
        "asyncio.run(main())\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": SUPPORT}
    )
    with server:
        assert server.stdout is not None
        pid = int(await asyncio.to_thread(server.stdout.readline))
        server.send_signal(signal.SIGKILL)
    async with asyncio.timeout(20):
        while not gone(pid):
            await asyncio.sleep(0.02)
