"""The views of memories that Octo's routes and mmry's share: parse, call the service, answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from moorage.api import current_actor, json_response, read_query
from quart import Response

from moorage_memories import bounds
from moorage_memories.bounds import with_store
from moorage_memories.records import Scope
from moorage_memories.service import Memories
from moorage_memories.views.reading import AddBody, ChangeBody, ListQuery, SearchBody, StoreQuery, read_body
from moorage_memories.views.shapes import (
    ChangedShape,
    DeletedShape,
    FoundShape,
    PageShape,
    StoresShape,
    added_shape,
    memory_shape,
    store_shape,
)

SEARCH_LIMIT = 10
Find = Callable[[str, bool, str], Awaitable[Scope]]
"""(a session's id, or "", whether they are to be changed, the store that is named, or "") -> which memories are meant,
before that store is chosen of them.
"""


def own(memories: Memories) -> Find:
    """Those of who asks."""

    async def find(id: str, write: bool, named: str) -> Scope:
        return await memories.scope(current_actor(), write=write)

    return find


class Views:
    """The views over some memories: each takes `id`, a session's, where the path has one."""

    def __init__(self, memories: Memories, find: Find) -> None:
        self._memories, self._find = memories, find

    async def _scope(self, id: str, write: bool, *named: str | None, adds: bool = False) -> Scope:
        name = next((name for name in named if name), "")
        return with_store(await self._find(id, write, name), name, adds=adds)

    async def page(self, id: str = "") -> Response:
        """List memories, newest first."""
        query = read_query(ListQuery)
        scope = await self._scope(id, False, query.store)
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

    async def add(self, id: str = "") -> Response:
        """Add a memory."""
        query, body = read_query(StoreQuery), await read_body(AddBody)
        scope = await self._scope(id, True, body.store, query.store, adds=True)
        made = await self._memories.add(current_actor(), scope, [body.draft()])
        return json_response(added_shape(made[0]))

    async def create(self) -> Response:
        """Add a memory; the answer has all of it."""
        query, body = read_query(StoreQuery), await read_body(AddBody)
        scope = await self._scope("", True, body.store, query.store, adds=True)
        made = await self._memories.add(current_actor(), scope, [body.draft()])
        answer: ChangedShape = {"memory": memory_shape(made[0])}
        return json_response(answer)

    async def search(self, id: str = "") -> Response:
        """Search memories, best first. The answer's `mode` says how, where the server could not do what was asked."""
        query, body = read_query(StoreQuery), await read_body(SearchBody)
        scope = await self._scope(id, False, body.store, query.store)
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

    async def stores(self, id: str = "") -> Response:
        """List the stores of whose memories these are. `default`: the one that is meant here."""
        scope = await self._scope(id, False)
        found = await self._memories.stores(current_actor(), scope)
        default = scope.store or (found[0].name if found else "default")
        answer: StoresShape = {"stores": [store_shape(one) for one in found], "default": default}
        return json_response(answer)

    async def get(self, memory_id: str, id: str = "") -> Response:
        """Show a memory."""
        query = read_query(StoreQuery)
        scope = await self._scope(id, False, query.store)
        return json_response(memory_shape(await self._memories.get(current_actor(), scope, memory_id)))

    async def change(self, memory_id: str, id: str = "") -> Response:
        """Change a memory: what is given, the rest stays."""
        query, body = read_query(StoreQuery), await read_body(ChangeBody)
        scope = await self._scope(id, True, body.store, query.store)
        changed = await self._memories.change(current_actor(), scope, memory_id, body.change())
        answer: ChangedShape = {"memory": memory_shape(changed)}
        return json_response(answer)

    async def delete(self, memory_id: str, id: str = "") -> Response:
        """Delete a memory."""
        query = read_query(StoreQuery)
        scope = await self._scope(id, True, query.store)
        gone = await self._memories.delete(current_actor(), scope, memory_id)
        answer: DeletedShape = {"deleted": True, "id": gone}
        return json_response(answer)
