"""Octo's user administration. Source: `api/octo.md`, Admin Routes, and what its program read and answered there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field, StrictBool
from quart import Response
from typing_extensions import TypedDict

from moorage.access import UserInfo
from moorage.accounts.actors import UserDetails
from moorage.accounts.administration import MAX_SETTINGS, MAX_URL, UNSET, Changes
from moorage.accounts.names import refuse
from moorage.accounts.users import Wanted
from moorage.context import current_actor
from moorage.dialects import OCTO
from moorage.errors import NotFound
from moorage.routes import Route, Routes
from moorage.surfaces.common import note_admin_read
from moorage.surfaces.fields import told_as
from moorage.surfaces.roles import STANDS_FOR, TwoRoles, role_change, roles_behind
from moorage.web import json_response, read_json, read_query

if TYPE_CHECKING:
    from moorage.accounts import Accounts
    from moorage.hub import Hub

MAX_BODY = 128 * 1024
MAX_OFFSET = 2**31 - 1
_PROFILE = {"display_name", "avatar_url", "settings"}


class UsersQuery(BaseModel):
    """GET /api/admin/users. role: "service" is Octo's, there are none. search: part of a name or address."""

    role: Literal["admin", "user", "service"] | None = None
    is_active: bool | None = None
    search: str | None = Field(None, max_length=255)
    limit: int = Field(100, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=MAX_OFFSET)


class NewUserBody(BaseModel):
    """POST /api/admin/users. Without a password none opens the account, until one is set."""

    username: str = Field(max_length=320)
    email: str | None = Field(None, max_length=320)
    password: str | None = Field(None, max_length=2048)
    display_name: str | None = Field(None, max_length=512)
    role: TwoRoles = "user"
    external_id: str | None = Field(None, max_length=255)


class UserBody(BaseModel):
    """PUT /api/admin/users/{user_id}: what is left out or null stays, but a null empties email, avatar and settings."""

    username: str | None = Field(None, max_length=320)
    email: str | None = Field(None, max_length=320)
    password: str | None = Field(None, max_length=2048)
    display_name: str | None = Field(None, max_length=512)
    avatar_url: str | None = Field(None, max_length=MAX_URL)
    settings: str | None = Field(None, max_length=MAX_SETTINGS)
    role: TwoRoles | None = None
    is_active: StrictBool | None = None

    def changes(self, user: UserInfo) -> Changes:
        """What is to change about the user as they are now."""
        given: dict[str, Any] = {
            name: getattr(self, name) for name in self.model_fields_set & {"email", "avatar_url", "settings"}
        }
        renamed = {"username": self.username, "name": self.display_name, "password": self.password}
        given |= {name: value for name, value in renamed.items() if value is not None}
        active = UNSET if self.is_active in (None, user.active) else self.is_active
        return Changes(**given, role=role_change(self.role, user), active=active)


class UserShape(TypedDict):
    """A user as administrators see one. last_login_at: null where there was none."""

    id: str
    username: str
    email: str | None
    display_name: str
    avatar_url: str | None
    role: str
    is_active: bool
    created_at: str
    last_login_at: str | None


class UserWithSettings(UserShape):
    """One user, with the text that their clients keep."""

    settings: str | None


class StatsAnswer(TypedDict):
    """GET /api/admin/users/stats. services: users of Octo's third role, which is not given here."""

    total: int
    admins: int
    users: int
    services: int


def routes(hub: Hub) -> list[Route]:
    """All under /api/admin/users."""
    return [*_reading(hub), *_changing(hub)]


def _reading(hub: Hub) -> Routes:
    found = Routes()
    accounts, access = hub.accounts, hub.access

    @found.get("/api/admin/users", access="core:user:read", dialect=OCTO, query=UsersQuery, answer=list[UserShape])
    async def list_users() -> Response:
        """List users, oldest first."""
        query = read_query(UsersQuery)
        access.require(current_actor(), "core:user:read")
        await note_admin_read(hub, "user")
        wanted = Wanted(
            roles=await roles_behind(accounts, query.role), active=query.is_active, search=query.search or None
        )
        page, total = await accounts.users.page(wanted, offset=query.offset, limit=query.limit)
        return json_response([_shown(one) for one in page], headers={"X-Total-Count": str(total)})

    @found.get("/api/admin/users/stats", access="core:user:read", dialect=OCTO, answer=StatsAnswer)
    async def stats() -> Response:
        """Count users by role."""
        access.require(current_actor(), "core:user:read")
        counted = await accounts.users.by_role()
        admins = sum(number for role, number in counted.items() if OCTO.role(role) == "admin")
        total = sum(counted.values())
        return json_response({"total": total, "admins": admins, "users": total - admins, "services": 0})

    @found.get("/api/admin/users/{user_id}", access="core:user:read", dialect=OCTO, answer=UserWithSettings)
    async def get_user(user_id: str) -> Response:
        """Show one user."""
        access.require(current_actor(), "core:user:read")
        await note_admin_read(hub, "user")
        return json_response(_detailed(await _details(accounts, user_id)))

    return found


def _changing(hub: Hub) -> Routes:
    found = Routes()
    accounts, access = hub.accounts, hub.access

    @found.post(
        "/api/admin/users",
        access="core:user:manage",
        dialect=OCTO,
        max_body=MAX_BODY,
        body=NewUserBody,
        answer=UserWithSettings,
        status=201,
    )
    async def create() -> Response:
        """Make a user."""
        body = await read_json(NewUserBody)
        if body.external_id is not None:
            refuse("external_id", "cannot be set: accounts elsewhere are linked by signing in there")
        with told_as(name="display_name"):
            made = await accounts.create_user(
                body.username,
                password=body.password,
                email=body.email,
                role=STANDS_FOR[body.role],
                name=body.display_name,
            )
        return json_response(_detailed(await _details(accounts, made.pid)), 201)

    @found.put(
        "/api/admin/users/{user_id}",
        access="core:user:update",
        dialect=OCTO,
        max_body=MAX_BODY,
        body=UserBody,
        answer=UserWithSettings,
    )
    async def update(user_id: str) -> Response:
        """Change a user: all that is given, or nothing."""
        actor = current_actor()
        access.require(actor, "core:user:update")
        body = await read_json(UserBody)
        if not body.model_fields_set <= _PROFILE:
            access.require(actor, "core:user:manage")
        return await _changed(accounts, user_id, body)

    @found.delete("/api/admin/users/{user_id}", access="core:user:manage", dialect=OCTO, max_body=MAX_BODY, status=204)
    async def delete(user_id: str) -> Response:
        """Delete a user with sessions, keys and identities."""
        await accounts.delete_user((await _details(accounts, user_id)).user.id)
        return Response(b"", 204)

    def action(verb: str, summary: str, ask: dict[str, Any]) -> None:
        async def view(user_id: str) -> Response:
            return await _changed(accounts, user_id, UserBody(**ask))

        view.__name__, view.__doc__ = verb, summary
        path = f"/api/admin/users/{{user_id}}/{verb}"
        found.post(path, access="core:user:manage", dialect=OCTO, max_body=MAX_BODY, answer=UserWithSettings)(view)

    action("promote", "Make a user an administrator. An owner stays one.", {"role": "admin"})
    action("demote", "Make an administrator a plain user, which is an operator here.", {"role": "user"})
    action("activate", "Let a user in again.", {"is_active": True})
    action("deactivate", "Let a user in no more: sessions end, keys rest.", {"is_active": False})
    return found


async def _details(accounts: Accounts, pid: str) -> UserDetails:
    user = await accounts.users.find_pid(pid)
    known = await accounts.users.details(user.id) if user is not None else None
    if known is None:
        raise NotFound("User not found")
    return known


async def _changed(accounts: Accounts, pid: str, body: UserBody) -> Response:
    user = (await _details(accounts, pid)).user
    changes = body.changes(user)
    if changes.given():
        with told_as(name="display_name"):
            await accounts.administration.change(user.id, changes)
    return json_response(_detailed(await _details(accounts, pid)))


def _shown(known: UserDetails) -> UserShape:
    user = known.user
    return {
        "id": user.pid,
        "username": user.username,
        "email": user.email,
        "display_name": user.name,
        "avatar_url": user.avatar_url,
        "role": OCTO.role(user.role),
        "is_active": user.active,
        "created_at": OCTO.timestamp(user.created_at),
        "last_login_at": OCTO.timestamp(known.last_login_at) if known.last_login_at is not None else None,
    }


def _detailed(known: UserDetails) -> UserWithSettings:
    return {**_shown(known), "settings": known.settings}
