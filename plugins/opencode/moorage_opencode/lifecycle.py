"""What happens to one session: started, stopped, made anew, erased. Each step is written down before it is taken.

The callers hold the session's lock (`operations`), so that nothing here meets another change of the same session.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moorage.api import (
    Endpoint,
    Hub,
    MoorageError,
    NotFound,
    RuntimeView,
    Unavailable,
)

from moorage_opencode import store
from moorage_opencode.figures import Figures
from moorage_opencode.models import OpenCodeSession
from moorage_opencode.records import Entry, Records
from moorage_opencode.sealed import Secrets
from moorage_opencode.states import Operation, Status, follows

CHANGED = "opencode.session_changed"
"""Topic: {"id": pid, "user_id": int, "status": str, "workspace_path": str, "error": str | None}; also "deleted"."""
STOP_SECONDS = 10.0
"""Between being asked to end and being made to."""


class Lifecycle:
    """Takes sessions from one state to the next."""

    def __init__(self, hub: Hub, records: Records, figures: Figures, homes: Path) -> None:
        self._hub, self._records, self._figures, self._homes = hub, records, figures, homes
        self.on_running = _nothing
        """Called when a session runs: somebody watches it from then on."""

    # -- the steps that others are made of -----------------------------------------------------------------------

    async def move(self, entry: Entry, row: OpenCodeSession, status: Status, **changes: Any) -> None:
        """Write down a new state, then let everybody see it. RuntimeError for one that may not follow."""
        if row.status != status and not follows(row.status, status):
            raise RuntimeError(f"session {row.pid}: {row.status} cannot become {status}")
        await store.save(row, status=status.value, **changes)
        entry.live.status = status.value
        if status is not Status.RUNNING:
            entry.live.upstream = None
            self._hub.upstreams.remove(upstream_name(row.pid))
        self._figures.count(self._records)
        self.tell(row, status.value)

    def tell(self, row: OpenCodeSession, status: str) -> None:
        """Everybody who listens hears of it."""
        self._hub.bus.publish(
            CHANGED,
            {
                "id": row.pid,
                "user_id": row.user_id,
                "status": status,
                "workspace_path": row.workspace_path,
                "error": row.error_message,
            },
        )

    async def runtime(self, row: OpenCodeSession) -> RuntimeView:
        """What runs it. Unavailable."""
        return await self._hub.runtimes.get(row.runtime)

    def home(self, pid: str) -> Path:
        """The session's own folder."""
        return self._homes / pid

    async def runs(
        self, entry: Entry, row: OpenCodeSession, endpoint: Endpoint, secrets: Secrets, **changes: Any
    ) -> None:
        """It can be reached from now on."""
        where: dict[str, Any] = {"path": endpoint.path} if endpoint.path else {}
        if endpoint.path is None:
            where = {"host": endpoint.host, "port": endpoint.port}
        entry.live.authorization = secrets.authorization
        # Before the state is told: who hears that it runs, asks for it.
        entry.live.upstream = self._hub.upstreams.register(upstream_name(row.pid), **where)
        entry.used_at, entry.ready_at = max(entry.used_at, datetime.now(UTC)), time.monotonic()
        await self.move(entry, row, Status.RUNNING, error_message=None, stopped_at=None, **changes)
        self.on_running(entry)

    async def fail(self, entry: Entry, row: OpenCodeSession, text: str) -> None:
        """It does not run, for a reason that its owner can read."""
        now = datetime.now(UTC)
        await self.move(entry, row, Status.FAILED, operation=None, error_message=text, stopped_at=now, port=None)
        self._hub.log.warning("session failed", session=row.pid, reason=text.splitlines()[0])

    # -- stop, delete -----------------------------------------------------------------------------------

    async def halt(self, entry: Entry, row: OpenCodeSession, *, then: Operation | None = None) -> None:
        """Stop it; its workload and home stay. then: what this is the first step of.

        Unavailable when the runtime could not be asked: the session is what it was.
        """
        before = Status(row.status)
        entry.unwatch()
        upstream = entry.live.upstream
        await self.move(entry, row, Status.STOPPING, operation=then)
        try:
            await self.stop_workload(await self.runtime(row), row)
        except Unavailable:
            if upstream is not None and before is Status.RUNNING:
                await self.runs(
                    entry,
                    row,
                    Endpoint(upstream.host, upstream.port, upstream.path),
                    Secrets.open(self._hub, row.sealed),
                    operation=None,
                )
            else:
                await self.fail(entry, row, "It could not be stopped: its runtime is not available")
            raise
        await self.move(entry, row, Status.STOPPED, stopped_at=datetime.now(UTC), error_message=None, port=None)
        self._hub.log.info("session stopped", session=row.pid)

    async def erase(self, entry: Entry, row: OpenCodeSession, *, force: bool = False) -> None:
        """End it, and remove workload, home and row; the project stays.

        force: the row goes in any case. Unavailable, and the session failed, when the runtime could not be asked.
        """
        entry.unwatch()
        await self.move(entry, row, Status.STOPPING, operation=Operation.DELETE)
        try:
            runtime = await self.runtime(row)
            await runtime.remove(row.workload)
        except Exception as error:
            if not force:
                await self.fail(entry, row, "It could not be deleted: its runtime is not available")
                raise
            left_behind(self._hub, row, "session deleted, its workload may be left", error)
        await asyncio.to_thread(shutil.rmtree, self.home(row.pid), ignore_errors=True)
        await store.delete(row)
        self._records.remove(entry)
        self._hub.upstreams.remove(upstream_name(row.pid))
        self._figures.count(self._records)
        entry.live.status = "deleted"
        self.tell(row, "deleted")
        self._hub.log.info("session deleted", session=row.pid)

    @staticmethod
    async def stop_workload(runtime: RuntimeView, row: OpenCodeSession) -> None:
        """Stop what runs of it; harmless when nothing does."""
        with contextlib.suppress(NotFound):
            await runtime.stop(row.workload, STOP_SECONDS)


def upstream_name(pid: str) -> str:
    """How a session's OpenCode is called among the plugin's upstreams."""
    return f"opencode-{pid}"


def left_behind(hub: Hub, row: OpenCodeSession, what: str, error: Exception) -> None:
    """Log that a workload may be left. A runtime that says why needs no traceback."""
    if isinstance(error, MoorageError):
        hub.log.error(what, session=row.pid, reason=error.message)
    else:
        hub.log.error(what, session=row.pid, exc_info=error)


def _nothing(entry: Entry) -> None:
    pass
