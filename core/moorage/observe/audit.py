"""The audit log: who did what to what, from where; kept in the database, told to plugins after the commit."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from time import monotonic
from typing import Any

from typing_extensions import TypedDict

from moorage.access import Actor, Method
from moorage.context import optional_request
from moorage.db import Database
from moorage.events import EventBus, Topic
from moorage.observe.models import AuditEvent
from moorage.observe.redact import redact

MAX_DATA = 8192
"""Bytes of a record's data as JSON; more is replaced by a note."""
READ_EVERY = 60.0
"""Seconds in which the same reading by the same actor is written down once."""
MAX_READS = 4096
"""Readings that are remembered; of more the oldest is forgotten, and written down again if it comes again."""


class AuditJson(TypedDict):
    """An event as it leaves the server. at: ISO 8601 in UTC, with microseconds and Z."""

    id: int
    at: str
    actor: str
    actor_id: int | None
    method: str
    action: str
    target: str | None
    address: str
    user_agent: str
    request_id: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One stored event. The fields are those of `AuditEvent`; `at` is aware, in UTC."""

    id: int
    at: datetime
    actor: str
    actor_id: int | None
    method: str
    action: str
    target: str | None
    address: str
    user_agent: str
    request_id: str
    data: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> AuditJson:
        """All fields, for the API and for exports."""
        return {
            "id": self.id,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "actor": self.actor,
            "actor_id": self.actor_id,
            "method": self.method,
            "action": self.action,
            "target": self.target,
            "address": self.address,
            "user_agent": self.user_agent,
            "request_id": self.request_id,
            "data": self.data,
        }

    def as_line(self) -> str:
        """The same as one line of ASCII, without its end."""
        return json.dumps(self.as_json(), separators=(",", ":"))


class Audit:
    """Writes the audit log. Each record is published as `Topic.AUDIT_WRITTEN` {"record": AuditRecord}."""

    def __init__(self, db: Database, bus: EventBus) -> None:
        self._db, self._bus = db, bus
        self._reads: OrderedDict[tuple[int | None, str, str], float] = OrderedDict()

    async def write(
        self, action: str, *, actor: Actor, target: str | None = None, data: dict[str, Any] | None = None
    ) -> AuditRecord:
        """Store an event: `subject.verb`, such as "login.failed"; `target` as "kind:id"; `data` JSON-able.

        Address, client and request id are those of the request in hand. Secrets in `data` are masked. Within a
        transaction the record lives and dies with it, and is published after the commit. Needs an active database;
        its errors are the caller's, since what cannot be written down must not be done.
        """
        info = optional_request()
        event = AuditEvent(
            at=datetime.now(UTC),
            actor="system" if actor.method is Method.SYSTEM else actor.label[:64],
            actor_id=actor.user.id if actor.user else None,
            method=actor.method.value,
            action=action[:64],
            target=_line(target, 255) if target is not None else None,
            address=info.address[:64] if info else "",
            user_agent=_line(info.user_agent, 255) if info else "",
            request_id=info.id[:64] if info else "",
            data=_bounded(redact(data or {})),
        )
        with self._db.activate():
            await event.save()
        record = record_of(event)
        self._db.after_commit(lambda: self._bus.publish(Topic.AUDIT_WRITTEN, {"record": record}))
        return record

    async def note_read(self, subject: str, *, actor: Actor, data: dict[str, Any] | None = None) -> None:
        """Write "<subject>.read": somebody reads what belongs to others. See `note`."""
        await self.note(f"{subject}.read", actor=actor, data=data)

    async def note(self, action: str, *, actor: Actor, data: dict[str, Any] | None = None) -> None:
        """Write what may happen often: at most once in `READ_EVERY` seconds for an actor, an action and `data`.

        So a page that polls does not drown what else is in the log.
        """
        key = (actor.user.id if actor.user else None, action, json.dumps(data, sort_keys=True, default=str))
        now = monotonic()
        if now - self._reads.get(key, -READ_EVERY) < READ_EVERY:
            return
        # Before the writing, so that requests which come together write one.
        self._reads[key] = now
        self._reads.move_to_end(key)
        if len(self._reads) > MAX_READS:
            self._reads.popitem(last=False)
        try:
            await self.write(action, actor=actor, data=data)
        except BaseException:
            self._reads.pop(key, None)
            raise


def record_of(event: AuditEvent) -> AuditRecord:
    """A stored row as what is handed out."""
    return AuditRecord(
        id=event.id,
        at=event.at,
        actor=event.actor,
        actor_id=event.actor_id,
        method=event.method,
        action=event.action,
        target=event.target,
        address=event.address,
        user_agent=event.user_agent,
        request_id=event.request_id,
        data=event.data,
    )


def _line(text: str, length: int) -> str:
    """Text that the database takes (PostgreSQL has no NUL) and that is one line wherever it is shown."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:length])


def _bounded(data: dict[str, Any]) -> dict[str, Any]:
    """`data` without what PostgreSQL cannot store in JSON (NUL, half a surrogate pair, NaN), and not too long."""
    clean: dict[str, Any] = _clean(data)
    size = len(json.dumps(clean))
    return clean if size <= MAX_DATA else {"truncated": True, "bytes": size}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _line(value, len(value))
    if isinstance(value, dict):
        return {_line(key, 255): _clean(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_clean(inner) for inner in value]
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return value
