"""Passes: what a login is to a host apart, where pages of somebody else's making run that must not have the login.

A ticket goes there once, in an address; it is changed for a pass, which that host keeps as a cookie of its own. Both
are good at one host alone, are kept in memory as digests, and end with the credential that they came from.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import urlencode

from moorage.access import Actor, Method
from moorage.accounts.secrets import digest_bytes
from moorage.errors import Unauthorized

ENTER = "/.well-known/moorage/enter"
"""The path at a host apart that takes tickets."""
COOKIE = "moorage_page"
TICKET_SECONDS = 60.0
MAX_TICKETS, MAX_PASSES = 1_000, 10_000

Revalidate = Callable[[Iterable[Actor]], Awaitable[list[tuple[Actor, Actor | None]]]]


@dataclass(frozen=True, slots=True)
class _Ticket:
    actor: Actor
    host: str
    path: str
    until: float


@dataclass(slots=True)
class _Pass:
    """actor: as it was at `looked`, when `generation` was current."""

    actor: Actor
    host: str
    looked: float
    generation: int


class Passes:
    """Tickets and passes. revalidate: as `Accounts.revalidate`. ttl: seconds in which an actor is believed."""

    def __init__(self, revalidate: Revalidate, ttl: float) -> None:
        self._revalidate, self._ttl = revalidate, ttl
        self._generation = 0
        self._tickets: dict[bytes, _Ticket] = {}
        self._passes: dict[bytes, _Pass] = {}

    def forget(self) -> None:
        """Look anew who everybody is: something was revoked or changed."""
        self._generation += 1

    def address(self, actor: Actor, origin: str, path: str = "/") -> str:
        """An address that takes a browser to a host apart, signed in there and nowhere else, once and within a minute.

        origin: scheme and authority. path: where it leads then, with its query. Unauthorized for who has no
        credential, or one that is good at one URL alone.
        """
        if actor.credential is None or actor.method is Method.SYSTEM or actor.credential.resource is not None:
            raise Unauthorized
        ticket = secrets.token_urlsafe(32)
        now = monotonic()
        for key in [key for key, each in self._tickets.items() if each.until <= now]:
            del self._tickets[key]
        _make_room(self._tickets, MAX_TICKETS)
        host = _host(origin.partition("://")[2])
        self._tickets[digest_bytes(ticket)] = _Ticket(actor, host, "/" + path.lstrip("/\\"), now + TICKET_SECONDS)
        return f"{origin}{ENTER}?{urlencode({'ticket': ticket})}"

    def redeem(self, ticket: str, host: str) -> tuple[str, str]:
        """A pass for a ticket, and the path to go to. Unauthorized; a ticket that was shown is gone."""
        found = self._tickets.pop(digest_bytes(ticket), None)
        if found is None or found.until <= monotonic() or found.host != _host(host):
            raise Unauthorized("This address was used before, or too late: open the page from Moorage again")
        token = secrets.token_urlsafe(32)
        _make_room(self._passes, MAX_PASSES)
        # Not looked at yet: the credential may have ended since the ticket was made.
        self._passes[digest_bytes(token)] = _Pass(found.actor, found.host, 0.0, -1)
        return token, found.path

    def cached(self, token: str, host: str) -> Actor | None:
        """Whose pass it is at that host, if that was looked up a moment ago; None says nothing."""
        found = self._passes.get(digest_bytes(token))
        if found is None or found.host != _host(host) or found.generation != self._generation:
            return None
        return found.actor if found.looked + self._ttl > monotonic() else None

    async def find(self, token: str, host: str) -> Actor | None:
        """Whose pass it is at that host, None when it does not hold. Reads the database, for one that was given out."""
        key = digest_bytes(token)
        found = self._passes.get(key)
        if found is None or found.host != _host(host):
            return None
        generation, looked = self._generation, monotonic()
        for _, actor in await self._revalidate([found.actor]):
            if actor is None:
                self._passes.pop(key, None)
                return None
            found.actor = actor
        found.generation, found.looked = generation, looked
        return found.actor


def _make_room(kept: dict[bytes, Any], most: int) -> None:
    while len(kept) >= most:
        del kept[next(iter(kept))]


def _host(authority: str) -> str:
    """As a Host header names it, lower case."""
    return authority.lower()
