"""The plugin's tables."""

from __future__ import annotations

from typing import Any

from tortoise import fields
from tortoise.models import Model


class ChatConversation(Model):
    """A conversation. head_id: the newest message of the branch that is shown. settings: of the user's for it.

    next_seq: the place of the next message, counted up in the transaction that writes it.
    title_key: the title as it is searched. share_hash: SHA-256 of a share link's token, null without one;
    share_head_id: the newest message that it shows.
    deleted_at: it is being deleted or is not wholly written yet, and nobody sees it.
    """

    id = fields.IntField(primary_key=True)
    pid = fields.CharField(max_length=32, unique=True)
    user_id = fields.IntField()
    user_pid = fields.CharField(max_length=32)
    space = fields.CharField(max_length=16)
    title = fields.CharField(max_length=500)
    title_key = fields.TextField()
    title_source = fields.CharField(max_length=16, default="default")
    mode = fields.CharField(max_length=16, default="chat")
    head_id = fields.IntField(null=True)
    next_seq = fields.IntField(default=1)
    provider = fields.CharField(max_length=64, null=True)
    model = fields.CharField(max_length=256, null=True)
    settings: fields.Field[dict[str, Any]] = fields.JSONField(default=dict)
    share_hash = fields.CharField(max_length=64, null=True, unique=True)
    share_head_id = fields.IntField(null=True)
    shared_at = fields.DatetimeField(null=True)
    deleted_at = fields.DatetimeField(null=True, db_index=True)
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()

    class Meta:
        table = "chat_conversations"
        indexes = (("user_id", "updated_at"),)


class ChatMessage(Model):
    """A message. parent_id: what it follows (null: the first of a branch). See `records.Message`."""

    id = fields.IntField(primary_key=True)
    pid = fields.CharField(max_length=32, unique=True)
    conversation_id = fields.IntField()
    seq = fields.IntField()
    parent_id = fields.IntField(null=True, db_index=True)
    retry_of = fields.IntField(null=True)
    role = fields.CharField(max_length=16)
    content = fields.TextField()
    status = fields.CharField(max_length=16)
    parts: fields.Field[dict[str, Any]] = fields.JSONField(default=dict)
    usage: fields.Field[dict[str, Any] | None] = fields.JSONField(null=True)
    provider = fields.CharField(max_length=64, null=True)
    model = fields.CharField(max_length=256, null=True)
    generation_id = fields.CharField(max_length=36, null=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "chat_messages"
        unique_together = (("conversation_id", "seq"),)


class ChatGeneration(Model):
    """A run of a model. server: `hub.server_id()` of the server that it runs on."""

    id = fields.CharField(max_length=36, primary_key=True)
    conversation_id = fields.IntField(db_index=True)
    user_id = fields.IntField(db_index=True)
    message_id = fields.IntField(null=True)
    server = fields.CharField(max_length=16)
    provider = fields.CharField(max_length=64)
    model = fields.CharField(max_length=256)
    params: fields.Field[dict[str, Any]] = fields.JSONField(default=dict)
    status = fields.CharField(max_length=16, db_index=True)
    error_code = fields.CharField(max_length=32, null=True)
    error_message = fields.TextField(null=True)
    usage: fields.Field[dict[str, Any] | None] = fields.JSONField(null=True)
    started_at = fields.DatetimeField()
    ended_at = fields.DatetimeField(null=True, db_index=True)

    class Meta:
        table = "chat_generations"


class ChatEvents(Model):
    """Some events of a generation: a row for those that were written at once. first_seq, last_seq: their numbers.

    events: [[number, type, data], …].
    """

    id = fields.IntField(primary_key=True)
    generation_id = fields.CharField(max_length=36)
    first_seq = fields.IntField()
    last_seq = fields.IntField()
    events: fields.Field[list[Any]] = fields.JSONField()

    class Meta:
        table = "chat_events"
        unique_together = (("generation_id", "first_seq"),)


class ChatUsage(Model):
    """What a user has used on a day (UTC) of a provider's model."""

    id = fields.IntField(primary_key=True)
    user_id = fields.IntField()
    day = fields.DateField(db_index=True)
    provider = fields.CharField(max_length=64)
    model = fields.CharField(max_length=256)
    messages = fields.IntField(default=0)
    tokens_in = fields.BigIntField(default=0)
    tokens_out = fields.BigIntField(default=0)

    class Meta:
        table = "chat_usage"
        unique_together = (("user_id", "day", "provider", "model"),)


class ChatUserLimit(Model):
    """A user's own limits, instead of those of the role. null: no limit."""

    user_id = fields.IntField(primary_key=True, generated=False)
    messages_per_day = fields.IntField(null=True)
    tokens_per_day = fields.BigIntField(null=True)
    updated_at = fields.DatetimeField()

    class Meta:
        table = "chat_user_limits"


class ChatIdempotency(Model):
    """An answer that is given again when its request comes again. body_hash: SHA-256 of its route and body."""

    id = fields.IntField(primary_key=True)
    user_id = fields.IntField()
    key = fields.CharField(max_length=255)
    body_hash = fields.CharField(max_length=64)
    response: fields.Field[dict[str, Any] | None] = fields.JSONField(null=True)
    expires_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "chat_idempotency"
        unique_together = (("user_id", "key"),)
