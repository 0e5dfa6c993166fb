"""A Docker runtime for tests, opened and closed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from moorage.config.settings import DockerSettings
from moorage.runtimes.docker import DockerRuntime


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
