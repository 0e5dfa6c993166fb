"""Supervised tasks: failures are logged, stopping is bounded."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from moorage.events import TaskSupervisor


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
