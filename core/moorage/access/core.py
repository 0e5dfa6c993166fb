"""The core's own permissions. Plugins declare theirs in their manifest."""

from __future__ import annotations

from moorage.access.permissions import Permission

CORE_PERMISSIONS = (
    Permission("core:key:read", "List API keys", default="viewer", owned=True),
    Permission("core:key:create", "Create API keys", default="viewer", owned=True),
    Permission("core:key:delete", "Revoke API keys", default="viewer", owned=True),
    Permission("core:session:read", "List sessions", default="viewer", owned=True),
    Permission("core:session:delete", "End sessions", default="viewer", owned=True),
    Permission("core:device:approve", "Approve or deny the login of a device", default="viewer"),
    Permission("core:client:approve", "Let a program in as oneself, at a resource", default="viewer"),
    Permission("core:user:read", "See users", default="viewer", owned=True),
    Permission("core:user:update", "Change the own profile; with :any, also others'", default="viewer", owned=True),
    Permission("core:user:manage", "Create, promote, disable and delete users"),
    Permission("core:invite:manage", "Create, list and revoke invites"),
    Permission("core:audit:read", "Read the audit log"),
    Permission("core:metrics:read", "Read the metrics"),
    Permission("core:health:read", "Read the details of the health report"),
    Permission("core:plugin:read", "See plugins and their states"),
    Permission("core:plugin:manage", "Apply a changed configuration, enable and disable plugins"),
)
