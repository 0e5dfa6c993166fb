"""What the surfaces share: the cookies, the client of a request, and how a user is shown."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING

from quart import Response, request
from typing_extensions import TypedDict

from moorage.access import Actor, UserInfo
from moorage.accounts import Accounts, ClientInfo, Login
from moorage.context import current_actor, current_request
from moorage.dialects import OCTO
from moorage.web import json_response

if TYPE_CHECKING:
    from moorage.hub import Hub

HOST_PREFIX = "__Host-"
"""Browsers take a cookie of such a name only over https, for this host alone and for all paths. Source: RFC 6265bis."""
LOGGED_OUT = {"success": True, "message": "Logged out successfully"}


class OctoUserShape(TypedDict):
    """A user as Octo's clients know one: string id, one of two roles."""

    id: str
    username: str
    name: str
    email: str | None
    role: str


class LoginAnswer(TypedDict):
    """A login. token: a JWT. csrf_token: what unsafe requests with the cookies may show as X-CSRF-Token."""

    token: str
    user: OctoUserShape
    csrf_token: str
    expires_at: str


class LogoutAnswer(TypedDict):
    """A logout: what Octo's, CHROTE's and chat's clients look for."""

    success: bool
    message: str


def client_info() -> ClientInfo:
    """Who the request in hand comes from."""
    info = current_request()
    return ClientInfo(info.address, info.user_agent)


def from_this_machine() -> bool:
    """True for a peer on loopback that no proxy speaks for, and that asks for this machine by such a name.

    A page whose host name was made to point here after it was loaded still asks by that name.
    """
    if any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-Ip")):
        return False
    info = current_request()
    host = info.host[1:].partition("]")[0] if info.host.startswith("[") else info.host.partition(":")[0]
    return _is_loopback(info.address) and (host.lower() == "localhost" or _is_loopback(host))


def previous_session() -> Actor | None:
    """Who the browser in hand was until now: a login ends that session. A Bearer token is some program's, it stays."""
    actor = current_actor()
    # The gate takes the CSRF token away from a session that came as a Bearer token.
    by_cookie = actor.credential is not None and actor.credential.csrf is not None
    return actor if by_cookie and actor.credential is not None and actor.credential.of_session else None


async def note_admin_read(hub: Hub, what: str) -> None:
    """Write "<what>.read" to the audit log: the actor in hand is shown others' users, invites, keys, sessions ….

    what: the subject as in other actions ("user", "invite", "key", "session"). Call it once the right was found and
    before answering; it is written at most once a minute for an actor and a subject. Reading one's own needs none.
    """
    await hub.audit.note_read(what, actor=current_actor())


def with_session(response: Response, accounts: Accounts, login: Login, *, lasting: bool = True) -> Response:
    """Put a fresh session into the answer's cookie, and take away a JWT's: it was for whoever was there before.

    lasting: the browser keeps it when it is closed.
    """
    _with_cookie(response, accounts.settings.cookie_name, login.token, login.expires_at, lasting=lasting)
    jwt = accounts.settings.jwt_cookie_name
    return _with_cookie(response, jwt, "", None) if cookie_name(jwt) in request.cookies else response


def without_session(response: Response, accounts: Accounts) -> Response:
    """Take the session's cookies away, also the one with its JWT."""
    settings = accounts.settings
    for name in (settings.cookie_name, settings.jwt_cookie_name):
        _with_cookie(response, name, "", None)
    return response


async def logged_in(accounts: Accounts, login: Login) -> Response:
    """The answer to a login: Octo's body with a JWT, the CSRF token and the session's end, and both cookies."""
    user = login.actor.user
    assert user is not None
    token, ends = await accounts.tokens.issue(login)
    body: LoginAnswer = {
        "token": token,
        "user": octo_user(user),
        "csrf_token": login.csrf,
        "expires_at": OCTO.timestamp(login.expires_at),
    }
    settings = accounts.settings
    response = _with_cookie(json_response(body), settings.cookie_name, login.token, login.expires_at)
    return _with_cookie(response, settings.jwt_cookie_name, token, ends)


def octo_user(user: UserInfo) -> OctoUserShape:
    """The user as Octo's clients know one."""
    return {
        "id": user.pid,
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "role": OCTO.role(user.role),
    }


def _is_loopback(text: str) -> bool:
    try:
        return ip_address(text).is_loopback
    except ValueError:
        return False


def _with_cookie(response: Response, name: str, value: str, ends: datetime | None, *, lasting: bool = True) -> Response:
    """Set a cookie until it ends; None takes it away."""
    secure = current_request().scheme == "https"
    seconds = 0.0 if ends is None else (ends - datetime.now(UTC)).total_seconds()
    response.set_cookie(
        cookie_name(name),
        value,
        max_age=max(0, round(seconds)) if lasting else None,
        path="/",
        secure=secure,
        httponly=True,
        samesite="Lax",
    )
    return response


def cookie_name(name: str) -> str:
    """The cookie as the browser in hand knows it."""
    return HOST_PREFIX + name if current_request().scheme == "https" else name
