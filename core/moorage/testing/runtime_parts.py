"""What the conformance suite of runtimes is made with: runtimes, scripts to run in them, and waiting for what comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from moorage.runtimes.base import Exec, Runtime, WorkloadSpec, WorkloadState

try:
    from pytest_asyncio import fixture as async_fixture
except ImportError:  # pytest then says that the fixtures need it.
    async_fixture = pytest.fixture  # type: ignore[assignment]

SECONDS = 60.0
"""How long anything may take before a test gives up; generous, for machines that are busy."""
FOREVER = "exec sleep 1000"


class RuntimeParts:
    """Inherit from it under a name that pytest collects.

    image: what workloads are made from. listener: a command that serves something at `{host}` and `{port:web}`.
    holds_memory: whether `Limits.memory_bytes` is held where the tests run.
    """

    pytestmark = pytest.mark.asyncio

    image: ClassVar[str | None] = None
    listener: ClassVar[tuple[str, ...]] = ("python3", "-m", "http.server", "{port:web}", "--bind", "{host}")
    holds_memory: ClassVar[bool] = True

    def make(self, folder: Path) -> Runtime:
        """A runtime that keeps what it must know in `folder`; called again for the same folder, it finds its own."""
        raise NotImplementedError

    # -- parts --------------------------------------------------------------------------------------------------

    @async_fixture
    async def runtime(self, tmp_path: Path) -> AsyncIterator[Runtime]:
        """An opened runtime. All that it has is removed after the test."""
        runtime = self.make(tmp_path / "runtime")
        await runtime.open()
        yield runtime
        async with asyncio.timeout(SECONDS):
            for name in await runtime.list():
                await runtime.remove(name)
            assert await runtime.list() == {}
            await runtime.close()

    @pytest.fixture
    def other(self, tmp_path: Path) -> Callable[[], Runtime]:
        """Makes the runtime of the server's next life, over the same folder."""
        return lambda: self.make(tmp_path / "runtime")

    def spec(self, script: str = FOREVER, *, name: str = "tests.one", **more: Any) -> WorkloadSpec:
        """A workload that runs a script."""
        return WorkloadSpec(name=name, command=("sh", "-c", script), image=self.image, **more)

    async def run(self, runtime: Runtime, script: str, **more: Any) -> tuple[WorkloadState, bytes]:
        """Run a script to its end: how it ended, and what it said."""
        spec = self.spec(script, **more)
        await runtime.create(spec)
        await runtime.start(spec.name)
        async with asyncio.timeout(SECONDS):
            state = await runtime.wait(spec.name)
        return state, await runtime.logs(spec.name)

    # -- how ----------------------------------------------------------------------------------------------------

    async def _create_and_start(self, runtime: Runtime, spec: WorkloadSpec) -> None:
        await runtime.create(spec)
        await runtime.start(spec.name)

    async def said(self, runtime: Runtime, text: bytes, name: str = "tests.one") -> None:
        """Wait until a workload's log has a text."""

        async def has() -> bool:
            return text in await runtime.logs(name)

        await self.until(has)

    async def reads(self, inside: Exec, text: bytes) -> None:
        """Read until a text has come."""
        seen = b""
        async with asyncio.timeout(SECONDS):
            while text not in seen:
                data = await inside.read()
                assert data, f"it ended: {seen!r}"
                seen += data

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until a condition holds; it may be async."""
        async with asyncio.timeout(SECONDS):
            while True:
                found = condition()
                if await found if asyncio.iscoroutine(found) else found:
                    return
                await asyncio.sleep(0.02)


async def output(inside: Exec) -> tuple[bytes, int]:
    """All output of a program and its exit code."""
    output = b""
    async with asyncio.timeout(SECONDS):
        while data := await inside.read():
            output += data
        code = await inside.wait()
    await inside.close()
    return output, code


def owner(path: Path) -> int:
    """The number of the user whose a file is."""
    return path.stat().st_uid


def size(path: Path) -> int:
    """Of a file that may not be there yet."""
    return path.stat().st_size if path.exists() else 0


async def answers(host: str, port: int) -> bool:
    """Whether somebody listens."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True
