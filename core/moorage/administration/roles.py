"""Roles over HTTP: what each may do, and why somebody may do something, or not."""

from __future__ import annotations

from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage.access import ROLES, Actor
from moorage.access.permissions import ANY
from moorage.administration.details import PermissionRow, permission_row
from moorage.errors import BadRequest, NotFound
from moorage.hub import Hub
from moorage.routes import Route, Routes
from moorage.web import json_response, read_query

MANAGE = "core:user:manage"


class RoleRow(TypedDict):
    """A role. includes: the one that it starts from. grants, denies: as the configuration gives them.

    permissions: all names that it holds in the end, `:any` for everybody's objects.
    """

    name: str
    builtin: bool
    includes: str | None
    grants: list[str]
    denies: list[str]
    permissions: list[str]


class RolesAnswer(TypedDict):
    """GET /api/core/roles: from the lowest up, then those of the configuration; and all permissions that there are."""

    roles: list[RoleRow]
    permissions: list[PermissionRow]


class HeldRow(TypedDict):
    """A permission that a role holds, and why. name: ends in `:any` for everybody's objects."""

    name: str
    reasons: list[str]


class RoleAnswer(RoleRow):
    """GET /api/core/roles/{name}. chain: the role and those that it includes, one after the other."""

    chain: list[str]
    held: list[HeldRow]


class ExplainAnswer(TypedDict):
    """GET /api/core/access/explain. reasons: in the order in which they are looked at."""

    user: str
    role: str
    permission: str
    allowed: bool
    reasons: list[str]


class ExplainQuery(BaseModel):
    """user, owner: names. Without an owner it is about the user's own things."""

    user: str = Field(min_length=1, max_length=255)
    permission: str = Field(min_length=1, max_length=255)
    owner: str | None = Field(None, max_length=255)


def routes(hub: Hub) -> list[Route]:
    """`/api/core/roles` and `/api/core/access/explain`."""
    table = Routes()
    access, accounts = hub.access, hub.accounts

    @table.get("/api/core/roles", access=MANAGE, answer=RolesAnswer)
    async def roles() -> Response:
        """List the roles and what each holds."""
        found: RolesAnswer = {
            "roles": [_role(hub, name) for name in access.roles()],
            "permissions": [permission_row(one) for one in access.permissions()],
        }
        return json_response(found)

    @table.get("/api/core/roles/{name}", access=MANAGE, answer=RoleAnswer)
    async def role(name: str) -> Response:
        """Show a role: each permission that it holds, and why."""
        if not access.is_role(name):
            raise NotFound("There is no such role")
        shown = _role(hub, name)
        held: list[HeldRow] = [{"name": one, "reasons": access.reasons(name, one)} for one in shown["permissions"]]
        found: RoleAnswer = {**shown, "chain": access.chain(name), "held": held}
        return json_response(found)

    @table.get("/api/core/access/explain", access=MANAGE, query=ExplainQuery, answer=ExplainAnswer)
    async def explain() -> Response:
        """Say whether somebody may do something, and each reason."""
        query = read_query(ExplainQuery)
        if not any(query.permission.removesuffix(ANY) == one.name for one in access.permissions()):
            raise BadRequest(f"No plugin that runs declares the permission {query.permission}")
        user = await accounts.find_user(query.user)
        owner = await accounts.find_user(query.owner) if query.owner else None
        if user is None or (query.owner and owner is None):
            raise NotFound("There is no such user")
        said = access.explain(Actor(user), query.permission, owner.id if owner is not None else None)
        found: ExplainAnswer = {
            "user": user.username,
            "role": user.role,
            "permission": query.permission,
            "allowed": said.allowed,
            "reasons": list(said.lines),
        }
        return json_response(found)

    return list(table)


def _role(hub: Hub, name: str) -> RoleRow:
    rule = hub.access.rule(name)
    place = ROLES.index(name) if name in ROLES else None
    return {
        "name": name,
        "builtin": place is not None,
        "includes": (ROLES[place - 1] if place else None) if place is not None else rule.includes,
        "grants": list(rule.grants),
        "denies": list(rule.denies),
        "permissions": sorted(hub.access.held_by_role(name)),
    }
