"""The rate limiter: per address, per user and per key, general and authentication traffic counted apart."""

from __future__ import annotations

import time
from functools import lru_cache
from ipaddress import IPv6Address
from math import ceil
from typing import Protocol

from limits import RateLimitItem, parse

from moorage.access import Actor, Method
from moorage.errors import ConfigError
from moorage.limits.redis import SharedCheck, SharedDown, SharedWindows
from moorage.limits.state import UNLIMITED, LimitState
from moorage.limits.windows import Check, MovingWindow, hit
from moorage.observe.metrics import Metrics
from moorage.routes import LimitClass


class LimitsRule(Protocol):
    """`[limits]` of the configuration; rates as "200/minute"."""

    @property
    def enabled(self) -> bool: ...
    @property
    def storage(self) -> str: ...
    @property
    def general(self) -> str: ...
    @property
    def proxied(self) -> str: ...
    @property
    def authentication(self) -> str: ...
    @property
    def user(self) -> str | None: ...
    @property
    def key(self) -> str | None: ...


class _Class:
    """The limits of one class of routes, and their counters in memory."""

    def __init__(self, name: str, address: str, user: str, key: str | None) -> None:
        self.name = name
        self.address, self.user = parse(address), parse(user)
        self.key = parse(key) if key is not None else None
        self.addresses, self.users = MovingWindow(self.address), MovingWindow(self.user)
        self.keys = MovingWindow(self.key) if self.key is not None else None

    def local(self, address: str, actor: Actor) -> list[Check]:
        """The counters of a request, narrowest first."""
        by_address = (self.addresses, address)
        user, credential = actor.user, actor.credential
        if user is None:
            return [by_address]
        by_user = (self.users, str(user.id))
        if self.keys is None or credential is None or credential.method is not Method.API_KEY:
            return [by_user, by_address]
        return [(self.keys, str(credential.id)), by_user, by_address]

    def shared(self, address: str, actor: Actor) -> list[SharedCheck]:
        """As `local`, for Redis."""
        checks: list[SharedCheck] = [(self.address, (self.name, "address", address))]
        if actor.user is not None:
            checks.insert(0, (self.user, (self.name, "user", str(actor.user.id))))
            credential = actor.credential
            if self.key is not None and credential is not None and credential.method is Method.API_KEY:
                checks.insert(0, (self.key, (self.name, "key", str(credential.id))))
        return checks


class RateLimiter:
    """Counts requests under `[limits]`.

    Each request counts for its address (IPv6 by /64, what one customer is given), for its user when signed in, and
    for its API key when `key` is set. With Redis away, general traffic passes uncounted
    (`moorage_limits_fail_open_total`) and authentication is counted by this server alone.
    ConfigError when Redis is asked for without a URL.
    """

    def __init__(self, settings: LimitsRule, redis_url: str | None, metrics: Metrics) -> None:
        self._enabled = settings.enabled
        user = settings.user or settings.general
        self._general = _Class("general", settings.general, user, settings.key)
        self._proxied = _Class("proxied", settings.proxied, settings.proxied, None)
        self._auth = _Class("auth", settings.authentication, settings.authentication, None)
        self._wrong = MovingWindow(self._general.address, max_keys=16_384, max_hits=100_000)
        self._rejected = metrics.counter(
            "limits_rejected_total", "Requests that were refused because a limit was reached.", ("limit_class",)
        )
        self._fail_open = metrics.counter(
            "limits_fail_open_total", "General requests that passed uncounted because Redis was away."
        )
        self._shared: SharedWindows | None = None
        if settings.enabled and settings.storage == "redis":
            if not redis_url:
                raise ConfigError(["limits.storage: 'redis' needs the address of Redis in redis.url"])
            up = metrics.gauge("limits_storage_up", "1 while the shared counters in Redis can be reached, else 0.")
            up.set(1)
            self._shared = SharedWindows(redis_url, changed=lambda state: up.set(int(state)))

    @property
    def storage_up(self) -> bool:
        """False while counters are to be shared and Redis is away."""
        return self._shared is None or self._shared.up

    async def hit(self, cls: LimitClass, *, address: str, actor: Actor) -> LimitState:
        """Count one request. Never raises; the state says whether it may pass."""
        state = self.hit_here(cls, address, actor)
        if state is None:
            limits = self._of(cls)
            state = self._told(limits, await self._hit_shared(limits, _counted_as(address), actor))
        return state

    def hit_here(self, cls: LimitClass, address: str, actor: Actor) -> LimitState | None:
        """As `hit`, and without a coroutine, where the counters are this process's own; None where they are shared."""
        if not self._enabled or cls is LimitClass.EXEMPT:
            return UNLIMITED
        if self._shared is not None:
            return None
        limits = self._of(cls)
        state = hit(limits.local(network(address) if ":" in address else address, actor))
        return state if state.allowed else self._told(limits, state)

    def _of(self, cls: LimitClass) -> _Class:
        if cls is LimitClass.AUTH:
            return self._auth
        return self._proxied if cls is LimitClass.PROXIED else self._general

    def may_prove(self, address: str) -> int:
        """0 if a credential from here may be looked up, else the seconds until then.

        Each look-up of a wrong one costs a question to the database, on routes without limits too. So they are
        counted by themselves, up to the general rate, and always by this server alone.
        """
        if not self._enabled:
            return 0
        now = self._wrong.clock()
        hits = self._wrong.peek(_counted_as(address), now)
        return max(1, ceil(hits[0] + self._wrong.seconds - now)) if len(hits) >= self._wrong.limit else 0

    def proved_wrong(self, address: str) -> None:
        """A credential from here does not hold."""
        if self._enabled:
            key, now = _counted_as(address), self._wrong.clock()
            self._wrong.add(key, self._wrong.peek(key, now), now)

    def _told(self, limits: _Class, state: LimitState) -> LimitState:
        if not state.allowed:
            self._rejected.labels(limits.name).inc()
        return state

    async def start(self) -> None:
        """Look whether Redis answers, so that it is known before the first request. An absent Redis is logged."""
        if self._shared is not None:
            await self._shared.start()

    async def stop(self) -> None:
        """Disconnect from Redis."""
        if self._shared is not None:
            await self._shared.stop()

    async def _hit_shared(self, limits: _Class, address: str, actor: Actor) -> LimitState:
        assert self._shared is not None
        try:
            item, allowed, remaining, reset = await self._shared.hit(limits.shared(address, actor))
        except SharedDown:
            if limits is self._auth:
                return hit(limits.local(address, actor))
            self._fail_open.inc()
            return _uncounted(limits.address)
        wait = 0 if allowed else max(1, ceil(reset - time.time()))
        return LimitState(allowed, item.amount, remaining, ceil(reset), wait)


def _counted_as(address: str) -> str:
    return network(address) if ":" in address else address


@lru_cache(4096)
def network(address: str) -> str:
    """What an IPv6 address is counted as: its /64, or the IPv4 address that it stands for.

    Anything that is no IPv6 address is counted as it is.
    """
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"


def _uncounted(item: RateLimitItem) -> LimitState:
    return LimitState(True, item.amount, item.amount, ceil(time.time() + item.get_expiry()), 0)
