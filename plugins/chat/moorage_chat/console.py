"""What the console's first page, its search and its list of what runs show of chat."""

from __future__ import annotations

from moorage.api import Actor, Entry, Hub, NotFound, Running, Unavailable

from moorage_chat.engine.live import Stop
from moorage_chat.engine.service import Engine
from moorage_chat.records import Conversation, Space
from moorage_chat.rights import VIEW, WRITE
from moorage_chat.store.conversations import Conversations
from moorage_chat.store.search import Search

KIND = "conversation"
RUNS = "answer"
ENDING = "The model stops. What it has said so far is kept."
END_SECONDS = 20.0


class Console:
    """One's own conversations; of everybody's, which are being answered."""

    def __init__(self, hub: Hub, conversations: Conversations, search: Search, engine: Engine) -> None:
        self._hub, self._conversations, self._search, self._engine = hub, conversations, search, engine

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

    def running(self, actor: Actor, limit: int) -> list[Running]:
        """Everybody's, without what they are about: that is whose they are to tell."""
        may = self._hub.access.can
        found: list[Running] = []
        for live in self._engine.running:
            one = live.generation
            if len(found) == limit or not may(actor, VIEW.name, owner_id=one.user_id):
                continue
            ending = ENDING if may(actor, WRITE.name, owner_id=one.user_id) else ""
            state = "ending" if live.why is not None else "running"
            title = f"Answer of {one.model}"
            found.append(Running(RUNS, one.id, title, one.user_id, one.provider, "", one.started_at, state, ending))
        return found

    async def end(self, actor: Actor, kind: str, id: str) -> None:
        """Stop an answer."""
        live = self._engine.running.find(id) if kind == RUNS else None
        if live is None or not self._hub.access.can(actor, VIEW.name, owner_id=live.generation.user_id):
            raise NotFound("That answer is over already")
        self._hub.access.require(actor, WRITE.name, owner_id=live.generation.user_id)
        live.stop(Stop.CANCELED)
        await live.over(END_SECONDS)
        if not live.ended.is_set():
            raise Unavailable("The answer was told to stop, and has not yet. Look again in a while")


def _entry(one: Conversation, detail: str) -> Entry:
    return Entry(KIND, one.title, f"/console/chat/{one.id}", detail, one.updated_at)
