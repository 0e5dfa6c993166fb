"""What the console's first page and its search show of chat."""

from __future__ import annotations

from moorage.api import Actor, Entry, Hub

from moorage_chat.records import Conversation, Space
from moorage_chat.rights import VIEW
from moorage_chat.store.conversations import Conversations
from moorage_chat.store.search import Search

KIND = "conversation"


class Console:
    """One's own conversations."""

    def __init__(self, hub: Hub, conversations: Conversations, search: Search) -> None:
        self._hub, self._conversations, self._search = hub, conversations, search

    async def overview(self, actor: Actor, limit: int) -> list[Entry]:
        """The last used ones; none for who may not see any."""
        if not self._hub.access.holds(actor, VIEW.name):
            return []
        found = await self._conversations.page(actor, Space.CHAT, limit=limit, offset=0)
        return [_entry(one, "") for one in found]

    async def search(self, actor: Actor, query: str, limit: int) -> list[Entry]:
        """By title, then by what was said."""
        if not self._hub.access.holds(actor, VIEW.name):
            return []
        titled = await self._conversations.page(actor, Space.CHAT, q=query, limit=limit, offset=0)
        entries = {one.id: _entry(one, "") for one in titled}
        for hit in await self._search.find(actor, Space.CHAT, query, limit=limit):
            entries.setdefault(hit.conversation.id, _entry(hit.conversation, hit.excerpt))
        return list(entries.values())[:limit]


def _entry(one: Conversation, detail: str) -> Entry:
    return Entry(KIND, one.title, f"/console/chat/{one.id}", detail, one.updated_at)
