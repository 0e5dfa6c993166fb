"""Which rows of `memories_entries` a scope and a filter let through: SQL over them as `m`, for lists and searches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from moorage_memories.records import Filter, Scope
from moorage_memories.store.rows import utc


class Condition(NamedTuple):
    """sql: stands behind WHERE, with `?` for each of `values`."""

    sql: str
    values: Sequence[Any]

    def also(self, sql: str, *values: Any) -> Condition:
        """This, and that as well."""
        return Condition(f"{self.sql} AND {sql}", [*self.values, *values])


def of_scope(scope: Scope) -> Condition:
    """The owner's, of the scope's store; of one that does not exist, none."""
    if scope.store is None:
        return Condition('m."user_id" = ?', [scope.owner_id])
    return Condition(
        'm."store_id" = (SELECT "id" FROM "memories_stores" WHERE "user_id" = ? AND "name" = ?)',
        [scope.owner_id, scope.store],
    )


def of(scope: Scope, filter: Filter) -> Condition:
    """What the filter lets through of the scope's."""
    found = of_scope(scope)
    if filter.category is not None:
        found = found.also('m."category" = ?', filter.category)
    if filter.memory_type is not None:
        found = found.also('m."memory_type" = ?', filter.memory_type.value)
    if filter.min_importance is not None:
        found = found.also('m."importance" >= ?', filter.min_importance)
    if filter.since is not None:
        found = found.also('m."created_at" >= ?', utc(filter.since))
    if filter.until is not None:
        found = found.also('m."created_at" < ?', utc(filter.until))
    for tag in filter.tags:
        tagged = 'SELECT "memory_id" FROM "memories_tags" WHERE "user_id" = ? AND "tag" = ?'
        found = found.also(f'm."id" IN ({tagged})', scope.owner_id, tag)
    return found
