"""Octo's invite codes. Source: `api/octo.md`, Admin Routes; `role` and `kind` are ours.

All invites are listed, also those that other contracts made; a link has no code to show. Without a number `max_uses`
is 1, and null where another contract made one without a bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage.accounts.invite_rules import VALID
from moorage.accounts.invites import CODE, InviteInfo
from moorage.dialects import OCTO
from moorage.routes import Route, Routes
from moorage.surfaces.common import note_admin_read
from moorage.surfaces.inviting import MAX_BODY, MAX_ROW, Instant, Note, Role, Seconds, Uses, core_role, ends
from moorage.web import json_response, read_json, read_query

if TYPE_CHECKING:
    from moorage.hub import Hub

BASE = "/api/admin/invite-codes"
MANAGE = "core:invite:manage"


class InviteQuery(BaseModel):
    """The query of GET /api/admin/invite-codes. created_by: the id of a user."""

    created_by: str | None = Field(None, max_length=64)
    valid: bool | None = None
    limit: int = Field(100, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=MAX_ROW)


class NewCodeBody(BaseModel):
    """POST /api/admin/invite-codes. An end is given as a time or in seconds; role is "user" unless given."""

    code: str | None = Field(None, max_length=64)
    max_uses: Uses | None = None
    expires_at: Instant | None = None
    expires_in_secs: Seconds | None = None
    note: Note | None = None
    role: Role | None = None


class BatchBody(BaseModel):
    """POST /api/admin/invite-codes/batch: so many codes, all or none."""

    count: int = Field(strict=True, ge=1, le=100)
    uses_per_code: Uses | None = None
    expires_at: Instant | None = None
    expires_in_secs: Seconds | None = None
    prefix: str | None = Field(None, max_length=32)
    note: Note | None = None
    role: Role | None = None


class CodeShape(TypedDict):
    """An invite. uses_remaining, max_uses: null without a bound. created_by: null for the command line."""

    id: str
    code: str | None
    kind: str
    role: str
    created_by: str | None
    uses_remaining: int | None
    max_uses: int | None
    used_count: int
    expires_at: str | None
    created_at: str
    is_valid: bool
    note: str | None


class CodeStats(TypedDict):
    """How many there are, and how many let somebody in now."""

    total: int
    valid: int


def routes(hub: Hub) -> list[Route]:
    """All under /api/admin/invite-codes."""
    found = Routes()
    _reading(found, hub)
    _writing(found, hub)
    return list(found)


def _reading(found: Routes, hub: Hub) -> None:
    invites = hub.accounts.invites

    @found.get(BASE, access=MANAGE, dialect=OCTO, query=InviteQuery, answer=list[CodeShape])
    async def list_codes() -> Response:
        """List invites, newest first."""
        query = read_query(InviteQuery)
        await note_admin_read(hub, "invite")
        rows, total = await invites.page(
            created_by=query.created_by, valid=query.valid, offset=query.offset, limit=query.limit
        )
        return json_response([_shown(row) for row in rows], headers={"X-Total-Count": str(total)})

    @found.get(f"{BASE}/stats", access=MANAGE, dialect=OCTO, answer=CodeStats)
    async def stats() -> Response:
        """Count invites."""
        total, valid = await invites.stats()
        counted: CodeStats = {"total": total, "valid": valid}
        return json_response(counted)

    @found.get(BASE + "/{code_id}", access=MANAGE, dialect=OCTO, answer=CodeShape)
    async def get_code(code_id: str) -> Response:
        """Show one invite."""
        await note_admin_read(hub, "invite")
        return json_response(_shown(await invites.get(code_id)))


def _writing(found: Routes, hub: Hub) -> None:
    invites = hub.accounts.invites

    @found.post(BASE, access=MANAGE, dialect=OCTO, max_body=MAX_BODY, body=NewCodeBody, answer=CodeShape, status=201)
    async def create_code() -> Response:
        """Make an invite code, of one's own or a random one."""
        body = await read_json(NewCodeBody)
        invite, _ = await invites.create(
            kind=CODE,
            role=core_role(body.role),
            max_uses=body.max_uses or 1,
            expires_at=ends(body.expires_at, body.expires_in_secs),
            note=body.note,
            code=body.code,
        )
        return json_response(_shown(invite), 201)

    @found.post(
        f"{BASE}/batch",
        access=MANAGE,
        dialect=OCTO,
        max_body=MAX_BODY,
        body=BatchBody,
        answer=list[CodeShape],
        status=201,
    )
    async def create_batch() -> Response:
        """Make many random invite codes, with a prefix if one is given."""
        body = await read_json(BatchBody)
        made = await invites.create_batch(
            body.count,
            prefix=body.prefix,
            role=core_role(body.role),
            max_uses=body.uses_per_code or 1,
            expires_at=ends(body.expires_at, body.expires_in_secs),
            note=body.note,
        )
        return json_response([_shown(invite) for invite in made], 201)

    @found.post(BASE + "/{code_id}/revoke", access=MANAGE, dialect=OCTO, max_body=MAX_BODY, status=204)
    async def revoke_code(code_id: str) -> Response:
        """Revoke an invite; nothing is left of its uses."""
        await invites.revoke(code_id)
        return Response(b"", 204)

    @found.delete(BASE + "/{code_id}", access=MANAGE, dialect=OCTO, max_body=MAX_BODY, status=204)
    async def delete_code(code_id: str) -> Response:
        """Delete an invite. Who came in by it stays."""
        await invites.delete(code_id)
        return Response(b"", 204)


def _shown(invite: InviteInfo) -> CodeShape:
    left = None
    if invite.revoked_at is not None:
        left = 0
    elif invite.max_uses is not None:
        left = max(0, invite.max_uses - invite.used_count)
    return {
        "id": invite.pid,
        "code": invite.code,
        "kind": invite.kind,
        "role": OCTO.role(invite.role),
        "created_by": invite.created_by.pid if invite.created_by is not None else None,
        "uses_remaining": left,
        "max_uses": invite.max_uses,
        "used_count": invite.used_count,
        "expires_at": OCTO.timestamp(invite.expires_at) if invite.expires_at is not None else None,
        "created_at": OCTO.timestamp(invite.created_at),
        "is_valid": invite.state == VALID,
        "note": invite.note,
    }
