"""Octoprox's users. Source: `api/octoprox.md`, Users; `status` beside `is_active` is its program's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, Self

from pydantic import BaseModel, Field, StrictBool, model_validator
from quart import Response
from typing_extensions import TypedDict

from moorage.access import Actor, UserInfo
from moorage.accounts.actors import UserDetails
from moorage.accounts.administration import UNSET, Changes
from moorage.accounts.users import Wanted
from moorage.context import current_actor
from moorage.dialects import OCTOPROX
from moorage.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized
from moorage.foreign import json_object
from moorage.routes import Route, Routes
from moorage.surfaces.common import note_admin_read
from moorage.surfaces.octoprox.shapes import (
    KeyShape,
    Meta,
    PageQuery,
    meta,
    path_id,
    shown_key,
)
from moorage.surfaces.roles import STANDS_FOR, TwoRoles, role_change, roles_behind
from moorage.web import json_response, read_json, read_query

if TYPE_CHECKING:
    from moorage.accounts import Accounts
    from moorage.hub import Hub

MAX_BODY = 16 * 1024
MAX_KEYS = 1000
DETAILS_SECONDS = 2.0
"""For what one plugin adds to a user."""
_LAST_ADMIN = "Cannot deactivate or demote the last active admin"
_SELF_OFF = "Cannot deactivate your own account"
Status = Literal["active", "inactive"]


class UsersQuery(PageQuery):
    """The query of GET /api/v1/users."""

    status: Status | None = None
    role: TwoRoles | None = None


class UserBody(BaseModel):
    """PUT /api/v1/users/{user_id}: what is left out stays. nexusgate_user_id: null unlinks."""

    role: TwoRoles | None = None
    is_active: StrictBool | None = None
    status: Status | None = None
    nexusgate_user_id: Annotated[str, Field(max_length=36)] | None = None

    @model_validator(mode="after")
    def _one_state(self) -> Self:
        if self.status is not None and self.is_active is not None and self.is_active != (self.status == "active"):
            raise ValueError("is_active and status contradict each other")
        return self

    @property
    def active(self) -> bool | None:
        """Whether the user shall be active, whichever way it was said."""
        return self.is_active if self.status is None else self.status == "active"

    def changes(self, user: UserInfo) -> Changes:
        """What is to change about the user as they are now."""
        given: dict[str, Any] = {}
        if "nexusgate_user_id" in self.model_fields_set:
            given["nexusgate_user_id"] = self.nexusgate_user_id
        active = UNSET if self.active in (None, user.active) else self.active
        return Changes(**given, role=role_change(self.role, user), active=active)


class UserShape(TypedDict):
    """A user. nexusgate_role and last_synced_at belong to a directory that is not asked; they are null."""

    id: int
    username: str
    role: str
    is_active: bool
    status: str
    created_at: str
    updated_at: str
    nexusgate_user_id: str | None
    nexusgate_role: None
    last_synced_at: None


class UserWithDetails(UserShape):
    """One user. workspaces: those that the actor may see. api_keys: where the actor may see them.

    Plugins may add more.
    """

    workspaces: list[dict[str, Any]]
    api_keys: NotRequired[list[KeyShape]]


class UserAnswer(TypedDict):
    """PUT /api/v1/users/{user_id}."""

    data: UserShape


class DetailAnswer(TypedDict):
    """GET /api/v1/users/{user_id}."""

    data: UserWithDetails


class UsersData(TypedDict):
    """The users of a page."""

    users: list[UserShape]


class UsersAnswer(TypedDict):
    """GET /api/v1/users."""

    data: UsersData
    meta: Meta


def routes(hub: Hub) -> list[Route]:
    """GET, PUT and DELETE under /api/v1/users."""
    return [*_reading(hub), *_changing(hub)]


def _reading(hub: Hub) -> Routes:
    found = Routes()
    accounts, access = hub.accounts, hub.access

    @found.get("/api/v1/users", access="core:user:read", dialect=OCTOPROX, query=UsersQuery, answer=UsersAnswer)
    async def list_users() -> Response:
        """List users, oldest first; whoever is no administrator sees themselves."""
        query = read_query(UsersQuery)
        own = access.list_filter(current_actor(), "core:user:read")
        if own is None:
            raise Forbidden
        if not own:
            await note_admin_read(hub, "user")
        active = None if query.status is None else query.status == "active"
        wanted = Wanted(roles=await roles_behind(accounts, query.role), active=active, user_id=own.get("user_id"))
        page, total = await accounts.users.page(wanted, offset=query.offset, limit=query.per_page)
        return json_response({"data": {"users": [_shown(one) for one in page]}, "meta": meta(query, total)})

    @found.get("/api/v1/users/{user_id}", access="core:user:read", dialect=OCTOPROX, answer=DetailAnswer)
    async def get_user(user_id: str) -> Response:
        """Show a user with their API keys and workspaces: oneself, for administrators anybody."""
        number, actor = path_id(user_id, "user_id"), current_actor()
        # Before looking: who is there is for administrators to know.
        if not access.can(actor, "core:user:read", owner_id=number):
            raise Forbidden
        known = await _details(accounts, number)
        if actor.user is None or actor.user.id != number:
            await note_admin_read(hub, "user")
        data: dict[str, Any] = {**_shown(known)}
        if access.can(actor, "core:key:read", owner_id=number):
            keys, _ = await accounts.list_keys(user_id=number, limit=MAX_KEYS)
            data["api_keys"] = [shown_key(key) for key in keys]
        return json_response({"data": await _with_plugins(hub, actor, known.user, data)})

    return found


async def _with_plugins(hub: Hub, actor: Actor, user: UserInfo, data: dict[str, Any]) -> dict[str, Any]:
    """`data` with what plugins add to it, and without workspaces where none has any."""
    told = await hub.hooks.gather("moorage_user_details", timeout=DETAILS_SECONDS, actor=actor, user=user)
    for name, said in reversed(told):
        if (more := json_object(said)) is not None:
            data = {**more, **data}
        else:
            hub.log.warning("what a plugin says of a user is no JSON, or too much", plugin=name)
    return {"workspaces": [], **data}


def _changing(hub: Hub) -> Routes:
    found = Routes()
    accounts = hub.accounts

    @found.put(
        "/api/v1/users/{user_id}",
        access="core:user:manage",
        dialect=OCTOPROX,
        max_body=MAX_BODY,
        body=UserBody,
        answer=UserAnswer,
    )
    async def update(user_id: str) -> Response:
        """Change a user's role, state or link to NEXUSGATE: all that is given, or nothing."""
        number = path_id(user_id, "user_id")
        body = await read_json(UserBody)
        user = (await _details(accounts, number)).user
        changes = body.changes(user)
        if user.id == _own_id():
            _refuse_own(changes)
        await _apply(accounts, user, changes)
        return json_response({"data": _shown(await _details(accounts, number))})

    @found.delete("/api/v1/users/{user_id}", access="core:user:manage", dialect=OCTOPROX, max_body=MAX_BODY, status=204)
    async def deactivate(user_id: str) -> Response:
        """Deactivate a user: sessions end, keys rest. Once more is harmless."""
        user = (await _details(accounts, path_id(user_id, "user_id"))).user
        if user.id == _own_id():
            raise BadRequest(_SELF_OFF)
        await _apply(accounts, user, Changes(active=False))
        return Response(b"", 204)

    return found


async def _details(accounts: Accounts, number: int | None) -> UserDetails:
    known = await accounts.users.details(number) if number is not None else None
    if known is None:
        raise NotFound("User not found")
    return known


def _refuse_own(changes: Changes) -> None:
    if changes.role == STANDS_FOR["user"]:
        raise BadRequest("Cannot demote yourself from admin")
    if changes.active is False:
        raise BadRequest(_SELF_OFF)


async def _apply(accounts: Accounts, user: UserInfo, changes: Changes) -> None:
    if not changes.given():
        return
    try:
        await accounts.administration.change(user.id, changes)
    except Conflict as error:
        if error.error_code == "LAST_OWNER":
            raise BadRequest(_LAST_ADMIN, code=error.error_code) from None
        raise


def _own_id() -> int:
    user = current_actor().user
    if user is None:
        raise Unauthorized
    return user.id


def _shown(known: UserDetails) -> UserShape:
    user = known.user
    return {
        "id": user.id,
        "username": user.username,
        "role": OCTOPROX.role(user.role),
        "is_active": user.active,
        "status": "active" if user.active else "inactive",
        "created_at": OCTOPROX.timestamp(user.created_at),
        "updated_at": OCTOPROX.timestamp(known.updated_at),
        "nexusgate_user_id": known.nexusgate_user_id,
        "nexusgate_role": None,
        "last_synced_at": None,
    }
