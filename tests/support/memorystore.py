"""Memories in the test's own process: the backend in the database, its people, and how its rows stand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from moorage.api import Actor
from moorage.testing.server import Server
from moorage_memories.records import Draft, Filter, Memory, Page, Scope
from moorage_memories.store.embedded import EmbeddedBackend
from waits import WAIT


class MemoryStores:
    """The embedded backend of a server in this process. Use it inside of `hub.db.activate()`, as `opened` does."""

    def __init__(self, server: Server) -> None:
        self.server, self.hub = server, server.hub("memories")
        self.plugin: Any = server.plugin("memories")
        self.service = self.plugin.memories
        backend = self.service.backend
        assert isinstance(backend, EmbeddedBackend)
        self.backend = backend

    async def person(self, role: str = "viewer") -> Actor:
        """A new user."""
        return (await self.server.as_user(role)).actor

    async def scope(self, store: str | None = None) -> Scope:
        """Memories of a new user."""
        user = (await self.person()).user
        assert user is not None
        return Scope(user.id, store)

    async def add(self, scope: Scope, *contents: str, **more: Any) -> list[Memory]:
        """Add some that are alike but for their texts."""
        return list(await self.backend.add(scope, [Draft(text, **more) for text in contents]))

    async def page(self, scope: Scope, *, offset: int = 0, limit: int = 50, **filter: Any) -> Page:
        """Some of them."""
        return await self.backend.page(scope, Filter(**filter), offset=offset, limit=limit)

    async def said(self, scope: Scope, **how: Any) -> list[str]:
        """The texts of a page."""
        return [one.content for one in (await self.page(scope, **how)).memories]

    async def stores(self, scope: Scope) -> dict[str, int | None]:
        """How many memories are in each of the user's stores."""
        return {one.name: one.memories for one in await self.backend.stores(scope.owner_id)}

    async def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query by hand finds."""
        found = await self.hub.db.connection().execute_query_dict(query, list(values))
        return [tuple(row.values()) for row in found]

    async def until(self, check: Any) -> None:
        """Wait for something that other tasks bring about."""
        async with asyncio.timeout(WAIT):
            while not await check():
                await asyncio.sleep(0.02)


@asynccontextmanager
async def opened(
    folder: Path, memories: dict[str, Any] | None = None, url: str | None = None
) -> AsyncIterator[MemoryStores]:
    """A server with memories; url: of its database, else a SQLite file."""
    config: dict[str, Any] = {"plugins": {"memories": memories or {}}}
    if url is not None:
        config["database"] = {"url": url}
    async with Server(folder, ["memories"], config) as server:
        with server.hub("memories").db.activate():
            yield MemoryStores(server)
