"""Who may do what: the plugin's permissions."""

from __future__ import annotations

from moorage.api import Permission

VIEW = Permission("chat:conversation:view", "Read one's conversations", default="viewer", owned=True)
WRITE = Permission(
    "chat:conversation:write", "Make, change and delete one's conversations", default="viewer", owned=True
)
SHARE = Permission("chat:conversation:share", "Make a conversation readable by link", default="viewer", owned=True)
GENERATE = Permission("chat:model:use", "Let models answer", default="viewer")
USAGE = Permission("chat:usage:view", "See what one has used of models", default="viewer", owned=True)
LIMITS = Permission("chat:limit:manage", "Set users' limits of use", default="admin")
PERMISSIONS = (VIEW, WRITE, SHARE, GENERATE, USAGE, LIMITS)
