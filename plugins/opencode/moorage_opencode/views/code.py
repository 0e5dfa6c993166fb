"""OpenCode's own API and events, handed through: `/code/*`. Its page has hosts of its own, see `pages`."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote, unquote_to_bytes

from moorage.api import ALL_METHODS, Hub, ProxyRequest, Route, Routes, Target, current_request

from moorage_opencode.rights import CODE
from moorage_opencode.sessions import Live, Sessions

BASES = ("/api/session/{id}/code", "/api/sessions/{id}/opencode")
"""The contract's path, and the one of its older clients."""
STREAMS = ("/event", "/global/event")
MAX_BODY = 100 * 1024 * 1024
"""Bytes of a request: a prompt has its files in it."""
ANSWER_SECONDS = 3600.0
"""Until an answer must have begun: OpenCode answers a prompt when the agent has finished."""
CONNECT_SECONDS = 15.0
"""In which a connection that is refused is tried again: its OpenCode may be on its way back."""
OF_STREAMS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
INERT = {
    "content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
}
"""What comes from a session may be a page, and has no rights in this origin: see ADR 0017."""
_OWN_CREDENTIAL = "auth_token"
"""OpenCode takes a login from the query too, before that of the header: it has to be ours."""


def routes(hub: Hub, sessions: Sessions) -> list[Route]:
    """All of them."""
    code, table = Code(sessions), Routes()
    for base in BASES:
        for path in STREAMS:
            table.proxy(base + path, access=CODE.name, methods=("GET",), basic=True, timeout=0, max_body=0)(
                partial(code.api, base=base, path=path)
            )
        for template in (base, base + "/{rest:path}"):
            table.proxy(
                template,
                access=CODE.name,
                methods=ALL_METHODS,
                sockets=True,
                basic=True,
                max_body=MAX_BODY,
                timeout=ANSWER_SECONDS,
            )(partial(code.api, base=base))
    return list(table)


class Code:
    """Says where a request about a session's OpenCode goes."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def api(self, request: ProxyRequest, *, base: str, path: str = "") -> Target:
        """OpenCode's API below the session's path."""
        live = await self.find(request, request.params["id"])
        prefix = current_request().prefix + base.replace("{id}", quote(live.pid))
        return target(live, request, path, prefix=prefix, answer=INERT)

    async def find(self, request: ProxyRequest, pid: str) -> Live:
        """The session, once it can be reached. Errors as in `Sessions.live` and `Sessions.running`."""
        return await self._sessions.running(self._sessions.live(request.actor, pid, CODE))


def target(live: Live, request: ProxyRequest, path: str, *, prefix: str, answer: dict[str, str]) -> Target:
    """The way to a session's OpenCode, with its login. path: in place of the request's rest."""
    assert live.upstream is not None
    path = path or f"/{request.rest}"
    return Target(
        live.upstream,
        path,
        query=without_login(request.query),
        headers={"authorization": live.authorization},
        wait=CONNECT_SECONDS,
        prefix=prefix,
        answer={**answer, **OF_STREAMS} if path in STREAMS else answer,
    )


def without_login(query: str) -> str:
    """A query without logins for OpenCode; else byte for byte as it was."""
    if _OWN_CREDENTIAL not in query and "%" not in query:
        return query
    return "&".join(part for part in query.split("&") if _name(part) != _OWN_CREDENTIAL.encode())


def _name(part: str) -> bytes:
    return unquote_to_bytes(part.partition("=")[0].replace("+", " ")).strip()
