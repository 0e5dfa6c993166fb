"""Reading the audit log: what matches, newest first, by page or from end to end; and removing what is old."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from moorage.access import Actor
from moorage.db import Database
from moorage.observe.audit import Audit, AuditRecord, record_of
from moorage.observe.models import AuditEvent

CHUNK = 500
"""Rows that are read at once while the whole log is walked."""
PRUNE_CHUNK = 10_000
"""Rows that are removed in one transaction: others wait for it."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events are meant; all that is given must hold.

    action: as stored, or a family of them ("user.*"). actor: a user's string id, "system" or "anonymous".
    since: from then on; until: before then; both aware.
    """

    action: str | None = None
    actor: str | None = None
    actor_id: int | None = None
    target: str | None = None
    address: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """What is given, for a record of who read what."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in given.items()}

    def query(self) -> QuerySet[AuditEvent]:
        """The matching rows in no order."""
        same = ("actor", "actor_id", "target", "address", "request_id")
        found = AuditEvent.filter(**{name: value for name in same if (value := getattr(self, name)) is not None})
        if self.action is not None:
            family = self.action.removesuffix("*")
            found = found.filter(action=family) if family == self.action else found.filter(action__startswith=family)
        if self.since is not None:
            found = found.filter(at__gte=self.since)
        if self.until is not None:
            found = found.filter(at__lt=self.until)
        return found


async def page(wanted: AuditFilter, *, offset: int, limit: int) -> tuple[list[AuditRecord], int]:
    """Some of the matching events, newest first, and how many match in all. Needs an active database."""
    found = wanted.query()
    rows = await found.order_by("-at", "-id").offset(offset).limit(limit)
    return [record_of(row) for row in rows], await found.count()


async def walk(wanted: AuditFilter, *, chunk: int = CHUNK) -> AsyncIterator[list[AuditRecord]]:
    """All matching events, newest first, in lists of at most `chunk`; what is written meanwhile is not among them.

    Each list is read by a query of its own, so a reader may take its time: nothing is held open for it.
    """
    found = wanted.query().order_by("-at", "-id").limit(chunk)
    while rows := await found:
        yield [record_of(row) for row in rows]
        last = rows[-1]
        # In the order of the indexes, which end with the time: each query begins where the last one ended.
        older = Q(at__lte=last.at) & (Q(at__lt=last.at) | Q(id__lt=last.id))
        found = wanted.query().filter(older).order_by("-at", "-id").limit(chunk)


async def prune(db: Database, audit: Audit, before: datetime, *, by: Actor) -> int:
    """Remove the events from before a moment; how many they were.

    An operator's deliberate act: the database itself refuses to delete otherwise. Each transaction that removes some
    says so in the log ("audit.pruned" {"before", "count"}), so that what is gone is always accounted for.
    """
    # Its own records are newer than this, or it would never end.
    before = min(before, datetime.now(UTC))
    total = 0
    while removed := await _prune_some(db, audit, before, by):
        total += removed
    return total


async def _prune_some(db: Database, audit: Audit, before: datetime, by: Actor) -> int:
    async with db.transaction() as connection:
        ids = await AuditEvent.filter(at__lt=before).order_by("at").limit(PRUNE_CHUNK).values_list("id", flat=True)
        if not ids:
            return 0
        if db.dialect == "sqlite":
            trigger = "core_audit_events_no_delete"
            query = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?"
            (found,) = await connection.execute_query_dict(query, [trigger])
            await connection.execute_query(f'DROP TRIGGER "{trigger}"')
            removed = await AuditEvent.filter(id__in=list(ids)).delete()
            await connection.execute_query(found["sql"])
        else:
            trigger = 'ALTER TABLE "core_audit_events" {} TRIGGER "core_audit_events_no_delete"'
            await connection.execute_query(trigger.format("DISABLE"))
            removed = await AuditEvent.filter(id__in=list(ids)).delete()
            await connection.execute_query(trigger.format("ENABLE"))
        if removed:  # Else another command was faster.
            await audit.write("audit.pruned", actor=by, data={"before": before.isoformat(), "count": removed})
    return removed
