"""Parts for the tests of runtimes: the Docker runtime over an engine of the test run's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from moorage.config.settings import DockerSettings
from moorage.runtimes import WorkloadSpec
from moorage.runtimes.docker import DockerRuntime
from realparts.docker_engine import DockerEngine


@asynccontextmanager
async def docker_runtime(url: str, folder: Path, *, keep: bool = True, **settings: Any) -> AsyncIterator[DockerRuntime]:
    """A runtime that is opened, and closed at the end; what it runs goes on when `keep` says so."""
    runtime = DockerRuntime(DockerSettings(url=url, **{"timeout": 20, **settings}), folder, keep=keep)
    await runtime.open()
    try:
        yield runtime
    finally:
        await runtime.close()


async def remove_all(runtime: DockerRuntime) -> None:
    """Remove whatever the runtime has made."""
    for name in await runtime.list():
        await runtime.remove(name)


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
