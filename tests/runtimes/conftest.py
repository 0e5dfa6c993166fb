"""Parts for the tests of the process runtime."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from moorage.config.settings import ProcessSettings
from moorage.runtimes import WorkloadSpec
from moorage.runtimes.process import ProcessRuntime, sandbox
from realparts.fixtures import need

SECONDS = 60


def need_bubblewrap() -> None:
    """Skip where it is not installed."""
    need(None if sandbox.find() else "bubblewrap is not installed (Debian: bubblewrap)")


class Workshop:
    """Makes runtimes over one folder, one after another as a server's lives are, and workloads that run scripts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runtimes: list[ProcessRuntime] = []

    async def open(self, isolation="none", *, hidden=(), on_stop="keep", **settings) -> ProcessRuntime:
        """The runtime of one life."""
        if isolation == "bubblewrap":
            need_bubblewrap()
        found = ProcessSettings(isolation=isolation, **settings)
        runtime = ProcessRuntime(found, self.folder, hidden=tuple(hidden), on_stop=on_stop)
        self.runtimes.append(runtime)
        await runtime.open()
        return runtime

    def state(self, name: str, file: str = "state.json") -> Path:
        """A file of a workload's folder."""
        return self.folder / name / file


def script(text, name="t.one", **more):
    """A workload that runs a script."""
    return WorkloadSpec(name=name, command=("sh", "-c", text), **more)


async def started(runtime, spec):
    """Create and start; its state."""
    await runtime.create(spec)
    return await runtime.start(spec.name)


async def ran(runtime, spec):
    """Create, start, wait; how it ended, and what it said."""
    await started(runtime, spec)
    async with asyncio.timeout(SECONDS):
        state = await runtime.wait(spec.name)
    return state, (await runtime.logs(spec.name)).decode()


async def until(condition):
    """Wait until a condition holds, which may be async."""
    async with asyncio.timeout(SECONDS):
        while True:
            found = condition()
            if found := (await found if asyncio.iscoroutine(found) else found):
                return found
            await asyncio.sleep(0.02)


def alive(pid) -> bool:
    """Whether a process is there, and not only its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
async def workshop(tmp_path) -> AsyncIterator[Workshop]:
    """A workshop in which nothing is left running."""
    made = Workshop(tmp_path / "data" / "runtimes" / "process")
    yield made
    for runtime in made.runtimes:
        await runtime.close()
    last = await made.open()
    for name in await last.list():
        await last.remove(name)
    await last.close()
