"""Memories in this server's own database: `backend = "embedded"`.

Who adds or deletes locks the row of the owner first: so bounds hold and counts are right with any number of servers,
and nothing waits in a circle. Who changes a memory locks its row alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from moorage.api import Hub, NotFound, sql

from moorage_memories.backends.base import MemoryBackend
from moorage_memories.config import MemoriesConfig
from moorage_memories.embeddings.encoder import Encoder
from moorage_memories.models import MemoryEntry, MemoryOwner, MemoryStore
from moorage_memories.records import Change, Draft, Filter, Found, Memory, Mode, Page, Scope, StoreInfo
from moorage_memories.store import conditions, entries, rows, stores
from moorage_memories.store.index import Index

EXPORT_BYTES, EXPORT_ROWS = 8 * 1024 * 1024, 200
"""How much of an export is read at a time, at most."""
FORGET_ROWS = 200
"""Memories of a transaction that deletes many: on SQLite nobody else writes meanwhile."""


class EmbeddedBackend(MemoryBackend):
    """Memories in the database; `Index` finds them."""

    name = "embedded"

    def __init__(self, hub: Hub, config: MemoriesConfig, encoder: Encoder) -> None:
        self._hub, self._config = hub, config
        self.index = Index(hub, config, encoder)

    async def start(self) -> None:
        """See `MemoryBackend`."""
        await self.index.start()

    async def close(self) -> None:
        """See `MemoryBackend`."""
        await self.index.close()

    async def describe(self) -> str:
        """See `MemoryBackend`."""
        return await self.index.describe()

    # -- stores --------------------------------------------------------------------------------------------------

    async def store_for(self, owner_id: int, project: str) -> str:
        """See `MemoryBackend`. Conflict (TOO_MANY_STORES)."""
        return await stores.of_project(self._hub, self._config, owner_id, project)

    async def stores(self, owner_id: int) -> Sequence[StoreInfo]:
        """See `MemoryBackend`."""
        return await stores.listed(owner_id)

    # -- reading -------------------------------------------------------------------------------------------------

    async def page(self, scope: Scope, filter: Filter, *, offset: int, limit: int) -> Page:
        """See `MemoryBackend`."""
        found = conditions.of(scope, filter)
        listed = (
            f'SELECT m."id" FROM "memories_entries" m WHERE {found.sql} '  # noqa: S608 - nothing typed is in it.
            'ORDER BY m."created_at" DESC, m."id" DESC LIMIT ? OFFSET ?'
        )
        ids = [row["id"] for row in await sql.query(self._hub, listed, [*found.values, limit, offset])]
        total = await self._total(scope) if filter == Filter() else await self._count(found)
        return Page(list((await self._ordered(ids)).values()), total)

    async def get(self, scope: Scope, memory_id: str) -> Memory:
        """See `MemoryBackend`."""
        return (await self._one(scope, memory_id))[1]

    async def present(self, scope: Scope, ids: Sequence[str]) -> set[str]:
        """See `MemoryBackend`; of the owner's, in whichever store."""
        return set(await entries.numbers(self._hub, scope.owner_id, [one.lower() for one in ids]))

    async def search(self, scope: Scope, query: str, *, mode: Mode, filter: Filter, limit: int) -> Found:
        """See `MemoryBackend`."""
        hits, used = await self.index.search(scope, filter, query, mode=mode, limit=limit)
        scores = dict(hits)
        found = await self._ordered(list(scores))
        return Found([replace(one, score=scores[id]) for id, one in found.items()], used)

    async def export(self, scope: Scope) -> AsyncIterator[Memory]:
        """See `MemoryBackend`. Of what is added or deleted meanwhile, some is in it."""
        scoped = conditions.of_scope(scope)
        limit = max(1, min(EXPORT_ROWS, EXPORT_BYTES // self._config.max_content_bytes))
        found = scoped
        while True:
            order = ' ORDER BY m."created_at", m."id" LIMIT ?'
            page = await rows.memories(self._hub, found.sql + order, [*found.values, limit])
            for _, one in page:
                yield one
            if len(page) < limit:
                return
            last, memory = page[-1]
            found = scoped.also('(m."created_at", m."id") > (?, ?)', memory.created_at, last)

    # -- changing ------------------------------------------------------------------------------------------------

    async def add(self, scope: Scope, drafts: Sequence[Draft]) -> Sequence[Memory]:
        """See `MemoryBackend`. Conflict: MEMORY_ID_TAKEN, TOO_MANY_MEMORIES, TOO_MANY_STORES."""
        if not drafts:
            return []
        store, owner = scope.store or stores.DEFAULT, scope.owner_id
        made = entries.made(store, drafts)
        cut = await self.index.cut([one.content for one in made])
        async with self._hub.db.transaction():
            await stores.lock(self._hub, owner)
            await stores.reserve(self._hub, self._config, owner, len(made))
            store_id = await stores.opened(self._hub, self._config, owner, store, len(made))
            ids = await entries.write(self._hub, owner, store_id, made)
            await self.index.put(owner, store_id, ids, cut)
        return made

    async def change(self, scope: Scope, memory_id: str, change: Change) -> Memory:
        """See `MemoryBackend`."""
        cut = await self.index.cut([change.content]) if change.content is not None else ()
        async with self._hub.db.transaction():
            id, _ = await self._one(scope, memory_id)
            # On PostgreSQL another may have changed it meanwhile, or deleted it: read it again, locked.
            row = await MemoryEntry.filter(id=id).select_for_update().first()
            if row is None:
                raise gone()
            id, old = await self._one(scope, memory_id)
            new = _changed(old, change)
            await entries.rewrite(self._hub, scope.owner_id, id, old, new)
            if old.content != new.content:
                await self.index.put(scope.owner_id, row.store_id, [id], cut, changed=True)
        return new

    async def delete(self, scope: Scope, memory_id: str) -> None:
        """See `MemoryBackend`."""
        id, _ = await self._one(scope, memory_id)
        if not await self._delete(scope.owner_id, [id]):
            raise gone()

    async def forget(self, scope: Scope) -> None:
        """See `MemoryBackend`. Some at a time, so that others can write meanwhile."""
        found = conditions.of_scope(scope)
        asked = f'SELECT m."id" FROM "memories_entries" m WHERE {found.sql} LIMIT {FORGET_ROWS}'  # noqa: S608
        while ids := [row["id"] for row in await sql.query(self._hub, asked, found.values)]:
            await self._delete(scope.owner_id, ids)
        async with self._hub.db.transaction():
            await stores.lock(self._hub, scope.owner_id)
            empty = MemoryStore.filter(user_id=scope.owner_id, memories=0)
            await (empty if scope.store is None else empty.filter(name=scope.store)).delete()

    async def forget_user(self, owner_id: int) -> None:
        """See `MemoryBackend`."""
        left = True
        while left:
            await self.forget(Scope(owner_id))
            async with self._hub.db.transaction():
                await stores.lock(self._hub, owner_id)
                # An import may still be under way: what it adds after this makes an owner again, who is found later.
                left = await MemoryEntry.filter(user_id=owner_id).exists()
                if not left:
                    await MemoryStore.filter(user_id=owner_id).delete()
                    await MemoryOwner.filter(user_id=owner_id).delete()
        self.index.forget(owner_id)

    async def owners(self) -> Sequence[int]:
        """See `MemoryBackend`."""
        return [row.user_id for row in await MemoryOwner.all().only("user_id")]

    # -- how -----------------------------------------------------------------------------------------------------

    async def _one(self, scope: Scope, memory_id: str) -> tuple[int, Memory]:
        found = conditions.of_scope(scope)
        # Whose it is comes first in the index of ids, whatever the scope.
        found = found.also('m."user_id" = ? AND m."pid" = ?', scope.owner_id, memory_id.lower())
        one = await rows.memories(self._hub, *found)
        if not one:
            raise gone()
        return one[0]

    async def _ordered(self, ids: Sequence[int]) -> dict[int, Memory]:
        """Memories in the order of their numbers here, without those that are gone meanwhile."""
        found = await rows.by_ids(self._hub, ids)
        return {id: found[id] for id in ids if id in found}

    async def _count(self, found: conditions.Condition) -> int:
        counted = f'SELECT COUNT(*) AS "count" FROM "memories_entries" m WHERE {found.sql}'  # noqa: S608
        (row,) = await sql.query(self._hub, counted, found.values)
        return int(row["count"])

    async def _total(self, scope: Scope) -> int:
        """Without any filter: as counted when they were written."""
        if scope.store is None:
            owner = await MemoryOwner.filter(user_id=scope.owner_id).first()
            return owner.memories if owner is not None else 0
        store = await MemoryStore.filter(user_id=scope.owner_id, name=scope.store).first()
        return store.memories if store is not None else 0

    async def _delete(self, owner_id: int, ids: Sequence[int]) -> int:
        """Delete rows; how many were still there."""
        async with self._hub.db.transaction():
            await stores.lock(self._hub, owner_id)
            counts = await entries.delete(self._hub, ids)
            await self.index.remove(ids)
            for store_id, count in counts.items():
                await stores.released(self._hub, owner_id, store_id, count)
        return sum(counts.values())


def gone() -> NotFound:
    """What is said of a memory that is not there, or not in the scope."""
    return NotFound("Memory not found")


def _changed(old: Memory, change: Change) -> Memory:
    given = {name: getattr(change, name) for name in Change.__slots__ if getattr(change, name) is not None}
    return replace(old, **given, updated_at=max(datetime.now(UTC), old.updated_at))
