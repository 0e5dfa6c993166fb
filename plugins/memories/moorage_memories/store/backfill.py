"""Gives memories their vectors, in the background: each that is written waits in `memories_pending` until it has them.

So nothing waits for the model, a crash loses nothing, and when the model is installed later, or another one is, all
that is there gets its vectors by itself. With several servers, each takes what it finds; who comes first, writes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from moorage.api import Hub, Unavailable, sql

from moorage_memories.embeddings.encoder import Encoder, ModelChanged
from moorage_memories.store.parts import READ, parts

AT_ONCE = 32
"""Memories of one transaction."""
LOOK_SECONDS = 30.0
"""How often is looked for what other servers left, and whether the model has been installed."""


class Backfill:
    """One supervised task. `wake` it when there is something new."""

    def __init__(self, hub: Hub, encoder: Encoder) -> None:
        self._hub, self._encoder = hub, encoder
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._adopted = ""
        self._bad: set[int] = set()
        self._away = False

    def start(self) -> None:
        """Begin."""
        self._task = self._hub.tasks.spawn(self._run(), "vectors of memories")

    async def close(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    async def waiting(self) -> int:
        """How many memories have no vector yet."""
        (row,) = await sql.query(self._hub, 'SELECT COUNT(*) AS "count" FROM "memories_pending"')
        return int(row["count"])

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            if not await self._tried():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._wake.wait()

    async def _tried(self) -> bool:
        """Do some; whether there may be more to do now."""
        try:
            more = not self._encoder.lacking and await self._some()
        except Unavailable as error:
            if not self._away:
                self._hub.log.warning("memories get no vectors now", reason=error.message)
            self._away = True
            return False
        except Exception:
            self._hub.log.exception("memories get no vectors now")
            return False
        self._away = False
        return more

    async def _some(self) -> bool:
        """Give some memories their vectors, the newest first; whether there are more."""
        # Not only when something waits: a search by another model finds nothing until all have its vectors.
        if (known := self._encoder.known) and known != self._adopted:
            await self._adopt(known)
        rows = await sql.query(
            self._hub,
            f'SELECT p."id", p."memory_id", m."user_id", m."store_id", SUBSTR(m."content", 1, {READ}) AS "content" '  # noqa: S608
            'FROM "memories_pending" p JOIN "memories_entries" m ON m."id" = p."memory_id" '
            'ORDER BY p."id" DESC LIMIT ?',
            [AT_ONCE + len(self._bad)],
        )
        rows = [row for row in rows if row["id"] not in self._bad]
        if not rows:
            return False
        model, dimensions = await self._encoder.about()
        if self._adopted != model:
            await self._adopt(model)
        cut = await asyncio.to_thread(lambda: [parts(row["content"]) for row in rows])
        try:
            vectors = await self._encoded(rows, cut, model, dimensions)
        except ModelChanged:
            return True  # The next time with the other one.
        await self._write(model, rows, vectors)
        return True

    async def _encoded(
        self, rows: Sequence[dict[str, Any]], cut: Sequence[Sequence[str]], model: str, dimensions: int
    ) -> list[list[bytes]]:
        """Each memory's vectors. When the model fails at all of them together, one by one; at which, gets none."""
        from moorage_memories.store.nearest import halves

        try:
            joined = await self._encoder.encode([part for one in cut for part in one], model)
        except ModelChanged:
            raise
        except Unavailable:
            if len(rows) == 1:
                await self._encoder.encode(["Is it the text, or the model?"])
                self._bad.add(rows[0]["id"])
                raise
            found: list[list[bytes]] = []
            for row, one in zip(rows, cut, strict=True):
                found += await self._encoded([row], [one], model, dimensions)
            return found
        all_of_them = iter(await asyncio.to_thread(halves, joined, dimensions))
        return [[next(all_of_them) for _ in one] for one in cut]

    async def _write(self, model: str, rows: Sequence[dict[str, Any]], vectors: Sequence[list[bytes]]) -> None:
        """Keep them, of memories that are still there and were not changed since.

        The owner's row is locked first, as by who adds memories: so a user's vectors are numbered in the order in which
        they are seen, and who has read up to one has missed none.
        """
        lock = "" if self._hub.db.dialect == "sqlite" else " FOR UPDATE"
        async with self._hub.db.transaction():
            users = sorted({row["user_id"] for row in rows})
            owners = f'SELECT "user_id" FROM "memories_owners" WHERE "user_id" IN ({sql.marks(users)})'  # noqa: S608
            await sql.query(self._hub, f'{owners} ORDER BY "user_id"{lock}', users)
            ids = [row["id"] for row in rows]
            marks = sql.marks(ids)
            asked = f'SELECT "id" FROM "memories_pending" WHERE "id" IN ({marks}) ORDER BY "id"{lock}'  # noqa: S608
            waiting = {row["id"] for row in await sql.query(self._hub, asked, ids)}
            await sql.execute(self._hub, f'DELETE FROM "memories_pending" WHERE "id" IN ({marks})', ids)  # noqa: S608
            await sql.execute_many(
                self._hub,
                'INSERT INTO "memories_vectors" ("user_id", "store_id", "memory_id", "model", "vector") '
                "VALUES (?, ?, ?, ?, ?)",
                [
                    (row["user_id"], row["store_id"], row["memory_id"], model, one)
                    for row, some in zip(rows, vectors, strict=True)
                    if row["id"] in waiting
                    for one in some
                ],
            )

    async def _adopt(self, model: str) -> None:
        """Have what has vectors of another model wait for new ones."""
        async with self._hub.db.transaction():
            others = 'FROM "memories_vectors" WHERE "model" <> ?'
            await sql.execute(
                self._hub,
                'INSERT INTO "memories_pending" ("memory_id") '
                f'SELECT DISTINCT "memory_id" {others} ON CONFLICT DO NOTHING',
                [model],
            )
            await sql.execute(self._hub, f"DELETE {others}", [model])
        self._adopted = model


async def put(hub: Hub, ids: Sequence[int]) -> None:
    """Have memories wait for their vectors, in the transaction that writes them."""
    await sql.execute_many(hub, 'INSERT INTO "memories_pending" ("memory_id") VALUES (?)', [(id,) for id in ids])


async def remove(hub: Hub, ids: Sequence[int]) -> None:
    """Forget memories' vectors. Those that wait first: who is writing their vectors now is waited for by that."""
    for table in ("memories_pending", "memories_vectors"):
        for some in sql.chunks(ids):
            await sql.execute(hub, f'DELETE FROM "{table}" WHERE "memory_id" IN ({sql.marks(some)})', some)  # noqa: S608
