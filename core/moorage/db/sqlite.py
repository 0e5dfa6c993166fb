"""Tortoise's SQLite backend, made safe for several processes and for cancelled tasks.

What differs from the stock backend, and why:
- A transaction begins with BEGIN IMMEDIATE. With a deferred BEGIN, two processes that read and then write fail with
  "database is locked" at once, whatever the busy timeout.
- A task that is cancelled, or a BEGIN that fails, never leaves the connection's lock taken or a transaction open.
- Reads outside of a transaction have a connection of their own, so that they do not wait for a writer.
- A full disk, a lock that is never given and the like are `Unavailable`, which is a 503 and not a 500.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import aiosqlite
from tortoise.backends.base.client import ConnectionWrapper, NestedTransactionContext, TransactionContext
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionContext, SqliteTransactionWrapper
from tortoise.connection import get_connections
from tortoise.exceptions import IntegrityError, OperationalError, TransactionManagementError

from moorage.errors import Unavailable

P = ParamSpec("P")
R = TypeVar("R")

CLOSE_TIMEOUT = 5.0
"""Seconds that `close` waits for a statement or transaction in hand."""

_AWAY = {
    sqlite3.SQLITE_BUSY: "The database is busy",
    sqlite3.SQLITE_LOCKED: "The database is busy",
    sqlite3.SQLITE_FULL: "The disk of the database is full",
    sqlite3.SQLITE_IOERR: "The database cannot be read or written",
    sqlite3.SQLITE_READONLY: "The database cannot be written",
    sqlite3.SQLITE_CANTOPEN: "The database cannot be opened",
    sqlite3.SQLITE_CORRUPT: "The database is damaged",
    sqlite3.SQLITE_NOTADB: "The database is damaged",
}


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code of an error; -1 when it has none."""
    code: int = getattr(error, "sqlite_errorcode", -1)
    return code & 0xFF if code >= 0 else -1


def _translated(error: sqlite3.DatabaseError) -> Exception:
    text = _AWAY.get(primary_code(error))
    if text is not None:
        return Unavailable(text)
    if isinstance(error, sqlite3.IntegrityError):
        return IntegrityError(error)
    return OperationalError(error)


def _translate(method: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    @wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await method(*args, **kwargs)
        except sqlite3.DatabaseError as error:
            raise _translated(error) from error
        except OperationalError as error:
            # Tortoise's own wrapper came first; what it wrapped is the argument.
            cause = error.args[0] if error.args else None
            if isinstance(cause, sqlite3.DatabaseError) and primary_code(cause) in _AWAY:
                raise _translated(cause) from error
            raise

    return call


class ImmediateSqliteClient(SqliteClient):
    """One writing and one reading connection to a file. The keyword arguments are pragmas, set in their order."""

    _connection: aiosqlite.Connection | None
    _reader: aiosqlite.Connection | None = None
    _closed = False

    def __init__(self, file_path: str, **pragmas: Any) -> None:
        super().__init__(file_path, **pragmas)
        self._reader_lock = asyncio.Lock()
        self._opening = asyncio.Lock()

    async def create_connection(self, with_db: bool) -> None:
        """Open both connections; sqlite3.Error when the file cannot be used, with nothing left open."""
        async with self._opening:
            if self._connection is not None:
                return
            if self._closed:
                raise Unavailable("The database is closed")
            writer = await self._connect()
            try:
                self._reader = await self._connect()
            except BaseException:
                await writer.close()
                raise
            self._connection = writer
            await self._post_connect()

    async def _connect(self) -> aiosqlite.Connection:
        connection = aiosqlite.connect(self.filename, isolation_level=None)
        # A crash with an open connection must not keep the process alive.
        connection._thread.daemon = True
        await connection
        try:
            connection._conn.row_factory = sqlite3.Row
            for pragma, value in self.pragmas.items():
                rows = list(await connection.execute_fetchall(f"PRAGMA {pragma}={value}"))
                if pragma == "journal_mode" and rows[0][0].lower() != str(value).lower():
                    raise sqlite3.OperationalError(
                        f"the file system refuses journal mode {value} (is it a network file system?)"
                    )
        except BaseException:
            await connection.close()
            raise
        return connection

    async def close(self) -> None:
        """Close for good, after what is being done; the last connection to close folds the log into the file."""
        self._closed = True
        reader, self._reader = self._reader, None
        if reader is not None:
            async with _within(self._reader_lock, CLOSE_TIMEOUT):
                await reader.close()
        if self._connection is not None:
            async with _within(self._lock, CLOSE_TIMEOUT):
                await super().close()

    def _in_transaction(self) -> TransactionContext:
        return ImmediateTransaction(ImmediateTransactionWrapper(self), self._lock)

    @_translate
    async def execute_insert(self, query: str, values: list[Any]) -> int:
        return int(await super().execute_insert(query, values))

    @_translate
    async def execute_many(self, query: str, values: list[list[Any]]) -> None:
        # The stock one leaves its transaction open when the task is cancelled.
        async with self._in_transaction() as connection:
            await connection.execute_many(query, values)

    @_translate
    async def execute_query(self, query: str, values: list[Any] | None = None) -> tuple[int, Sequence[Any]]:
        if _reads(query):
            rows = await self._read(query, values)
            return len(rows), rows
        result: tuple[int, Sequence[Any]] = await super().execute_query(query, values)
        return result

    @_translate
    async def execute_query_dict(self, query: str, values: list[Any] | None = None) -> list[dict[str, Any]]:
        if _reads(query):
            return [dict(row) for row in await self._read(query, values)]
        rows: list[dict[str, Any]] = await super().execute_query_dict(query, values)
        return rows

    @_translate
    async def execute_script(self, query: str) -> None:
        await super().execute_script(query)

    async def _read(self, query: str, values: list[Any] | None) -> list[Any]:
        if self._connection is None:
            await self.create_connection(with_db=True)
        async with self._reader_lock:
            if self._reader is None:
                raise Unavailable("The database is closed")
            return list(await self._reader.execute_fetchall(query, values))


@asynccontextmanager
async def _within(lock: asyncio.Lock, timeout: float) -> AsyncIterator[None]:
    """Hold the lock; go on without it when it is not given in time."""
    try:
        await asyncio.wait_for(lock.acquire(), timeout)
    except TimeoutError:
        # A transaction that nobody ends: closing undoes it, which is what its owner would see after a crash.
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _reads(query: str) -> bool:
    return query[:7].upper() == "SELECT " and "\x00" not in query


class ImmediateTransactionWrapper(SqliteTransactionWrapper):
    """The connection as seen inside of a transaction."""

    _connection: aiosqlite.Connection | None  # type: ignore[assignment]
    _parent: Any

    @property
    def ended(self) -> bool:
        """True once the transaction (or one that it is nested in) was committed or rolled back."""
        return self._finalized or getattr(self._parent, "ended", False)

    def acquire_connection(self) -> ConnectionWrapper[Any]:
        if self.ended:
            # Else the statement would slip into somebody else's transaction, and be undone with it.
            raise TransactionManagementError("the transaction has ended: start tasks after it, not inside of it")
        return super().acquire_connection()

    def _in_transaction(self) -> TransactionContext:
        return NestedTransactionContext(ImmediateTransactionWrapper(self))

    async def begin(self) -> None:
        assert self._connection is not None
        await self._connection.execute_fetchall("BEGIN IMMEDIATE")

    @_translate
    async def execute_insert(self, query: str, values: list[Any]) -> int:
        return int(await super().execute_insert(query, values))

    @_translate
    async def execute_many(self, query: str, values: list[list[Any]]) -> None:
        await super().execute_many(query, values)

    @_translate
    async def execute_query(self, query: str, values: list[Any] | None = None) -> tuple[int, Sequence[Any]]:
        result: tuple[int, Sequence[Any]] = await super().execute_query(query, values)
        return result

    @_translate
    async def execute_query_dict(self, query: str, values: list[Any] | None = None) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await super().execute_query_dict(query, values)
        return rows


class ImmediateTransaction(SqliteTransactionContext):
    """A transaction that holds the connection's lock, and gives it back whatever happens.

    aiosqlite queues a statement before it waits for it, so a ROLLBACK that is queued here is carried out before
    anything that comes later, even when this task is cancelled while it waits.
    """

    connection: ImmediateTransactionWrapper

    async def __aenter__(self) -> ImmediateTransactionWrapper:
        await self._trxlock.acquire()
        try:
            await self.ensure_connection()
            await self.connection.begin()
        except BaseException as error:
            await self._undo_and_release()
            if isinstance(error, sqlite3.DatabaseError):
                raise _translated(error) from error
            raise
        self.token = get_connections().set(self.connection_name, self.connection)
        return self.connection

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        committed = False
        try:
            if exc_type is None and not self.connection.ended:
                await self._commit()
                committed = True
        finally:
            self.connection._finalized = True
            if committed:
                self._trxlock.release()
            else:
                await self._undo_and_release()
            get_connections().reset(self.token)

    async def _commit(self) -> None:
        assert self.connection._connection is not None
        try:
            await self.connection._connection.commit()
        except sqlite3.DatabaseError as error:
            raise _translated(error) from error

    async def _undo_and_release(self) -> None:
        try:
            if self.connection._connection is not None:
                # Does nothing when no transaction is open.
                await self.connection._connection.rollback()
        finally:
            self._trxlock.release()


client_class = ImmediateSqliteClient
