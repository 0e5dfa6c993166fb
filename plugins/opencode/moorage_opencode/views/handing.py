"""What requests for a session's OpenCode have in common, by whichever way they come: `code` and `pages`."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from moorage.api import ProxyRequest, Target

from moorage_opencode.rights import CODE
from moorage_opencode.sessions import Live, Sessions

STREAMS = ("/event", "/global/event")
MAX_BODY = 100 * 1024 * 1024
"""Bytes of a request: a prompt has its files in it."""
ANSWER_SECONDS = 3600.0
"""Until an answer must have begun: OpenCode answers a prompt when the agent has finished."""
CONNECT_SECONDS = 15.0
"""In which a connection that is refused is tried again: its OpenCode may be on its way back."""
OF_STREAMS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
_LOGIN = b"auth_token"
"""OpenCode takes a login from the query too, before that of the header: it has to be ours."""


async def find(sessions: Sessions, request: ProxyRequest, pid: str) -> Live:
    """The session, once it can be reached. Errors as in `Sessions.live` and `Sessions.running`."""
    return await sessions.running(sessions.live(request.actor, pid, CODE))


def target(live: Live, request: ProxyRequest, path: str, *, answer: Mapping[str, str], prefix: str = "") -> Target:
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
        contained=bool(prefix),
    )


def without_login(query: str) -> str:
    """A query without logins for OpenCode; else byte for byte as it was."""
    if "auth_token" not in query and "%" not in query:
        return query
    return "&".join(part for part in query.split("&") if _name(part) != _LOGIN)


def _name(part: str) -> bytes:
    return unquote_to_bytes(part.partition("=")[0])
