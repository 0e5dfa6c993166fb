"""Captures from a CHROTE server elsewhere (`chrote_url`): asked as CHROTE Multiplayer asks it.

The server is believed nothing: its answers are bounded in size and time, and no redirect, cookie or credential of
anybody's passes between it and us.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import quote

import httpx
from moorage.api import DeadlineExceeded, NotFound, Unavailable, UpstreamError

from moorage_tmux import messages
from moorage_tmux.guards import Guards
from moorage_tmux.sessions import SessionInfo, is_pane_spec

MAX_ANSWER = 4 * 1024 * 1024
PROBE_SECONDS = 2.0
MAX_NAME = 256
_FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError, RecursionError)


class Chrote:
    """One CHROTE server. Make it anywhere, `close` it in the loop that used it."""

    def __init__(self, url: str, timeout: float, guards: Guards) -> None:
        self._base, self._timeout, self._guards = url.rstrip("/") + "/api/tmux/sessions", timeout, guards
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def capture(self, session: str, pane: str, lines: int | None) -> dict[str, Any]:
        """What a session shows, as the contract has it. The server is not told of the pane.

        NotFound when there is no such session, Unavailable when the server cannot be reached, DeadlineExceeded when
        it takes too long, UpstreamError for an answer that is none. Their codes are the contract's texts.
        """
        if not is_pane_spec(pane):
            raise NotFound("Pane not found", code="Pane not found", details={"code": "PANE_NOT_FOUND"})
        # tmux has no names with dots; of these two a client would make another path.
        if session in (".", "..") or len(session) > MAX_NAME:
            raise no_session()
        names = await self._probe()
        query = "" if lines is None else f"?lines={lines}"
        try:
            async with asyncio.timeout(self._timeout):
                status, body = await self._get(f"/{quote(session, safe='')}/capture{query}")
        except TimeoutError:
            text = f"CHROTE API timeout after {self._timeout * 1000:.0f}ms"
            raise DeadlineExceeded(text, code=text) from None
        except _FAILURES as error:
            raise _not_available(type(error).__name__) from error
        if status != 200:
            raise _refused(status, body, missing=names is not None and session not in names)
        content, at = _content(body)
        stand_in = SessionInfo(f"chrote:{session}", "", session, 1, datetime.now(UTC), attached=False)
        shown = self._guards.whole(stand_in, pane, content)
        return {"session": session, "pane": pane, "content": shown, "timestamp": at}

    async def _probe(self) -> set[str] | None:
        """Whether the server lives, asked before each capture; the names of its sessions if it told them."""
        try:
            async with asyncio.timeout(min(PROBE_SECONDS, self._timeout)):
                status, body = await self._get("")
        except (TimeoutError, *_FAILURES) as error:
            raise _not_available(type(error).__name__) from error
        if status != 200:
            raise _not_available(f"status {status}")
        answer = _parsed(body)
        sessions = answer.get("sessions")
        if not isinstance(sessions, list):
            return None
        return {str(each.get("name")) for each in sessions if isinstance(each, dict)}

    async def _get(self, path: str) -> tuple[int, bytes]:
        """Status and body. ValueError for a body that is too long or compressed."""
        if self._client is None:
            self._client = _client(self._timeout)
        async with self._client.stream("GET", self._base + path) as answer:
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("compressed, though that was not asked for")
            body = b""
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > MAX_ANSWER:
                    raise ValueError("the answer is too long")
            return answer.status_code, body


def no_session() -> NotFound:
    """The contract's answer for a session that is not there."""
    return NotFound("Session not found", code="Session not found", details={"code": "SESSION_NOT_FOUND"})


def _client(timeout: float) -> httpx.AsyncClient:
    client = httpx.AsyncClient(
        timeout=timeout,
        follow_redirects=False,
        trust_env=False,  # No proxy and no netrc of the environment's.
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        limits=httpx.Limits(max_connections=20, max_keepalive_connections=5),
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def _not_available(reason: str) -> Unavailable:
    text = "CHROTE API not available"
    return Unavailable(text, code=text, details={"reason": reason})


def _refused(status: int, body: bytes, *, missing: bool) -> NotFound | UpstreamError:
    """What an answer that is not 200 means. For sessions that are not there the server says 500 as well."""
    text = body[:4096].decode("utf-8", "replace")
    if status == 404 or (status == 500 and ("can't find" in text or ("TMUX_ERROR" in text and missing))):
        return no_session()
    said = f"CHROTE API error: {status}"
    return UpstreamError(said, code=said)


def _content(body: bytes) -> tuple[str, str]:
    answer = _parsed(body)
    content = answer.get("content")
    if not isinstance(content, str):
        content = answer.get("output")
    if not isinstance(content, str):
        text = "CHROTE API error: no content in its answer"
        raise UpstreamError(text, code=text)
    at = answer.get("timestamp")
    content = content.encode("utf-8", "replace").decode()  # Half a surrogate pair cannot be sent on.
    return content, at if isinstance(at, str) and at.isascii() and 0 < len(at) <= 64 else messages.timestamp()


def _parsed(body: bytes) -> dict[str, Any]:
    """The answer's JSON object; empty where it is none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
