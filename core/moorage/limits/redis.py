"""Moving windows in Redis, shared by all servers; knows when Redis is away and looks for its return."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from limits import RateLimitItem
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import ConfigurationError, StorageError

from moorage.errors import ConfigError, StartError
from moorage.events import TaskSupervisor

SharedCheck = tuple[RateLimitItem, tuple[str, ...]]
"""A limit, and what names its counter: (class, kind, key)."""

_log = structlog.get_logger("moorage.limits")
_CONNECTIONS = 64
_WAIT = 0.5
"""Seconds for a connection from the pool, and to connect; for a whole question, twice as long."""
_FIRST_RETRY, _LAST_RETRY = 0.25, 5.0


class SharedDown(Exception):
    """Redis does not answer now."""


class SharedWindows:
    """Counters in Redis at `url`. While Redis is away every hit fails at once, and a task waits for its return.

    changed: told True when Redis is back and False when it is lost.
    """

    def __init__(self, url: str, *, changed: Callable[[bool], None]) -> None:
        self._changed = changed
        self._tasks = TaskSupervisor("limits")
        self._watch: asyncio.Task[None] | None = None
        self._storage, self._pool = _connect(url)
        self._limiter = MovingWindowRateLimiter(self._storage)

    @property
    def up(self) -> bool:
        """Whether Redis answered when it was last asked."""
        return self._watch is None

    async def hit(self, checks: Sequence[SharedCheck]) -> tuple[RateLimitItem, bool, int, float]:
        """Count a request, narrowest counter first, and stop at the first that is full.

        Returns (limit, allowed, remaining, Unix time of the next free place) of the counter nearest to its limit.
        SharedDown when Redis does not answer.
        """
        if self._watch is not None:
            raise SharedDown
        try:
            async with asyncio.timeout(2 * _WAIT):
                return await self._hit(checks)
        except (StorageError, TimeoutError) as error:
            self._lost(type(error).__name__)
            raise SharedDown from error

    async def start(self) -> None:
        """Ask Redis once; without an answer, the wait for its return begins."""
        if not await self._answers():
            self._lost("no answer")

    async def stop(self) -> None:
        """Disconnect."""
        await self._tasks.stop(_WAIT)
        await self._pool.disconnect()

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(2 * _WAIT):
                return bool(await self._storage.check())
        except TimeoutError:
            return False

    async def _hit(self, checks: Sequence[SharedCheck]) -> tuple[RateLimitItem, bool, int, float]:
        least: tuple[RateLimitItem, bool, int, float] | None = None
        for item, names in checks:
            allowed = await self._limiter.hit(item, *names)
            stats = await self._limiter.get_window_stats(item, *names)
            if not allowed:
                return item, False, 0, stats.reset_time
            if least is None or stats.remaining < least[2]:
                least = (item, True, max(0, stats.remaining), stats.reset_time)
        assert least is not None
        return least

    def _lost(self, reason: str) -> None:
        if self._watch is not None:
            return
        _log.error("Redis is away: general limits are off, login limits are local", reason=reason)
        self._watch = self._tasks.spawn(self._wait_for_return(), "recovery")
        self._changed(False)

    async def _wait_for_return(self) -> None:
        pause = _FIRST_RETRY
        while True:
            # Spread, so that many servers do not come back in one moment.
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311
            if await self._answers():
                break
            pause = min(_LAST_RETRY, pause * 2)
        self._watch = None
        _log.warning("Redis is back: limits are shared again")
        self._changed(True)


def _connect(url: str) -> tuple[Any, Any]:
    try:
        from redis.asyncio import BlockingConnectionPool
    except ImportError as error:
        raise StartError("limits.storage = 'redis' needs the redis library: pip install 'moorage[redis]'") from error
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_WAIT,
            # Its own is `asyncio.wait_for`, which loses cancellations on Python 3.11; `hit` has one around it all.
            socket_timeout=None,
            socket_connect_timeout=_WAIT,
        )
        storage = RedisStorage(
            f"async+{url}" if not url.startswith("unix") else f"async+redis+{url}",
            implementation="redispy",
            wrap_exceptions=True,
            key_prefix="moorage:limits",
            connection_pool=pool,  # type: ignore[arg-type]
        )
    except (ValueError, ConfigurationError) as error:
        # The URL may hold a password and is not repeated.
        raise ConfigError(["redis.url: not a URL that Redis understands (redis://host:port/db)"]) from error
    return storage, pool
