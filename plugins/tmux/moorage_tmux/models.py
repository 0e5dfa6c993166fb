"""The plugin's table: claims, so that they outlive a restart of the server."""

from __future__ import annotations

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
