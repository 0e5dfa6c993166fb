"""What the console's first page and its search show of memories."""

from __future__ import annotations

from urllib.parse import urlencode

from moorage.api import Actor, Entry, Hub

from moorage_memories.records import Memory, Mode
from moorage_memories.rights import VIEW
from moorage_memories.service import Memories

KIND = "memory"
DEFAULT = "default"
"""The category that says nothing."""
WORDS, LONGEST = 8, 100
"""Of a memory, with which the page is asked for it."""


class Console:
    """One's own memories."""

    def __init__(self, hub: Hub, memories: Memories) -> None:
        self._hub, self._memories = hub, memories

    async def overview(self, actor: Actor, limit: int) -> list[Entry]:
        """The newest ones; none for who may not see any."""
        user = actor.user
        if user is None or not self._hub.access.can(actor, VIEW.name, owner_id=user.id):
            return []
        scope = await self._memories.scope(actor, write=False)
        page = await self._memories.page(actor, scope, limit=limit)
        return [_entry(one, " ".join(one.content.split()[:WORDS])[:LONGEST]) for one in page.memories]

    async def search(self, actor: Actor, query: str, limit: int) -> list[Entry]:
        """By words alone: the console asks with each pause in typing, and a model takes longer than that."""
        user = actor.user
        if user is None or not self._hub.access.can(actor, VIEW.name, owner_id=user.id):
            return []
        scope = await self._memories.scope(actor, write=False)
        found = await self._memories.search(actor, scope, query, mode=Mode.BM25, limit=limit)
        return [_entry(one, query) for one in found.memories]


def _entry(one: Memory, query: str) -> Entry:
    address = f"/console/memories?{urlencode({'q': query})}"
    category = "" if one.category == DEFAULT else one.category
    return Entry(KIND, one.content, address, category, one.updated_at)
