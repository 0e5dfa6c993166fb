"""The topics of the core's own events, and what each carries."""

from __future__ import annotations


class Topic:
    """Names of events. A plugin's own topics begin with its name and a dot."""

    USER_CHANGED = "core.user_changed"
    """A user's role, state or profile changed: {"user_id": int}."""
    USER_DELETED = "core.user_deleted"
    """A user is gone: {"user_id": int}."""
    CREDENTIAL_REVOKED = "core.credential_revoked"
    """A session, token or key holds no more: {"method": str, "id": int, "user_id": int}."""
    AUDIT_WRITTEN = "core.audit_written"
    """An audit record was stored: {"record": AuditRecord}. Never leaves this server."""
    BACKPLANE_RESTORED = "core.backplane_restored"
    """Events of other servers may have been missed: {}. Whoever keeps a cache fed by events empties it."""
    PLUGIN_CHANGED = "core.plugin_changed"
    """A plugin's state changed, or a reload made it anew: {"name": str, "state": str}."""

    SHARED = frozenset({USER_CHANGED, USER_DELETED, CREDENTIAL_REVOKED})
    """The core's topics that every server must hear."""
