"""Worker processes that do one kind of work: the one that has least to do is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from moorage.api import TaskSupervisor, Worker, WorkerReply, WorkerSession, WorkerSpec


class WorkerPool:
    """Up to `size` processes, each started when those before it have something to do. Close it at the end."""

    def __init__(self, tasks: TaskSupervisor, spec: WorkerSpec, size: int = 1) -> None:
        self._workers = [Worker(tasks, spec) for _ in range(size)]

    @property
    def pids(self) -> list[int]:
        """Of the processes that run."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    async def call(
        self, method: str, body: bytes = b"", /, *, within: float | None = None, **params: object
    ) -> WorkerReply:
        """As `Worker.call`."""
        return await self._least().call(method, body, within=within, **params)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[WorkerSession]:
        """As `Worker.session`."""
        async with self._least().session() as session:
            yield session

    async def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            await worker.close()

    def _least(self) -> Worker:
        return min(self._workers, key=lambda worker: worker.load)
