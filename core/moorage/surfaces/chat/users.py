"""Chat's users and its first administrator. Source: `api/chat.md`, Admin, and what its program read and answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field
from quart import Response, request
from typing_extensions import TypedDict

from moorage.access import UserInfo
from moorage.accounts.administration import UNSET, Changes
from moorage.context import current_actor
from moorage.dialects import CHAT
from moorage.errors import BadRequest, Forbidden, NotFound
from moorage.routes import PUBLIC, LimitClass, Route, Routes
from moorage.surfaces.chat.shapes import LoginAnswer, UserShape, chat_logged_in, shown_user
from moorage.surfaces.common import client_info, note_admin_read
from moorage.surfaces.fields import told_as
from moorage.surfaces.roles import TwoRoles, role_change
from moorage.web import json_response, read_json, read_query

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_BODY = 16 * 1024
MAX_ID = 2**31 - 1
MAX_LIST = 1000
MAX_TOKEN = 256
_BOOTSTRAP_CODES = {"SETUP_DONE": "BOOTSTRAP_DISABLED", "INVALID_SETUP_TOKEN": "INVALID_BOOTSTRAP_TOKEN"}


class UsersQuery(BaseModel):
    """GET /admin/users; the contract has no paging, which is ours for long lists."""

    limit: int = Field(MAX_LIST, ge=1, le=MAX_LIST)
    offset: int = Field(0, ge=0, le=MAX_ID)


class UserBody(BaseModel):
    """PATCH /admin/users/{user_id}: what is left out or null stays. "disabled" is "inactive"."""

    role: TwoRoles | None = None
    status: Literal["active", "inactive", "disabled"] | None = None
    display_name: str | None = Field(None, max_length=512)

    def changes(self, user: UserInfo) -> Changes:
        """What is to change about the user as they are now."""
        active = user.active if self.status is None else self.status == "active"
        return Changes(
            name=UNSET if self.display_name is None else self.display_name,
            role=role_change(self.role, user),
            active=UNSET if active == user.active else active,
        )


class BootstrapBody(BaseModel):
    """POST /admin/bootstrap."""

    username: str = Field(max_length=320)
    password: str = Field(max_length=2048)


class UsersAnswer(TypedDict):
    """GET /admin/users. total: how many there are in all."""

    users: list[UserShape]
    total: int


def routes(hub: Hub) -> list[Route]:
    """GET /admin/users, PATCH /admin/users/{user_id}, POST /admin/bootstrap."""
    found = Routes()
    accounts, access = hub.accounts, hub.access

    @found.get("/admin/users", access="core:user:read", dialect=CHAT, query=UsersQuery, answer=UsersAnswer)
    async def list_users() -> Response:
        """List all users, oldest first."""
        query = read_query(UsersQuery)
        access.require(current_actor(), "core:user:read")
        await note_admin_read(hub, "user")
        page, total = await accounts.users.page(offset=query.offset, limit=query.limit)
        shown = [shown_user(one.user, one.last_login_at) for one in page]
        return json_response({"users": shown, "total": total})

    @found.patch(
        "/admin/users/{user_id}",
        access="core:user:manage",
        dialect=CHAT,
        max_body=MAX_BODY,
        body=UserBody,
        answer=UserShape,
    )
    async def update(user_id: str) -> Response:
        """Change a user's role, state or name: all that is given, or nothing."""
        body = await read_json(UserBody)
        number = int(user_id) if user_id.isascii() and user_id.isdigit() and len(user_id) <= 10 else 0
        known = await accounts.users.details(number) if 1 <= number <= MAX_ID else None
        if known is None:
            raise NotFound("User not found")
        user, changes = known.user, body.changes(known.user)
        if changes.given():
            with told_as(name="display_name"):
                user = await accounts.administration.change(user.id, changes)
        return json_response(shown_user(user, known.last_login_at))

    @found.post(
        "/admin/bootstrap",
        access=PUBLIC,
        limit=LimitClass.AUTH,
        dialect=CHAT,
        max_body=MAX_BODY,
        body=BootstrapBody,
        answer=LoginAnswer,
    )
    async def bootstrap() -> Response:
        """Make the first user, an owner, and sign them in. The server's setup token goes into X-Bootstrap-Token."""
        if "token" in request.args:
            raise BadRequest("A token in an address ends up in logs: send it in the header X-Bootstrap-Token")
        body = await read_json(BootstrapBody)
        token = request.headers.get("X-Bootstrap-Token", "")[: MAX_TOKEN + 1]
        try:
            done = await accounts.redeem_setup(token, body.username, body.password, client_info())
        except Forbidden as error:
            code = _BOOTSTRAP_CODES.get(error.error_code, error.error_code)
            raise Forbidden(error.message, code=code) from None
        return chat_logged_in(accounts, done)

    return list(found)
