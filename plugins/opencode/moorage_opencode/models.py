"""The plugin's table: sessions, so that they outlive a restart of the server."""

from __future__ import annotations

from datetime import UTC, datetime

from tortoise import fields
from tortoise.models import Model


class OpenCodeSession(Model):
    """A session of a user with a project. Its workload's name in the runtime is `workload`.

    pid: a UUID, because the contract's clients expect one. server: whose it is, of several that share the database:
    nobody else touches it. status: see `states.Status`. runtime: the kind that it was
    made with. sealed: what is secret of it (OpenCode's password, the client's variables), as sealed JSON.
    operation: what is being done with it and must be brought to an end after a crash, see `states.Operation`.
    generation: counted up by each upgrade, so that nothing mistakes the old workload for the new.
    """

    id = fields.IntField(primary_key=True)
    pid = fields.CharField(max_length=36, unique=True)
    server = fields.CharField(max_length=16, db_index=True)
    user_id = fields.IntField(db_index=True)
    name = fields.CharField(max_length=255)
    workspace_path = fields.TextField()
    agent = fields.CharField(max_length=255, null=True)
    runtime = fields.CharField(max_length=64)
    workload = fields.CharField(max_length=63, unique=True)
    image = fields.CharField(max_length=512, null=True)
    image_digest = fields.CharField(max_length=512, null=True)
    unit = fields.CharField(max_length=255, null=True)
    port = fields.IntField(null=True)
    status = fields.CharField(max_length=16, db_index=True)
    operation = fields.CharField(max_length=16, null=True)
    error_message = fields.TextField(null=True)
    sealed = fields.TextField()
    generation = fields.IntField(default=1)
    created_at = fields.DatetimeField(db_index=True)
    started_at = fields.DatetimeField(null=True)
    stopped_at = fields.DatetimeField(null=True)
    last_activity_at = fields.DatetimeField(null=True)

    class Meta:
        table = "opencode_sessions"


def aware(at: datetime) -> datetime:
    """An instant of the database, in UTC."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)
