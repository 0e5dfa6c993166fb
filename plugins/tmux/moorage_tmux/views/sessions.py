"""Sessions and their claims, as the contract has them."""

from __future__ import annotations

from moorage.api import Route, Routes, current_actor, json_response
from quart import Response
from typing_extensions import TypedDict

from moorage_tmux import messages
from moorage_tmux.rights import VIEW
from moorage_tmux.service import Terminals
from moorage_tmux.views.claimed import ClaimRefused, tells_who_claimed


class ClaimShape(TypedDict):
    """Who has a session for themselves, and until when."""

    userId: str
    userName: str
    claimedAt: str
    expiresAt: str


class ViewerShape(TypedDict):
    """Somebody who has the session open."""

    userId: str
    name: str


class PersonShape(TypedDict):
    """Somebody by id and name."""

    id: str
    name: str


class RecordedShape(TypedDict):
    """The recording of a session that goes on. by: null where the operator's settings began it. input: so is typing."""

    id: str
    startedAt: str
    by: PersonShape | None
    input: bool


class SessionShape(TypedDict):
    """A session as lists show it. attached: a terminal that is not one of ours has it open."""

    id: str
    name: str
    windows: int
    created: str
    attached: bool
    viewers: list[ViewerShape]
    claim: ClaimShape | None
    recording: RecordedShape | None


class SessionsAnswer(TypedDict):
    """GET /api/sessions."""

    sessions: list[SessionShape]


class PanePlace(TypedDict):
    """A pane, and where it begins in its window (in cells)."""

    id: str
    index: int
    active: bool
    left: int
    top: int
    title: str


class PaneShape(PanePlace):
    """The same with its size and the text that it shows."""

    content: str
    width: int
    height: int


class WindowPlace(TypedDict):
    """A window. Of a zoomed one only the active pane is seen."""

    id: str
    index: int
    name: str
    active: bool
    zoomed: bool
    cols: int
    rows: int


class WindowShape(WindowPlace):
    """The same with its panes and what they show."""

    panes: list[PaneShape]


class InspectAnswer(TypedDict):
    """GET /api/sessions/{name}."""

    id: str
    name: str
    created: str
    attached: bool
    windows: list[WindowShape]
    viewers: list[ViewerShape]
    claim: ClaimShape | None
    recording: RecordedShape | None


class MadeClaim(ClaimShape):
    """A claim, and the name of its session."""

    sessionId: str


class ClaimAnswer(TypedDict):
    """POST /api/sessions/{name}/claim."""

    success: bool
    claim: MadeClaim


class ReleaseAnswer(TypedDict):
    """DELETE /api/sessions/{name}/claim."""

    success: bool
    sessionId: str
    timestamp: str


def routes(terminals: Terminals) -> list[Route]:
    """`/api/sessions` and below. Who may claim is decided in the service, which words refusals as the contract does."""
    table = Routes()

    @table.get("/api/sessions", access=VIEW.name, answer=SessionsAnswer)
    async def sessions() -> Response:
        """List the tmux sessions, who watches them and who has claimed them."""
        return json_response({"sessions": await terminals.sessions()})

    @table.get("/api/sessions/{name}", access=VIEW.name, answer=InspectAnswer)
    async def inspect(name: str) -> Response:
        """Show a session with its windows, its panes and what stands in them."""
        return json_response(await terminals.inspect(name))

    @table.post("/api/sessions/{name}/claim", access=VIEW.name, answer=ClaimAnswer, answers={403: ClaimRefused})
    @tells_who_claimed
    async def claim(name: str) -> Response:
        """Claim a session: until it ends or is released, nobody else types into it."""
        session, made = await terminals.claim(name, current_actor())
        return json_response({"success": True, "claim": {"sessionId": session.name, **made.public()}})

    @table.delete("/api/sessions/{name}/claim", access=VIEW.name, answer=ReleaseAnswer)
    async def release(name: str) -> Response:
        """End a session's claim: one's own, or with the permission to override anybody's."""
        await terminals.release(name, current_actor())
        return json_response({"success": True, "sessionId": name, "timestamp": messages.timestamp()})

    return list(table)
