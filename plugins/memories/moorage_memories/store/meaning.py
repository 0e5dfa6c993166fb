"""Memories by their meaning: whose vectors are nearest to a query's. Vectors are compared in memory, all of a user's.

What is in memory follows the database, whoever writes to it: a vector is never changed, only replaced by one of a
higher number, and a user's numbers grow in the order of the commits (see `backfill`). So each search reads what comes
after the highest number that it has seen. What was deleted meanwhile is noticed when it is found.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moorage.api import Hub, sql

from moorage_memories.embeddings.encoder import Encoder
from moorage_memories.store.conditions import Condition
from moorage_memories.store.lookup import Hits, Shelf

if TYPE_CHECKING:
    from moorage_memories.store.nearest import Row, Vectors

AT_ONCE = 2_000
"""Vectors that are read in one statement."""
FEW = 20_000
"""Memories that a filter lets through and that are then looked up among all; of more, what is found is filtered."""
LEAST = 0.05
"""Cosine below which two texts have nothing to do with each other. What answers a question may be little above."""


@dataclass(slots=True)
class _User:
    vectors: Vectors
    model: str
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Meaning:
    """Finds by meaning. max_bytes: for vectors in memory; those of a user who has more are read for each search."""

    def __init__(self, hub: Hub, encoder: Encoder, max_bytes: int) -> None:
        self._hub, self._encoder, self._max = hub, encoder, max_bytes
        self._users: OrderedDict[int, _User] = OrderedDict()

    async def nearest(self, shelf: Shelf, query: str, condition: Condition, *, filtered: bool, limit: int) -> Hits:
        """The memories that the condition lets through, best first. filtered: it asks for more than the shelf does.

        Unavailable.
        """
        model, dimensions = await self._encoder.about()
        wanted = await self._encoder.encode([query], model)
        among = await self._few(condition) if filtered else None
        user = self._user(shelf.user_id, model, dimensions)
        async with user.turn:
            if await self._fits(shelf.user_id, user, dimensions):
                return await self._among(user.vectors, shelf, wanted, condition, among, filtered, limit)
            found: dict[int, float] = {}
            async for vectors in self._streamed(shelf.user_id, model, dimensions):
                for id, score in await self._among(vectors, shelf, wanted, condition, among, filtered, limit):
                    found[id] = max(score, found.get(id, -1.0))
        return sorted(found.items(), key=lambda one: -one[1])[:limit]

    def forget(self, user_id: int) -> None:
        """Let go of a user's vectors."""
        self._users.pop(user_id, None)

    # -- how -----------------------------------------------------------------------------------------------------

    def _user(self, user_id: int, model: str, dimensions: int) -> _User:
        from moorage_memories.store.nearest import Vectors  # numpy takes a tenth of a second, and may be absent.

        user = self._users.get(user_id)
        if user is None or user.model != model:
            user = self._users[user_id] = _User(Vectors(dimensions), model)
        self._users.move_to_end(user_id)
        return user

    async def _fits(self, user_id: int, user: _User, dimensions: int) -> bool:
        """Read what is new, let go of users who have not searched for long; whether all is in memory now."""
        counted = 'SELECT COUNT(*) AS "count" FROM "memories_vectors" WHERE "user_id" = ? AND "id" > ?'
        (row,) = await sql.query(self._hub, counted, [user_id, user.vectors.last])
        if (row["count"] + len(user.vectors)) * (dimensions * 4 + 16) > self._max:
            self.forget(user_id)
            return False
        while rows := await self._read(user_id, user.model, user.vectors.last):
            await asyncio.to_thread(user.vectors.add, rows)
            if len(rows) < AT_ONCE:
                break
        while sum(one.vectors.size for one in self._users.values()) > self._max and len(self._users) > 1:
            self._users.popitem(last=False)
        return True

    async def _read(self, user_id: int, model: str, last: int) -> list[Row]:
        rows = await sql.query(
            self._hub,
            'SELECT "id", "memory_id", "store_id", "vector" FROM "memories_vectors" '
            'WHERE "user_id" = ? AND "id" > ? AND "model" = ? ORDER BY "id" LIMIT ?',
            [user_id, last, model, AT_ONCE],
        )
        return [(row["id"], row["memory_id"], row["store_id"], bytes(row["vector"])) for row in rows]

    async def _streamed(self, user_id: int, model: str, dimensions: int):  # type: ignore[no-untyped-def]
        """All of a user's vectors, some at a time."""
        from moorage_memories.store.nearest import Vectors

        last = 0
        while rows := await self._read(user_id, model, last):
            vectors = Vectors(dimensions)
            await asyncio.to_thread(vectors.add, rows)
            yield vectors
            last = vectors.last

    async def _few(self, condition: Condition) -> Collection[int] | None:
        """The memories that the condition lets through, unless they are many."""
        asked = f'SELECT m."id" FROM "memories_entries" m WHERE {condition.sql} LIMIT {FEW + 1}'  # noqa: S608
        found = [row["id"] for row in await sql.query(self._hub, asked, condition.values)]
        return found if len(found) <= FEW else None

    async def _among(
        self,
        vectors: Vectors,
        shelf: Shelf,
        wanted: bytes,
        condition: Condition,
        among: Collection[int] | None,
        filtered: bool,
        limit: int,
    ) -> Hits:
        """The best of those in memory that are in the database too, and that the condition lets through."""
        count = limit + 50
        while True:
            found = await asyncio.to_thread(vectors.nearest, wanted, count, store=shelf.store_id, among=among)
            let = await self._let_through([id for id, _ in found], condition)
            if not filtered and shelf.store_id is None and len(let) < len(found):
                await asyncio.to_thread(vectors.drop, [id for id, _ in found if id not in let])
            hits = [(id, score) for id, score in found if id in let and score >= LEAST]
            if len(hits) >= limit or len(found) < count or found[-1][1] < LEAST:
                return hits[:limit]
            count *= 4

    async def _let_through(self, ids: Collection[int], condition: Condition) -> set[int]:
        let: set[int] = set()
        for some in sql.chunks(list(ids)):
            asked = f'SELECT m."id" FROM "memories_entries" m WHERE {condition.sql} AND m."id" IN ({sql.marks(some)})'  # noqa: S608
            let.update(row["id"] for row in await sql.query(self._hub, asked, [*condition.values, *some]))
        return let
