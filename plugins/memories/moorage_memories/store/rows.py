"""Rows of memories as records, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from moorage.api import Hub, sql

from moorage_memories.records import Memory, MemoryType

_COLUMNS = (
    'm."id", m."pid", s."name", m."content", m."memory_type", m."category", m."tags", m."importance", m."metadata", '
    'm."created_at", m."updated_at", m."parent_id", m."chunk_index", m."total_chunks"'
)
_SELECT = f'SELECT {_COLUMNS} FROM "memories_entries" m JOIN "memories_stores" s ON s."id" = m."store_id" WHERE '  # noqa: S608


async def memories(hub: Hub, condition: str, values: Sequence[Any]) -> list[tuple[int, Memory]]:
    """Memories with the numbers of their rows, by SQL that stands behind WHERE, with `?` for values; `m`: the entry."""
    return [memory(row) for row in await sql.query(hub, _SELECT + condition, values)]


async def by_ids(hub: Hub, ids: Sequence[int]) -> dict[int, Memory]:
    """Those of some rows, as far as they are still there."""
    found: dict[int, Memory] = {}
    for some in sql.chunks(ids):
        found.update(await memories(hub, f'm."id" IN ({sql.marks(some)})', some))
    return found


def memory(row: dict[str, Any]) -> tuple[int, Memory]:
    """A row of those columns as a record, with its number."""
    found = Memory(
        id=row["pid"],
        store=row["name"],
        content=row["content"],
        memory_type=MemoryType(row["memory_type"]),
        category=row["category"],
        tags=tuple(_json(row["tags"])),
        importance=row["importance"],
        metadata=_json(row["metadata"]),
        created_at=_time(row["created_at"]),
        updated_at=_time(row["updated_at"]),
        parent_id=row["parent_id"],
        chunk_index=row["chunk_index"],
        total_chunks=row["total_chunks"],
    )
    return row["id"], found


def text(value: Any) -> str:
    """A value as a column of JSON has it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def utc(at: datetime) -> datetime:
    """The same time in UTC, in which the database compares. OverflowError at the ends of the calendar."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _time(value: str | datetime) -> datetime:
    return utc(datetime.fromisoformat(value) if isinstance(value, str) else value)


def _json(value: Any) -> Any:
    """A column of JSON: drivers give its text."""
    return json.loads(value) if isinstance(value, str) else value
