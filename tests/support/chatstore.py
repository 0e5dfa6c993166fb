"""The stored part of chat in the test's own process: its services, people and conversations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from moorage.api import Actor
from moorage.testing.server import Server
from moorage_chat.records import Conversation, Message, Role, Space
from waits import WAIT


class Store:
    """The services of a server in this process. Use it inside of `hub.db.activate()`, where `opened` puts tests."""

    def __init__(self, server: Server) -> None:
        self.server, self.hub = server, server.hub("chat")
        self.plugin: Any = server.plugin("chat")
        services = self.plugin.services
        self.conversations, self.messages, self.search = services.conversations, services.messages, services.search
        self.shares, self.portable, self.removal = services.shares, services.portable, self.plugin.removal

    async def person(self, role: str = "viewer", scopes: list[str] | None = None) -> Actor:
        """A new user."""
        return (await self.server.as_user(role, scopes=scopes)).actor

    async def talk(self, actor: Actor, *texts: str, space: Space = Space.CHAT) -> Conversation:
        """A conversation in which both sides speak by turns."""
        made = await self.conversations.create(actor, space)
        for number, text in enumerate(texts):
            await self.messages.append(made, Role.ASSISTANT if number % 2 else Role.USER, text)
        return await self.again(actor, made)

    async def again(self, actor: Actor, conversation: Conversation) -> Conversation:
        """The conversation as it is now."""
        return await self.conversations.get(actor, conversation.id)

    async def listed(self, conversation: Conversation, **how: Any) -> list[Message]:
        """Its messages."""
        return await self.messages.listed(conversation, **how)

    async def said(self, conversation: Conversation, **how: Any) -> list[str]:
        """The texts of its messages."""
        return [one.content for one in await self.listed(conversation, **how)]

    async def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query by hand finds."""
        found = await self.hub.db.connection().execute_query_dict(query, list(values))
        return [tuple(row.values()) for row in found]

    async def until(self, check: Any, what: str) -> None:
        """Wait for something that other tasks bring about."""
        async with asyncio.timeout(WAIT):
            while not await check():
                await asyncio.sleep(0.02)


@asynccontextmanager
async def opened(folder: Path, chat: dict[str, Any] | None = None, url: str | None = None) -> AsyncIterator[Store]:
    """A server with chat; url: of its database, else a SQLite file."""
    config: dict[str, Any] = {"plugins": {"chat": chat or {}}}
    if url is not None:
        config["database"] = {"url": url}
    async with Server(folder, ["chat"], config) as server:
        with server.hub("chat").db.activate():
            yield Store(server)
