"""mmry's own HTTP API, for its clients. Source: mmry's HTTP service, of its last revisions that had one.

At the mount's root, and whole below `/mmry`, since `/v1/models` is chat's at the root: a client's base URL is either.
Whose memories it is about is known by the credential; its `store` is one of that user's.
"""

from __future__ import annotations

from typing import Any

from moorage.api import OPENAI, Route, Routes, current_actor, json_response, read_query
from quart import Response

from moorage_memories import bounds
from moorage_memories.config import MemoriesConfig
from moorage_memories.records import Scope
from moorage_memories.rights import VIEW, WRITE
from moorage_memories.service import Memories
from moorage_memories.views.reading import (
    OF_BACKENDS,
    AddBody,
    ChangeBody,
    ListQuery,
    SearchBody,
    StoreQuery,
    body_bytes,
    read_body,
    with_store,
)
from moorage_memories.views.shapes import (
    AddedShape,
    ChangedShape,
    DeletedShape,
    FoundShape,
    MemoryShape,
    PageShape,
    StoresShape,
    added_shape,
    memory_shape,
    store_shape,
)

BASES = ("/v1", "/mmry/v1")
SEARCH_LIMIT = 10


def routes(memories: Memories, config: MemoriesConfig) -> list[Route]:
    """All of them, under both addresses."""
    table, views = Routes(), Views(memories)
    for base in BASES:
        read: dict[str, Any] = {"access": VIEW.name, "dialect": OPENAI, "answers": OF_BACKENDS}
        write: dict[str, Any] = {**read, "access": WRITE.name, "max_body": body_bytes(config)}
        of_store: dict[str, Any] = {"query": StoreQuery}
        many, one = base + "/memories", base + "/memories/{memory_id}"
        table.get(many, **read, query=ListQuery, answer=PageShape)(views.page)
        table.post(many, **write, **of_store, body=AddBody, answer=ChangedShape)(views.create)
        table.post(base + "/agents/memories", **write, **of_store, body=AddBody, answer=AddedShape)(views.add)
        table.post(base + "/federation/search", **read, **of_store, body=SearchBody, answer=FoundShape)(views.search)
        table.get(base + "/stores", **read, answer=StoresShape)(views.stores)
        table.get(one, **read, **of_store, answer=MemoryShape)(views.get)
        table.put(one, **write, **of_store, body=ChangeBody, answer=ChangedShape)(views.change)
        table.delete(one, **write, **of_store, answer=DeletedShape)(views.delete)
    return list(table)


class Views:
    """Parse, call the service, answer."""

    def __init__(self, memories: Memories) -> None:
        self._memories = memories

    async def _scope(self, *stores: str | None, write: bool = False, adds: bool = False) -> Scope:
        return with_store(await self._memories.scope(current_actor(), write=write), *stores, write=adds)

    async def page(self) -> Response:
        """List memories, newest first: of one store, or of all."""
        query = read_query(ListQuery)
        scope = await self._scope(query.store)
        found = await self._memories.page(
            current_actor(), scope, query.filter(), offset=query.offset, limit=query.limit
        )
        answer: PageShape = {
            "memories": [memory_shape(one) for one in found.memories],
            "total": found.total,
            "offset": query.offset,
            "limit": bounds.limit_of(query.limit),
        }
        return json_response(answer)

    async def create(self) -> Response:
        """Add a memory; the answer has all of it."""
        query, body = read_query(StoreQuery), await read_body(AddBody)
        scope = await self._scope(body.store, query.store, write=True, adds=True)
        made = await self._memories.add(current_actor(), scope, [body.draft()])
        answer: ChangedShape = {"memory": memory_shape(made[0])}
        return json_response(answer)

    async def add(self) -> Response:
        """Add a memory for an agent."""
        query, body = read_query(StoreQuery), await read_body(AddBody)
        scope = await self._scope(body.store, query.store, write=True, adds=True)
        made = await self._memories.add(current_actor(), scope, [body.draft()])
        return json_response(added_shape(made[0]))

    async def search(self) -> Response:
        """Search memories, best first, in one store or in all."""
        query, body = read_query(StoreQuery), await read_body(SearchBody)
        scope = await self._scope(body.store, query.store)
        found = await self._memories.search(
            current_actor(),
            scope,
            body.query,
            mode=body.mode,
            filter=body.filter(),
            limit=body.limit or SEARCH_LIMIT,
        )
        answer: FoundShape = {"memories": [memory_shape(one) for one in found.memories], "mode": found.mode.value}
        return json_response(answer)

    async def stores(self) -> Response:
        """List one's stores."""
        found = await self._memories.stores(current_actor(), await self._scope())
        default = found[0].name if found else "default"
        answer: StoresShape = {"stores": [store_shape(one) for one in found], "default": default}
        return json_response(answer)

    async def get(self, memory_id: str) -> Response:
        """Show a memory."""
        scope = await self._scope(read_query(StoreQuery).store)
        return json_response(memory_shape(await self._memories.get(current_actor(), scope, memory_id)))

    async def change(self, memory_id: str) -> Response:
        """Change a memory: what is given, the rest stays."""
        query, body = read_query(StoreQuery), await read_body(ChangeBody)
        scope = await self._scope(body.store, query.store, write=True)
        changed = await self._memories.change(current_actor(), scope, memory_id, body.change())
        answer: ChangedShape = {"memory": memory_shape(changed)}
        return json_response(answer)

    async def delete(self, memory_id: str) -> Response:
        """Delete a memory."""
        scope = await self._scope(read_query(StoreQuery).store, write=True)
        gone = await self._memories.delete(current_actor(), scope, memory_id)
        answer: DeletedShape = {"deleted": True, "id": gone}
        return json_response(answer)
