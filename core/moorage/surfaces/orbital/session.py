"""Who is signed in, as Orbital's and better-auth's clients ask. Source: `api/orbital.md`, recorded answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic import BaseModel, Field
from quart import Response, request
from typing_extensions import TypedDict

from moorage.access import Actor
from moorage.accounts import Accounts, Login
from moorage.context import current_actor, current_request
from moorage.dialects import ORBITAL
from moorage.errors import Forbidden, Gone, MoorageError, Unauthorized
from moorage.routes import PUBLIC, LimitClass, Route, Routes
from moorage.surfaces.common import client_info, previous_session, with_session, without_session
from moorage.surfaces.orbital.shapes import OrbitalSession, OrbitalUser, shown_session, shown_user
from moorage.web import json_response, read_json

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_BODY = 16 * 1024
DEVICE_PAGE = "/console/device"
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
IN_PATH = {
    **NO_STORE,
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    # 1 January 2026. Source: RFC 9745.
    "Deprecation": "@1767225600",
    "Link": '</api/me>; rel="successor-version"',
}
"""Headers of every answer to an address that holds a token."""
_USER_CODE = re.compile(r"[A-Za-z0-9-]{1,32}")


class SignInBody(BaseModel):
    """What both ways to sign in share. callbackURL: where the page goes next; a path here, or below our address."""

    password: str = Field(max_length=4096)
    rememberMe: bool | None = None
    callbackURL: str | None = Field(None, max_length=2048)


class EmailBody(SignInBody):
    """POST /api/auth/sign-in/email. A username will do as well."""

    email: str = Field(min_length=1, max_length=320)


class UsernameBody(SignInBody):
    """POST /api/auth/sign-in/username. An e-mail address will do as well."""

    username: str = Field(min_length=1, max_length=320)


class SignInAnswer(TypedDict):
    """A login. token: of the session, for programs that send it as Bearer. redirect: whether to go to url."""

    redirect: bool
    token: str
    url: str | None
    user: OrbitalUser


class SignOutAnswer(TypedDict):
    """It is done."""

    success: bool


class Signed(TypedDict):
    """Who is signed in, and with what."""

    user: OrbitalUser
    session: OrbitalSession


def routes(hub: Hub) -> list[Route]:
    """GET /api/auth/get-session, sign-in and sign-out, GET /api/me/{token}, GET /device."""
    found = Routes()
    accounts = hub.accounts

    @found.get("/api/auth/get-session", access=PUBLIC, dialect=ORBITAL, answer=Signed | None)
    async def get_session() -> Response:
        """Say who is signed in, by cookie or Bearer; null for nobody."""
        actor = current_actor()
        return json_response(None if actor.user is None else await _signed(accounts, actor), headers=NO_STORE)

    @found.post("/api/auth/sign-out", access=PUBLIC, dialect=ORBITAL, max_body=MAX_BODY, answer=SignOutAnswer)
    async def sign_out() -> Response:
        """End the session in use, and take its cookies away."""
        await accounts.logout(current_actor())
        return without_session(json_response({"success": True}), accounts)

    async def sign_in(name: str, body: SignInBody) -> Response:
        target = _own_place(body.callbackURL)
        login = await accounts.login(name, body.password, client_info(), previous=previous_session())
        response = json_response(await _signed_in(accounts, login, target), headers=NO_STORE)
        return with_session(response, accounts, login, lasting=body.rememberMe is not False)

    @found.post(
        "/api/auth/sign-in/email",
        access=PUBLIC,
        limit=LimitClass.AUTH,
        dialect=ORBITAL,
        max_body=MAX_BODY,
        body=EmailBody,
        answer=SignInAnswer,
    )
    async def by_email() -> Response:
        """Log in by an e-mail address and the password; sets the cookie of a new session."""
        body = await read_json(EmailBody)
        return await sign_in(body.email, body)

    @found.post(
        "/api/auth/sign-in/username",
        access=PUBLIC,
        limit=LimitClass.AUTH,
        dialect=ORBITAL,
        max_body=MAX_BODY,
        body=UsernameBody,
        answer=SignInAnswer,
    )
    async def by_username() -> Response:
        """Log in by a username and the password; sets the cookie of a new session."""
        body = await read_json(UsernameBody)
        return await sign_in(body.username, body)

    @found.get("/device", access=PUBLIC, dialect=ORBITAL, status=302)
    async def device_page() -> Response:
        """Send a browser to the page where a device's code is typed in or looked at."""
        code = request.args.get("user_code", "")
        place = f"{DEVICE_PAGE}?user_code={quote(code, safe='')}" if _USER_CODE.fullmatch(code) else DEVICE_PAGE
        return Response(b"", 302, headers={"Location": place})

    return [*found, *_in_path(hub)]


def _in_path(hub: Hub) -> Routes:
    found = Routes()

    @found.get("/api/me/{token}", access=PUBLIC, dialect=ORBITAL, answer=Signed)
    async def me_by_token(token: str) -> Response:
        """Say whom an access token of a device login stands for. Prefer GET /api/me with the token as Bearer."""
        try:
            _check_program(hub.accounts)
            actor = await hub.accounts.authenticate_in_path(token, current_request().address)
            await hub.audit.note("token.in_url", actor=actor)
            return json_response(await _signed(hub.accounts, actor), headers=IN_PATH)
        except MoorageError as error:
            error.headers = {**IN_PATH, **error.headers}
            raise

    return found


def _check_program(accounts: Accounts) -> None:
    """Gone where it is switched off; Forbidden for a browser."""
    if not accounts.settings.token_in_path:
        raise Gone("Send the token as Bearer to /api/me")
    headers = request.headers
    page = headers.get("Sec-Fetch-Dest") == "document" or headers.get("Sec-Fetch-Mode") == "navigate"
    if page or "Cookie" in headers:
        raise Forbidden("Browsers keep what stands in an address; send the token as Bearer to /api/me")


async def _signed(accounts: Accounts, actor: Actor) -> Signed:
    """The user with the times of the row, and the session with where it began."""
    user, credential = actor.user, actor.credential
    known = await accounts.users.details(user.id) if user is not None else None
    if known is None or credential is None:
        raise Unauthorized
    row = await accounts.find_session(credential.pid) if credential.of_session else None
    return {"user": shown_user(known.user, known.updated_at), "session": shown_session(actor, row)}


async def _signed_in(accounts: Accounts, login: Login, target: str | None) -> SignInAnswer:
    signed = await _signed(accounts, login.actor)
    return {"redirect": target is not None, "token": login.token, "url": target, "user": signed["user"]}


def _own_place(url: str | None) -> str | None:
    """Where a page may go after a login: a path, or an address below our own. Forbidden for anywhere else."""
    if url is None:
        return None
    base = current_request().base_url
    path = url.removeprefix(base) or "/"
    if not path.startswith("/") or path.startswith("//") or "\\" in path or not path.isprintable():
        raise Forbidden("callbackURL leads away from here", code="INVALID_CALLBACK_URL")
    return url
