"""Deleting: conversations with all that belongs to them, some rows at a time; and what was a user's who is gone.

A conversation is marked first, and nobody sees it from then on. Its messages go in short transactions, so that others
can write meanwhile. What a crash leaves half done is found by its mark.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from moorage.api import Hub, Topic, repeat, sql
from tortoise.models import Model

from moorage_chat.models import (
    ChatConversation,
    ChatGeneration,
    ChatIdempotency,
    ChatMessage,
    ChatUsage,
    ChatUserLimit,
)
from moorage_chat.store import generations, index

LOOK_EVERY = 60.0
"""Seconds between two looks for what a crash left half done, and for users who were deleted while nobody heard."""
TELL_SECONDS = 10.0
LEFT_AFTER = timedelta(minutes=10)
"""A mark that is older is nobody's work any more."""
_OF_USERS: tuple[type[Model], ...] = (ChatConversation, ChatUsage, ChatUserLimit, ChatIdempotency, ChatGeneration)


class Removal:
    """Removes conversations. `start` it once, in the plugin's start."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.callbacks: list[Callable[[int], Awaitable[None]]] = []

    def start(self) -> None:
        """Hear of users who are deleted, and look for what is left."""
        self._hub.bus.subscribe(Topic.USER_DELETED, self._user_deleted)
        # Also what a task that follows a user's end could not do: the next look does it.
        looking = repeat("removal of deleted conversations", LOOK_EVERY, self.look, at_once=True)
        self._hub.tasks.spawn(looking, "removal")

    async def mark(self, conversation_id: int) -> bool:
        """Nobody sees it any more. False when that was so before."""
        rows = ChatConversation.filter(id=conversation_id, deleted_at__isnull=True)
        changed: int = await rows.update(deleted_at=datetime.now(UTC), share_hash=None)
        return bool(changed)

    async def remove(self, conversation_id: int) -> None:
        """Tell who asked to be told, then remove all of a conversation that is marked. Harmless to repeat."""
        for callback in self.callbacks:
            try:
                async with asyncio.timeout(TELL_SECONDS):
                    await callback(conversation_id)
            except Exception:
                self._hub.log.exception("the end of a conversation was not taken in", conversation=conversation_id)
        messages = ChatMessage.filter(conversation_id=conversation_id).order_by("id").limit(sql.AT_ONCE)
        while ids := await messages.values_list("id", flat=True):
            async with self._hub.db.transaction():
                # Who finishes one of them right now is waited for here; what they put into the index goes after it.
                await ChatMessage.filter(id__in=ids).delete()
                await index.remove(self._hub, ids)  # type: ignore[arg-type]
        await generations.forget(await generations.ids(conversation_id))
        await ChatConversation.filter(id=conversation_id).delete()

    async def remove_user(self, user_id: int) -> None:
        """Remove all that was a user's."""
        mine = ChatConversation.filter(user_id=user_id)
        await mine.filter(deleted_at__isnull=True).update(deleted_at=datetime.now(UTC), share_hash=None)
        for conversation_id in await mine.values_list("id", flat=True):
            assert isinstance(conversation_id, int)
            await self.remove(conversation_id)
        for model in _OF_USERS:
            await model.filter(user_id=user_id).delete()
        self._hub.log.info("what a deleted user had is removed", user_id=user_id)

    async def look(self) -> None:
        """Finish what a crash left half done, and what users left who were deleted while nobody heard."""
        left = ChatConversation.filter(deleted_at__lt=datetime.now(UTC) - LEFT_AFTER)
        for conversation_id in await left.values_list("id", flat=True):
            assert isinstance(conversation_id, int)
            await self.remove(conversation_id)
        users: set[int] = set()
        for model in _OF_USERS:
            users.update(await model.all().distinct().values_list("user_id", flat=True))  # type: ignore[arg-type]
        for some in sql.chunks(sorted(users)):
            there = await self._hub.accounts.users.states(set(some))
            for user_id in some:
                if user_id not in there:
                    await self.remove_user(user_id)

    async def _user_deleted(self, data: dict[str, Any]) -> None:
        """Async, so that it runs in the context of the plugin's start; in a task, since it may take long."""
        self._hub.tasks.spawn(self.remove_user(int(data["user_id"])), f"user {data['user_id']}")
