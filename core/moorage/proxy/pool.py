"""Connections to upstreams: opened when needed, kept for a few seconds, never shared by two requests at once."""

from __future__ import annotations

import asyncio
import ssl
from functools import cache

from moorage.errors import Unavailable
from moorage.proxy.connection import Connection
from moorage.proxy.targets import Target, Upstream

CONNECT_TIMEOUT = 5.0
KEEP_SECONDS = 4.0
"""How long an idle connection is kept: less than the five seconds after which many servers close theirs."""
MAX_CONNECTIONS = 4096
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0


class Pool:
    """The server's connections to its upstreams. The idle ones are kept at each `Upstream`."""

    def __init__(self) -> None:
        self._busy = 0
        self._kept: set[Upstream] = set()
        self._sweep: asyncio.TimerHandle | None = None

    async def take(self, target: Target, *, fresh: bool = False) -> tuple[Connection, bool]:
        """A connection, and whether it has served before. fresh: it must not have.

        Connecting is tried again for `target.wait` seconds. Unavailable when nothing answers there.
        """
        if self._busy >= MAX_CONNECTIONS:
            raise Unavailable("Too many proxied requests at once", headers={"Retry-After": "1"})
        upstream = target.upstream
        self._busy += 1
        try:
            if not fresh:
                oldest = asyncio.get_running_loop().time() - KEEP_SECONDS
                while upstream.idle:
                    kept = upstream.idle.pop()
                    if kept.open and kept.idle_since > oldest:
                        return kept, True
                    kept.abort()
            return await self._connect(target), False
        except BaseException:
            self._busy -= 1
            raise

    def give(self, upstream: Upstream, connection: Connection, *, reuse: bool) -> None:
        """Give it back: to be used again if it can be, else closed."""
        self._busy -= 1
        if not reuse or upstream.closed or not connection.reusable:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        upstream.idle.append(connection)
        self._kept.add(upstream)
        if self._sweep is None:
            self._sweep = loop.call_later(KEEP_SECONDS, self._close_old)

    def close(self) -> None:
        """Close the idle ones."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for upstream in self._kept:
            upstream.close_idle()
        self._kept.clear()

    def _close_old(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - KEEP_SECONDS
        for upstream in list(self._kept):
            # The newest is taken first, so those at the beginning have waited longest.
            while upstream.idle and upstream.idle[0].idle_since <= oldest:
                upstream.idle.popleft().abort()
            if not upstream.idle:
                self._kept.discard(upstream)
        self._sweep = loop.call_later(KEEP_SECONDS, self._close_old) if self._kept else None

    async def _connect(self, target: Target) -> Connection:
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + target.wait, FIRST_PAUSE
        while True:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    return await _open(target.upstream)
            except OSError as error:  # TimeoutError and TLS's errors are such too.
                if loop.time() + pause > until:
                    raise Unavailable("The service behind this address cannot be reached") from error
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


async def _open(upstream: Upstream) -> Connection:
    loop = asyncio.get_running_loop()
    if upstream.path is not None:
        _, connection = await loop.create_unix_connection(Connection, str(upstream.path))
    else:
        context = _tls() if upstream.tls else None
        _, connection = await loop.create_connection(Connection, upstream.host, upstream.port, ssl=context)
    return connection
