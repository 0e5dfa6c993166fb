"""OpenCode's own API and events, handed through: `/code/*`. A browser that comes for a page is led to `pages`."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

from moorage.api import ALL_METHODS, Hub, LimitClass, ProxyRequest, Redirect, Route, Routes, Target, current_request

from moorage_opencode.rights import CODE
from moorage_opencode.sessions import Sessions
from moorage_opencode.views import handing
from moorage_opencode.views.pages import Pages, for_a_page

BASES = ("/api/session/{id}/code", "/api/sessions/{id}/opencode")
"""The contract's path, and the one of its older clients."""
INERT = {
    "content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
}
"""What comes from a session may be a page, and has no rights in this origin: see ADR 0017."""


def routes(hub: Hub, sessions: Sessions) -> list[Route]:
    """All of them."""
    pages, table = Pages(hub, sessions), Routes()
    code = Code(sessions, pages)
    for base in BASES:
        for path in handing.STREAMS:
            table.proxy(
                base + path,
                access=CODE.name,
                limit=LimitClass.PROXIED,
                methods=("GET",),
                basic=True,
                timeout=0,
                max_body=0,
            )(partial(code.api, base=base, path=path))
        for template in (base, base + "/{rest:path}"):
            table.proxy(
                template,
                access=CODE.name,
                limit=LimitClass.PROXIED,
                methods=ALL_METHODS,
                sockets=True,
                basic=True,
                max_body=handing.MAX_BODY,
                timeout=handing.ANSWER_SECONDS,
            )(partial(code.api, base=base))
    return [*table, *pages.routes()]


class Code:
    """Says where a request about a session's OpenCode goes."""

    def __init__(self, sessions: Sessions, pages: Pages) -> None:
        self._sessions, self._pages = sessions, pages

    async def api(self, request: ProxyRequest, *, base: str, path: str = "") -> Target | Redirect:
        """OpenCode's API below the session's path; a browser's way to its page."""
        if for_a_page(request):
            return self._pages.lead(request, request.params["id"], request.rest)
        live = await handing.find(self._sessions, request, request.params["id"])
        prefix = current_request().prefix + base.replace("{id}", quote(live.pid))
        return handing.target(live, request, path, prefix=prefix, answer=INERT)
