"""Memories in a mmry service: each operation as requests to its HTTP API.

Source: the mapping of Octo's proxy (list → `GET /v1/memories`, add → `POST /v1/agents/memories`, search →
`POST /v1/federation/search`, one → `/v1/memories/{id}`, stores → `GET /v1/stores`), and the service itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any, TypeVar
from urllib.parse import quote

from moorage.api import BadRequest, Hub, MoorageError, NotFound, UpstreamError

from moorage_memories.backends.base import MemoryBackend
from moorage_memories.backends.mmry_client import Client
from moorage_memories.backends.mmry_records import DEFAULT, Names, draft_body, memory_of
from moorage_memories.config import MmryConfig
from moorage_memories.records import Change, Draft, Filter, Found, Memory, Mode, Page, Scope, StoreInfo

T = TypeVar("T")
AT_ONCE = 100
"""Memories of one answer: mmry's most."""
LOOKED_AT = 1000
"""Memories of a store that are looked at, newest first, where the service itself cannot say which are meant."""
MAX_STORES = 64
"""Stores that are looked through when none is named."""

ADDING = ("/v1/agents/memories", "/v1/memories")
"""By what memories are added: earlier revisions have the one, later ones the other."""
NO_MEMORY_OR_STORE = (NotFound, BadRequest)
"""How it says that there is no such memory, and no such store."""


class MmryBackend(MemoryBackend):
    """A mmry service. What it cannot do: keep the ids of what is imported, or add some and all or none at once.

    Filters other than the category are applied to the newest `LOOKED_AT` of a store.
    """

    name = "mmry"

    def __init__(self, hub: Hub, config: MmryConfig) -> None:
        self._hub, self._names = hub, Names(config.stores)
        self._client = Client(config)
        self._adding = ADDING[0]

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def describe(self) -> str:
        """What was wrong when it was last asked; nobody asks it only to find out."""
        return self._client.trouble

    async def store_for(self, owner_id: int, project: str) -> str:
        """From the path alone, so that it needs to be kept nowhere."""
        return self._names.of_project(project)

    async def stores(self, owner_id: int) -> Sequence[StoreInfo]:
        answer = await self._client.ask("GET", "/v1/stores")
        default = answer.get("default") if isinstance(answer.get("default"), str) else DEFAULT
        listed = answer.get("stores")
        found = {DEFAULT: StoreInfo(DEFAULT)}
        for one in listed if isinstance(listed, list) else []:
            name = one.get("name") if isinstance(one, dict) else one
            if isinstance(name, str) and (ours := self._names.ours(owner_id, name, str(default))) is not None:
                found[ours] = StoreInfo(ours, _count(one))
        return [found.pop(DEFAULT), *(found[name] for name in sorted(found))]

    async def page(self, scope: Scope, filter: Filter, *, offset: int, limit: int) -> Page:
        stores = await self._stores_of(scope)
        plain = filter == Filter(category=filter.category)
        if len(stores) == 1 and plain:
            return await self._listed(scope.owner_id, stores[0], filter, offset=offset, limit=limit)
        pages = await asyncio.gather(
            *[self._newest(scope.owner_id, store, filter, offset + limit, plain=plain) for store in stores]
        )
        memories = sorted(
            (one for page in pages for one in page.memories), key=lambda one: one.created_at, reverse=True
        )
        return Page(memories[offset : offset + limit], sum(page.total for page in pages))

    async def get(self, scope: Scope, memory_id: str) -> Memory:
        async def look(store: str) -> Memory:
            answer = await self._client.ask("GET", _path(memory_id), self._query(scope, store))
            return memory_of(answer.get("memory", answer), store)

        return await self._first(scope, look, elsewhere=NO_MEMORY_OR_STORE)

    async def add(self, scope: Scope, drafts: Sequence[Draft]) -> Sequence[Memory]:
        store = scope.store or DEFAULT
        made: list[Memory] = []
        try:
            for draft in drafts:
                made.append(await self._add(scope, store, draft))  # noqa: PERF401 - what is made is needed when one fails
        except BaseException:
            # All or none, as far as that can be had.
            if made:
                self._hub.tasks.spawn(self._take_back(Scope(scope.owner_id, store), made), "take back memories")
            raise
        return made

    async def change(self, scope: Scope, memory_id: str, change: Change) -> Memory:
        body: dict[str, Any] = {
            "content": change.content,
            "category": change.category,
            "tags": list(change.tags) if change.tags is not None else None,
            "importance": change.importance,
            "memory_type": change.memory_type.value if change.memory_type is not None else None,
            "metadata": dict(change.metadata) if change.metadata is not None else None,
        }
        body = {name: value for name, value in body.items() if value is not None}

        async def put(store: str) -> Memory:
            query = self._query(scope, store)
            try:
                answer = await self._client.ask("PUT", _path(memory_id), query, {**body, **_named(query)})
            except BadRequest:
                # Because of the store, or of the change? Of a memory that is not there, it is the store.
                await self.get(Scope(scope.owner_id, store), memory_id)
                raise
            return memory_of(answer.get("memory", answer), store)

        return await self._first(scope, put, elsewhere=(NotFound,))

    async def delete(self, scope: Scope, memory_id: str) -> None:
        async def remove(store: str) -> None:
            await self._client.ask("DELETE", _path(memory_id), self._query(scope, store))

        await self._first(scope, remove, elsewhere=NO_MEMORY_OR_STORE)

    async def search(self, scope: Scope, query: str, *, mode: Mode, filter: Filter, limit: int) -> Found:
        stores = await self._stores_of(scope)
        more = AT_ONCE if filter != Filter(category=filter.category) else limit
        lists = await asyncio.gather(
            *[self._found(scope, store, query, mode, filter.category, more) for store in stores]
        )
        # Of several stores: the best of each, then the second of each. Their scores cannot be compared.
        ranked = [one for some in zip_longest(*lists) for one in some if one is not None and filter.matches(one)]
        return Found(ranked[:limit], mode)

    async def export(self, scope: Scope) -> AsyncIterator[Memory]:
        for store in await self._stores_of(scope):
            end = (await self._listed(scope.owner_id, store, Filter(), offset=0, limit=1)).total
            while end > 0:
                start = max(end - AT_ONCE, 0)
                page = await self._listed(scope.owner_id, store, Filter(), offset=start, limit=end - start)
                for one in reversed(page.memories):
                    yield one
                end = start

    async def forget_user(self, owner_id: int) -> None:
        """All in the user's stores. Where stores are projects', nobody knows whose they are, and they stay."""
        if self._names.kind == "project":
            return
        for store in await self.stores(owner_id):
            await self.forget(Scope(owner_id, store.name))

    # -- how -----------------------------------------------------------------------------------------------------

    def _query(self, scope: Scope, store: str) -> dict[str, str | int | None]:
        return {"store": self._names.theirs(scope.owner_id, store)}

    async def _stores_of(self, scope: Scope) -> list[str]:
        if scope.store is not None:
            return [scope.store]
        return [store.name for store in await self.stores(scope.owner_id)][:MAX_STORES]

    async def _first(
        self, scope: Scope, do: Callable[[str], Awaitable[T]], *, elsewhere: tuple[type[MoorageError], ...]
    ) -> T:
        """In the first of the scope's stores that has it. elsewhere: what says that it is not in one. NotFound."""
        for store in await self._stores_of(scope):
            with contextlib.suppress(*elsewhere):
                return await do(store)
        raise NotFound("Memory not found")

    async def _listed(self, owner_id: int, store: str, filter: Filter, *, offset: int, limit: int) -> Page:
        theirs = self._names.theirs(owner_id, store)
        query = {"category": filter.category, "limit": limit, "offset": offset, "store": theirs}
        try:
            answer = await self._client.ask("GET", "/v1/memories", query)
        except (BadRequest, NotFound):
            if theirs is None:
                raise
            return Page([], 0)  # There is no such store, as long as nothing was added to it.
        memories = _memories(answer, store)[:limit]
        total = answer.get("total")
        return Page(memories, max(total, 0) if isinstance(total, int) else offset + len(memories))

    async def _newest(self, owner_id: int, store: str, filter: Filter, wanted: int, *, plain: bool) -> Page:
        """The newest of a store that are meant, `wanted` or fewer, of those that are looked at."""
        found: list[Memory] = []
        total = offset = 0
        while offset < LOOKED_AT:
            page = await self._listed(owner_id, store, filter, offset=offset, limit=AT_ONCE)
            total = page.total
            found += [one for one in page.memories if filter.matches(one)]
            offset += AT_ONCE
            if offset >= total or not page.memories or (plain and len(found) >= wanted):
                break
        return Page(found[:wanted], total if plain else len(found))

    async def _found(
        self, scope: Scope, store: str, query: str, mode: Mode, category: str | None, limit: int
    ) -> list[Memory]:
        where = self._query(scope, store)
        body: dict[str, Any] = {"query": query, "limit": limit, "mode": mode.value, **_named(where)}
        if category is not None:
            body["category"] = category
        try:
            answer = await self._client.ask("POST", "/v1/federation/search", where, body)
        except (BadRequest, NotFound):
            if where["store"] is None:
                raise
            return []
        return _memories(answer, store)

    async def _add(self, scope: Scope, store: str, draft: Draft) -> Memory:
        where = self._query(scope, store)
        body = {**draft_body(draft), **_named(where)}
        for route in sorted(ADDING, key=lambda one: one != self._adding):
            try:
                answer = await self._client.ask("POST", route, where, body)
            except NotFound:
                continue  # Another revision, that has the other one.
            self._adding = route
            return _added(answer, store, draft)
        raise UpstreamError("The mmry service has no route by which memories are added")

    async def _take_back(self, scope: Scope, made: Sequence[Memory]) -> None:
        for one in made:
            try:
                await self.delete(scope, one.id)
            except MoorageError as error:
                self._hub.log.warning("a memory of a failed addition stays", reason=error.message)


def _named(query: dict[str, str | int | None]) -> dict[str, Any]:
    """The store as a member of a body, where later revisions look for it."""
    return {name: value for name, value in query.items() if value is not None}


def _path(memory_id: str) -> str:
    """Where one is. What is listed before it is deleted has the id that the service gave it, which may be any text."""
    return f"/v1/memories/{quote(memory_id, safe='')}"


def _memories(answer: dict[str, Any], store: str) -> list[Memory]:
    memories = answer.get("memories")
    if not isinstance(memories, list):
        raise UpstreamError("The mmry service answered without memories")
    return [memory_of(one, store) for one in memories]


def _added(answer: dict[str, Any], store: str, draft: Draft) -> Memory:
    told = answer.get("memory")
    made = memory_of(told if isinstance(told, dict) else answer, store, draft)
    # An older service tells little of what it took; what it does not tell is as it was sent.
    return made if isinstance(told, dict) else replace(made, metadata=draft.metadata)


def _count(one: object) -> int | None:
    if not isinstance(one, dict):
        return None
    found = next((one[name] for name in ("memories", "memory_count", "count") if isinstance(one.get(name), int)), None)
    return found if isinstance(found, int) else None
