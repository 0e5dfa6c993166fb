"""The generations of this server, while they run and for a short while after, by id and by conversation."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from moorage_chat.engine.live import Live

ENDED_KEPT = 64
"""Ended ones whose logs stay in memory: who comes back at once does not ask the database."""
ENDED_BYTES, ENDED_EVENTS = 128 * 1024, 2000
"""Those that are greater do not stay."""


class RunningGenerations:
    """Who runs, and who has just ended."""

    def __init__(self) -> None:
        self._by_id: dict[str, Live] = {}
        self._by_conversation: dict[int, Live] = {}
        self._ended: OrderedDict[str, Live] = OrderedDict()
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Live]:
        return iter(list(self._by_id.values()))

    def add(self, live: Live) -> None:
        """It runs."""
        self._by_id[live.id] = self._by_conversation[live.conversation.id] = live

    def over(self, live: Live) -> None:
        """It has ended."""
        self._by_id.pop(live.id, None)
        if self._by_conversation.get(live.conversation.id) is live:
            del self._by_conversation[live.conversation.id]
        if live.answer.size <= ENDED_BYTES and live.log.last <= ENDED_EVENTS:
            self._ended[live.id] = live
        if len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)

    def find(self, id: str) -> Live | None:
        """One that runs."""
        return self._by_id.get(id)

    def known(self, id: str) -> Live | None:
        """One that runs or has just ended."""
        return self._by_id.get(id) or self._ended.get(id)

    def of_conversation(self, conversation_id: int) -> Live | None:
        """The one that runs for a conversation."""
        return self._by_conversation.get(conversation_id)

    def of_user(self, user_id: int) -> list[Live]:
        """Those of a user."""
        return [live for live in self if live.generation.user_id == user_id]

    def forget(self, conversation_id: int) -> None:
        """The conversation is gone: nobody follows what has ended in it."""
        for id in [id for id, live in self._ended.items() if live.conversation.id == conversation_id]:
            del self._ended[id]

    @asynccontextmanager
    async def turn(self, conversation_id: int) -> AsyncIterator[None]:
        """One start at a time for each conversation."""
        lock = self._turns.get(conversation_id)
        if lock is None:
            lock = self._turns[conversation_id] = asyncio.Lock()
        async with lock:
            yield
