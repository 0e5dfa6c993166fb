"""`/api/terminal/…`: the paths that only CHROTE's own page calls, in its words."""

from __future__ import annotations

from typing import Any

from moorage.api import (
    BadRequest,
    Conflict,
    Dialect,
    Forbidden,
    MoorageError,
    Route,
    Routes,
    current_actor,
    json_response,
    read_json,
    read_query,
)
from pydantic import BaseModel, Field, StrictBool, StrictInt
from quart import Response
from typing_extensions import TypedDict

from moorage_tmux import messages
from moorage_tmux.chrote_page import ChrotePage
from moorage_tmux.rights import VIEW
from moorage_tmux.service import Terminals
from moorage_tmux.views.sessions import PersonShape, SessionsAnswer, SessionShape

MAX_LINES = 10_000
_TEXT = {"type": "string"}


class _Words(Dialect):
    """`error` is a text for people, which the page shows as it is; the contract's members stand beside it."""

    name = "terminal"

    def error(self, error: MoorageError, request_id: str) -> dict[str, Any]:
        return {
            "error": error.message,
            "code": error.error_code,
            "message": error.message,
            "details": error.details,
        }

    def error_schema(self, status: int) -> dict[str, Any]:
        members = {"error": _TEXT, "code": _TEXT, "message": _TEXT, "details": {"type": "object"}}
        return {
            "type": "object",
            "properties": members,
            "required": list(members),
            "additionalProperties": False,
        }


WORDS = _Words()


class PaneQuery(BaseModel):
    """GET …/capture."""

    pane: str | None = Field(None, max_length=32)


class ScrollbackQuery(PaneQuery):
    """GET …/scrollback. lines: of the scrollback, above the screen."""

    lines: int = Field(1000, ge=1, le=MAX_LINES)


class KeysBody(BaseModel):
    """POST …/keys: as `sendKeys` on a socket."""

    keys: str = ""
    pane: str | StrictInt | None = None
    raw: StrictBool = False


class SizedSession(SessionShape):
    """A session, with the size of its current window."""

    currentWindow: int
    width: int
    height: int


class OneSession(TypedDict):
    """GET …/sessions/{name}."""

    session: SizedSession


class TextAnswer(TypedDict):
    """What a pane shows, as text."""

    session: str
    sessionId: str
    pane: str
    paneId: str
    content: str
    timestamp: str


class KeysAnswer(TypedDict):
    """POST …/keys."""

    success: bool
    sessionId: str
    timestamp: str


class LockAnswer(TypedDict):
    """GET …/lock."""

    sessionId: str
    locked: bool
    lockedBy: PersonShape | None
    claimedAt: str | None
    expiresAt: str | None


class LockedAnswer(TypedDict):
    """POST …/lock."""

    success: bool
    sessionId: str
    lockedBy: PersonShape
    claimedAt: str
    expiresAt: str


class LockedByOther(TypedDict):
    """The same while another has the session, and typing into it."""

    error: str
    code: str
    message: str
    locked: bool
    lockedBy: PersonShape
    claimedBy: str
    expiresAt: str
    details: dict[str, Any]


class ReleasedAnswer(TypedDict):
    """POST …/release."""

    success: bool
    sessionId: str


class LockShape(TypedDict):
    """A lock: the holder's id and name, and the same as claims have it."""

    id: str
    name: str
    sessionId: str
    userId: str
    userName: str
    claimedAt: str
    expiresAt: str
    session_id: str
    user_id: str
    user_name: str
    claimed_at: str
    expires_at: str


class LocksAnswer(TypedDict):
    """GET /api/terminal/locks: by the names of the sessions."""

    locks: dict[str, LockShape]


class StatusAnswer(TypedDict):
    """GET /api/terminal/status."""

    status: str
    available: bool
    sessions: int
    locks: int
    timestamp: str


def routes(terminals: Terminals) -> list[Route]:
    """All of them."""
    return [*_reading(terminals), *_driving(terminals)]


def _reading(terminals: Terminals) -> list[Route]:
    table, page = Routes(), ChrotePage(terminals)
    seen: dict[str, Any] = {"access": VIEW.name, "dialect": WORDS}

    @table.get("/api/terminal/sessions", answer=SessionsAnswer, **seen)
    async def sessions() -> Response:
        """List the tmux sessions."""
        return json_response({"sessions": await terminals.sessions()})

    @table.get("/api/terminal/sessions/{name}", answer=OneSession, **seen)
    async def session(name: str) -> Response:
        """Show a session with the size of its current window."""
        return json_response({"session": await page.session(name)})

    @table.get("/api/terminal/sessions/{name}/capture", query=PaneQuery, answer=TextAnswer, **seen)
    async def capture(name: str) -> Response:
        """Show what stands in a pane."""
        found = await terminals.history.text(name, read_query(PaneQuery).pane or None, 0)
        return json_response({"sessionId": found["session"], **found})

    @table.get("/api/terminal/sessions/{name}/scrollback", query=ScrollbackQuery, answer=TextAnswer, **seen)
    async def scrollback(name: str) -> Response:
        """Show what stands in a pane, below `lines` of its scrollback."""
        query = read_query(ScrollbackQuery)
        found = await terminals.history.text(name, query.pane or None, query.lines)
        return json_response({"sessionId": found["session"], **found})

    @table.get("/api/terminal/sessions/{name}/lock", answer=LockAnswer, **seen)
    async def lock_of(name: str) -> Response:
        """Show who has locked a session."""
        return json_response(await page.lock(name))

    @table.get("/api/terminal/locks", answer=LocksAnswer, **seen)
    async def locks() -> Response:
        """Show all locks, by the names of their sessions."""
        return json_response({"locks": await page.locks()})

    @table.get("/api/terminal/status", answer=StatusAnswer, **seen)
    async def status() -> Response:
        """Say whether tmux can be asked."""
        return json_response(await page.status())

    return list(table)


def _driving(terminals: Terminals) -> list[Route]:
    """Who may is decided in the service."""
    table, page = Routes(), ChrotePage(terminals)
    driven: dict[str, Any] = {"access": VIEW.name, "dialect": WORDS}

    @table.post(
        "/api/terminal/sessions/{name}/keys", body=KeysBody, answer=KeysAnswer, answers={403: LockedByOther}, **driven
    )
    async def keys(name: str) -> Response:
        """Type into a pane, unless somebody else has locked its session."""
        body = await read_json(KeysBody)
        if not body.keys:
            raise BadRequest("keys field required")
        pane = None if body.pane in (None, "") else str(body.pane)
        try:
            session = await page.type(name, pane, current_actor(), body.keys, raw=body.raw)
        except Forbidden as error:
            if "claimedBy" not in error.details:
                raise
            by = {"id": error.details["claimedBy"], "name": error.details["claimedByName"]}
            return _locked(error, by)
        return json_response({"success": True, "sessionId": session.name, "timestamp": messages.timestamp()})

    @table.post("/api/terminal/sessions/{name}/lock", answer=LockedAnswer, answers={409: LockedByOther}, **driven)
    async def lock(name: str) -> Response:
        """Lock a session: until it is released or the lock ends, nobody else types into it."""
        try:
            return json_response(await page.take(name, current_actor()))
        except Conflict as error:
            if "lockedBy" not in error.details:
                raise
            return _locked(error, error.details["lockedBy"])

    @table.post("/api/terminal/sessions/{name}/release", answer=ReleasedAnswer, **driven)
    async def release(name: str) -> Response:
        """Unlock a session: one's own lock, or with the permission to override anybody's."""
        await page.release(name, current_actor())
        return json_response({"success": True, "sessionId": name})

    return list(table)


def _locked(error: Conflict | Forbidden, by: dict[str, str]) -> Response:
    """Somebody else has the session."""
    return json_response(
        {
            **WORDS.error(error, ""),
            "locked": True,
            "lockedBy": by,
            "claimedBy": by["id"],
            "expiresAt": error.details["expiresAt"],
        },
        error.status,
    )
