"""Supervised tasks: failures are logged, stopping is bounded."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from moorage.errors import Unavailable
from moorage.events import TaskSupervisor
from moorage.events.tasks import repeat
from waits import WAIT


async def test_results_and_failures() -> None:
    tasks = TaskSupervisor("probe")

    async def gives() -> int:
        return 4

    async def fails() -> None:
        raise ValueError("boom")

    with structlog.testing.capture_logs() as logged:
        assert await tasks.spawn(gives(), "gives") == 4
        failed = tasks.spawn(fails(), "fails")
        await asyncio.wait([failed])
        await asyncio.sleep(0)
    assert [(entry["event"], entry["task"]) for entry in logged] == [("task failed", "probe:fails")]
    assert str(logged[0]["exc_info"]) == "boom"
    assert len(tasks) == 0


async def test_stop_cancels_and_refuses_new_ones() -> None:
    tasks = TaskSupervisor("probe")
    cleaned = asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    with structlog.testing.capture_logs() as logged:
        tasks.spawn(waits(), "waits")
        await asyncio.sleep(0)
        assert await tasks.stop(1) == []
    assert cleaned.is_set()
    assert logged == [], "a cancelled task is no failure"
    with pytest.raises(RuntimeError, match="stopped"):
        tasks.spawn(waits(), "late")
    assert await tasks.stop(1) == []


async def test_a_task_that_swallows_one_cancellation_is_cancelled_again() -> None:
    tasks = TaskSupervisor("probe")

    async def stubborn() -> None:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    tasks.spawn(stubborn(), "stubborn")
    await asyncio.sleep(0)
    assert await tasks.stop(5) == []


async def test_stopping_does_not_wait_for_ever() -> None:
    tasks = TaskSupervisor("probe")
    let_go = asyncio.Event()

    async def deaf() -> None:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    task = tasks.spawn(deaf(), "deaf")
    await asyncio.sleep(0)
    with structlog.testing.capture_logs() as logged:
        assert await tasks.stop(0.05) == ["probe:deaf"]
    assert [entry["event"] for entry in logged] == ["tasks did not end in time"]
    let_go.set()
    await task


async def test_a_task_may_stop_its_own_supervisor() -> None:
    tasks = TaskSupervisor("probe")

    async def ends_all() -> list[str]:
        return await tasks.stop(1)

    assert await tasks.spawn(ends_all(), "ends all") == []


async def test_what_is_repeated_says_once_that_it_cannot_be_done() -> None:
    outcomes: list[Exception | None] = [None, Unavailable(), Unavailable(), ValueError("boom"), Unavailable(), None]
    done = asyncio.Event()

    async def work() -> None:
        if not outcomes:
            done.set()
            return
        if (error := outcomes.pop(0)) is not None:
            raise error

    tasks = TaskSupervisor("probe")
    with structlog.testing.capture_logs() as logged:
        tasks.spawn(repeat("probing", 0.001, work), "repeat")
        await asyncio.wait_for(done.wait(), WAIT)
        await tasks.stop(1)
    assert [entry["event"] for entry in logged] == ["not possible now", "failed", "possible again"]


async def test_an_exit_ends_its_task_and_not_the_server() -> None:
    async def leaves() -> None:
        raise SystemExit(9)

    tasks = TaskSupervisor("probe")
    with structlog.testing.capture_logs() as logged:
        await asyncio.wait([tasks.spawn(leaves(), "leaves")])
        await asyncio.sleep(0)
    assert "SystemExit: 9" in str(logged[0]["exc_info"])


async def test_a_task_that_is_stopped_before_it_began() -> None:
    tasks = TaskSupervisor("probe")
    tasks.spawn(asyncio.sleep(10), "sleeps")
    assert await tasks.stop(1) == []
