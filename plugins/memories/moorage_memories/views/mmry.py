"""mmry's own HTTP API, for its clients. Source: mmry's HTTP service, of its last revisions that had one.

At the mount's root, and whole below `/mmry`, since `/v1/models` is chat's at the root: a client's base URL is either.
Whose memories it is about is known by the credential; its `store` is one of that user's.
"""

from __future__ import annotations

from typing import Any

from moorage.api import OPENAI, Route, Routes

from moorage_memories.config import MemoriesConfig
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

BASES = ("/v1", "/mmry/v1")


def routes(memories: Memories, config: MemoriesConfig) -> list[Route]:
    """All of them, under both addresses."""
    table, views = Routes(), Views(memories, own(memories))
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
