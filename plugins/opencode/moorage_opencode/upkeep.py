"""What sessions need when nobody asks: written down when they were used, stopped when idle, ended with their users."""

from __future__ import annotations

import asyncio
from typing import Any

from moorage.api import Endpoint, Hub, MoorageError

from moorage_opencode import store, workload
from moorage_opencode.commands import SERVER, Commands
from moorage_opencode.config import OpenCodeConfig
from moorage_opencode.operations import done
from moorage_opencode.records import Entry, Records

MOST_SILENT = 5
"""So often in a row a session may not say whether its agent is at work, and counts as one that is."""
WRITE_EVERY = 30.0
"""Seconds between two times that it is written down when sessions were last used."""


class Upkeep:
    """Looks after all sessions."""

    def __init__(self, hub: Hub, config: OpenCodeConfig, records: Records, commands: Commands) -> None:
        self._hub, self._config, self._records, self._commands = hub, config, records, commands

    async def stop_idle(self, entry: Entry) -> None:
        """Stop one that nobody uses. Errors as of a stop."""
        self._hub.log.info("idle session is stopped", session=entry.live.pid)
        await self._commands.record("session_stopped", SERVER, entry.live, {"because": "idle"})
        await done(self._commands.halt(entry))

    async def busy(self, entry: Entry) -> bool:
        """Whether its agent is at work, which counts as use."""
        upstream = entry.live.upstream
        if upstream is None:
            return False
        endpoint = Endpoint(upstream.host, upstream.port, upstream.path)
        found = await workload.busy(endpoint, entry.live.authorization)
        if found is None:
            # A slow machine must not cost an agent its work; one that never answers may be stopped after all.
            entry.silent += 1
            return entry.silent < MOST_SILENT
        entry.silent = 0
        if found:
            entry.touch()
        return found

    async def user_changed(self, data: dict[str, Any]) -> None:
        """Sessions of who is gone go too; those of who may not come in any more are stopped."""
        user_id = data["user_id"]
        entries = self._records.of(user_id)
        if not entries:
            return
        user = await self._hub.accounts.get_user(user_id)
        for entry in entries:
            if user is None:
                await self._commands.record("session_deleted", SERVER, entry.live, {"because": "user deleted"})
                self._commands.erase(entry)
            elif not user.active and entry.active:
                await self._commands.record("session_stopped", SERVER, entry.live, {"because": "user disabled"})
                self._commands.halt(entry)

    async def sweep(self) -> None:
        """Write down what was used; stop what nobody uses, where that is wished."""
        limit = self._config.stop_idle_seconds
        while True:
            await asyncio.sleep(min(WRITE_EVERY, limit / 2) if limit else WRITE_EVERY)
            try:
                for entry in self._records:
                    if entry.live.upstream is not None and entry.live.upstream.in_use:
                        entry.touch()  # By an open stream, or a request that takes long.
                await self.write_used()
            except Exception:
                self._hub.log.exception("use of sessions cannot be written down")
            for entry in self._records if limit else ():
                try:
                    if entry.idle(limit) and not await self.busy(entry):
                        await self.stop_idle(entry)
                except MoorageError as error:
                    self._hub.log.error("idle session not stopped", session=entry.live.pid, reason=error.message)
                except Exception:
                    self._hub.log.exception("idle session not stopped", session=entry.live.pid)

    async def write_used(self) -> None:
        """Write down when those were used that were used since."""
        used = [entry for entry in self._records if entry.unwritten]
        for entry in used:
            entry.unwritten = False
        if used:
            async with self._hub.db.transaction():
                await store.write_used((entry.live.pid, entry.used_at) for entry in used)
