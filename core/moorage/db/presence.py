"""A server's presence at a shared database: alone without Redis, one of several with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from moorage.db.url import Target
from moorage.errors import StartError

if TYPE_CHECKING:
    import asyncpg

log = structlog.get_logger("moorage.db")
KEY = int.from_bytes(b"moorage!")
"""The advisory lock's number: a server alone holds it exclusively, each of several holds it shared."""
PATIENCE = 5.0
"""Seconds to wait for a server that is just ending."""
CHECK_SECONDS = 5.0
TIMEOUT = 10.0


class Presence:
    """Holds the lock over a connection of its own, for as long as the server runs. PostgreSQL only."""

    def __init__(self, target: Target, *, shared: bool) -> None:
        self._target, self._shared = target, shared
        self._connection: asyncpg.Connection | None = None

    async def acquire(self) -> None:
        """StartError (exit code 4) when another server is there and one of the two has no Redis."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while not await self._try():
            if asyncio.get_running_loop().time() > deadline:
                raise StartError(
                    f"Another server uses {self._target.public}. Several servers need Redis to tell each other what is "
                    "revoked and how often somebody asked: set [redis] url on all of them, or end the other one.",
                    exit_code=4,
                )
            await asyncio.sleep(0.2)

    async def keep(self) -> None:
        """Take the lock again whenever its connection was lost; runs until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if self._connection is not None and not self._connection.is_closed():
                continue
            try:
                if not await self._try():
                    log.error("another server took this one's place at the database", database=self._target.public)
            except Exception as error:
                log.warning("database is away", database=self._target.public, error=type(error).__name__)

    async def release(self) -> None:
        """Leave. Harmless when not there."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            await connection.close(timeout=TIMEOUT)

    async def _try(self) -> bool:
        import asyncpg

        connection = await asyncpg.connect(self._target.dsn, timeout=TIMEOUT, command_timeout=TIMEOUT)
        function = "pg_try_advisory_lock_shared" if self._shared else "pg_try_advisory_lock"
        held = False
        try:
            held = bool(await connection.fetchval(f"SELECT {function}($1)", KEY))
        finally:
            if not held:
                await connection.close(timeout=TIMEOUT)
        if held:
            self._connection = connection
        return held
