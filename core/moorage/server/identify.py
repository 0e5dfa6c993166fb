"""Who asks, and how often: credentials are looked up here, for HTTP and WebSockets alike, and requests counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from moorage.access import ANONYMOUS, Actor, Method
from moorage.accounts import passes
from moorage.context import RequestInfo
from moorage.errors import TooManyRequests, Unauthorized
from moorage.routes import PUBLIC, LimitClass
from moorage.server import resources
from moorage.server.credentials import shown_token
from moorage.server.head import Head, cookie_value
from moorage.server.reply import Reply
from moorage.server.router import Entry


class Authenticator(Protocol):
    """The part of accounts that is needed here."""

    def cached(self, token: str) -> Actor | None: ...
    async def authenticate(self, token: str) -> Actor | None: ...

    @property
    def passes(self) -> passes.Passes: ...


class Limiter(Protocol):
    """The part of limits that is needed here."""

    def hit_here(self, cls: LimitClass, address: str, actor: Actor) -> Any: ...
    async def hit(self, cls: LimitClass, *, address: str, actor: Actor) -> Any: ...
    def may_prove(self, address: str) -> int: ...
    def proved_wrong(self, address: str) -> None: ...


class Identifier:
    """Finds the actor of each request. cookies: names of those that hold a session's token, and a JWT."""

    def __init__(
        self, accounts: Authenticator, limiter: Limiter, *, cookies: tuple[str, str], hidden_prefix: str
    ) -> None:
        self.limiter = limiter
        self._accounts = accounts
        self._cookies = ((cookies[0], Method.SESSION), (cookies[1], Method.JWT))
        self._hidden_prefix = hidden_prefix

    async def identify(
        self, head: Head, info: RequestInfo, reply: Reply, entry: Entry | None, params: dict[str, str]
    ) -> None:
        """Find out who asks, and count the request. A public route never fails for a stale credential."""
        exempt = entry is not None and entry.route.limit is LimitClass.EXEMPT
        actor: Actor | None = ANONYMOUS
        if entry is not None and entry.apart:
            info.actor = await self._by_pass(head, info)
        elif head.authorization:
            token = shown_token(head, entry)
            actor = (self._accounts.cached(token) or await self._prove(token, info, exempt)) if token else None
            if actor is not None and not resources.takes(entry, params, info, actor.credential):
                actor = None
            info.actor = ANONYMOUS if actor is None else _without_csrf(actor)
        elif head.cookie:
            info.actor = await self._by_cookie(head.cookie, info, reply, exempt)
        if not exempt:
            await self._limit(entry, info, reply)
        if actor is None and entry is not None and entry.route.access is not PUBLIC:
            # A Bearer that is shown decides: there is no falling back to the cookie.
            raise Unauthorized("Invalid credentials", code="INVALID_TOKEN")

    async def _by_pass(self, head: Head, info: RequestInfo) -> Actor:
        """Who came to a host apart: its own cookie says so, and no login counts there."""
        head.ambient = True
        prefix = self._hidden_prefix if info.scheme == "https" else ""
        if token := cookie_value(head.cookie, prefix + passes.COOKIE):
            known = self._accounts.passes
            return known.cached(token, info.host) or await known.find(token, info.host) or ANONYMOUS
        return ANONYMOUS

    async def _by_cookie(self, cookies: str, info: RequestInfo, reply: Reply, exempt: bool) -> Actor:
        """Who the browser is: its session's cookie says so, or else the JWT's of Octo's clients."""
        prefix = self._hidden_prefix if info.scheme == "https" else ""
        for name, method in self._cookies:
            if token := cookie_value(cookies, prefix + name):
                shown = self._accounts.cached(token) or await self._prove(token, info, exempt)
                if (actor := _of_session(shown, method, prefix + name, reply)) is not None:
                    return actor
        return ANONYMOUS

    async def _prove(self, token: str, info: RequestInfo, exempt: bool) -> Actor | None:
        """The actor of a token that is not in memory; None if it does not hold.

        After many wrong ones from an address no more are looked up for a while: ANONYMOUS on a route without limits,
        else TooManyRequests.
        """
        if wait := self.limiter.may_prove(info.address):
            if exempt:
                return ANONYMOUS
            raise TooManyRequests("Too many invalid credentials", retry_after=wait)
        actor = await self._accounts.authenticate(token)
        if actor is None:
            self.limiter.proved_wrong(info.address)
        return actor

    async def _limit(self, entry: Entry | None, info: RequestInfo, reply: Reply) -> None:
        cls = entry.route.limit if entry is not None else LimitClass.GENERAL
        state = self.limiter.hit_here(cls, info.address, info.actor)
        if state is None:
            state = await self.limiter.hit(cls, address=info.address, actor=info.actor)
        if not state.limit:
            return  # Nothing is counted.
        reply.extra += (
            (b"x-ratelimit-limit", b"%d" % state.limit),
            (b"x-ratelimit-remaining", b"%d" % state.remaining),
            (b"x-ratelimit-reset", b"%d" % state.reset_at),
        )
        if not state.allowed:
            raise TooManyRequests(retry_after=state.retry_after)


def _of_session(actor: Actor | None, method: Method, cookie: str, reply: Reply) -> Actor | None:
    """The actor of a cookie; None for one that holds no browser's session: the browser is told to forget it."""
    if actor is ANONYMOUS:
        return actor
    # Without a CSRF token it is no browser's session, and the cross-site rule would not reach it.
    if actor is not None and actor.method is method and actor.credential is not None and actor.credential.csrf:
        return actor
    secure = "; Secure" if reply.info.scheme == "https" else ""
    cleared = f"{cookie}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax{secure}"
    reply.extra.append((b"set-cookie", cleared.encode("latin-1")))
    return None


def _without_csrf(actor: Actor) -> Actor:
    """A session token shown as Bearer: no browser sent it on its own, so no cross-site rule applies."""
    credential = actor.credential
    if credential is None or credential.csrf is None:
        return actor
    return Actor(actor.user, replace(credential, csrf=None))
