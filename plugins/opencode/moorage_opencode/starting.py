"""How a session comes to run: checked, made, started, waited for. What fails leaves nothing behind but its reason.

The callers hold the session's lock, as with `lifecycle`.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

from moorage.api import (
    Conflict,
    Endpoint,
    Hub,
    MoorageError,
    RuntimeView,
    Unavailable,
    WorkloadState,
    WorkloadStatus,
)

from moorage_opencode import store, workload
from moorage_opencode.config import OpenCodeConfig
from moorage_opencode.digests import Digests
from moorage_opencode.figures import Figures
from moorage_opencode.lifecycle import Lifecycle, left_behind
from moorage_opencode.models import OpenCodeSession
from moorage_opencode.projects import Projects
from moorage_opencode.reasons import Interrupted, StartFailed, ended, with_log
from moorage_opencode.records import Entry
from moorage_opencode.sealed import Secrets
from moorage_opencode.states import ACTIVE, Operation, Status

PAUSE = 0.2
"""Seconds between two looks whether OpenCode is ready."""


class Starter:
    """Starts sessions."""

    def __init__(
        self,
        hub: Hub,
        config: OpenCodeConfig,
        life: Lifecycle,
        *,
        projects: Projects,
        digests: Digests,
        figures: Figures,
    ) -> None:
        self._hub, self._config, self._life = hub, config, life
        self._projects, self._digests, self._figures = projects, digests, figures

    async def begin(self, entry: Entry, row: OpenCodeSession, *, anew: bool = False) -> None:
        """Bring it to running, from pending, stopped or failed, or again from starting.

        anew: with a workload of the newest image or program, whatever there is. What fails leaves the session failed,
        with a text that says why, and no workload that this call made; raised is what to tell who asked.
        Interrupted: a stop waits for its turn, and the state is left to it.
        """
        since, made = time.monotonic(), asyncio.Event()
        try:
            await self._start(entry, row, anew, made)
        except Interrupted:
            raise
        except Exception as error:
            self._figures.failed(row.runtime)
            raise await self._failed(entry, row, error, made=made.is_set()) from error
        self._figures.started(row.runtime, time.monotonic() - since)
        self._hub.log.info("session runs", session=row.pid, project=row.workspace_path, unit=row.unit)

    async def renew(self, entry: Entry, row: OpenCodeSession) -> None:
        """Stop it, remove its workload, start one of the newest image or program. Errors as those of `begin`."""
        if row.status in (*ACTIVE, Status.STOPPING):
            await self._life.halt(entry, row, then=Operation.UPGRADE)
        await self._life.move(
            entry, row, Status.PENDING, operation=Operation.UPGRADE, generation=row.generation + 1, error_message=None
        )
        await self.begin(entry, row, anew=True)

    async def _start(self, entry: Entry, row: OpenCodeSession, anew: bool, made: asyncio.Event) -> None:
        runtime = await self._life.runtime(row)
        await self._check(row)
        secrets = Secrets.open(self._hub, row.sealed)
        _give_way(entry)
        await self._life.move(entry, row, Status.STARTING, error_message=None, stopped_at=None)
        await self._make(entry, row, runtime, secrets, anew, made)
        _give_way(entry)
        state = await runtime.start(row.workload)
        if not state.running:
            raise StartFailed(ended(state))
        endpoint = endpoint_of(state)
        port, since = endpoint.port or None, state.started_at or datetime.now(UTC)
        await store.save(row, unit=state.unit, port=port, started_at=since)
        await self._wait_ready(entry, row, runtime, endpoint, secrets)
        await self._life.runs(entry, row, endpoint, secrets, operation=None, last_activity_at=datetime.now(UTC))

    async def _check(self, row: OpenCodeSession) -> Path:
        """The project, which must be as allowed now as it was when the session was made."""
        user = await self._hub.accounts.get_user(row.user_id)
        if user is None or not user.active:
            raise Conflict("The session's owner is not active")
        return await self._projects.check(user, row.workspace_path)

    async def _make(
        self,
        entry: Entry,
        row: OpenCodeSession,
        runtime: RuntimeView,
        secrets: Secrets,
        anew: bool,
        made: asyncio.Event,
    ) -> None:
        """See that there is a workload to start: the one from before where it is good, or a new one."""
        state = await runtime.inspect(row.workload)
        there = state.status is not WorkloadStatus.MISSING
        if there and state.running and not anew:
            return
        try:
            digest = await self._digests.now(row)
        except Unavailable:
            if not there or anew or row.image is None:
                raise
            digest = row.image_digest  # The image's name is gone; what was made from it is not.
        if there and not anew and row.image is not None and digest == row.image_digest:
            return
        # Without an image, nothing is in a workload that is not in the session's home: made again it gets the
        # settings of today.
        if there:
            await runtime.remove(row.workload)
        home = self._life.home(row.pid)
        await asyncio.to_thread(home.mkdir, mode=0o700, parents=True, exist_ok=True)
        _give_way(entry)
        made.set()
        await runtime.create(workload.spec(self._config, row, secrets, home))
        await store.save(row, image_digest=digest)

    async def _wait_ready(
        self, entry: Entry, row: OpenCodeSession, runtime: RuntimeView, endpoint: Endpoint, secrets: Secrets
    ) -> None:
        gone = asyncio.ensure_future(runtime.wait(row.workload))
        try:
            async with asyncio.timeout(self._config.start_timeout):
                while not await self._is_ready(row, runtime, endpoint, secrets):
                    if gone.done():
                        raise StartFailed(ended(gone.result()))
                    _give_way(entry)
                    await asyncio.wait({gone}, timeout=PAUSE)
        except TimeoutError as error:
            raise StartFailed(f"OpenCode did not become ready within {self._config.start_timeout:g} s") from error
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)

    @staticmethod
    async def _is_ready(row: OpenCodeSession, runtime: RuntimeView, endpoint: Endpoint, secrets: Secrets) -> bool:
        # Asked in this order: who took the port before OpenCode did must not hear its password.
        return await runtime.listens(row.workload, workload.PORT) and await workload.ready(
            endpoint, secrets.authorization
        )

    async def _failed(self, entry: Entry, row: OpenCodeSession, error: Exception, *, made: bool) -> MoorageError:
        """Leave nothing behind; returns what to tell who asked for the start."""
        known = isinstance(error, MoorageError)
        if not known:
            self._hub.log.error("session cannot start", session=row.pid, exc_info=error)
        text = error.message if isinstance(error, MoorageError) else "The server could not start it: see its log"
        if row.status == Status.STARTING:
            text = await with_log(self._hub, row, text)
            await self._clear(row, made=made)
        await self._life.fail(entry, row, text)
        public = error if isinstance(error, MoorageError) and error.status != StartFailed.status else StartFailed(text)
        public.details.setdefault("session_id", row.pid)
        return public

    async def _clear(self, row: OpenCodeSession, *, made: bool) -> None:
        """After a start that failed: what it made is removed, what was there before is only stopped."""
        try:
            runtime = await self._life.runtime(row)
            if made:
                await runtime.remove(row.workload)
            else:
                await self._life.stop_workload(runtime, row)
        except Exception as error:
            # Found again and ended by the next start of the server, or of the session.
            left_behind(self._hub, row, "workload of a failed session may be left", error)


def _give_way(entry: Entry) -> None:
    if entry.stops:
        raise Interrupted


def endpoint_of(state: WorkloadState) -> Endpoint:
    """Where a workload's OpenCode is reached. StartFailed when the runtime does not say."""
    endpoint = state.endpoints.get(workload.PORT)
    if endpoint is None:
        raise StartFailed("The runtime does not say where its workload is reached")
    return endpoint
