"""What is asked of one session, put in its turn; and what is put on record of it."""

from __future__ import annotations

import asyncio
from typing import Any

from moorage.api import Actor, BadRequest, Credential, Hub, Method

from moorage_opencode import store
from moorage_opencode.lifecycle import Lifecycle
from moorage_opencode.limits import Room
from moorage_opencode.operations import Operations, Outcome
from moorage_opencode.records import Entry, Live
from moorage_opencode.starting import Starter
from moorage_opencode.states import Status

SERVER = Actor(credential=Credential(Method.SYSTEM, 0, "opencode"))
"""Who does what nobody asked for."""


class Commands:
    """Each gives the task that does it: wait for it with `operations.done`."""

    def __init__(self, hub: Hub, operations: Operations, life: Lifecycle, starter: Starter, room: Room) -> None:
        self._hub, self._operations, self._life, self._starter, self._room = hub, operations, life, starter, room

    def first_start(self, entry: Entry) -> asyncio.Task[Outcome]:
        """Start one that was just made. Its place among those that run is taken already."""

        async def work() -> None:
            row = await store.get(entry.live.pid)
            if row.status == Status.PENDING:
                await self._starter.begin(entry, row)

        return self._operations.run(entry, "create", work)

    def begin(self, entry: Entry) -> asyncio.Task[Outcome]:
        """Start one again. BadRequest when it is neither stopped nor failed, Conflict at a limit."""

        async def work() -> None:
            row = await store.get(entry.live.pid)
            check_resumable(row.status)
            async with self._room.to_run(row.pid, row.user_id):
                entry.restarts = 0
                await self._starter.begin(entry, row)

        return self._operations.run(entry, "resume", work)

    def halt(self, entry: Entry) -> asyncio.Task[Outcome]:
        """Stop it; no change to one that does not run."""

        async def work() -> None:
            row = await store.get(entry.live.pid)
            if row.status not in (Status.STOPPED, Status.FAILED):
                await self._life.halt(entry, row)

        return self._operations.run(entry, "stop", work, stops=True)

    def erase(self, entry: Entry, *, force: bool = False) -> asyncio.Task[Outcome]:
        """End it and remove all but its project."""

        async def work() -> None:
            await self._life.erase(entry, await store.get(entry.live.pid), force=force)

        return self._operations.run(entry, "delete", work, stops=True)

    def renew(self, entry: Entry) -> asyncio.Task[Outcome]:
        """Make its workload anew and start it. Conflict at a limit."""

        async def work() -> None:
            row = await store.get(entry.live.pid)
            async with self._room.to_run(row.pid, row.user_id):
                await self._starter.renew(entry, row)

        return self._operations.run(entry, "upgrade", work)

    async def record(self, action: str, actor: Actor, live: Live, data: dict[str, Any] | None = None) -> None:
        """Write it into the audit log, as the caller's deed in the request in hand."""
        await self._hub.audit.write(
            f"opencode.{action}", actor=actor, target=f"opencode_session:{live.pid}", data=data or {}
        )


def check_resumable(status: str) -> None:
    """BadRequest, in the words of the contract's program, when it cannot be resumed."""
    if status not in (Status.STOPPED, Status.FAILED):
        raise BadRequest(f"cannot resume session in state {status}, must be stopped")
