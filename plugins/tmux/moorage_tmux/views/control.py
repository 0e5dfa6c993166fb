"""Asking for a claimed session, and handing it over."""

from __future__ import annotations

from moorage.api import Route, Routes, current_actor, json_response, read_json
from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage_tmux.rights import CLAIM, VIEW
from moorage_tmux.service import Terminals
from moorage_tmux.views.sessions import ClaimAnswer, PersonShape


class Transfer(BaseModel):
    """To whom a claim is handed over."""

    userId: str = Field(min_length=1, max_length=64)


class ControlRequest(TypedDict):
    """What the holder is told."""

    sessionId: str
    by: PersonShape
    at: str


class RequestAnswer(TypedDict):
    """POST /api/sessions/{name}/claim/request."""

    success: bool
    request: ControlRequest


def routes(terminals: Terminals) -> list[Route]:
    """`/api/sessions/{name}/claim/…`. Who may is decided in the service."""
    table = Routes()

    @table.post("/api/sessions/{name}/claim/request", access=CLAIM.name, answer=RequestAnswer)
    async def request_control(name: str) -> Response:
        """Ask whoever has claimed a session to hand it over."""
        asked = terminals.handover.request(await terminals.find(name), current_actor())
        request = {"sessionId": asked["sessionId"], "by": asked["by"], "at": asked["at"]}
        return json_response({"success": True, "request": request})

    @table.post(
        "/api/sessions/{name}/claim/transfer", access=VIEW.name, max_body=4096, body=Transfer, answer=ClaimAnswer
    )
    async def transfer(name: str) -> Response:
        """Hand one's own claim over to somebody who has the session open."""
        body = await read_json(Transfer)
        session = await terminals.find(name)
        made = await terminals.hand_over(session, current_actor(), body.userId)
        return json_response({"success": True, "claim": {"sessionId": session.name, **made.public()}})

    return list(table)
