"""What actors may do: permissions, roles, decisions, list filters and explanations."""

from moorage.access.actor import ANONYMOUS, Actor, Credential, Method, UserInfo
from moorage.access.permissions import Permission

__all__ = ["ANONYMOUS", "Actor", "Credential", "Method", "Permission", "UserInfo"]
