"""Following a generation: what its log holds already, then what comes, from memory or from the database."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from time import monotonic

from moorage_chat.engine.live import Live
from moorage_chat.engine.log import DELTA, DONE, ERROR, REASONING, USAGE
from moorage_chat.records import Event, Generation
from moorage_chat.store import generations

LOOK_EVERY = 0.25
"""Seconds between two looks at the database, for what another server writes."""
AT_ONCE = 256
"""Events that are handed out at once."""
FOREVER = 3600.0


class Follower(ABC):
    """Reads a generation's events in order. `async for` gives them one by one and ends after `done`.

    ended: `done` was given, or had been before.
    """

    def __init__(self, generation_id: str, after: int) -> None:
        self.generation_id, self._after = generation_id, after
        self.ended = False

    async def some(self, timeout: float) -> list[Event]:
        """The next events, as soon as there are any; none after `timeout` seconds, or when it has ended."""
        if self.ended:
            return []
        events = await self._next(timeout)
        if events:
            self._after = max(self._after, events[-1].seq)
            self.ended = self.ended or events[-1].type == DONE
        return events

    async def __aiter__(self) -> AsyncIterator[Event]:
        while not self.ended:
            for event in await self.some(FOREVER):
                yield event

    @abstractmethod
    async def _next(self, timeout: float) -> list[Event]: ...


class LocalFollower(Follower):
    """Of a generation that runs on this server, or did lately."""

    def __init__(self, live: Live, after: int) -> None:
        super().__init__(live.id, after)
        self._log = live.log

    async def _next(self, timeout: float) -> list[Event]:
        log = self._log
        if log.last <= self._after and not log.ended:
            await log.news(self._after, timeout)
        events = log.since(self._after, AT_ONCE)
        if events is None:  # So far behind that it has left the memory.
            events = await generations.read(self.generation_id, self._after)
            if not events:
                self.ended = True  # Removed in the meantime.
        elif not events and log.ended:
            self.ended = True
        return events


class StoredFollower(Follower):
    """Of a generation that is over, or runs on another server. here: called now and then while it is waited for."""

    def __init__(self, generation_id: str, after: int, here: Callable[[], None]) -> None:
        super().__init__(generation_id, after)
        self._here = here

    async def _next(self, timeout: float) -> list[Event]:
        until = monotonic() + timeout
        while True:
            if events := await generations.read(self.generation_id, self._after):
                return events
            generation = await generations.find(self.generation_id)
            if generation is None:
                self.ended = True
                return []
            if not generation.status.active:
                return await generations.read(self.generation_id, self._after) or await self._rest(generation)
            self._here()
            if (left := until - monotonic()) <= 0:
                return []
            await asyncio.sleep(min(LOOK_EVERY, left))

    async def _rest(self, generation: Generation) -> list[Event]:
        """The end of one whose events are kept no more, or were never all written: from what is stored of it."""
        self.ended = True
        last = (await generations.last_written([generation.id]))[generation.id]
        if self._after and last:
            return []  # `done` was the last that this client had.
        return await told_again(generation, whole=not self._after)


async def told_again(generation: Generation, *, whole: bool) -> list[Event]:
    """A generation's end as events without numbers. whole: its text as well, in one piece."""
    events: list[Event] = []
    if whole and generation.message_id is not None:
        content, parts = await generations.said(generation.message_id)
        if reasoning := parts.get("reasoning"):
            events.append(Event(0, REASONING, {"reasoning": reasoning}))
        if content:
            events.append(Event(0, DELTA, {"delta": content}))
    return [*events, *ending(generation, None)]


def ending(generation: Generation, after: int | None) -> list[Event]:
    """What is told last: the tokens, what went wrong, and `done`. after: the number before theirs; None: no numbers."""
    found: list[tuple[str, dict[str, object]]] = []
    usage = None if generation.usage is None else dict(generation.usage)
    if usage is not None:
        found.append((USAGE, {"usage": usage}))
    if generation.error_code is not None:
        found.append((ERROR, {"code": generation.error_code, "message": generation.error_message or ""}))
    done: dict[str, object] = {"status": generation.status.value}
    if generation.message_id is not None:
        done["message_id"] = generation.message_id
    if usage is not None:
        done["usage"] = usage
    found.append((DONE, done))
    if after is None:
        return [Event(0, type, data) for type, data in found]
    return [Event(after + 1 + place, type, data) for place, (type, data) in enumerate(found)]
