"""What the surfaces share of logins at providers: the flow's cookie, and our address as the browser sees it."""

from __future__ import annotations

from quart import Response, request

from moorage.accounts.oauth import COOKIE, FLOW_SECONDS
from moorage.context import current_request
from moorage.surfaces.common import HOST_PREFIX

NO_STORE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def base_url() -> str:
    """Our origin and mount prefix, below which the callback is."""
    info = current_request()
    return info.base_url.rstrip("/") + info.prefix


def flow_cookie() -> str:
    """The cookie of the login under way, or ""."""
    return request.cookies.get(_name(), "")


def with_flow(response: Response, browser: str | None) -> Response:
    """Keep the flow's cookie for as long as a login may take; None takes it away."""
    response.set_cookie(
        _name(),
        browser or "",
        max_age=FLOW_SECONDS if browser is not None else 0,
        path="/",
        secure=current_request().scheme == "https",
        httponly=True,
        samesite="Lax",
    )
    response.headers.update(NO_STORE)
    return response


def redirect(location: str) -> Response:
    """302 without a body."""
    return Response(b"", 302, headers={"Location": location, **NO_STORE})


def _name() -> str:
    return HOST_PREFIX + COOKIE if current_request().scheme == "https" else COOKIE
