"""CHROTE's user administration. Source: `api/chrote.md`, User Endpoints; its program's texts and second spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NotRequired

from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage.access import UserInfo
from moorage.access.ranks import OWNER, RankRefused, Reason
from moorage.accounts.actors import UserDetails
from moorage.accounts.administration import Changes
from moorage.accounts.users import Wanted
from moorage.context import current_actor
from moorage.dialects import CHROTE
from moorage.errors import Forbidden, NotFound
from moorage.routes import Route, Routes
from moorage.surfaces.common import note_admin_read
from moorage.web import json_response, read_json, read_query

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_BODY = 16 * 1024
MAX_LIST = 1000
Texts = dict[Reason, str]
_ROLE_TEXTS: Texts = {
    "self": "Cannot change your own role",
    "owner": "Cannot modify owner role",
    "peer": "Admins cannot modify other admins",
}
_REMOVAL_TEXTS: Texts = {
    "self": "Cannot delete yourself",
    "owner": "Cannot remove workspace owner",
    "peer": "Admins cannot remove other admins",
}


class UsersQuery(BaseModel):
    """GET /api/users; the contract has no paging, which is ours for long lists."""

    limit: int = Field(MAX_LIST, ge=1, le=MAX_LIST)
    offset: int = Field(0, ge=0, le=2**31 - 1)


class RoleBody(BaseModel):
    """PATCH /api/users/{id}/role."""

    role: Literal["viewer", "operator", "admin"]


class UserShape(TypedDict):
    """A user, in the contract's spelling and in its program's. Times in ISO 8601 with milliseconds."""

    id: str
    name: str
    email: str | None
    role: str
    createdAt: str
    created_at: str
    avatarUrl: str | None
    avatar_url: str | None
    lastSeenAt: str | None
    last_seen_at: str | None


class UsersAnswer(TypedDict):
    """GET /api/users. total: how many there are in all."""

    users: list[UserShape]
    total: int


class ChangedUser(TypedDict):
    """Whose role was changed, from what to what."""

    id: str
    name: str
    email: str | None
    role: str
    previous_role: str


class RoleAnswer(TypedDict):
    """PATCH /api/users/{id}/role. message: where there was nothing to change."""

    success: bool
    user: ChangedUser
    message: NotRequired[str]


class DoneAnswer(TypedDict):
    """DELETE /api/users/{id}."""

    success: bool


def routes(hub: Hub) -> list[Route]:
    """GET /api/users, PATCH /api/users/{id}/role, DELETE /api/users/{id}."""
    found = Routes()
    accounts, access = hub.accounts, hub.access

    async def target(pid: str, texts: Texts) -> UserInfo:
        user = await accounts.users.find_pid(pid)
        if user is None:
            raise NotFound("User not found")
        actor = current_actor()
        if actor.user is not None and actor.user.id == user.id:
            raise Forbidden(texts["self"])
        # Also for another owner: here, ownership is not for this route to give or take.
        if user.role == OWNER:
            raise Forbidden(texts["owner"])
        return user

    @found.get("/api/users", access="core:user:read", dialect=CHROTE, query=UsersQuery, answer=UsersAnswer)
    async def list_users() -> Response:
        """List all users, the newest first."""
        query = read_query(UsersQuery)
        access.require(current_actor(), "core:user:read")
        await note_admin_read(hub, "user")
        page, total = await accounts.users.page(Wanted(newest_first=True), offset=query.offset, limit=query.limit)
        return json_response({"users": [_shown(one) for one in page], "total": total})

    @found.patch(
        "/api/users/{user_id}/role",
        access="core:user:manage",
        dialect=CHROTE,
        max_body=MAX_BODY,
        body=RoleBody,
        answer=RoleAnswer,
    )
    async def set_role(user_id: str) -> Response:
        """Give a user another role; it counts at once, on open connections too."""
        body = await read_json(RoleBody)
        user = await target(user_id, _ROLE_TEXTS)
        if user.role == body.role:
            return json_response({"success": True, "message": "Role unchanged", "user": _changed(user, user)})
        try:
            after = await accounts.administration.change(user.id, Changes(role=body.role))
        except RankRefused as error:
            raise _refusal(error, _ROLE_TEXTS) from None
        return json_response({"success": True, "user": _changed(user, after)})

    @found.delete(
        "/api/users/{user_id}", access="core:user:manage", dialect=CHROTE, max_body=MAX_BODY, answer=DoneAnswer
    )
    async def remove(user_id: str) -> Response:
        """Delete a user with sessions, keys and identities."""
        user = await target(user_id, _REMOVAL_TEXTS)
        try:
            await accounts.delete_user(user.id)
        except RankRefused as error:
            raise _refusal(error, _REMOVAL_TEXTS) from None
        return json_response({"success": True})

    return list(found)


def _refusal(error: RankRefused, texts: Texts) -> Forbidden:
    return Forbidden(texts.get(error.reason, error.message), details=error.details)


def _changed(before: UserInfo, after: UserInfo) -> ChangedUser:
    return {
        "id": after.pid,
        "name": after.name,
        "email": after.email,
        "role": after.role,
        "previous_role": before.role,
    }


def _shown(known: UserDetails) -> UserShape:
    user = known.user
    made = CHROTE.timestamp(user.created_at)
    seen = CHROTE.timestamp(known.last_seen_at) if known.last_seen_at is not None else None
    return {
        "id": user.pid,
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "createdAt": made,
        "created_at": made,
        "avatarUrl": user.avatar_url,
        "avatar_url": user.avatar_url,
        "lastSeenAt": seen,
        "last_seen_at": seen,
    }
