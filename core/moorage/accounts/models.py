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
    settings = fields.TextField(null=True)
    """A text that clients keep for themselves (Octo's `settings`)."""
    nexusgate_user_id = fields.CharField(max_length=36, null=True, db_index=True)

    class Meta:
        table = "core_users"


class Identity(Model):
    """An account at an OAuth provider that logs this user in. `provider` is the name in the configuration."""

    id = fields.IntField(primary_key=True)
    pid = fields.CharField(max_length=32, unique=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "core.User", related_name=False, on_delete=fields.CASCADE, db_index=True
    )
    user_id: int
    provider = fields.CharField(max_length=64)
    subject = fields.CharField(max_length=255)
    email = fields.CharField(max_length=254, null=True)
    email_verified = fields.BooleanField(default=False)
    name = fields.CharField(max_length=128, null=True)
    created_at = fields.DatetimeField()
    last_login_at = fields.DatetimeField(null=True)

    class Meta:
        table = "core_identities"
        unique_together = (("provider", "subject"),)


class Session(Model):
    """A login. `kind` is "cookie" or "bearer"; `expires_at` is the absolute end, idling ends it earlier.

    A bearer session is the grant of a device login or of an authorization: `client_id` and `scope` say of which.
    `token_expires_at` is the end of its access token, where that comes before the end of the session; a refresh token
    gives it a new one. `resource` is the one URL at which a token of an authorization is worth anything.
    """

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
    client_id = fields.CharField(max_length=255, null=True)
    scope = fields.CharField(max_length=1024, null=True)
    token_expires_at = fields.DatetimeField(null=True)
    client_name = fields.CharField(max_length=128, null=True)
    resource = fields.CharField(max_length=2048, null=True)

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


class RefreshToken(Model):
    """A refresh token of a bearer session. One that comes back after `used_at` was stolen: the session ends."""

    id = fields.IntField(primary_key=True)
    token_hash = fields.CharField(max_length=64, unique=True)
    session: fields.ForeignKeyRelation[Session] = fields.ForeignKeyField(
        "core.Session", related_name=False, on_delete=fields.CASCADE, db_index=True
    )
    session_id: int
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(db_index=True)
    used_at = fields.DatetimeField(null=True)

    class Meta:
        table = "core_refresh_tokens"


class DeviceCode(Model):
    """A device that waits for somebody's approval (RFC 8628). `user_code` is stored without its dash.

    `status` is "pending", "approved" or "denied"; `user_id` is whoever looked at it first while signed in.
    Rows go with the answer that ends the wait.
    """

    id = fields.IntField(primary_key=True)
    device_hash = fields.CharField(max_length=64, unique=True)
    user_code = fields.CharField(max_length=16, unique=True)
    client_id = fields.CharField(max_length=255)
    scope = fields.CharField(max_length=1024, default="")
    user: fields.ForeignKeyNullableRelation[User] = fields.ForeignKeyField(
        "core.User", related_name=False, on_delete=fields.CASCADE, null=True
    )
    user_id: int | None
    status = fields.CharField(max_length=16, default="pending")
    interval = fields.IntField()
    last_poll_at = fields.DatetimeField(null=True)
    early_polls = fields.IntField(default=0)
    address = fields.CharField(max_length=64)
    user_agent = fields.CharField(max_length=256)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "core_device_codes"


class OAuthClient(Model):
    """A program that registered itself (RFC 7591). `secret_hash` is null for a public one, which has no secret.

    `used_at` is when somebody last let it in; one that nobody lets in is swept after a while.
    """

    id = fields.IntField(primary_key=True)
    pid = fields.CharField(max_length=32, unique=True)
    name = fields.CharField(max_length=128)
    uri = fields.CharField(max_length=1024, null=True)
    redirect_uris: fields.Field[list[str]] = fields.JSONField()
    grant_types: fields.Field[list[str]] = fields.JSONField()
    auth_method = fields.CharField(max_length=32)
    secret_hash = fields.CharField(max_length=64, null=True)
    address = fields.CharField(max_length=64, db_index=True)
    created_at = fields.DatetimeField()
    used_at = fields.DatetimeField(null=True, db_index=True)

    class Meta:
        table = "core_oauth_clients"


class OAuthCode(Model):
    """An authorization code: what somebody allowed a program, for one minute and one use.

    `approved_in` is the session of the browser that allowed it: a code is worth nothing once that has ended. `gave` is
    the session that the code was changed for; it ends when the code comes back.
    """

    id = fields.IntField(primary_key=True)
    code_hash = fields.CharField(max_length=64, unique=True)
    client_id = fields.CharField(max_length=255)
    client_name = fields.CharField(max_length=128)
    redirect_uri = fields.CharField(max_length=2048)
    challenge = fields.CharField(max_length=64)
    resource = fields.CharField(max_length=2048)
    scope = fields.CharField(max_length=1024)
    renewable = fields.BooleanField()
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "core.User", related_name=False, on_delete=fields.CASCADE
    )
    user_id: int
    approved_in: fields.ForeignKeyRelation[Session] = fields.ForeignKeyField(
        "core.Session", related_name=False, on_delete=fields.CASCADE
    )
    approved_in_id: int
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(db_index=True)
    used_at = fields.DatetimeField(null=True)
    gave = fields.IntField(null=True)

    class Meta:
        table = "core_oauth_codes"


class Invite(Model):
    """A way in for new users. `kind` is "code" (typed, shown again in lists) or "link" (shown once).

    `code_hash` is the HMAC-SHA256 of a code, the SHA-256 of a link's token; `code_sealed` holds a code encrypted, for
    the contracts that list it again.
    """

    id = fields.IntField(primary_key=True)
    pid = fields.CharField(max_length=32, unique=True)
    kind = fields.CharField(max_length=8)
    code_hash = fields.CharField(max_length=64, unique=True)
    code_sealed = fields.TextField(null=True)
    role = fields.CharField(max_length=64)
    note = fields.CharField(max_length=200, null=True)
    max_uses = fields.IntField(null=True)
    used_count = fields.IntField(default=0)
    created_by: fields.ForeignKeyNullableRelation[User] = fields.ForeignKeyField(
        "core.User", related_name=False, on_delete=fields.SET_NULL, null=True
    )
    created_by_id: int | None
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(null=True)
    revoked_at = fields.DatetimeField(null=True)

    class Meta:
        table = "core_invites"


class InviteUse(Model):
    """Who came in by which invite; one use per user."""

    id = fields.IntField(primary_key=True)
    invite: fields.ForeignKeyRelation[Invite] = fields.ForeignKeyField(
        "core.Invite", related_name=False, on_delete=fields.CASCADE
    )
    invite_id: int
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "core.User", related_name=False, on_delete=fields.CASCADE, db_index=True
    )
    user_id: int
    at = fields.DatetimeField()

    class Meta:
        table = "core_invite_uses"
        unique_together = (("invite", "user"),)


class OAuthFlow(Model):
    """A login at a provider that is under way: made when the browser leaves, taken when it comes back, once.

    `browser_hash` is the digest of a cookie, so that only the browser that left can come back. `sealed` holds,
    encrypted, what is needed then: PKCE verifier, nonce, invite, where to go next, who links an identity.
    """

    id = fields.IntField(primary_key=True)
    state_hash = fields.CharField(max_length=64, unique=True)
    browser_hash = fields.CharField(max_length=64)
    provider = fields.CharField(max_length=64)
    sealed = fields.TextField()
    expires_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "core_oauth_flows"


class SigningKey(Model):
    """A key for JWTs. The newest that is not retired signs; a retired one still verifies until `verify_until`."""

    id = fields.IntField(primary_key=True)
    kid = fields.CharField(max_length=64, unique=True)
    algorithm = fields.CharField(max_length=16)
    key_sealed = fields.TextField()
    created_at = fields.DatetimeField()
    retired_at = fields.DatetimeField(null=True)
    verify_until = fields.DatetimeField(null=True)

    class Meta:
        table = "core_signing_keys"
