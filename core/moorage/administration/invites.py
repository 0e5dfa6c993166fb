"""Invites over HTTP as those who manage them see all of them: with roles of the core, and why one holds no more.

They are made, revoked and deleted by the contracts' routes: `/api/invites`, `/api/admin/invite-codes`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage.accounts.invites import InviteInfo
from moorage.context import current_actor
from moorage.dialects import CHROTE
from moorage.hub import Hub
from moorage.routes import Route, Routes
from moorage.web import json_response, read_query

MANAGE = "core:invite:manage"


class InvitesQuery(BaseModel):
    """state: those that let somebody in, or those that do not any more."""

    state: Literal["valid", "ended"] | None = None
    offset: int = Field(0, ge=0, le=2**31 - 1)
    limit: int = Field(50, ge=1, le=200)


class InviteRow(TypedDict):
    """An invite. kind: "link" or "code". code: null for links, and for who could not make such an invite.

    state: valid, revoked, expired or exhausted. max_uses: null without a bound. created_by: a username, null for the
    operator at the command line and for a user who is no more.
    """

    id: str
    kind: str
    code: str | None
    role: str
    note: str | None
    state: str
    used_count: int
    max_uses: int | None
    created_by: str | None
    created_at: str
    expires_at: str | None


class InvitesAnswer(TypedDict):
    """The newest first. roles: into which whoever asks may invite, from the lowest up."""

    invites: list[InviteRow]
    total: int
    offset: int
    limit: int
    roles: list[str]


def routes(hub: Hub) -> list[Route]:
    """`/api/core/admin/invites`."""
    table = Routes()
    managed = hub.accounts.invites

    @table.get("/api/core/admin/invites", access=MANAGE, query=InvitesQuery, answer=InvitesAnswer)
    async def invites() -> Response:
        """List invites, the newest first."""
        query = read_query(InvitesQuery)
        actor = current_actor()
        valid = None if query.state is None else query.state == "valid"
        rows, total = await managed.page(valid=valid, offset=query.offset, limit=query.limit)
        await hub.audit.note_read("invite", actor=actor)
        answer: InvitesAnswer = {
            "invites": [_row(one) for one in rows],
            "total": total,
            "offset": query.offset,
            "limit": query.limit,
            "roles": [role for role in hub.access.roles() if managed.rules.refusal(actor, role) is None],
        }
        return json_response(answer)

    return list(table)


def _row(invite: InviteInfo) -> InviteRow:
    return {
        "id": invite.pid,
        "kind": invite.kind,
        "code": invite.code,
        "role": invite.role,
        "note": invite.note,
        "state": invite.state,
        "used_count": invite.used_count,
        "max_uses": invite.max_uses,
        "created_by": invite.created_by.username if invite.created_by is not None else None,
        "created_at": CHROTE.timestamp(invite.created_at),
        "expires_at": CHROTE.timestamp(invite.expires_at) if invite.expires_at is not None else None,
    }
