"""Memories of sessions, projects and one's own. Source: `api/octo.md`, Memories; `memories`, its program's.

A session's are those of the project that it works in: they are still there when it is gone.
"""

from __future__ import annotations

from typing import Any

from moorage.api import NotFound, Route, Routes, current_actor, read_query

from moorage_memories.config import MemoriesConfig
from moorage_memories.records import Scope
from moorage_memories.rights import VIEW, WRITE
from moorage_memories.service import Memories
from moorage_memories.views.memories import Views, own
from moorage_memories.views.reading import (
    OF_BACKENDS,
    AddBody,
    ChangeBody,
    ListQuery,
    SearchBody,
    StoreQuery,
    WorkspaceListQuery,
    WorkspaceQuery,
    body_bytes,
)
from moorage_memories.views.shapes import (
    AddedShape,
    ChangedShape,
    DeletedShape,
    FoundShape,
    MemoryShape,
    PageShape,
    StoresShape,
)

OF_SESSIONS = (
    "/api/session/{id}/mmry",
    "/api/session/{id}/memories",
    "/api/sessions/{id}/mmry",
    "/api/sessions/{id}/memories",
)
OF_PROJECTS = "/api/workspace/memories"
OWN = "/api/memories"


def routes(memories: Memories, config: MemoriesConfig) -> list[Route]:
    """All of them, under each of their addresses."""
    table = Routes()

    async def of_session(id: str, write: bool, named: str) -> Scope:
        return await memories.scope_of_session(current_actor(), id, write=write, instead=named)

    async def of_project(id: str, write: bool, named: str) -> Scope:
        path = read_query(WorkspaceQuery).workspace_path
        if not path:
            raise NotFound("There is no such project: say which one by workspace_path")
        return await memories.scope_of_workspace(current_actor(), path, write=write, instead=named)

    for base in OF_SESSIONS:
        _add(table, base, Views(memories, of_session), config)
    _add(table, OF_PROJECTS, Views(memories, of_project), config, query=WorkspaceQuery, listed=WorkspaceListQuery)
    _add(table, OWN, Views(memories, own(memories)), config)
    return list(table)


def _add(
    table: Routes,
    base: str,
    views: Views,
    config: MemoriesConfig,
    *,
    query: type[StoreQuery] = StoreQuery,
    listed: type[ListQuery] = ListQuery,
) -> None:
    one = base + "/{memory_id}"
    read: dict[str, Any] = {"access": VIEW.name, "answers": OF_BACKENDS}
    write: dict[str, Any] = {"access": WRITE.name, "answers": OF_BACKENDS, "max_body": body_bytes(config)}
    table.get(base, **read, query=listed, answer=PageShape)(views.page)
    table.post(base, **write, query=query, body=AddBody, answer=AddedShape)(views.add)
    table.post(base + "/search", **read, query=query, body=SearchBody, answer=FoundShape)(views.search)
    table.get(base + "/stores", **read, query=query, answer=StoresShape)(views.stores)
    table.get(one, **read, query=query, answer=MemoryShape)(views.get)
    table.put(one, **write, query=query, body=ChangeBody, answer=ChangedShape)(views.change)
    table.delete(one, **write, query=query, answer=DeletedShape)(views.delete)
