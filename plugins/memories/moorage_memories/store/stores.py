"""Stores and their owners: made, found, counted, and given to projects."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from moorage.api import Conflict, Hub, sql

from moorage_memories.bounds import ALL_STORES
from moorage_memories.config import MemoriesConfig
from moorage_memories.models import MemoryStore
from moorage_memories.records import StoreInfo

DEFAULT = "default"
MAX_NAME = 64
DIGITS = 8
"""Of a project's hash, behind the name of a store whose plain name is another project's."""
_STRANGE = re.compile(r"[^A-Za-z0-9._-]+")


async def listed(owner_id: int) -> Sequence[StoreInfo]:
    """A user's stores, by name; first the default one, which is there even if it has no row."""
    rows = await MemoryStore.filter(user_id=owner_id).order_by("name")
    found = {row.name: StoreInfo(row.name, row.memories, row.project) for row in rows}
    first = found.pop(DEFAULT, StoreInfo(DEFAULT, 0))
    return [first, *found.values()]


async def lock(hub: Hub, owner_id: int) -> None:
    """Let nobody else add or delete memories of this user until the transaction ends."""
    await sql.execute(
        hub,
        'INSERT INTO "memories_owners" ("user_id", "memories") VALUES (?, 0) '
        'ON CONFLICT ("user_id") DO UPDATE SET "memories" = "memories_owners"."memories"',
        [owner_id],
    )


async def reserve(hub: Hub, config: MemoriesConfig, owner_id: int, count: int) -> None:
    """Count memories that are about to be added; after `lock`. Conflict (TOO_MANY_MEMORIES)."""
    statement = 'UPDATE "memories_owners" SET "memories" = "memories" + ? WHERE "user_id" = ? AND "memories" <= ?'
    if not await sql.execute(hub, statement, [count, owner_id, config.max_memories_per_user - count]):
        most = config.max_memories_per_user
        raise Conflict(f"Of one user's memories, there may be no more than {most}", code="TOO_MANY_MEMORIES")


async def opened(hub: Hub, config: MemoriesConfig, owner_id: int, name: str, count: int) -> int:
    """The number of a store to which memories are added, made if need be; after `reserve`.

    Conflict (TOO_MANY_STORES).
    """
    found = await _id(owner_id, name) or (await _made(config, owner_id, name)).id
    await sql.execute(hub, 'UPDATE "memories_stores" SET "memories" = "memories" + ? WHERE "id" = ?', [count, found])
    return found


async def released(hub: Hub, owner_id: int, store_id: int, count: int) -> None:
    """Count memories that were deleted, in the transaction that does it; after `lock`."""
    for table, key, value in (("memories_owners", "user_id", owner_id), ("memories_stores", "id", store_id)):
        statement = f'UPDATE "{table}" SET "memories" = "memories" - ? WHERE "{key}" = ?'  # noqa: S608
        await sql.execute(hub, statement, [count, value])


async def of_project(hub: Hub, config: MemoriesConfig, owner_id: int, path: str) -> str:
    """The name of a project's store, which is the project's from now on. Conflict (TOO_MANY_STORES).

    It is called after the folder, and is the store of that name that the user may have made before; not where that is
    another project's already, nor where it means another store ("default") or all of them ("all").
    """
    path = path.rstrip("/") or "/"
    digest = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()
    if (known := await _named(owner_id, digest)) is not None:
        return known
    path = path.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    async with hub.db.transaction():
        await lock(hub, owner_id)
        if (known := await _named(owner_id, digest)) is not None:
            return known
        for name in _names(path, digest):
            row = await MemoryStore.filter(user_id=owner_id, name=name).first()
            if row is not None and row.project_hash is not None:
                continue
            row = row or await _made(config, owner_id, name)
            await MemoryStore.filter(id=row.id).update(project=path, project_hash=digest)
            return name
    raise AssertionError("a hash's digits are another project's too")


def _names(path: str, digest: str) -> Sequence[str]:
    """What a project's store may be called, the nicest first."""
    name = _STRANGE.sub("-", path.rpartition("/")[2]).strip("-")[:MAX_NAME]
    if not name.strip("."):
        name = "project"
    others = [f"{name[: MAX_NAME - 1 - digits]}-{digest[:digits]}" for digits in (DIGITS, 4 * DIGITS)]
    return others if name in (DEFAULT, ALL_STORES) else [name, *others]


async def _named(owner_id: int, digest: str) -> str | None:
    row = await MemoryStore.filter(user_id=owner_id, project_hash=digest).first()
    return row.name if row is not None else None


async def _id(owner_id: int, name: str) -> int | None:
    row = await MemoryStore.filter(user_id=owner_id, name=name).first()
    return row.id if row is not None else None


async def _made(config: MemoriesConfig, owner_id: int, name: str) -> MemoryStore:
    # The default one is always there, and is none too many.
    most = config.max_stores_per_user
    if name != DEFAULT and await MemoryStore.filter(user_id=owner_id).exclude(name=DEFAULT).count() >= most - 1:
        raise Conflict(f"Of one user's stores, there may be no more than {most}", code="TOO_MANY_STORES")
    row: MemoryStore = await MemoryStore.create(user_id=owner_id, name=name, created_at=datetime.now(UTC))
    return row
