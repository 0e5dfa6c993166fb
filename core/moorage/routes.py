"""Routes as data: what a plugin serves, who may ask, and how answers are spelled."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

    from moorage.dialects import Dialect
    from moorage.proxy.targets import ProxyRequest, Redirect, Target
    from moorage.server.exchange import Exchange
    from moorage.server.socket import Socket

View = Callable[..., Awaitable[Any]]
SocketHandler = Callable[["Socket"], Awaitable[None]]
ExchangeHandler = Callable[["Exchange"], Awaitable[None]]
Resolve = Callable[["ProxyRequest"], Awaitable["Target | Redirect"]]
ALL_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Access(enum.Enum):
    """Access rules that are not a permission's name."""

    PUBLIC = "public"
    """Anybody, signed in or not."""
    AUTHENTICATED = "authenticated"
    """Anybody who is signed in, whatever the role; the view decides about objects."""


PUBLIC = Access.PUBLIC
AUTHENTICATED = Access.AUTHENTICATED


class LimitClass(enum.Enum):
    """Which rate limit counts for a route (see `[limits]`)."""

    GENERAL = "general"
    AUTH = "auth"
    PROXIED = "proxied"
    """What programs and pages send through the server in numbers: a page behind it takes dozens of requests to open."""
    EXEMPT = "exempt"


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """A path answered by a Quart view.

    path: as the contract writes it, `{name}` for one segment, `{name:path}` for the rest.
    access: a permission's name (held with or without `:any`; the view checks the object), PUBLIC or
        AUTHENTICATED. None is refused at start.
    view: `async def view(**path_params)`, any Quart return value; `quart.request` works inside.
    max_body: bytes; None takes `[server] max_body_bytes`.
    timeout: seconds until 504; None takes `[server] request_timeout`; 0 means none (streams).
    basic: as in `ProxyRoute`.
    resource: its URL is an OAuth protected resource (RFC 9728): programs find out by its 401 where they can be let in,
        and a token that they are given for it is taken there and nowhere else.
    scopes: the permissions of the plugin that such a token may have; empty, the one of `access`.
    The rest describes the route for OpenAPI; the view's docstring says what it does.
    body, query: the pydantic models that the view reads with `read_json` and `read_query`. forms: a form will do.
    answer: the type of a good answer's JSON (a TypedDict, a model, `dict[str, bool]` …); None for an empty one.
    status: of a good answer. media_type: of a good answer that is not JSON ("*/*": any); also_types: others that it
        may have.
    answers: other answers that the view itself makes, by status: the type of their JSON, `str` for a page, None for an
        empty one ({304: None}). Errors that are raised need none: the dialect describes them.
    """

    methods: tuple[str, ...]
    path: str
    access: str | Access | None
    view: View
    limit: LimitClass = LimitClass.GENERAL
    dialect: Dialect | None = None
    max_body: int | None = None
    timeout: float | None = None
    basic: bool = False
    resource: bool = False
    scopes: tuple[str, ...] = ()
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    forms: bool = False
    answer: Any = None
    status: int = 200
    media_type: str = "application/json"
    also_types: tuple[str, ...] = ()
    answers: Mapping[int, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SocketRoute:
    """A path answered by a WebSocket handler that is given the core's `Socket`.

    close_codes: refusals ({401: 4001}) that are told by accepting and closing with that code, because the
        contract says so; any other refusal is a plain HTTP answer to the handshake.
    max_frame: bytes of one message; None takes `[server] max_frame_bytes`.
    """

    path: str
    access: str | Access | None
    handler: SocketHandler
    limit: LimitClass = LimitClass.GENERAL
    dialect: Dialect | None = None
    close_codes: dict[int, int] = field(default_factory=dict)
    max_frame: int | None = None


@dataclass(frozen=True, slots=True)
class ProxyRoute:
    """A path whose requests, and WebSockets if `sockets` says so, are handed to an upstream.

    Bodies are streamed both ways, what the upstream sends is handed on at once, the client's credentials stay here.
    resolve: `async def resolve(request: ProxyRequest) -> Target`; it checks the object (NotFound, Forbidden,
        Unavailable) and names an upstream that was registered with `hub.upstreams`, or gives a `Redirect` instead.
    timeout: seconds until the upstream must have begun to answer (504), None takes `[server] request_timeout`;
        however long the answer then takes. max_body, max_frame: bytes, as in the other routes.
    basic: the credential may also be the password of an `Authorization: Basic`, whatever the user name, for programs
        that can send nothing else.
    apart: `"*.pages.example.org"`: served at each host of that kind instead of the plugin's mounts, and nothing else of
        the server is served there. For pages that others make: a host is an origin of its own to a browser. Who comes
        there is known by a pass of that host (`hub.accounts.passes`), never by a login.
    The rest is as in `HttpRoute` and `SocketRoute`.

    .. versionadded:: 0.1
    """

    path: str
    access: str | Access | None
    resolve: Resolve
    methods: tuple[str, ...] = ALL_METHODS
    sockets: bool = False
    limit: LimitClass = LimitClass.GENERAL
    dialect: Dialect | None = None
    max_body: int | None = None
    max_frame: int | None = None
    timeout: float | None = None
    close_codes: dict[int, int] = field(default_factory=dict)
    basic: bool = False
    apart: str | None = None


@dataclass(frozen=True, slots=True)
class ExchangeRoute:
    """A path answered by a handler that is given the core's `Exchange`: the request and the answer as bytes.

    For protocols over HTTP that choose between one answer and a stream while they go, and for what is asked so often
    that Quart's own work would count. Everything else is easier as an `HttpRoute`.
    handler: `async def handler(exchange: Exchange) -> None`; errors that it raises are spelled as a view's.
    timeout: seconds until the answer must have begun (504), None takes `[server] request_timeout`; 0 means none: then
        it counts among the streams that a user may have open from the start, and else from `Exchange.begin` on.
    same_origin: what a page of another origin asks is refused (403), whatever credential it shows; on loopback, of
        another machine.
    The rest is as in `HttpRoute`.

    .. versionadded:: 0.1
    """

    methods: tuple[str, ...]
    path: str
    access: str | Access | None
    handler: ExchangeHandler
    limit: LimitClass = LimitClass.GENERAL
    dialect: Dialect | None = None
    max_body: int | None = None
    timeout: float | None = None
    basic: bool = False
    same_origin: bool = False
    resource: bool = False
    scopes: tuple[str, ...] = ()
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answer: Any = None
    status: int = 200
    media_type: str = "application/json"
    also_types: tuple[str, ...] = ()
    answers: Mapping[int, Any] = field(default_factory=dict)


Route = HttpRoute | SocketRoute | ProxyRoute | ExchangeRoute


class Routes(list[Route]):
    """A list of routes with decorators, for plugins that like them."""

    def http(
        self, methods: str | Iterable[str], path: str, *, access: str | Access | None = None, **options: Any
    ) -> Callable[[View], View]:
        """Add a Quart view. `methods` is "GET" or ("GET", "POST"); `options` as in `HttpRoute`."""
        names = (methods,) if isinstance(methods, str) else tuple(methods)

        def add(view: View) -> View:
            self.append(HttpRoute(names, path, access, view, **options))
            return view

        return add

    def get(self, path: str, *, access: str | Access | None = None, **options: Any) -> Callable[[View], View]:
        """Add a view for GET (HEAD is answered from it)."""
        return self.http("GET", path, access=access, **options)

    def post(self, path: str, *, access: str | Access | None = None, **options: Any) -> Callable[[View], View]:
        """Add a view for POST."""
        return self.http("POST", path, access=access, **options)

    def put(self, path: str, *, access: str | Access | None = None, **options: Any) -> Callable[[View], View]:
        """Add a view for PUT."""
        return self.http("PUT", path, access=access, **options)

    def patch(self, path: str, *, access: str | Access | None = None, **options: Any) -> Callable[[View], View]:
        """Add a view for PATCH."""
        return self.http("PATCH", path, access=access, **options)

    def delete(self, path: str, *, access: str | Access | None = None, **options: Any) -> Callable[[View], View]:
        """Add a view for DELETE."""
        return self.http("DELETE", path, access=access, **options)

    def proxy(self, path: str, *, access: str | Access | None = None, **options: Any) -> Callable[[Resolve], Resolve]:
        """Add a route to an upstream by its `resolve`; `options` as in `ProxyRoute`."""

        def add(resolve: Resolve) -> Resolve:
            self.append(ProxyRoute(path, access, resolve, **options))
            return resolve

        return add

    def exchange(
        self, methods: str | Iterable[str], path: str, *, access: str | Access | None = None, **options: Any
    ) -> Callable[[ExchangeHandler], ExchangeHandler]:
        """Add a handler of raw requests; `methods` as in `http`, `options` as in `ExchangeRoute`."""
        names = (methods,) if isinstance(methods, str) else tuple(methods)

        def add(handler: ExchangeHandler) -> ExchangeHandler:
            self.append(ExchangeRoute(names, path, access, handler, **options))
            return handler

        return add

    def socket(
        self, path: str, *, access: str | Access | None = None, **options: Any
    ) -> Callable[[SocketHandler], SocketHandler]:
        """Add a WebSocket handler; `options` as in `SocketRoute`."""

        def add(handler: SocketHandler) -> SocketHandler:
            self.append(SocketRoute(path, access, handler, **options))
            return handler

        return add
