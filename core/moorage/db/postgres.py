"""Tortoise's PostgreSQL backend, with bounded waits and without leaks when a task is cancelled.

What differs from the stock backend, and why:
- The address is a DSN that goes to asyncpg whole, so that every option of it holds; it is never logged.
- A connection is given back when BEGIN fails or is cancelled, and waiting for a free one has an end.
- A lost or refused connection is `Unavailable`, which is a 503 and not a 500.
"""

from __future__ import annotations

import logging
from typing import Any

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import NestedTransactionContext, TransactionContext, TransactionContextPooled
from tortoise.connection import get_connections

from moorage.errors import Unavailable

CONNECT_TIMEOUT = 10.0
"""Seconds to reach the server and log in."""
ACQUIRE_TIMEOUT = 30.0
"""Seconds to wait for a free connection of the pool."""

_log = logging.getLogger("moorage.db")

_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    # What asyncpg says when a statement meets the server's last words on the same connection.
    asyncpg.InternalClientError,
    OSError,
)


class _Pool(asyncpg.Pool):  # type: ignore[misc]
    """A pool whose `acquire` has an end."""

    def acquire(self, *, timeout: float | None = None) -> Any:
        return super().acquire(timeout=ACQUIRE_TIMEOUT if timeout is None else timeout)


async def _translate(client: AsyncpgDBClient, method: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a method of the client; Tortoise's errors for wrong SQL and data, `Unavailable` for a database away."""
    try:
        return await AsyncpgDBClient._translate_exceptions(client, method, *args, **kwargs)
    except _AWAY as error:
        raise Unavailable("The database cannot be reached") from error
    except asyncpg.TooManyConnectionsError as error:
        raise Unavailable("The database has no free connection") from error
    except TimeoutError as error:
        raise Unavailable("The database did not answer in time") from error


class PooledClient(AsyncpgDBClient):
    """A pool of connections to `dsn`. `statement_timeout`: seconds that one statement may take; None = no limit."""

    _closed = False

    def __init__(
        self, *, dsn: str, minsize: int, maxsize: int, statement_timeout: float | None = 60.0, **kwargs: Any
    ) -> None:
        super().__init__(minsize=minsize, maxsize=maxsize, **kwargs)
        self._dsn = dsn
        self._statement_timeout = statement_timeout

    async def create_connection(self, with_db: bool) -> None:
        """Open the pool; asyncpg's errors, OSError and TimeoutError pass through."""
        if self._closed:
            raise Unavailable("The database is closed")
        pool = _Pool(
            self._dsn,
            connection_class=asyncpg.Connection,
            record_class=asyncpg.Record,
            min_size=self.pool_minsize,
            max_size=self.pool_maxsize,
            max_queries=50_000,
            max_inactive_connection_lifetime=300.0,
            setup=None,
            init=None,
            loop=None,
            timeout=CONNECT_TIMEOUT,
            command_timeout=self._statement_timeout,
            server_settings={"application_name": "moorage"},
        )
        self._pool = await pool
        await self._post_connect()

    async def close(self) -> None:
        """Close the pool for good, waiting up to ten seconds for what is being done."""
        self._closed = True
        await super().close()

    def _in_transaction(self) -> TransactionContext:
        return PooledTransaction(Transaction(self), self._pool_init_lock)

    _translate_exceptions = _translate  # type: ignore[assignment]


class Transaction(TransactionWrapper):
    """The connection as seen inside of a transaction."""

    _translate_exceptions = _translate  # type: ignore[assignment]

    def _in_transaction(self) -> TransactionContext:
        return NestedTransactionContext(Transaction(self))


class PooledTransaction(TransactionContextPooled):
    """A transaction on a connection of the pool, which goes back to it whatever happens."""

    client: Transaction

    async def __aenter__(self) -> Transaction:
        await self.ensure_connection()
        pool = self.client._parent._pool
        assert pool is not None
        try:
            self.client._connection = await pool.acquire()
        except TimeoutError as error:
            raise Unavailable("The database has no free connection") from error
        except _AWAY as error:
            raise Unavailable("The database cannot be reached") from error
        try:
            await self.client.begin()
        except BaseException:
            # Giving it back also rolls back what may have begun.
            await pool.release(self.client._connection)
            raise
        self.token = get_connections().set(self.connection_name, self.client)
        return self.client

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        get_connections().reset(self.token)
        try:
            if self.client._finalized:
                return
            if exc_type is None:
                await self.client.commit()
            else:
                await self._rollback()
        except _AWAY as error:
            raise Unavailable("The database cannot be reached") from error
        finally:
            if self.client._parent._pool is not None:
                await self.client._parent._pool.release(self.client._connection)

    async def _rollback(self) -> None:
        try:
            await self.client.rollback()
        except _AWAY:
            # The connection is gone, and with it the transaction; the error of the block is the one to tell.
            _log.debug("rolled back by the loss of the connection")


client_class = PooledClient
