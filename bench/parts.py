"""The gate with its real parts, without a server around it, and the hellos that it is compared with."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from io import StringIO
from typing import Any

from moorage.access.actor import Actor, Credential, Method, UserInfo
from moorage.access.permissions import Permission
from moorage.accounts.cache import CredentialCache
from moorage.app import App
from moorage.config import load
from moorage.dialects import PROBLEM
from moorage.routes import PUBLIC, ExchangeRoute, HttpRoute, Route
from moorage.server.accesslog import AccessLog
from moorage.server.exchange import Exchange
from moorage.server.gate import Gate
from moorage.server.reply import ON_HTTP as GATE_HEADERS
from moorage.server.sites import Mount, Mounted, Sites
from moorage.server.views import Views
from quart import Quart, Response

BODY = b'{"hello":"world"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
TOKEN = "mses_" + "a1B2c3D4" * 5
KEY = "mcp_0123abcd_" + "a1B2c3D4" * 4
JWT = "eyJ" + "a1B2c3D4" * 90
PATH = "/bench/hello"
OPEN = "/bench/open"
RAW = "/bench/raw"
ASGI = Callable[[Any, Any, Any], Awaitable[None]]


async def raw_hello(scope: Any, receive: Any, send: Any) -> None:
    """The least that an ASGI application can do."""
    await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
    await send({"type": "http.response.body", "body": BODY, "more_body": False})


async def raw_hello_with_headers(scope: Any, receive: Any, send: Any) -> None:
    """The same with the headers that the gate puts on every answer: what is left over is the gate's own cost."""
    headers = [*HEADERS, *GATE_HEADERS, (b"x-request-id", b"0123abcd-1234")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY, "more_body": False})


async def view() -> Response:
    """The same as a Quart view."""
    return Response(BODY, content_type="application/json")


async def exchange(exchange: Exchange) -> None:
    """The same as a raw exchange."""
    await exchange.answer(200, (HEADERS[0],), BODY)


def quart_hello() -> Quart:
    """A bare Quart application with that view."""
    app = Quart("bench", static_folder=None)
    app.add_url_rule(PATH, view_func=view)
    return app


def lane_hello() -> ASGI:
    """The lane of views as the gate calls it, without the gate: what Moorage's own use of Quart costs."""
    views = Views()

    async def lane(scope: Any, receive: Any, send: Any) -> None:
        scope["moorage.view"] = (view, {})
        scope["moorage.bodyless"] = True
        await views(scope, receive, send)

    return lane


class _Nowhere(StringIO):
    def write(self, text: str) -> int:
        return len(text)


def gate(app: ASGI | None = None, *, limits: bool = False, log: bool = False) -> tuple[Gate, AccessLog]:
    """The server's own gate in front of `app` (default: the lane of views), nothing around it started.

    A session, a key and a JWT are in the cache, and the route at PATH asks for a permission that they hold.
    """
    environment = {
        "MOORAGE__DATA_DIR": tempfile.gettempdir(),
        "MOORAGE__LIMITS__ENABLED": str(limits).lower(),
        "MOORAGE__LIMITS__GENERAL": "1000000/second",
        "MOORAGE__SERVER__ACCESS_LOG": str(log).lower(),
        "MOORAGE_CONFIG": os.devnull,
    }
    server = App(load(env=environment))
    server.access_log._stream = _Nowhere()
    if app is not None:
        server._views = app  # type: ignore[assignment]
    server.access.declare("bench", (Permission("bench:thing:read", "Read", default="viewer"),))
    server.accounts._cache = _remembered()
    routes: list[Route] = [
        HttpRoute(("GET",), PATH, "bench:thing:read", view),
        HttpRoute(("GET",), OPEN, PUBLIC, view),
        ExchangeRoute(("GET",), RAW, "bench:thing:read", exchange),
    ]
    permissions = frozenset({"bench:thing:read"})
    sites = Sites([Mounted("bench", PROBLEM, [Mount.parse("/")], routes, permissions=permissions)])
    made = server._make_gate(sites)
    return made, server.access_log


def _remembered() -> CredentialCache:
    cache = CredentialCache(ttl=3600)
    now = datetime.now(UTC)
    user = UserInfo(1, "user_1", "ann", "Ann", None, "operator", None, True, now)
    for token, method, csrf in (
        (TOKEN, Method.SESSION, "c" * 32),
        (KEY, Method.API_KEY, None),
        (JWT, Method.JWT, "c" * 32),
    ):
        cache.put(token, Actor(user, Credential(method, 1, "sess_1", csrf=csrf)), generation=0, now=now)
    return cache
