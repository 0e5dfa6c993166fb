"""The way in at a host apart: a ticket for a pass."""

from __future__ import annotations

from quart import Response, request

from moorage.accounts.passes import COOKIE, ENTER
from moorage.context import current_request
from moorage.hub import Hub
from moorage.routes import PUBLIC, Route, Routes
from moorage.surfaces.common import cookie_name
from moorage.surfaces.providers import redirect


def routes(hub: Hub) -> list[Route]:
    """One."""
    found = Routes()

    @found.get(ENTER, access=PUBLIC, status=302)
    async def enter() -> Response:
        """Let a browser in that was sent here, and send it on to the page."""
        info = current_request()
        token, path = hub.accounts.passes.redeem(request.args.get("ticket", ""), info.host)
        response = redirect(path)
        # Not Strict: the browser comes from another site, and would be sent on without it.
        response.set_cookie(
            cookie_name(COOKIE), token, path="/", secure=info.scheme == "https", httponly=True, samesite="Lax"
        )
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    return list(found)
