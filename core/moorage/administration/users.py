"""Users over HTTP for who administers them, with the roles of the core; the contracts have spellings of their own."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, StrictBool
from quart import Response
from typing_extensions import TypedDict

from moorage.access import Actor, UserInfo
from moorage.access.ranks import OWNER, RankRefused, check_role, check_target
from moorage.accounts.actors import UserDetails
from moorage.accounts.administration import Changes
from moorage.accounts.users import Wanted
from moorage.context import current_actor
from moorage.dialects import CHROTE
from moorage.errors import Forbidden, NotFound
from moorage.foreign import json_object
from moorage.hub import Hub
from moorage.routes import Route, Routes
from moorage.web import json_response, read_json, read_query

BASE = "/api/core/admin/users"
READ, MANAGE, END = "core:user:read", "core:user:manage", "core:session:delete"
MAX_BODY = 16 * 1024
DETAILS_SECONDS = 2.0
"""For what one plugin says of a user."""


class UsersQuery(BaseModel):
    """search: part of a username, a name or an e-mail address."""

    search: str = Field("", max_length=255)
    role: str | None = Field(None, min_length=1, max_length=64)
    state: Literal["active", "disabled"] | None = None
    offset: int = Field(0, ge=0, le=2**31 - 1)
    limit: int = Field(50, ge=1, le=200)


class NewUserBody(BaseModel):
    """Without a password none opens the account, until one is set. name: the username unless given."""

    username: str = Field(max_length=320)
    role: str = Field("operator", max_length=64)
    name: str | None = Field(None, max_length=512)
    email: str | None = Field(None, max_length=320)
    password: str | None = Field(None, max_length=2048)


class UserBody(BaseModel):
    """What is left out or null stays; an empty e-mail address is taken away. A password ends all sessions."""

    role: str | None = Field(None, max_length=64)
    active: StrictBool | None = None
    name: str | None = Field(None, max_length=512)
    email: str | None = Field(None, max_length=320)
    password: str | None = Field(None, max_length=2048)

    def changes(self) -> Changes:
        """What is to change."""
        given: dict[str, Any] = {key: value for key, value in self.model_dump().items() if value is not None}
        if self.email == "":
            given["email"] = None
        return Changes(**given)


class UserRow(TypedDict):
    """A user. number: the id that the contract of `/api/v1` knows. times in ISO 8601 with milliseconds.

    last_seen_at: by any session that is on record.
    """

    id: str
    number: int
    username: str
    name: str
    email: str | None
    role: str
    active: bool
    created_at: str
    last_login_at: str | None
    last_seen_at: str | None


class RoleChoice(TypedDict):
    """A role. users: how many have it. yours: whoever asks may give it."""

    name: str
    users: int
    yours: bool


class UsersAnswer(TypedDict):
    """The oldest first. roles: those that there are, from the lowest up, and those that only users still have."""

    users: list[UserRow]
    total: int
    offset: int
    limit: int
    roles: list[RoleChoice]


class IdentityRow(TypedDict):
    """An account elsewhere by which the user can sign in."""

    provider: str
    email: str | None
    created_at: str
    last_login_at: str | None


class UserDetail(UserRow):
    """One user. has_password: one can sign in by it. refusal: why whoever asks may not change them, null if they may.

    plugins: what each says of the user, by its name. roles: as in the list.
    """

    has_password: bool
    refusal: str | None
    identities: list[IdentityRow]
    plugins: dict[str, dict[str, Any]]
    roles: list[RoleChoice]


class EndedAnswer(TypedDict):
    """How many sessions were ended."""

    ended: int


def routes(hub: Hub) -> list[Route]:
    """`/api/core/admin/users`."""
    return [*_reading(hub), *_changing(hub)]


def _reading(hub: Hub) -> Routes:
    table = Routes()
    accounts = hub.accounts

    @table.get(BASE, access=READ, query=UsersQuery, answer=UsersAnswer)
    async def users() -> Response:
        """List users, the oldest first. Needs core:user:read:any."""
        hub.access.require(current_actor(), READ)
        query = read_query(UsersQuery)
        wanted = Wanted(
            roles=[query.role] if query.role else None,
            active=None if query.state is None else query.state == "active",
            search=query.search.strip() or None,
        )
        page, total = await accounts.users.page(wanted, offset=query.offset, limit=query.limit)
        await hub.audit.note_read("user", actor=current_actor())
        answer: UsersAnswer = {
            "users": [_row(one) for one in page],
            "total": total,
            "offset": query.offset,
            "limit": query.limit,
            "roles": await _roles(hub),
        }
        return json_response(answer)

    @table.get(BASE + "/{user_id}", access=READ, answer=UserDetail)
    async def user(user_id: str) -> Response:
        """Show a user, and what plugins say of them. Needs core:user:read:any."""
        hub.access.require(current_actor(), READ)
        known = await _find(hub, user_id)
        await hub.audit.note_read("user", actor=current_actor())
        return json_response(await _detail(hub, known))

    return table


def _changing(hub: Hub) -> Routes:
    table = Routes()
    accounts = hub.accounts

    @table.post(BASE, access=MANAGE, max_body=MAX_BODY, body=NewUserBody, answer=UserRow, status=201)
    async def create() -> Response:
        """Make a user of a role that holds nothing which one lacks oneself."""
        body = await read_json(NewUserBody)
        _refuse_owner(body.role)
        made = await accounts.create_user(
            body.username, password=body.password, email=body.email or None, role=body.role, name=body.name or None
        )
        return json_response(_row(await _find(hub, made.pid)), 201)

    @table.patch(BASE + "/{user_id}", access=MANAGE, max_body=MAX_BODY, body=UserBody, answer=UserRow)
    async def change(user_id: str) -> Response:
        """Change a user: all that is given, or nothing. It counts at once, on open connections too."""
        body = await read_json(UserBody)
        user = (await _find(hub, user_id)).user
        if body.role != user.role:
            _refuse_owner(body.role)
        await accounts.administration.change(user.id, body.changes())
        return json_response(_row(await _find(hub, user_id)))

    @table.delete(BASE + "/{user_id}", access=MANAGE, max_body=MAX_BODY, status=204)
    async def delete(user_id: str) -> Response:
        """Delete a user with sessions, keys and all that plugins keep for them."""
        await accounts.delete_user((await _find(hub, user_id)).user.id)
        return Response(b"", 204)

    @table.post(BASE + "/{user_id}/sign-out", access=END, max_body=MAX_BODY, answer=EndedAnswer)
    async def sign_out(user_id: str) -> Response:
        """End all of somebody's sessions; what they hold open closes. Needs core:session:delete:any."""
        actor = current_actor()
        hub.access.require(actor, END)
        user = (await _find(hub, user_id)).user
        if actor.user is not None and actor.user.id == user.id:
            raise Forbidden("One's own sessions are ended at /api/core/sessions/revoke-all")
        return json_response({"ended": await accounts.revoke_all(user.id, by=actor)})

    return table


async def _find(hub: Hub, pid: str) -> UserDetails:
    user = await hub.accounts.users.find_pid(pid)
    known = await hub.accounts.users.details(user.id) if user is not None else None
    if known is None:
        raise NotFound("There is no such user")
    return known


async def _detail(hub: Hub, known: UserDetails) -> UserDetail:
    actor, user = current_actor(), known.user
    told = await hub.hooks.gather("moorage_user_details", timeout=DETAILS_SECONDS, actor=actor, user=user)
    return {
        **_row(known),
        "has_password": known.has_password,
        "refusal": _refusal(hub, actor, user),
        "identities": [
            {
                "provider": one.provider,
                "email": one.email,
                "created_at": CHROTE.timestamp(one.created_at),
                "last_login_at": CHROTE.timestamp(one.last_login_at) if one.last_login_at is not None else None,
            }
            for one in await hub.accounts.oauth.identities(user.id)
        ],
        "plugins": {name: more for name, said in told if (more := json_object(said)) is not None},
        "roles": await _roles(hub),
    }


async def _roles(hub: Hub) -> list[RoleChoice]:
    counted = await hub.accounts.users.by_role()
    names = hub.access.roles()
    names += sorted(set(counted) - set(names))
    actor = current_actor()
    return [
        {"name": name, "users": counted.get(name, 0), "yours": hub.access.is_role(name) and _may_give(hub, actor, name)}
        for name in names
    ]


def _refuse_owner(role: str | None) -> None:
    """Whoever took over an owner's browser shall not leave owners behind."""
    if role == OWNER:
        raise Forbidden("Nobody becomes an owner here: `moorage users set-role` does that")


def _may_give(hub: Hub, actor: Actor, role: str) -> bool:
    if role == OWNER:
        return False
    try:
        check_role(hub.access, actor, role)
    except RankRefused:
        return False
    return True


def _refusal(hub: Hub, actor: Actor, user: UserInfo) -> str | None:
    if not hub.access.can(actor, MANAGE):
        return f"You need the permission {MANAGE}"
    try:
        check_target(hub.access, actor, user)
    except RankRefused as refused:
        return refused.message
    return None


def _row(known: UserDetails) -> UserRow:
    user = known.user
    return {
        "id": user.pid,
        "number": user.id,
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "active": user.active,
        "created_at": CHROTE.timestamp(user.created_at),
        "last_login_at": CHROTE.timestamp(known.last_login_at) if known.last_login_at is not None else None,
        "last_seen_at": CHROTE.timestamp(known.last_seen_at) if known.last_seen_at is not None else None,
    }
