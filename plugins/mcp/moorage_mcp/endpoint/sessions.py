"""Sessions of the older era: who has one, what is under way in it, and when it ends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any

from moorage.api import Exchange, TooManyRequests

from moorage_mcp.endpoint.outlet import Outlets
from moorage_mcp.endpoint.reading import refuse
from moorage_mcp.gateway.caller import Caller
from moorage_mcp.records import Status, UpstreamInfo, WorkspaceInfo
from moorage_mcp.wire import headers as names
from moorage_mcp.wire.jsonrpc import Id, Params, Response, RpcError

UNUSED = 60.0
"""Seconds for which a session that must make room for a new one has not been used."""
SWEEP_EVERY = 30.0
PRIMED_SINCE = "2025-11-25"
"""Clients of an older version may stumble over an event without data."""


class Session:
    """What is known of one client between its requests.

    asked: what servers have asked it, by the ids under which it was asked. calls: what is under way, by its own ids.
    via: the upstream that has its session as it is, and what that one calls the session.
    """

    def __init__(self, workspace: WorkspaceInfo, caller: Caller, version: str, params: Params) -> None:
        self.id = secrets.token_urlsafe(24)
        self.workspace_id, self.user_id, self.key_id = workspace.id, caller.user_id, caller.api_key_id
        self.client, self.version = caller.client, version
        self.capabilities: Mapping[str, Any] = _object(params, "capabilities")
        self.client_info: Mapping[str, Any] = _object(params, "clientInfo")
        self.log_level: str | None = None
        self.outlets = Outlets(primed=version >= PRIMED_SINCE)
        self.calls: dict[Id, asyncio.Task[Any] | None] = {}
        self.asked: dict[Id, asyncio.Future[Response]] = {}
        self.stops: dict[str, Callable[[], None]] = {}
        self.via: tuple[UpstreamInfo, str] | None = None
        self.streams = 0
        self.used = monotonic()
        self.ended = False
        self._serial = 0

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self.calls) or self.streams > 0

    def question(self) -> tuple[str, asyncio.Future[Response]]:
        """An id for a question to the client, and what its answer is put into."""
        self._serial += 1
        id = f"moorage-{self._serial}"
        answer = self.asked[id] = asyncio.get_running_loop().create_future()
        return id, answer

    def end(self) -> None:
        """Nothing of it goes on."""
        self.ended = True
        for stop in self.stops.values():
            stop()
        self.stops.clear()
        self.outlets.end()
        for answer in self.asked.values():
            if not answer.done():
                answer.set_result(Response(None, error=RpcError(-32000, "The client's session has ended")))
        self.asked.clear()
        for task in list(self.calls.values()):
            if task is not None:
                task.cancel()


class Sessions:
    """All of them. ended: told of each that ends."""

    def __init__(self, *, most: int, idle: float, ended: Callable[[Session], None]) -> None:
        self._most, self._idle, self._ended = most, idle, ended
        self._all: dict[str, Session] = {}
        self._users: dict[int, dict[str, Session]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, session: Session) -> None:
        """Keep a new one. TooManyRequests when its user has too many that are in use."""
        mine = self._users.setdefault(session.user_id, {})
        if len(mine) >= self._most:
            oldest = min(mine.values(), key=lambda one: (one.busy, one.used))
            if oldest.busy or monotonic() - oldest.used < UNUSED:
                raise TooManyRequests(f"No more than {self._most} MCP sessions may be open at once", retry_after=60)
            self.end(oldest)
            mine = self._users.setdefault(session.user_id, {})
        mine[session.id] = self._all[session.id] = session

    def find(self, id: str | None, workspace: WorkspaceInfo, caller_user: int, key_id: int | None) -> Session:
        """The session of a request, which only who began it finds. Refused: 400 without one, 404 without such a one."""
        if id is None:
            raise refuse(400, "The header Mcp-Session-Id is missing; a session begins with `initialize`")
        session = self._all.get(id)
        if session is None or (session.user_id, session.workspace_id, session.key_id) != (
            caller_user,
            workspace.id,
            key_id,
        ):
            raise refuse(404, "There is no such session (any more); begin a new one with `initialize`")
        session.used = monotonic()
        return session

    def all(self) -> list[Session]:
        """As they are now."""
        return list(self._all.values())

    def end(self, session: Session) -> None:
        """End one. Once more is harmless."""
        if self._all.pop(session.id, None) is None:
            return
        mine = self._users[session.user_id]
        del mine[session.id]
        if not mine:
            del self._users[session.user_id]
        session.end()
        self._ended(session)

    def end_all(self, which: Iterable[Session] | None = None) -> None:
        """End these, or all."""
        for session in list(self._all.values() if which is None else which):
            self.end(session)

    def of_user(self, user_id: int) -> list[Session]:
        """Whoever has been disabled or deleted."""
        return list(self._users.get(user_id, {}).values())

    def workspace_changed(self, workspace: WorkspaceInfo) -> None:
        """One that is not active any more has no sessions."""
        if workspace.status is not Status.ACTIVE:
            self.end_all([one for one in self._all.values() if one.workspace_id == workspace.id])

    async def sweep(self) -> None:
        """For ever: end what was not used for long."""
        while True:
            await asyncio.sleep(min(SWEEP_EVERY, self._idle))
            before = monotonic() - self._idle
            self.end_all([one for one in self._all.values() if one.used < before and not one.busy])


def _object(params: Params, name: str) -> Mapping[str, Any]:
    found = params.get(name)
    return found if isinstance(found, dict) else {}


def session_headers(exchange: Exchange, id: str) -> tuple[tuple[bytes, bytes], ...]:
    """What names a session to its client; a page of another origin must be let see it."""
    shown = ((names.SESSION_ID.encode(), id.encode()),)
    if "origin" in exchange.headers:
        return (*shown, (b"access-control-expose-headers", b"mcp-session-id"))
    return shown
