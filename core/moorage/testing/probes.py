"""What the conformance suite asks a running plugin: each probe returns the faults that it found, one line each."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, TypeVar

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus

from moorage.dialects import Dialect
from moorage.errors import Forbidden, MoorageError, Unauthorized
from moorage.routes import PUBLIC, ExchangeRoute, HttpRoute, ProxyRoute, Route, SocketRoute
from moorage.server.exchange import ClientLeft
from moorage.server.router import Entry
from moorage.server.socket import SocketClosed
from moorage.testing import hostile
from moorage.testing.client import Client
from moorage.testing.server import Server

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = 10.0
"""Seconds that a route may take to begin its answer to nonsense."""
GLANCE = 0.5
"""Seconds that an answer without an end, or a socket that should be closed, is looked at."""
SENDABLE = 4 * 1024 * 1024
"""Bytes of the largest body that is sent to see whether a limit holds."""
READ = 64 * 1024
"""Bytes of an answer that are looked at."""

_PARAMETER = re.compile(r"\{[a-z_][a-z0-9_]*(:path)?\}")
_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Answer:
    """The beginning of an answer."""

    status: int
    content_type: str
    text: str


class Prober:
    """Asks all places of one plugin. What its views and handlers let out is noted with each fault."""

    def __init__(self, server: Server, plugin: str) -> None:
        self.server, self.plugin = server, plugin
        # Places at ports and host names of their own cannot be reached: the server listens on one port.
        self.entries = [
            entry for site, entry in server.app.gate.sites.entries() if (site, entry.owner) == ("/", plugin)
        ]
        self._raised: list[str] = []
        for entry in self.entries:
            entry.route = self._watched_route(entry.route)

    # -- who may come in ----------------------------------------------------------------------------------------

    async def refuses_anonymous(self) -> list[str]:
        """Every place that is not public answers 401, in its dialect."""
        guarded = [entry for entry in self.entries if entry.route.access is not PUBLIC]
        return await self._refuses(self.server.anonymous, guarded, "anonymous", Unauthorized())

    async def refuses_powerless(self, client: Client) -> list[str]:
        """Every place with a permission answers 403 to a user who holds none, in its dialect."""
        guarded = [entry for entry in self.entries if isinstance(entry.route.access, str)]
        return await self._refuses(client, guarded, "a user without rights", Forbidden())

    async def _refuses(self, client: Client, guarded: list[Entry], who: str, error: MoorageError) -> list[str]:
        problems = []
        for entry in guarded:
            path, expected = _filled(entry.template), entry.dialect.status(error)
            if isinstance(entry.route, SocketRoute):
                expected = entry.route.close_codes.get(error.status, expected)
                got = await _knock(client, path)
                if got != expected:
                    problems.append(f"WebSocket {entry.template}: {who} gets {got or 'in'}, not {expected}")
                continue
            for method in entry.route.methods:
                answer = await _ask(client, method, path)
                if answer is None or answer.status != expected:
                    got = answer.status if answer else None
                    problems.append(f"{method} {entry.template}: {who} gets {got or 'no answer'}, not {expected}")
                elif method != "HEAD" and (fault := _misspelt(answer, entry.dialect, error)):
                    problems.append(f"{method} {entry.template}: {fault}")
        return problems

    # -- what it survives ---------------------------------------------------------------------------------------

    async def survives_requests(self, client: Client) -> list[str]:
        """Whatever is sent, no view answers 500, and a body over its limit 413. client: one that may do everything."""
        problems: list[str] = []
        server_limit = self.server.app.loaded.settings.server.max_body_bytes
        for entry in self.entries:
            if not isinstance(entry.route, HttpRoute | ExchangeRoute):
                continue
            for method in entry.route.methods:
                for what, path, body in _hostile(entry, method):
                    answer = await _ask(client, method, path, body)
                    if fault := self._fault(answer, endless=entry.route.timeout == 0):
                        problems.append(f"{method} {entry.template}, {what}: {fault}")
                limit = server_limit if entry.route.max_body is None else entry.route.max_body
                if method not in _SAFE and limit < SENDABLE:
                    answer = await _ask(client, method, _filled(entry.template), b" " * (limit + 1))
                    if answer is None or answer.status != 413:
                        got = answer.status if answer else "no answer"
                        problems.append(f"{method} {entry.template}, a body over the limit: {got}, not 413")
        return problems

    async def survives_messages(self, client: Client) -> list[str]:
        """No message breaks a handler, and one that is too big ends its socket with 1009.

        A handler that closes with a code of its own (4000 and above) before it reads has refused it as well.
        """
        problems = []
        server_limit = self.server.app.loaded.settings.server.max_frame_bytes
        for entry in self.entries:
            if not isinstance(entry.route, SocketRoute):
                continue
            for message in hostile.MESSAGES:
                fault = await self._say(client, entry, message)
                problems += [f"WebSocket {entry.template}, message {message[:20]!r}: {fault}"] if fault else []
            limit = entry.route.max_frame or server_limit
            got = await _overfill(client, _filled(entry.template), "x" * (limit + 1))
            if got is None or (got != 1009 and not 400 <= got < 500 and not 4000 <= got < 5000):
                problems.append(f"WebSocket {entry.template}, a message over the limit: {got or 'goes on'}, not 1009")
        return problems

    async def _say(self, client: Client, entry: Entry, message: str | bytes) -> str:
        self._raised.clear()
        try:
            async with client.connect(_filled(entry.template)) as socket:
                await socket.send(message)
        except (InvalidStatus, ConnectionClosed) as refused:
            if isinstance(refused, InvalidStatus) and refused.response.status_code == 500:
                return self._because("500")
        if await self.server.app.registry.wait_closed(PATIENCE, self.plugin):
            return f"its handler has not ended {PATIENCE:g} s after the client left"
        return self._because("") if self._raised else ""

    # -- how ----------------------------------------------------------------------------------------------------

    def _watched_route(self, route: Route) -> Route:
        match route:
            case HttpRoute():
                return replace(route, view=self._watched(route.view))
            case ProxyRoute():
                return replace(route, resolve=self._watched(route.resolve))
            case SocketRoute():
                return replace(route, handler=self._watched(route.handler))
            case ExchangeRoute():
                return replace(route, handler=self._watched(route.handler))

    def _watched(self, function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        async def watched(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return await function(*args, **kwargs)
            except (MoorageError, SocketClosed, ClientLeft):
                raise
            except Exception as error:
                self._raised.append(f"{type(error).__name__}: {error}"[:300])
                raise

        return watched

    def _fault(self, answer: Answer | None, *, endless: bool) -> str:
        if answer is None:
            return "" if endless else f"no answer within {PATIENCE:g} s"
        if answer.status == 500:
            return self._because("500")
        return "a traceback in the answer" if "Traceback (most recent call last)" in answer.text else ""

    def _because(self, what: str) -> str:
        raised = "; ".join(dict.fromkeys(self._raised))
        self._raised.clear()
        return f"{what} ({raised})" if what and raised else what or raised


def _filled(template: str, segment: str = "1") -> str:
    return _PARAMETER.sub(segment, template)


def _hostile(entry: Entry, method: str) -> Iterator[tuple[str, str, bytes | None]]:
    """(what is wrong with it, path, body) of each request."""
    path = _filled(entry.template)
    yield "a query of nonsense", path + hostile.QUERY, None
    if path != entry.template:
        for segment in hostile.SEGMENTS:
            yield f"path {segment[:30]}", _filled(entry.template, segment), None
    if method not in _SAFE:
        for what, body in hostile.BODIES:
            yield f"a body of {what}", path, body


async def _ask(client: Client, method: str, path: str, body: bytes | None = None) -> Answer | None:
    """Send a request and read the beginning of the answer; None when none begins in time."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    text = b""
    response: httpx.Response | None = None
    try:
        async with (
            asyncio.timeout(PATIENCE) as patience,
            client.stream(method, path, content=body, headers=headers) as response,
        ):
            patience.reschedule(asyncio.get_running_loop().time() + GLANCE)
            async for chunk in response.aiter_raw():
                text += chunk
                if len(text) >= READ:
                    break
    except (TimeoutError, httpx.TransportError):
        if response is None:
            return None
    kind = response.headers.get("content-type", "").partition(";")[0]
    return Answer(response.status_code, kind, text.decode(errors="replace"))


async def _knock(client: Client, path: str) -> int | None:
    """Open a WebSocket: the status that refused it, the code that closed it at once, or None when it stays open."""
    try:
        async with client.connect(path) as socket, asyncio.timeout(GLANCE):
            await socket.wait_closed()
            return socket.close_code
    except TimeoutError:
        return None
    except InvalidStatus as refused:
        return refused.response.status_code


async def _overfill(client: Client, path: str, message: str) -> int | None:
    """Send one message: the status that refused the handshake, the code that closed the socket, or None."""
    try:
        async with client.connect(path) as socket, asyncio.timeout(PATIENCE):
            await socket.send(message)
            await socket.wait_closed()
            return socket.close_code
    except TimeoutError:
        return None
    except InvalidStatus as refused:
        return refused.response.status_code
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006


def _misspelt(answer: Answer, dialect: Dialect, error: MoorageError) -> str:
    """What is wrong with the form of an error's answer; "" when it is in the dialect."""
    if answer.content_type != dialect.content_type:
        return f"an error of type {answer.content_type}, where {dialect.name} has {dialect.content_type}"
    try:
        body: Any = json.loads(answer.text)
    except ValueError:
        return "an error that is not JSON"
    missing = set(dialect.error(error, "id")) - set(body if isinstance(body, dict) else ())
    return f"an error without {', '.join(sorted(missing))}, which {dialect.name} has" if missing else ""


def stray_tasks(before: Iterable[asyncio.Task[Any]]) -> list[str]:
    """Tasks that run now and did not before, by name."""
    fresh = asyncio.all_tasks() - set(before)
    return sorted(f"task {task.get_name()} still runs: {task.get_coro()!r}" for task in fresh)
