"""Writes the events of all generations down: one task, one transaction for what has come in a quarter of a second.

So 200 answers at once are four commits a second, and no answer waits for the database while it is made.
"""

from __future__ import annotations

import asyncio
import contextlib

from moorage.api import Hub, MoorageError

from moorage_chat.engine.log import EventLog
from moorage_chat.reasons import reason_of
from moorage_chat.store import generations

PAUSE = 0.25
"""Seconds in which events gather before they are written."""
RETRY = 1.0
"""Seconds until a database that was away is tried again."""
MAX_UNWRITTEN = 50_000
"""Events of one generation that may wait for a database that is away."""


class Journal:
    """Knows the logs that have something new. Use it from the event loop."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._new: dict[str, EventLog] = {}
        self._sealed: set[str] = set()
        self._some = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()

    def start(self) -> None:
        """Begin to write. Once, in the plugin's start."""
        self._hub.tasks.spawn(self._write_on(), "journal")

    def note(self, id: str, log: EventLog) -> None:
        """There is something new in this log. Never waits."""
        if id not in self._new and id not in self._sealed and not log.unwritable:
            self._new[id] = log
            self._some.set()

    async def seal(self, id: str) -> None:
        """From now on the caller writes this log down, with the generation's end: returns once nobody else does."""
        self._sealed.add(id)
        self._new.pop(id, None)
        await self._free.wait()

    def forget(self, id: str) -> None:
        """The log is over."""
        self._sealed.discard(id)
        self._new.pop(id, None)

    async def _write_on(self) -> None:
        away = False
        while True:
            await self._some.wait()
            await asyncio.sleep(PAUSE)
            self._some.clear()
            batch, self._new = self._new, {}
            self._free.clear()
            try:
                await self._write(batch)
                away = False
            except Exception as error:
                for id, log in batch.items():
                    self.note(id, log)
                if not away:
                    self._hub.log.error("events of answers cannot be written down now", reason=reason_of(error))
                away = True
            finally:
                self._free.set()
            if away:
                with contextlib.suppress(TimeoutError):
                    await asyncio.sleep(RETRY)

    async def _write(self, batch: dict[str, EventLog]) -> None:
        try:
            await self._store(batch)
        except MoorageError:
            raise  # The database is away: for all of them.
        except Exception:
            # One of them spoils it for the rest, which are written by themselves.
            for id, log in batch.items():
                await self._write_one(id, log)

    async def _write_one(self, id: str, log: EventLog) -> None:
        try:
            # Of an earlier try it may not have been known whether it was committed.
            log.wrote((await generations.last_written([id]))[id])
            await self._store({id: log})
        except MoorageError:
            raise
        except Exception:
            self._hub.log.exception("events of an answer cannot be stored", generation=id)
            log.unwritable = True

    async def _store(self, batch: dict[str, EventLog]) -> None:
        found = {id: events for id, log in batch.items() if (events := log.unwritten())}
        rows = [row for id, events in found.items() for row in generations.rows(id, events)]
        if rows:
            async with self._hub.db.transaction():
                await generations.write(rows)
            for id, events in found.items():
                batch[id].wrote(events[-1].seq)
