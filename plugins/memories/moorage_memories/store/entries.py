"""The rows of memories: written, changed and deleted. Each function within the caller's transaction."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from moorage.api import Conflict, Hub, sql

from moorage_memories.backends.base import ID_TAKEN
from moorage_memories.records import Draft, Memory
from moorage_memories.store.rows import text, utc

_INSERT = (
    'INSERT INTO "memories_entries" ("pid", "user_id", "store_id", "content", "memory_type", "category", "tags", '
    '"importance", "metadata", "parent_id", "chunk_index", "total_chunks", "created_at", "updated_at") '
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE = (
    'UPDATE "memories_entries" SET "content" = ?, "memory_type" = ?, "category" = ?, "tags" = ?, "importance" = ?, '
    '"metadata" = ?, "updated_at" = ? WHERE "id" = ?'
)
_EACH = (
    # One after the other: of a list, PostgreSQL keeps the plan that it made while the table was small, and reads all of
    # it each time until autovacuum comes by. While somebody imports, that is most of the time.
    'SELECT w."pid", e."id" FROM unnest(CAST(? AS text[])) AS w("pid") CROSS JOIN LATERAL '
    '(SELECT m."id" FROM "memories_entries" m WHERE m."pid" = w."pid" AND m."user_id" = ? LIMIT 1) e'
)
_TAG = 'INSERT INTO "memories_tags" ("user_id", "tag", "memory_id") VALUES (?, ?, ?)'


def made(store: str, drafts: Sequence[Draft]) -> list[Memory]:
    """Drafts as the memories that they become. Times from the future are now's."""
    now = datetime.now(UTC)
    found: list[Memory] = []
    for draft in drafts:
        created = min(utc(draft.created_at), now) if draft.created_at is not None else now
        updated = min(utc(draft.updated_at), now) if draft.updated_at is not None else created
        found.append(
            Memory(
                id=draft.id or str(uuid.uuid4()),
                store=store,
                content=draft.content,
                memory_type=draft.memory_type,
                category=draft.category,
                tags=tuple(draft.tags),
                importance=draft.importance,
                metadata=dict(draft.metadata),
                created_at=created,
                updated_at=max(created, updated),
                parent_id=draft.parent_id,
                chunk_index=draft.chunk_index,
                total_chunks=draft.total_chunks,
            )
        )
    return found


async def numbers(hub: Hub, owner_id: int, pids: Sequence[str]) -> dict[str, int]:
    """Which of these ids a user has, and the numbers of their rows."""
    if hub.db.dialect == "postgres":
        return {row["pid"]: row["id"] for row in await sql.query(hub, _EACH, [list(pids), owner_id])}
    found: dict[str, int] = {}
    for some in sql.chunks(pids):
        asked = f'SELECT "pid", "id" FROM "memories_entries" WHERE "user_id" = ? AND "pid" IN ({sql.marks(some)})'  # noqa: S608
        found.update((row["pid"], row["id"]) for row in await sql.query(hub, asked, [owner_id, *some]))
    return found


async def write(hub: Hub, owner_id: int, store_id: int, memories: Sequence[Memory]) -> list[int]:
    """Write memories; the numbers of their rows. Conflict when the user has one with that id.

    After `stores.lock`: two at once would both find none.
    """
    pids = [one.id for one in memories]
    if len(set(pids)) < len(pids) or await numbers(hub, owner_id, pids):
        raise Conflict("There is a memory with that id already", code=ID_TAKEN)
    await sql.execute_many(hub, _INSERT, [_values(owner_id, store_id, one) for one in memories])
    written = await numbers(hub, owner_id, pids)
    await sql.execute_many(hub, _TAG, [(owner_id, tag, written[one.id]) for one in memories for tag in one.tags])
    return [written[pid] for pid in pids]


async def rewrite(hub: Hub, owner_id: int, id: int, old: Memory, new: Memory) -> None:
    """Write a memory's row again."""
    values = [new.content, new.memory_type.value, new.category, text(new.tags), new.importance, text(new.metadata)]
    await sql.execute(hub, _UPDATE, [*values, new.updated_at, id])
    if old.tags != new.tags:
        await sql.execute(hub, 'DELETE FROM "memories_tags" WHERE "memory_id" = ?', [id])
        await sql.execute_many(hub, _TAG, [(owner_id, tag, id) for tag in new.tags])


async def delete(hub: Hub, ids: Sequence[int]) -> dict[int, int]:
    """Delete rows with their tags, at most `sql.AT_ONCE`; of which stores how many there were.

    After `stores.lock`: nobody else deletes them meanwhile.
    """
    marks = sql.marks(ids)
    rows = await sql.query(hub, f'SELECT "store_id" FROM "memories_entries" WHERE "id" IN ({marks})', ids)  # noqa: S608
    await sql.execute(hub, f'DELETE FROM "memories_entries" WHERE "id" IN ({marks})', ids)  # noqa: S608
    await sql.execute(hub, f'DELETE FROM "memories_tags" WHERE "memory_id" IN ({marks})', ids)  # noqa: S608
    return Counter(row["store_id"] for row in rows)


def _values(owner_id: int, store_id: int, one: Memory) -> tuple[object, ...]:
    return (
        one.id,
        owner_id,
        store_id,
        one.content,
        one.memory_type.value,
        one.category,
        text(one.tags),
        one.importance,
        text(dict(one.metadata)),
        one.parent_id,
        one.chunk_index,
        one.total_chunks,
        one.created_at,
        one.updated_at,
    )
