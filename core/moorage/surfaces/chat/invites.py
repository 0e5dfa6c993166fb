"""Chat's invites. Source: `api/chat.md`, Admin; its client's fields. Revoking one that is revoked changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage.accounts.invites import CODE, InviteInfo
from moorage.dialects import CHAT
from moorage.routes import Route, Routes
from moorage.surfaces.common import note_admin_read
from moorage.surfaces.inviting import MAX_BODY, MAX_ROW, MAX_SECONDS, Note, Role, Uses, core_role, ends
from moorage.web import json_response, read_json, read_query

if TYPE_CHECKING:
    from moorage.hub import Hub

MANAGE = "core:invite:manage"
HOUR = 3600


class InviteQuery(BaseModel):
    """The query of GET /admin/invites."""

    limit: int = Field(1000, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=MAX_ROW)


class NewInviteBody(BaseModel):
    """POST /admin/invites. One use, unless max_uses is given; role is "user" unless given."""

    expires_in_hours: Annotated[int, Field(strict=True, ge=1, le=MAX_SECONDS // HOUR)] = 24
    role: Role | None = None
    max_uses: Uses | None = None
    note: Note | None = None


class InviteShape(TypedDict):
    """An invite. invite_code: null for one of another contract that is told only once; `id` revokes it too.

    status: valid, revoked, expired, exhausted.
    """

    id: str
    invite_code: str | None
    role: str
    status: str
    max_uses: int | None
    used_count: int
    note: str | None
    created_by: int | None
    created_at: str
    expires_at: str | None


class InviteList(TypedDict):
    """All invites."""

    invites: list[InviteShape]


class Message(TypedDict):
    """Done."""

    message: str


def routes(hub: Hub) -> list[Route]:
    """All under /admin/invites."""
    found = Routes()
    invites = hub.accounts.invites

    @found.post(
        "/admin/invites", access=MANAGE, dialect=CHAT, max_body=MAX_BODY, body=NewInviteBody, answer=InviteShape
    )
    async def create_invite() -> Response:
        """Make an invite code."""
        body = await read_json(NewInviteBody)
        invite, _ = await invites.create(
            kind=CODE,
            role=core_role(body.role),
            max_uses=body.max_uses or 1,
            expires_at=ends(None, body.expires_in_hours * HOUR),
            note=body.note,
        )
        return json_response(_shown(invite))

    @found.get("/admin/invites", access=MANAGE, dialect=CHAT, query=InviteQuery, answer=InviteList)
    async def list_invites() -> Response:
        """List invites, newest first."""
        query = read_query(InviteQuery)
        await note_admin_read(hub, "invite")
        rows, _ = await invites.page(offset=query.offset, limit=query.limit)
        listed: InviteList = {"invites": [_shown(row) for row in rows]}
        return json_response(listed)

    @found.post("/admin/invites/{code}/revoke", access=MANAGE, dialect=CHAT, max_body=MAX_BODY, answer=Message)
    async def revoke_invite(code: str) -> Response:
        """Revoke an invite, named by its code or its id."""
        known = await invites.find(code)
        await invites.revoke(known.id if known is not None else code)
        done: Message = {"message": "Invite revoked"}
        return json_response(done)

    return list(found)


def _shown(invite: InviteInfo) -> InviteShape:
    return {
        "id": invite.pid,
        "invite_code": invite.code,
        "role": CHAT.role(invite.role),
        "status": invite.state,
        "max_uses": invite.max_uses,
        "used_count": invite.used_count,
        "note": invite.note,
        "created_by": invite.created_by.id if invite.created_by is not None else None,
        "created_at": CHAT.timestamp(invite.created_at),
        "expires_at": CHAT.timestamp(invite.expires_at) if invite.expires_at is not None else None,
    }
