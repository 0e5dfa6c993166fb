"""What actors may do: permissions, roles, decisions, list filters and explanations."""

from moorage.access.actor import ANONYMOUS, Actor, Credential, Method, UserInfo
from moorage.access.core import CORE_PERMISSIONS
from moorage.access.explain import Explanation
from moorage.access.permissions import ANY, ROLES, Permission
from moorage.access.service import NOTHING, Access, Nothing, Veto

__all__ = [
    "ANONYMOUS",
    "ANY",
    "CORE_PERMISSIONS",
    "NOTHING",
    "ROLES",
    "Access",
    "Actor",
    "Credential",
    "Explanation",
    "Method",
    "Nothing",
    "Permission",
    "UserInfo",
    "Veto",
]
