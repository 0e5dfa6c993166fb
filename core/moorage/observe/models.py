"""The audit log's table: rows are added and never changed."""

from __future__ import annotations

from typing import Any, NoReturn

from tortoise import fields
from tortoise.models import Model


class AuditEvent(Model):
    """One thing that somebody did, or tried.

    at: UTC. actor: a short label (`user_…`, "anonymous", "system"); actor_id: the user's id, null for nobody.
    method: how the actor proved who they are. action: `subject.verb`, such as `login.failed`.
    target: what it was done to, as `kind:id`. data: a small JSON object without secrets.
    """

    id = fields.IntField(primary_key=True)
    at = fields.DatetimeField()
    actor = fields.CharField(max_length=64)
    actor_id = fields.IntField(null=True)
    method = fields.CharField(max_length=16)
    action = fields.CharField(max_length=64)
    target = fields.CharField(max_length=255, null=True)
    address = fields.CharField(max_length=64, default="")
    user_agent = fields.CharField(max_length=255, default="")
    request_id = fields.CharField(max_length=64, default="")
    data: dict[str, Any] = fields.JSONField(default=dict)

    class Meta:
        table = "core_audit_events"
        app = "core"
        indexes = (("at",), ("actor_id", "at"), ("action", "at"))

    async def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the row. TypeError for one that is already stored."""
        if self._saved_in_db:
            raise TypeError("audit events are never changed")
        await super().save(*args, **kwargs)

    async def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """TypeError: audit events are never taken back."""
        raise TypeError("audit events are never deleted")
