"""What links to MCP servers are tested with: programs, somebody who asks, and the parts of a hub that a pool uses."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import structlog
from moorage.api import TaskSupervisor, TerminalSize
from moorage.observe.metrics import Metrics
from moorage_mcp.config import McpConfig
from moorage_mcp.links.base import Need
from moorage_mcp.links.pool import Pool
from moorage_mcp.records import Kind, Status, UpstreamInfo, WorkspaceInfo

IDENTITY = {"name": "tests", "version": "1"}


class Program:
    """A program as an `Exec`, without any runtime."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, command: Sequence[str], env: Mapping[str, str] | None = None) -> Program:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        return cls(process)

    async def read(self, limit: int = 65536) -> bytes:
        assert self.process.stdout is not None
        return await self.process.stdout.read(limit)

    async def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        await self.process.stdin.drain()

    async def close_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def resize(self, size: TerminalSize) -> None:
        raise NotImplementedError

    async def wait(self) -> int:
        code = await self.process.wait()
        return code if code >= 0 else 128 - code

    async def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process._transport.close()  # type: ignore[attr-defined]
        await self.process.wait()


class Person:
    """Who asks: takes notifications, and answers questions as `answers` says, by method."""

    keeps_state = False

    def __init__(self, *, log_level: str | None = None, **answers: Any) -> None:
        self.answers = {name.replace("__", "/"): value for name, value in answers.items()}
        names = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}
        self.capabilities: Mapping[str, Any] = {names[method]: {} for method in self.answers}
        self.client_info: Mapping[str, Any] = {"name": "a person", "version": "2"}
        self.log_level = log_level
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.asked: list[Need] = []
        self.something = asyncio.Event()

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        self.heard.append((method, params))
        self.something.set()

    async def ask(self, needs: Mapping[str, Need]) -> Mapping[str, dict[str, Any]]:
        self.asked += needs.values()
        return {key: self.answers[need.method] for key, need in needs.items()}

    def progress(self) -> list[Any]:
        return [params["progress"] for method, params in self.heard if method == "notifications/progress"]


ANSWERS: dict[str, Any] = {
    "elicitation__create": {
        "action": "accept",
        "content": {"username": "ann", "email": "a@b.c", "name": "Ann", "color": "red"},
    },
    "sampling__createMessage": {
        "role": "assistant",
        "content": {"type": "text", "text": "Paris"},
        "model": "m",
        "stopReason": "endTurn",
    },
    "roots__list": {"roots": [{"uri": "file:///work", "name": "work"}]},
}


def upstream(kind: Kind = Kind.STDIO, *, pid: str = "ups_1", **more: Any) -> UpstreamInfo:
    return UpstreamInfo(id=1, pid=pid, workspace_id=1, name=more.pop("name", pid), kind=kind, **more)


def workspace(*upstreams: UpstreamInfo, id: int = 1, user_id: int = 1, **more: Any) -> WorkspaceInfo:
    now = datetime.now(UTC)
    known: dict[str, Any] = {"status": Status.ACTIVE, "created_at": now, "updated_at": now, **more}
    return WorkspaceInfo(
        id=id, pid=f"ws_{id}", name="w", user_id=user_id, user_pid="user_1", upstreams=upstreams, **known
    )


class Pooled:
    """A pool, and the programs that it started."""

    def __init__(self, config: McpConfig) -> None:
        self.tasks, self.metrics = TaskSupervisor("mcp"), Metrics()
        hub: Any = SimpleNamespace(
            tasks=self.tasks, metrics=self.metrics.scoped("mcp"), log=structlog.get_logger("moorage.mcp")
        )
        self.programs: list[Program] = []
        self.pool = Pool(hub, config, self.start)

    async def start(self, _: WorkspaceInfo, upstream: UpstreamInfo) -> Program:
        self.programs.append(program := await Program.start(upstream.command, upstream.env))
        return program

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"moorage_mcp_{name}", labels) or 0.0


@asynccontextmanager
async def pooled(**config: Any) -> AsyncIterator[Pooled]:
    """A pool that is closed at the end, when nothing of it may be left."""
    made = Pooled(McpConfig(**config))
    try:
        yield made
    finally:
        await made.pool.close()
        assert await made.tasks.stop() == []
        for program in made.programs:
            assert program.process.returncode is not None, "a program goes on"
