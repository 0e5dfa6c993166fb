"""The plugin's tables: claims, so that they outlive a restart of the server, and what was recorded."""

from __future__ import annotations

from datetime import UTC, datetime

from tortoise import fields
from tortoise.models import Model


class TmuxClaim(Model):
    """A claim that holds. `session_key` names one life of one tmux session, whatever its name."""

    id = fields.IntField(primary_key=True)
    session_key = fields.CharField(max_length=96, unique=True)
    session_name = fields.TextField()
    user_id = fields.IntField()
    claimed_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()

    class Meta:
        table = "tmux_claims"


class TmuxRecording(Model):
    """What is known of a recording; its events are in a file of the plugin's folder, named after `pid`.

    session_key: behind the name of the server whose folder it is, and a slash. started_by: a user's id, None when the
    operator's settings began it. ended_at: None while it goes on.
    """

    id = fields.IntField(primary_key=True)
    pid = fields.CharField(max_length=32, unique=True)
    session_key = fields.CharField(max_length=96, db_index=True)
    session_name = fields.TextField()
    started_by = fields.IntField(null=True)
    started_by_pid = fields.CharField(max_length=64, null=True)
    started_by_name = fields.TextField(null=True)
    started_at = fields.DatetimeField(db_index=True)
    ended_at = fields.DatetimeField(null=True)
    end_reason = fields.CharField(max_length=32, null=True)
    cols = fields.IntField()
    rows = fields.IntField()
    duration = fields.FloatField(default=0.0)
    size = fields.BigIntField(default=0)

    class Meta:
        table = "tmux_recordings"


def aware(at: datetime) -> datetime:
    """An instant of the database, in UTC."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)
