"""The tables of accounts. Every secret in them is a digest: passwords argon2id, tokens and keys SHA-256."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class User(Model):
    """A person or program with a role. `*_key` columns hold the folded spelling by which names are unique."""

    id = fields.IntField(primary_key=True)
    pid = fields.CharField(max_length=32, unique=True)
    username = fields.CharField(max_length=64)
    username_key = fields.CharField(max_length=255, unique=True)
    email = fields.CharField(max_length=254, null=True)
    email_key = fields.CharField(max_length=512, null=True, unique=True)
    name = fields.CharField(max_length=128)
    avatar_url = fields.CharField(max_length=2048, null=True)
    role = fields.CharField(max_length=64, db_index=True)
    active = fields.BooleanField(default=True)
    password_hash = fields.CharField(max_length=255, null=True)
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()
    last_login_at = fields.DatetimeField(null=True)

    class Meta:
        table = "core_users"


class Session(Model):
    """A login. `kind` is "cookie" or "bearer"; `expires_at` is the absolute end, idling ends it earlier."""

    id = fields.IntField(primary_key=True)
    pid = fields.CharField(max_length=32, unique=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "core.User", related_name=False, on_delete=fields.CASCADE, db_index=True
    )
    user_id: int
    token_hash = fields.CharField(max_length=64, unique=True)
    kind = fields.CharField(max_length=16)
    address = fields.CharField(max_length=64)
    user_agent = fields.CharField(max_length=256)
    created_at = fields.DatetimeField()
    last_seen_at = fields.DatetimeField(db_index=True)
    expires_at = fields.DatetimeField(db_index=True)
    revoked_at = fields.DatetimeField(null=True)
    revoke_reason = fields.CharField(max_length=64, null=True)

    class Meta:
        table = "core_sessions"


class ApiKey(Model):
    """A key of the form `mcp_<8 hex>_<secret>`; `prefix` is the part before the secret.

    `scopes` is a list of permission patterns, or null for all of the owner's rights.
    """

    id = fields.IntField(primary_key=True)
    pid = fields.CharField(max_length=32, unique=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "core.User", related_name=False, on_delete=fields.CASCADE, db_index=True
    )
    user_id: int
    name = fields.CharField(max_length=128)
    prefix = fields.CharField(max_length=16, unique=True)
    key_hash = fields.CharField(max_length=64, unique=True)
    scopes: fields.Field[list[str] | None] = fields.JSONField(null=True)
    created_at = fields.DatetimeField()
    last_used_at = fields.DatetimeField(null=True)
    expires_at = fields.DatetimeField(null=True)
    revoked_at = fields.DatetimeField(null=True)

    class Meta:
        table = "core_api_keys"


class AuthAttempt(Model):
    """Failed attempts under one key: a digest of the name that was typed, or a client's network."""

    id = fields.IntField(primary_key=True)
    key = fields.CharField(max_length=80, unique=True)
    failures = fields.IntField()
    last_at = fields.DatetimeField(db_index=True)
    locked_until = fields.DatetimeField(null=True)

    class Meta:
        table = "core_auth_attempts"
