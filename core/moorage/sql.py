"""SQL by hand, for what the models cannot say or take too long for: written with `?`, on both databases.

.. versionadded:: 0.1
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from moorage.hub import Hub

T = TypeVar("T")
AT_ONCE = 500
"""Ids or rows in one statement: SQLite takes some hundred parameters everywhere."""


def _written(hub: Hub, sql: str) -> str:
    """The statement with the placeholders of the database. `?` must not stand in a text in it."""
    if hub.db.dialect == "sqlite":
        return sql
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", sql)


async def query(hub: Hub, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """Rows. On SQLite, what begins with SELECT does not wait for who writes."""
    return await hub.db.connection().execute_query_dict(_written(hub, sql), list(values))


async def execute(hub: Hub, sql: str, values: Sequence[Any] = ()) -> int:
    """Change something; how many rows."""
    changed, _ = await hub.db.connection().execute_query(_written(hub, sql), list(values))
    return changed


async def execute_many(hub: Hub, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    """The same statement for each row of values."""
    if rows:
        await hub.db.connection().execute_many(_written(hub, sql), [list(row) for row in rows])


def marks(values: Sequence[Any]) -> str:
    """`?, ?, …`: as many as there are values."""
    return ", ".join("?" * len(values))


def chunks(items: Sequence[T], size: int = AT_ONCE) -> Iterator[Sequence[T]]:
    """The items, some at a time: without `size`, as many as one statement takes."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
