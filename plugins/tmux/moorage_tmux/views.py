"""The plugin's HTTP routes, thin over the service."""

from __future__ import annotations

from moorage.api import Forbidden, Route, Routes, current_actor, json_response
from quart import Response

from moorage_tmux import messages
from moorage_tmux.rights import VIEW
from moorage_tmux.service import Terminals


def routes(terminals: Terminals) -> list[Route]:
    """`/api/sessions` and below. Who may claim is decided in the service, which words refusals as the contract does."""
    table = Routes()

    @table.get("/api/sessions", access=VIEW.name)
    async def sessions() -> Response:
        return json_response({"sessions": await terminals.sessions()})

    @table.get("/api/sessions/{name}", access=VIEW.name)
    async def inspect(name: str) -> Response:
        return json_response(await terminals.inspect(name))

    @table.post("/api/sessions/{name}/claim", access=VIEW.name)
    async def claim(name: str) -> Response:
        try:
            session, made = await terminals.claim(name, current_actor())
        except Forbidden as error:
            if "claimedBy" not in error.details:
                raise
            return _claimed_by_other(error)
        return json_response({"success": True, "claim": {"sessionId": session.name, **made.public()}})

    @table.delete("/api/sessions/{name}/claim", access=VIEW.name)
    async def release(name: str) -> Response:
        await terminals.release(name, current_actor())
        return json_response({"success": True, "sessionId": name, "timestamp": messages.timestamp()})

    return list(table)


def _claimed_by_other(error: Forbidden) -> Response:
    """The contract puts the holder and the end beside the error, not into its details; they are in both."""
    return json_response(
        {
            "error": error.error_code,
            "message": error.message,
            "claimedBy": error.details["claimedBy"],
            "expiresAt": error.details["expiresAt"],
            "details": error.details,
        },
        error.status,
    )
