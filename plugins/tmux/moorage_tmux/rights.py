"""Who may do what: the plugin's permissions, and refusals as the contract spells them."""

from __future__ import annotations

from typing import Protocol

from moorage.api import Actor, Forbidden, Permission, Unauthorized

VIEW = Permission("tmux:session:view", "See terminal sessions and what they show", default="viewer")
INPUT = Permission("tmux:session:input", "Type into terminal sessions", default="operator")
CLAIM = Permission("tmux:session:claim", "Claim a terminal session for oneself", default="operator")
OVERRIDE = Permission("tmux:claim:override", "Take over or release claims of others", default="admin")
CREATE = Permission("tmux:session:create", "Start terminal sessions", default="operator")
RENAME = Permission("tmux:session:rename", "Rename terminal sessions", default="operator")
DELETE = Permission("tmux:session:delete", "End terminal sessions and what runs in them", default="admin")
RECORD = Permission("tmux:recording:create", "Record terminal sessions, and end recordings", default="operator")
REPLAY = Permission("tmux:recording:view", "See, replay and download recordings of terminals", default="operator")
ERASE = Permission("tmux:recording:delete", "Delete recordings of terminals", default="admin")
PERMISSIONS = (VIEW, INPUT, CLAIM, OVERRIDE, CREATE, RENAME, DELETE, RECORD, REPLAY, ERASE)


class Decides(Protocol):
    """The part of the core's access service that is used here."""

    def can(self, actor: Actor, permission: str) -> bool:
        """Whether the actor may."""
        ...


def require(access: Decides, actor: Actor, permission: Permission, action: str) -> None:
    """Raise Unauthorized or Forbidden (details: required role, current role, action) unless the actor may."""
    if access.can(actor, permission.name):
        return
    if actor.user is None:
        raise Unauthorized()
    raise Forbidden(
        f"Permission denied: {action} requires {permission.default} role",
        details={
            "required": permission.default,
            "current": actor.user.role,
            "action": action,
            "permission": permission.name,
        },
    )
