"""Peers that know who asks: quart-auth, Starlette's sessions, and API keys hashed like passwords."""

from __future__ import annotations

import asyncio
from typing import Any

from quart import Quart, Response, request

from bench.parts import ASGI, BODY, OPEN, PATH

SECRET = "a secret of the benchmark, which signs nothing else"
NAME, PASSWORD = "ann", "correct horse battery"
LOGIN = "/login"
ON_LOOP = "/login/on-loop"
KEY = "mcp_0123abcd_benchmark"


async def _view() -> Response:
    return Response(BODY, content_type="application/json")


def quart_auth() -> ASGI:
    """quart-auth: a cookie signed by itsdangerous and no database. Two logins over argon2-cffi, and a hashed API key.

    The logins' hashes have Moorage's settings. The key is verified with argon2-cffi's own, as Octoprox's original did.
    """
    from argon2 import PasswordHasher
    from moorage.config import Settings
    from quart_auth import AuthUser, QuartAuth, login_required, login_user

    app = Quart("bench", static_folder=None)
    app.config["SECRET_KEY"] = SECRET
    QuartAuth(app, cookie_secure=False)
    numbers = Settings().accounts
    hasher = PasswordHasher(numbers.argon2_time, numbers.argon2_memory_kib, numbers.argon2_parallelism)
    stored = hasher.hash(PASSWORD)
    key_hasher = PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4)
    stored_key = key_hasher.hash(KEY)

    async def in_thread() -> Response:
        data: dict[str, Any] = await request.get_json()
        await asyncio.to_thread(hasher.verify, stored, data["password"])
        login_user(AuthUser(data["username"]))
        return await _view()

    async def on_loop() -> Response:
        data: dict[str, Any] = await request.get_json()
        hasher.verify(stored, data["password"])
        login_user(AuthUser(data["username"]))
        return await _view()

    async def by_key() -> Response:
        key_hasher.verify(stored_key, request.headers["Authorization"].removeprefix("Bearer "))
        return await _view()

    app.add_url_rule(OPEN, "open", _view)
    app.add_url_rule(PATH, "hello", login_required(_view))
    app.add_url_rule("/bench/key", "key", by_key)
    app.add_url_rule(LOGIN, "login", in_thread, methods=["POST"])
    app.add_url_rule(ON_LOOP, "on_loop", on_loop, methods=["POST"])
    return app


def starlette() -> ASGI:
    """Starlette's SessionMiddleware: a cookie signed by itsdangerous, signed anew with every answer."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.sessions import SessionMiddleware
    from starlette.requests import Request
    from starlette.responses import Response as Answer
    from starlette.routing import Route

    async def login(request: Request) -> Answer:
        request.session["user"] = (await request.json())["username"]
        return Answer(BODY, media_type="application/json")

    async def hello(request: Request) -> Answer:
        return Answer(BODY, 200 if "user" in request.session else 401, media_type="application/json")

    async def everybody(request: Request) -> Answer:
        return Answer(BODY, media_type="application/json")

    routes = [Route(PATH, hello), Route(OPEN, everybody), Route(LOGIN, login, methods=["POST"])]
    return Starlette(routes=routes, middleware=[Middleware(SessionMiddleware, secret_key=SECRET)])
