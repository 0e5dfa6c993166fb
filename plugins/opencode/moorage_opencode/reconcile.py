"""What the table says and what really runs, brought together: at the server's start, and when a workload ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from functools import partial

from moorage.api import Hub, MoorageError, Unavailable, WorkloadState, WorkloadStatus

from moorage_opencode import store
from moorage_opencode.background import Background
from moorage_opencode.lifecycle import Lifecycle
from moorage_opencode.models import OpenCodeSession
from moorage_opencode.operations import Operations
from moorage_opencode.reasons import Interrupted, StartFailed, ended, missing, with_log
from moorage_opencode.records import Entry, Records
from moorage_opencode.sealed import Secrets, Unsealable
from moorage_opencode.starting import Starter, endpoint_of
from moorage_opencode.states import ACTIVE, Operation, Status

RESTARTS = 1
"""How often a session that ended by itself is started again before somebody must look at it."""
RESTART_PAUSE = 1.0
STABLE = 300.0
"""Seconds after which a session that ran counts as well again."""
AT_ONCE = 4
"""Sessions that are taken up at the same time at the server's start."""
FIRST_RETRY, LONGEST_RETRY = 1.0, 30.0


class Reconciler:
    """Takes up what runs, ends what should not, starts again what ended by itself."""

    def __init__(
        self,
        hub: Hub,
        records: Records,
        operations: Operations,
        background: Background,
        life: Lifecycle,
        starter: Starter,
    ) -> None:
        self._hub, self._records, self._operations, self._background = hub, records, operations, background
        self._life, self._starter = life, starter
        self._turns = asyncio.Semaphore(AT_ONCE)
        life.on_running = self.watch

    # -- at the start --------------------------------------------------------------------------------------------

    def take_up(self, rows: Iterable[OpenCodeSession]) -> None:
        """Begin to bring every session to what its row says. Goes on in the background."""
        rows = list(rows)
        for row in rows:
            entry = self._records.get(row.pid)
            if entry is not None and (row.operation is not None or row.status in (*ACTIVE, Status.STOPPING)):
                entry.settled = asyncio.Event()
                self._background.spawn(self._settle(entry, entry.settled), f"take up {row.pid}")
        self._background.spawn(self._end_others(), "end what nobody knows")

    async def _settle(self, entry: Entry, settled: asyncio.Event) -> None:
        """Until it is settled: a runtime that is away is asked again, however long that takes."""
        pause = FIRST_RETRY
        while True:
            async with self._turns:
                task = self._operations.run(entry, "take up", lambda: self._take_up(entry))
                await asyncio.wait({task})
            settled.set()
            if task.cancelled() or not isinstance(task.result().error, Away):
                return
            # An engine that ends takes its containers with it: that is no fault of theirs.
            entry.restarts = 0
            await asyncio.sleep(pause)
            pause = min(LONGEST_RETRY, pause * 2)

    async def _take_up(self, entry: Entry) -> None:
        if entry.live.status == "deleted":
            return
        row = await store.get(entry.live.pid)
        try:
            state = await (await self._life.runtime(row)).inspect(row.workload)
        except Unavailable as error:
            raise Away(error.message) from error
        if row.operation == Operation.DELETE:
            await self._life.erase(entry, row)
        elif row.operation == Operation.UPGRADE:
            await self._starter.renew(entry, row)
        elif row.status == Status.STOPPING:
            await self._life.halt(entry, row)
        elif row.status in (Status.PENDING, Status.STARTING):
            await self._begin(entry, row)
        elif row.status == Status.RUNNING:
            await self._is_it_there(entry, row, state)

    async def _is_it_there(self, entry: Entry, row: OpenCodeSession, state: WorkloadState) -> None:
        if not state.running:
            await self._ended(entry, row, state)
            return
        try:
            await self._life.runs(entry, row, endpoint_of(state), Secrets.open(self._hub, row.sealed))
        except (Unsealable, StartFailed) as error:
            await self._life.stop_workload(await self._life.runtime(row), row)
            await self._life.fail(entry, row, error.message)
            return
        self._hub.log.info("session found again", session=row.pid, project=row.workspace_path, unit=row.unit)

    async def _end_others(self) -> None:
        """End workloads that no session has, or one that should not run: a database that was put back, for one."""
        known = {entry.live.workload: entry for entry in self._records}
        for kind in self._hub.runtimes.kinds():
            try:
                runtime = await self._hub.runtimes.get(kind)
                for name, state in (await runtime.list()).items():
                    entry = known.get(name)
                    if entry is None or entry.live.runtime != kind:
                        self._hub.log.warning("workload without a session is ended", workload=name, runtime=kind)
                        await runtime.remove(name)
                    elif state.running and entry.live.status in (Status.STOPPED, Status.FAILED):
                        self._operations.run(entry, "stop again", partial(self._stop_again, entry))
            except Unavailable as error:
                self._hub.log.warning("runtime not looked through", runtime=kind, reason=error.message)

    async def _stop_again(self, entry: Entry) -> None:
        row = await store.get(entry.live.pid)
        if row.status in (Status.STOPPED, Status.FAILED):
            await self._life.stop_workload(await self._life.runtime(row), row)

    # -- while it runs -------------------------------------------------------------------------------------------

    def watch(self, entry: Entry) -> None:
        """Notice when the session's workload ends."""
        entry.unwatch()
        entry.watch = self._background.spawn(self._watch(entry), f"watch {entry.live.pid}")

    async def _watch(self, entry: Entry) -> None:
        pause, away = FIRST_RETRY, False
        while True:
            try:
                runtime = await self._hub.runtimes.get(entry.live.runtime)
                await runtime.wait(entry.live.workload)
                if not (await runtime.inspect(entry.live.workload)).running:
                    break
            except Exception as error:
                if not away:
                    self._hub.log.warning("session not watched now", session=entry.live.pid, reason=str(error))
                away = True
            await asyncio.sleep(pause)
            pause = min(LONGEST_RETRY, pause * 2)
        entry.settled = asyncio.Event()
        self._background.spawn(self._settle(entry, entry.settled), f"look after {entry.live.pid}")

    async def _ended(self, entry: Entry, row: OpenCodeSession, state: WorkloadState) -> None:
        """It ended by itself: once it is started again, then it has failed."""
        entry.unwatch()
        if state.status is WorkloadStatus.MISSING:
            await self._life.fail(entry, row, missing(row.runtime))
            return
        text = await with_log(self._hub, row, ended(state))
        if entry.ready_at and time.monotonic() - entry.ready_at > STABLE:
            entry.restarts = 0
        if entry.restarts >= RESTARTS:
            await self._life.fail(entry, row, text)
            return
        entry.restarts += 1
        await self._life.move(entry, row, Status.STARTING, error_message=text)
        await asyncio.sleep(RESTART_PAUSE)
        if entry.stops:
            raise Interrupted
        if await self._is_away(row):
            raise Away
        await self._begin(entry, row)

    async def _begin(self, entry: Entry, row: OpenCodeSession) -> None:
        """Start it. Away, and the session still to be started, when the runtime went away meanwhile."""
        try:
            await self._starter.begin(entry, row)
        except Interrupted:
            raise
        except MoorageError as error:
            if not await self._is_away(row):
                raise
            await self._life.move(entry, row, Status.STARTING, stopped_at=None)
            raise Away from error

    async def _is_away(self, row: OpenCodeSession) -> bool:
        try:
            await (await self._life.runtime(row)).inspect(row.workload)
        except Unavailable:
            return True
        return False


class Away(Unavailable):
    """The runtime could not be asked."""
