"""What CHROTE's own page asks for under `/api/terminal`, beside the contract: sessions, locks, keys.

A lock is a claim by another name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moorage.api import Actor, Conflict, Forbidden, MoorageError, NotFound

from moorage_tmux import keys, messages
from moorage_tmux.claims import Claim
from moorage_tmux.refusals import asking
from moorage_tmux.rights import INPUT, require
from moorage_tmux.sessions import SessionInfo
from moorage_tmux.tenure import Tenure

if TYPE_CHECKING:
    from moorage_tmux.service import Terminals

BOTH = {
    "sessionId": "session_id",
    "userId": "user_id",
    "userName": "user_name",
    "claimedAt": "claimed_at",
    "expiresAt": "expires_at",
}
"""Members that are written in both of the page's spellings."""


class ChrotePage:
    """The page's questions as those of `Terminals`. NotFound, Unavailable as there."""

    def __init__(self, terminals: Terminals) -> None:
        self._terminals = terminals

    async def session(self, name: str) -> dict[str, Any]:
        """One session, with its current window and that one's size."""
        session, pane = await self._terminals.pane(name, None)
        return {
            **self._terminals.entry(session),
            "currentWindow": pane.window_index,
            "width": pane.window_cols,
            "height": pane.window_rows,
        }

    async def locks(self) -> dict[str, dict[str, Any]]:
        """The locks by their sessions' names."""
        with asking():
            sessions = await self._terminals.directory.sessions()
        found = {session.name: self._terminals.claims.get(session.key) for session in sessions}
        return {name: lock_shape(name, claim) for name, claim in found.items() if claim is not None}

    async def lock(self, name: str) -> dict[str, Any]:
        """A session's lock, or that there is none."""
        session = await self._terminals.find(name)
        claim = self._terminals.claims.get(session.key)
        return {"sessionId": session.name, "locked": claim is not None, **_held(claim)}

    async def take(self, name: str, actor: Actor) -> dict[str, Any]:
        """Lock a session. Forbidden; Conflict (details: lockedBy, expiresAt) when it is another's."""
        try:
            session, claim = await self._terminals.claim(name, actor)
        except Forbidden as error:
            if "claimedBy" not in error.details:
                raise
            by = {"id": error.details["claimedBy"], "name": error.details["claimedByName"]}
            details = {"code": "ALREADY_CLAIMED", "lockedBy": by, "expiresAt": error.details["expiresAt"]}
            raise Conflict(f"Session is locked by {by['name']}", code="ALREADY_CLAIMED", details=details) from error
        return {"success": True, "sessionId": session.name, **_held(claim)}

    async def release(self, name: str, actor: Actor) -> None:
        """Unlock a session, in the page's words."""
        session = await self._terminals.find(name)
        try:
            await self._terminals.release(session, actor)
        except Forbidden as error:
            raise Forbidden("Cannot release others' locks", details=error.details) from error
        except NotFound as error:
            raise NotFound("Session not locked", details=error.details) from error

    async def type(self, name: str, spec: str | None, actor: Actor, text: str, *, raw: bool) -> SessionInfo:
        """Type as a socket does: with the right to, where nobody else holds the session. Forbidden, InputRefused."""
        terminals = self._terminals
        session, pane = await terminals.pane(name, spec)

        with Tenure(terminals.hub.sockets, terminals.hub.name, actor) as tenure:

            def may() -> None:
                tenure.check()
                require(terminals.hub.access, tenure.actor, INPUT, "sendKeys")
                terminals.claims.check_free(session.key, tenure.actor)

            may()
            watch = await terminals.watch(session)
            with asking():
                await terminals.type(tenure.actor, watch, pane.id, keys.to_text(text, raw=raw), may)
        return session

    async def status(self) -> dict[str, Any]:
        """Whether tmux can be asked, and what there is; never an error."""
        sessions = 0
        try:
            sessions = len(await self._terminals.sessions())
            available = True
        except MoorageError:
            available = False
        return {
            "status": "ok" if available else "unavailable",
            "available": available,
            "sessions": sessions,
            "locks": len(self._terminals.claims),
            "timestamp": messages.timestamp(),
        }


def lock_shape(name: str, claim: Claim) -> dict[str, Any]:
    """A lock as the page and its server write it, both at once."""
    public = {"sessionId": name, **claim.public()}
    return {
        "id": public["userId"],
        "name": public["userName"],
        **public,
        **{BOTH[key]: value for key, value in public.items()},
    }


def _held(claim: Claim | None) -> dict[str, Any]:
    if claim is None:
        return {"lockedBy": None, "claimedAt": None, "expiresAt": None}
    public = claim.public()
    by = {"id": public["userId"], "name": public["userName"]}
    return {"lockedBy": by, "claimedAt": public["claimedAt"], "expiresAt": public["expiresAt"]}
