"""OpenCode's own page of a session, at a host of its own: it is a program of the session's, and gets no rights here.

See ADR 0017. The page wants to be at the root of its origin, and an origin is what a browser keeps pages apart by.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from functools import partial

from moorage.api import (
    ALL_METHODS,
    Hub,
    LimitClass,
    NotFound,
    ProxyRequest,
    Redirect,
    RequestInfo,
    Route,
    Routes,
    Target,
    current_request,
)

from moorage_opencode.rights import CODE
from moorage_opencode.sessions import Live, Sessions
from moorage_opencode.views import handing

LOOPBACK = "opencode.localhost"
"""Browsers lead every name below `localhost` to their own machine (RFC 6761 section 6.3)."""
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(:\d+)?", re.IGNORECASE)
_PORT = re.compile(r":\d+$")
OF_PAGES = {"cross-origin-resource-policy": "same-origin"}
"""Pages of other hosts cannot load what is here, as they could a picture."""
NO_PAGE = (
    "OpenCode's page needs a host name of its own for each session: "
    "set [plugins.opencode] page_host, or open Moorage as http://localhost on the machine that it runs on"
)


def for_a_page(request: ProxyRequest) -> bool:
    """Whether a browser asks for something to show. Source: Fetch metadata; without it, what it would like best."""
    mode = request.headers.get("sec-fetch-mode")
    if request.method != "GET" or mode not in (None, "navigate"):
        return False
    return mode is not None or request.headers.get("accept", "").startswith("text/html")


class Pages:
    """Leads browsers to the pages, and the pages' requests to OpenCode."""

    def __init__(self, hub: Hub, sessions: Sessions) -> None:
        self._hub, self._sessions = hub, sessions
        self._given = sessions.config.page_host

    def routes(self) -> list[Route]:
        """What there is at the hosts of the pages: nothing but OpenCode."""
        table = Routes()
        kind = f"*.{_PORT.sub('', self._given or LOOPBACK)}"
        for path in handing.STREAMS:
            table.proxy(
                path, access=CODE.name, limit=LimitClass.PROXIED, apart=kind, methods=("GET",), timeout=0, max_body=0
            )(partial(self.page, path=path))
        table.proxy(
            "/{rest:path}",
            access=CODE.name,
            limit=LimitClass.PROXIED,
            apart=kind,
            methods=ALL_METHODS,
            sockets=True,
            max_body=handing.MAX_BODY,
            timeout=handing.ANSWER_SECONDS,
        )(self.page)
        return list(table)

    def lead(self, request: ProxyRequest, pid: str, rest: str) -> Redirect:
        """The way to a session's page, for a browser that may use it. rest: where in it; "": at its project."""
        live = self._sessions.live(request.actor, pid, CODE)
        origin = self._origin(live, current_request())
        if origin is None:
            raise NotFound(NO_PAGE)
        path = f"/{rest}" if rest else _project(live)
        query = f"?{handing.without_login(request.query)}" if request.query else ""
        return Redirect(self._hub.accounts.passes.address(request.actor, origin, path + query))

    async def page(self, request: ProxyRequest, *, path: str = "") -> Target:
        """What OpenCode has at its own root."""
        pid = current_request().host.partition(".")[0].lower()
        live = await handing.find(self._sessions, request, pid)
        return handing.target(live, request, path, answer=OF_PAGES)

    def _origin(self, live: Live, info: RequestInfo) -> str | None:
        """Where a session's page is; None when there is no place for it that this browser would find."""
        if self._given is not None:
            port = _PORT.search(self._given) or _PORT.search(info.host)
            domain = _PORT.sub("", self._given)
        else:
            found = _LOOPBACK.fullmatch(info.host)
            if found is None:
                return None
            port, domain = _PORT.search(info.host), LOOPBACK
        return f"{info.scheme}://{live.pid}.{domain}{port[0] if port else ''}"


def _project(live: Live) -> str:
    """The page's path for a project: its folder in base64 (RFC 4648 section 5), without what fills it up."""
    folder = urlsafe_b64encode(str(live.workspace).encode()).decode().rstrip("=")
    return f"/{folder}/session"
