"""CHROTE's invites. Source: `api/chrote.md`, Invite Endpoints; its page's own field names stand beside the document's.

Making one answers 201, as the document's table of status codes says of what was created. An invite that is given no
end holds for seven days, as the document says (its page sends `expires_in_days` for another), for as many as come
unless `max_uses` is given. The second revocation of one is refused with 400. A role of admin is for owners to give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NotRequired

from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage.accounts.invite_rules import VALID
from moorage.accounts.invites import LINK, InviteInfo, InviteRefused
from moorage.context import current_actor, current_request
from moorage.dialects import CHROTE
from moorage.errors import BadRequest
from moorage.routes import AUTHENTICATED, PUBLIC, LimitClass, Route, Routes
from moorage.surfaces.common import client_info, note_admin_read, with_session
from moorage.surfaces.inviting import MAX_BODY, MAX_ROW, Note, Role, Seconds, Uses, ends
from moorage.web import json_response, read_json, read_query

if TYPE_CHECKING:
    from moorage.hub import Hub

MANAGE = "core:invite:manage"
DAY = 86400
WEEK = 7 * DAY


class InviteQuery(BaseModel):
    """The query of GET /api/invites."""

    limit: int = Field(1000, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=MAX_ROW)


class NewInviteBody(BaseModel):
    """POST /api/invites: the document's `expiresIn` (seconds), or the page's `expires_in_days`."""

    role: Role = "viewer"
    expiresIn: Seconds | None = None
    expires_in_days: Annotated[int, Field(strict=True, ge=1, le=3650)] | None = None
    max_uses: Uses | None = None
    note: Note | None = None


class InviteShape(TypedDict):
    """An invite, never its token. Camel case is the document's, the rest the page's."""

    id: str
    role: str
    note: str | None
    kind: str
    createdBy: str | None
    createdAt: str
    expiresAt: str | None
    usedCount: int
    revoked: bool
    uses: int
    max_uses: int | None
    created_by: str | None
    creator_name: str | None
    creator_email: str | None
    created_at: str
    expires_at: str | None
    is_active: bool


class NewInviteShape(InviteShape):
    """A fresh invite: its token, told once, and the address of the page that takes it."""

    token: str
    url: str


class InviteList(TypedDict):
    """All invites."""

    invites: list[InviteShape]


class InvitedShape(TypedDict):
    """Who came in by an invite."""

    id: str
    name: str
    email: str | None
    role: str
    at: str


class InviteDetails(InviteShape):
    """An invite and the first hundred who came in by it."""

    invited_users: list[InvitedShape]


class Success(TypedDict):
    """Done."""

    success: bool


class Validity(TypedDict):
    """role: where it is valid. reason: else, one of not_found, revoked, expired, exhausted."""

    valid: bool
    role: NotRequired[str]
    reason: NotRequired[str]


class Accepted(TypedDict):
    """The role that the user has now. csrf_token: with a fresh session, when the role has grown."""

    success: bool
    role: str
    csrf_token: NotRequired[str]


def routes(hub: Hub) -> list[Route]:
    """All under /api/invites."""
    found = Routes()
    _managing(found, hub)
    _redeeming(found, hub)
    return list(found)


def _managing(found: Routes, hub: Hub) -> None:
    invites = hub.accounts.invites

    @found.post(
        "/api/invites",
        access=MANAGE,
        dialect=CHROTE,
        max_body=MAX_BODY,
        body=NewInviteBody,
        answer=NewInviteShape,
        status=201,
    )
    async def create_invite() -> Response:
        """Make an invite link."""
        body = await read_json(NewInviteBody)
        days = body.expires_in_days * DAY if body.expires_in_days is not None else None
        # An invite without an end is for the command line and the other contracts.
        seconds = WEEK if days is None and body.expiresIn is None else None
        invite, token = await invites.create(
            kind=LINK,
            role=body.role,
            max_uses=body.max_uses,
            expires_at=ends(ends(None, body.expiresIn), days) or ends(None, seconds),
            note=body.note,
        )
        shown: NewInviteShape = {
            **_shown(invite),
            "token": token,
            "url": f"{current_request().base_url}/invite/{token}",
        }
        return json_response(shown, 201)

    @found.get("/api/invites", access=MANAGE, dialect=CHROTE, query=InviteQuery, answer=InviteList)
    async def list_invites() -> Response:
        """List invites, newest first."""
        query = read_query(InviteQuery)
        await note_admin_read(hub, "invite")
        rows, _ = await invites.page(offset=query.offset, limit=query.limit)
        listed: InviteList = {"invites": [_shown(row) for row in rows]}
        return json_response(listed)

    @found.get("/api/invites/{id}", access=MANAGE, dialect=CHROTE, answer=InviteDetails)
    async def get_invite(id: str) -> Response:
        """Show one invite, and who came in by it."""
        await note_admin_read(hub, "invite")
        invite = await invites.get(id)
        details: InviteDetails = {
            **_shown(invite),
            "invited_users": [
                {
                    "id": one.user.pid,
                    "name": one.user.name,
                    "email": one.user.email,
                    "role": CHROTE.role(one.user.role),
                    "at": CHROTE.timestamp(one.at),
                }
                for one in await invites.invited(invite.id)
            ],
        }
        return json_response(details)

    @found.delete("/api/invites/{id}", access=MANAGE, dialect=CHROTE, max_body=MAX_BODY, answer=Success)
    async def revoke_invite(id: str) -> Response:
        """Revoke an invite."""
        if not await invites.revoke(id):
            raise BadRequest("Invite already revoked")
        done: Success = {"success": True}
        return json_response(done)


def _redeeming(found: Routes, hub: Hub) -> None:
    accounts = hub.accounts

    @found.get("/api/invites/{token}/validate", access=PUBLIC, limit=LimitClass.AUTH, dialect=CHROTE, answer=Validity)
    async def validate_invite(token: str) -> Response:
        """Say whether an invite would let somebody in, and as what."""
        invite = await accounts.invites.probe(token, current_request().address)
        valid = invite.state == VALID
        said: Validity = (
            {"valid": True, "role": CHROTE.role(invite.role)} if valid else {"valid": False, "reason": invite.state}
        )
        return json_response(said)

    @found.post(
        "/api/invites/{token}/accept",
        access=AUTHENTICATED,
        limit=LimitClass.AUTH,
        dialect=CHROTE,
        max_body=MAX_BODY,
        answer=Accepted,
    )
    async def accept_invite(token: str) -> Response:
        """Accept an invite as somebody who is signed in; a role only ever grows by it."""
        try:
            role, login = await accounts.registration.accept(token, current_actor(), client_info())
        except InviteRefused as refused:
            raise BadRequest(refused.message, code="INVALID_TOKEN", details=refused.details) from refused
        done: Accepted = {"success": True, "role": CHROTE.role(role)}
        if login is None:
            return json_response(done)
        done["csrf_token"] = login.csrf
        return with_session(json_response(done, headers={"X-CSRF-Token": login.csrf}), accounts, login)


def _shown(invite: InviteInfo) -> InviteShape:
    maker = invite.created_by
    created = CHROTE.timestamp(invite.created_at)
    expires = CHROTE.timestamp(invite.expires_at) if invite.expires_at is not None else None
    return {
        "id": invite.pid,
        "role": CHROTE.role(invite.role),
        "note": invite.note,
        "kind": invite.kind,
        "createdBy": maker.pid if maker is not None else None,
        "createdAt": created,
        "expiresAt": expires,
        "usedCount": invite.used_count,
        "revoked": invite.revoked_at is not None,
        "uses": invite.used_count,
        "max_uses": invite.max_uses,
        "created_by": maker.pid if maker is not None else None,
        "creator_name": maker.name if maker is not None else None,
        "creator_email": maker.email if maker is not None else None,
        "created_at": created,
        "expires_at": expires,
        "is_active": invite.state == VALID,
    }
