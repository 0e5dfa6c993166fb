"""Memories of sessions, projects and one's own. Source: `api/octo.md`, Memories; `memories`, its program's.

A session's are those of the project that it works in: they are still there when it is gone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from moorage.api import NotFound, Route, Routes, current_actor, json_response, read_query
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
    WorkspaceQuery,
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

OF_SESSIONS = (
    "/api/session/{id}/mmry",
    "/api/session/{id}/memories",
    "/api/sessions/{id}/mmry",
    "/api/sessions/{id}/memories",
)
OF_PROJECTS = "/api/workspace/memories"
OWN = "/api/memories"
SEARCH_LIMIT = 10
Find = Callable[[str, WorkspaceQuery, bool], Awaitable[Scope]]
"""(a session's id, the query, whether it is to be changed) -> which memories are meant."""


def routes(memories: Memories, config: MemoriesConfig) -> list[Route]:
    """All of them, under each of their addresses."""
    table = Routes()

    async def of_session(id: str, query: WorkspaceQuery, write: bool) -> Scope:
        return await memories.scope_of_session(current_actor(), id, write=write)

    async def of_project(id: str, query: WorkspaceQuery, write: bool) -> Scope:
        if not query.workspace_path:
            raise NotFound("There is no such project: say which one by workspace_path")
        return await memories.scope_of_workspace(current_actor(), query.workspace_path, write=write)

    async def own(id: str, query: WorkspaceQuery, write: bool) -> Scope:
        return await memories.scope(current_actor(), write=write)

    for base in OF_SESSIONS:
        _add(table, base, Views(memories, of_session), config)
    _add(table, OF_PROJECTS, Views(memories, of_project), config)
    _add(table, OWN, Views(memories, own), config)
    return list(table)


def _add(table: Routes, base: str, views: Views, config: MemoriesConfig) -> None:
    one = base + "/{memory_id}"
    both: dict[str, Any] = {"query": WorkspaceQuery, "answers": OF_BACKENDS}
    read: dict[str, Any] = {"access": VIEW.name, **both}
    write: dict[str, Any] = {"access": WRITE.name, "max_body": body_bytes(config), **both}
    table.get(base, **{**read, "query": ListQuery}, answer=PageShape)(views.page)
    table.post(base, **write, body=AddBody, answer=AddedShape)(views.add)
    table.post(base + "/search", **read, body=SearchBody, answer=FoundShape)(views.search)
    table.get(base + "/stores", **read, answer=StoresShape)(views.stores)
    table.get(one, **read, answer=MemoryShape)(views.get)
    table.put(one, **write, body=ChangeBody, answer=ChangedShape)(views.change)
    table.delete(one, **write, answer=DeletedShape)(views.delete)


class Views:
    """Parse, call the service, answer."""

    def __init__(self, memories: Memories, find: Find) -> None:
        self._memories, self._find = memories, find

    async def page(self, id: str = "") -> Response:
        """List memories, newest first."""
        query = read_query(ListQuery)
        scope = with_store(await self._find(id, query, False), query.store)
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
        query, body = read_query(WorkspaceQuery), await read_body(AddBody)
        scope = with_store(await self._find(id, query, True), body.store, query.store, write=True)
        made = await self._memories.add(current_actor(), scope, [body.draft()])
        return json_response(added_shape(made[0]))

    async def search(self, id: str = "") -> Response:
        """Search memories, best first. The answer's `mode` says how, where the server could not do what was asked."""
        query, body = read_query(WorkspaceQuery), await read_body(SearchBody)
        scope = with_store(await self._find(id, query, False), body.store, query.store)
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
        query = read_query(WorkspaceQuery)
        scope = await self._find(id, query, False)
        found = await self._memories.stores(current_actor(), scope)
        default = scope.store or (found[0].name if found else "default")
        answer: StoresShape = {"stores": [store_shape(one) for one in found], "default": default}
        return json_response(answer)

    async def get(self, memory_id: str, id: str = "") -> Response:
        """Show a memory."""
        query = read_query(WorkspaceQuery)
        scope = with_store(await self._find(id, query, False), query.store)
        return json_response(memory_shape(await self._memories.get(current_actor(), scope, memory_id)))

    async def change(self, memory_id: str, id: str = "") -> Response:
        """Change a memory: what is given, the rest stays."""
        query, body = read_query(WorkspaceQuery), await read_body(ChangeBody)
        scope = with_store(await self._find(id, query, True), body.store, query.store)
        changed = await self._memories.change(current_actor(), scope, memory_id, body.change())
        answer: ChangedShape = {"memory": memory_shape(changed)}
        return json_response(answer)

    async def delete(self, memory_id: str, id: str = "") -> Response:
        """Delete a memory."""
        query = read_query(WorkspaceQuery)
        scope = with_store(await self._find(id, query, True), query.store)
        answer: DeletedShape = {
            "deleted": True,
            "id": await self._memories.delete(current_actor(), scope, memory_id),
        }
        return json_response(answer)
