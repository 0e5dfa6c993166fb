"""The gate: the one place that reads credentials. Raw ASGI; everything passes it once, HTTP and WebSocket."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

import structlog

from moorage.access import Actor
from moorage.context import RequestInfo, bind_request
from moorage.dialects import PROBLEM, Dialect
from moorage.errors import (
    DeadlineExceeded,
    Forbidden,
    MethodNotAllowed,
    MoorageError,
    Unauthorized,
    Unavailable,
)
from moorage.proxy import Proxy
from moorage.routes import AUTHENTICATED, PUBLIC, Access, ExchangeRoute, HttpRoute, LimitClass, ProxyRoute, SocketRoute
from moorage.server import proxied, resources
from moorage.server.body import Body
from moorage.server.credentials import challenged
from moorage.server.exchange import Exchange
from moorage.server.handshake import refuse
from moorage.server.head import Head, TrustedProxies, raw_path, read_head, request_id
from moorage.server.identify import Authenticator, Identifier, Limiter
from moorage.server.origin import SAFE, OriginPolicy
from moorage.server.places import Places
from moorage.server.reply import Message, Reply
from moorage.server.router import WEBSOCKET, Entry
from moorage.server.running import Deadlines, Registry, Running
from moorage.server.sites import MatchFailed, Sites
from moorage.server.socket import Receive, Send, Socket, SocketClosed, close_reason

log = structlog.get_logger("moorage.gate")
_ALLOWED_HEADERS = b"authorization, content-type, x-csrf-token, x-opencode-directory, x-request-id"
_NAMES = re.compile(r"[A-Za-z0-9_-]{1,64}( ?, ?[A-Za-z0-9_-]{1,64}){0,63}")


@dataclass(slots=True)
class GateSettings:
    """The gate's numbers; see `[server]` in the configuration."""

    max_header_bytes: int
    max_url_bytes: int
    max_body_bytes: int
    max_frame_bytes: int
    max_json_depth: int
    max_sockets_per_user: int
    request_timeout: float
    cookie_name: str
    jwt_cookie_name: str
    public_url: str | None = None
    hidden_prefix: str = "__Host-"
    resources: bool = True


Observer = Callable[[RequestInfo, Entry | None, int, int, float, float], None]
"""Called once per finished request: info, entry, status, bytes, seconds in all and until the first of the answer."""


class Gate:
    """The ASGI application. `sites` is replaced as a whole when a reload swaps generations."""

    def __init__(
        self,
        sites: Sites,
        *,
        settings: GateSettings,
        accounts: Authenticator,
        holds: Callable[[Actor, str], bool],
        limiter: Limiter,
        registry: Registry,
        proxies: TrustedProxies,
        origins: OriginPolicy,
        views: Callable[[Any, Any, Any], Awaitable[None]],
        proxy: Proxy,
        observe: Observer,
        activate: Callable[[], None],
    ) -> None:
        self.sites, self.settings = sites, settings
        self.proxies, self.origins = proxies, origins
        self.identifier = Identifier(
            accounts,
            limiter,
            cookies=(settings.cookie_name, settings.jwt_cookie_name),
            hidden_prefix=settings.hidden_prefix,
        )
        self.draining = False
        self._active = 0
        self._places = Places()
        self._idle: asyncio.Event | None = None
        self._holds, self._registry = holds, registry
        self._views, self._proxy, self._observe, self._activate = views, proxy, observe, activate
        self._deadlines = Deadlines()
        self._serial = itertools.count()
        self._boot = secrets.token_hex(4)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        kind = scope["type"]
        if kind == "lifespan":
            await _lifespan(receive, send)
            return
        self._active += 1
        try:
            # Engines call this in a task of its own, so the context ends with it.
            self._activate()
            if kind == "http":
                await self._http(scope, receive, send)
            elif kind == "websocket":
                await self._websocket(scope, receive, send)
        finally:
            self._active -= 1
            if self._idle is not None and not self._active:
                self._idle.set()

    async def wait_idle(self, timeout: float) -> int:
        """Wait until nothing is under way, at most `timeout` seconds. Returns what still is."""
        self._idle = asyncio.Event()
        if self._active:
            try:
                await asyncio.wait_for(self._idle.wait(), timeout)
            except TimeoutError:
                pass
        return self._active

    # -- HTTP ---------------------------------------------------------------------------------------------------

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        started = perf_counter()
        info = RequestInfo(id=f"{self._boot}-{next(self._serial):x}", address="", method=scope["method"])
        reply = Reply(send, info)
        dialect: Dialect = PROBLEM
        entry: Entry | None = None
        head, body = Head(), None
        try:
            head = self._read(scope, info)
            if scope["http_version"] == "2" and not head.content_length and info.method not in SAFE:
                head.framed = True
            if head.has_body:
                body = Body(receive, self.settings.max_body_bytes)
            entry, params, failure = self._match(scope, info, info.method, head)
            dialect = entry.dialect if entry else failure.dialect if failure else dialect
            reply.extra += self.origins.said(head)
            await self.identifier.identify(head, info, reply, entry, params)
            if failure is not None:
                await self._unmatched(failure, head, info, reply)
            elif head.preflight and info.method == "OPTIONS" and entry is not None:
                # It has no credential, and asks us, not what is behind a proxied path.
                await self._tell_methods(", ".join(_methods(entry)), head, reply)
            elif entry is not None and not isinstance(entry.route, SocketRoute):
                await self._serve(entry, entry.route, params, head, info, reply, scope, body or receive)
        except MoorageError as error:
            self._challenge(error, entry, head, info)
            if not info.address and scope["http_version"].startswith("1"):
                # The head was refused: where this request ends is not certain, and what is behind it is not read.
                reply.extra.append((b"connection", b"close"))
            if not info.address:
                # An engine waits for somebody to take what came with it, before it can end the connection.
                body = Body(receive, 0)
            await self._answer(reply, error, dialect, body)
        except TimeoutError:
            await self._answer(reply, DeadlineExceeded(), dialect, body)
        except Exception:
            log.exception("request failed", template=info.template, plugin=info.plugin)
            await self._answer(reply, MoorageError(), dialect, body)
        finally:
            took = perf_counter() - started
            first = reply.first - started if reply.first else took
            self._observe(info, entry, reply.status, reply.bytes_sent, took, first)

    async def _answer(self, reply: Reply, error: MoorageError, dialect: Dialect, body: Body | None) -> None:
        """An error as an answer. Once an answer has begun, the engine's breaking it off tells the client."""
        if reply.status:
            return
        if body is not None:
            # A client that is still sending would see a reset connection instead of the answer.
            await body.discard()
        await reply.error(error, dialect)

    async def _unmatched(self, failure: MatchFailed, head: Head, info: RequestInfo, reply: Reply) -> None:
        allow = failure.error.headers.get("Allow")
        if info.method != "OPTIONS" or not isinstance(failure.error, MethodNotAllowed) or allow is None:
            raise failure.error
        await self._tell_methods(allow, head, reply)

    async def _tell_methods(self, allow: str, head: Head, reply: Reply) -> None:
        """Answer OPTIONS; a preflight of an origin that is trusted learns what it may send."""
        headers = [(b"allow", allow.encode()), (b"content-length", b"0")]
        if head.preflight and head.origin.lower() in self.origins.trusted:
            headers += [
                (b"access-control-allow-methods", allow.encode()),
                (b"access-control-allow-headers", _asked(head)),
                (b"access-control-max-age", b"600"),
            ]
        await reply.send({"type": "http.response.start", "status": 204, "headers": headers})
        await reply.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _serve(
        self,
        entry: Entry,
        route: HttpRoute | ProxyRoute | ExchangeRoute,
        params: dict[str, str],
        head: Head,
        info: RequestInfo,
        reply: Reply,
        scope: Message,
        receive: Receive,
    ) -> None:
        credential = info.actor.credential
        # Of a credential that no browser sends on its own (a Bearer token) no page can be the cause.
        if head.ambient or (route.limit is LimitClass.AUTH if credential is None else credential.csrf is not None):
            self.origins.check(info.method, head, info, credential.csrf if credential else None)
        if isinstance(route, ExchangeRoute) and route.same_origin:
            self.origins.check_page(head, info)
        self._authorize(route.access, info.actor)
        if isinstance(receive, Body):
            receive.allow(self.settings.max_body_bytes if route.max_body is None else route.max_body, head)
        scope["moorage.bodyless"] = not head.has_body
        bind_request(info)
        running = reply.running = Running(info.actor, info.plugin, route.access, self._registry, self._deadlines)
        hold = partial(running.hold, self._places, info, self.settings.max_sockets_per_user)
        if timeout := self.settings.request_timeout if route.timeout is None else route.timeout:
            self._deadlines.set(running, perf_counter() + timeout)
        else:
            hold()
        try:
            if isinstance(route, HttpRoute):
                scope["moorage.view"] = (route.view, params)
                await self._views(scope, receive, reply.send)
            elif isinstance(route, ExchangeRoute):
                await Exchange(info, params, running, hold, scope, receive, reply.send).run(route)
            else:
                scope["moorage.info"] = info
                await proxied.serve(self._proxy, entry, route, params, scope, receive, reply.send)
        except asyncio.CancelledError:
            running.explain()
            raise
        finally:
            running.end()

    # -- WebSocket ----------------------------------------------------------------------------------------------

    async def _websocket(self, scope: Message, receive: Receive, send: Send) -> None:
        started = perf_counter()
        info = RequestInfo(id=f"{self._boot}-{next(self._serial):x}", address="", method=WEBSOCKET)
        reply = Reply(send, info)
        dialect: Dialect = PROBLEM
        entry: Entry | None = None
        head, status = Head(), 101
        try:
            head = self._read(scope, info)
            entry, params, failure = self._match(scope, info, WEBSOCKET, head)
            dialect = entry.dialect if entry else failure.dialect if failure else dialect
            if failure is not None:
                raise failure.error
            if entry is None or isinstance(entry.route, HttpRoute | ExchangeRoute):
                raise Unavailable
            await self.identifier.identify(head, info, reply, entry, params)
            self.origins.check_socket(head, info)
            self._authorize(entry.route.access, info.actor)
            bind_request(info)
            query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=64))
            socket = Socket(
                scope,
                receive,
                send,
                info=info,
                plugin=entry.owner,
                access=entry.route.access,
                params=params,
                query=query,
                max_frame=entry.route.max_frame or self.settings.max_frame_bytes,
            )
            holder = self._places.take(info, self.settings.max_sockets_per_user)
            try:
                await self._run(socket, entry, entry.route)
            finally:
                self._places.free(holder)
        except MoorageError as error:
            self._challenge(error, entry, head, info)
            status = dialect.status(error)
            await refuse(error, dialect, entry, reply, scope, receive, send)
        except (Exception, SystemExit):
            status = 500
            log.exception("socket failed", template=info.template, plugin=info.plugin)
            await refuse(MoorageError(), dialect, entry, reply, scope, receive, send)
        finally:
            took = perf_counter() - started
            self._observe(info, entry, status, 0, took, took)

    async def _run(self, socket: Socket, entry: Entry, route: SocketRoute | ProxyRoute) -> None:
        """Run a handler; whatever it does, the socket ends closed and unregistered."""
        self._registry.add(socket)
        code, reason = 1000, ""
        try:
            with socket.attended():
                if isinstance(route, SocketRoute):
                    await route.handler(socket)
                else:
                    limit = route.max_frame or self.settings.max_frame_bytes
                    await proxied.connect(self._proxy, entry, route, socket, limit)
        except SocketClosed:
            pass
        except MoorageError as error:
            if not socket.accepted:
                raise
            code, reason = close_reason(error)
        except (Exception, SystemExit):
            if not socket.accepted:
                raise
            log.exception("socket handler failed", template=socket.info.template, plugin=socket.plugin)
            code, reason = 1011, "Internal server error"
        finally:
            self._registry.remove(socket)
        if socket.accepted:
            await socket.close(code, reason)

    # -- steps that both share ----------------------------------------------------------------------------------

    def _read(self, scope: Message, info: RequestInfo) -> Head:
        """Fill in what the head says; limits, request id, client address, host."""
        head = read_head(scope["headers"], self.settings.max_header_bytes)
        info.id = request_id(head, info.id)
        info.path = raw_path(scope, self.settings.max_url_bytes)
        client = scope.get("client")
        peer = client[0] if client and client[0] else "unix"
        scheme = "https" if scope["scheme"] in ("https", "wss") else self.origins.scheme_of(head.host)
        info.address, info.scheme, info.host = self.proxies.resolve(peer, head, scheme)
        info.base_url = self.settings.public_url or f"{info.scheme}://{info.host}"
        info.user_agent = head.user_agent[:256]
        info.max_json_depth = self.settings.max_json_depth
        return head

    def _match(
        self, scope: Message, info: RequestInfo, method: str, head: Head
    ) -> tuple[Entry | None, dict[str, str], MatchFailed | None]:
        if self.draining:
            return None, {}, MatchFailed(Unavailable("Server shutting down", headers={"Retry-After": "5"}), PROBLEM)
        server = scope.get("server")
        port = server[1] if server else None
        try:
            entry, params = self.sites.match(port, info.host, method, info.path)
        except MatchFailed as failure:
            return None, {}, failure
        info.template, info.plugin, info.prefix = entry.template, entry.owner, entry.prefix
        return entry, params, None

    def _challenge(self, error: MoorageError, entry: Entry | None, head: Head, info: RequestInfo) -> None:
        challenged(error, entry, head)
        if self.settings.resources:
            resources.challenge(error, entry, info, shown=bool(head.authorization), holds=self._holds)

    def _authorize(self, access: str | Access | None, actor: Actor) -> None:
        """The route's rule. Which object it is about is the service's question."""
        if access is PUBLIC:
            return
        if actor.user is None:
            raise Unauthorized
        if access is AUTHENTICATED:
            return
        if not isinstance(access, str) or not self._holds(actor, access):
            text = f"This needs the permission {access}"
            if isinstance(access, str) and actor.credential is not None and self._holds(Actor(actor.user), access):
                text += ", which your role has and this key or token has not"
            raise Forbidden(
                text,
                details={"required": access, "current": actor.user.role, "action": str(access).rpartition(":")[2]},
            )


def _asked(head: Head) -> bytes:
    """The headers that a page of a trusted origin may send: those that it wants to, whatever their names."""
    wanted = head.preflight_headers
    return _ALLOWED_HEADERS + (b", " + wanted.encode() if _NAMES.fullmatch(wanted) else b"")


def _methods(entry: Entry) -> tuple[str, ...]:
    return () if isinstance(entry.route, SocketRoute) else entry.route.methods


async def _lifespan(receive: Receive, send: Send) -> None:
    """Engines ask; the server's own lifecycle has done it all before they start."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
