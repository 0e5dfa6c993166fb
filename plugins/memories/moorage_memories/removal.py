"""What was a user's who has been deleted goes: when that is told, and by a look each minute, in case nobody heard."""

from __future__ import annotations

from typing import Any

from moorage.api import Hub, Topic, repeat, sql

from moorage_memories.backends.base import MemoryBackend

LOOK_EVERY = 60.0
"""Seconds between two looks."""


class Removal:
    """Removes memories of users who are gone. `start` it once, in the plugin's start."""

    def __init__(self, hub: Hub, backend: MemoryBackend) -> None:
        self._hub, self._backend = hub, backend

    def start(self) -> None:
        """Hear of users who are deleted, and look for what is left."""
        self._hub.bus.subscribe(Topic.USER_DELETED, self._user_deleted)
        # Also what a task that follows a user's end could not do: the next look does it.
        looking = repeat("removal of deleted users' memories", LOOK_EVERY, self.look, at_once=True)
        self._hub.tasks.spawn(looking, "removal")

    async def look(self) -> None:
        """Remove what users left who were deleted while nobody heard."""
        for some in sql.chunks(sorted(await self._backend.owners())):
            there = await self._hub.accounts.users.states(set(some))
            for user_id in some:
                if user_id not in there:
                    await self._remove(user_id)

    async def _remove(self, user_id: int) -> None:
        await self._backend.forget_user(user_id)
        self._hub.log.info("the memories of a deleted user are removed", user_id=user_id)

    async def _user_deleted(self, data: dict[str, Any]) -> None:
        """Async, so that it runs in the context of the plugin's start; in a task, since it may take long."""
        self._hub.tasks.spawn(self._remove(int(data["user_id"])), f"user {data['user_id']}")
