"""The database of one server: connections, models, transactions. Several may live in one process."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from contextvars import ContextVar
from errno import EACCES, EISDIR
from pathlib import Path
from typing import Any
from weakref import WeakSet

import structlog
from tortoise.backends.base.client import BaseDBAsyncClient, TransactionalDBClient
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.context import TortoiseContext, _current_context
from tortoise.exceptions import ConfigurationError
from tortoise.models import Model

from moorage.db.failures import opening_failed
from moorage.db.lock import make_folder
from moorage.db.url import Dialect, parse
from moorage.errors import StartError, Unavailable

# At DEBUG both write every statement with its values: password hashes, tokens' hashes, what people typed.
for _name in ("tortoise.db_client", "aiosqlite"):
    logging.getLogger(_name).setLevel(logging.INFO)

_open_databases: WeakSet[Database] = WeakSet()
_work: ContextVar[_Work | None] = ContextVar("moorage_transaction", default=None)
_log = structlog.get_logger("moorage.db")


class _Work:
    """One transaction of one task: what is to follow its commit."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] = []
        self.over = False


class _Activation(AbstractContextManager[None]):
    """What `activate` gives; a generator costs three times as much."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: TortoiseContext) -> None:
        self._context = context

    def __enter__(self) -> None:
        # Not `with context:`, which keeps its token on the shared object: two tasks would mix theirs up.
        self._token = _current_context.set(self._context)

    def __exit__(self, *exc: object) -> None:
        _current_context.reset(self._token)


class Database:
    """One database and the models that live in it.

    Models find their connection through a context variable, so code that touches one runs inside of `activate()`
    (the gate and the lifecycle do that; tasks inherit it). Databases of one dialect may be open side by side in a
    process, each within its own `activate()`; the same models on two dialects at once are refused, since Tortoise
    keeps the SQL of a model on its class.
    """

    def __init__(
        self,
        url: str,
        data_dir: Path,
        *,
        pool_min: int = 1,
        pool_max: int = 10,
        statement_timeout: float | None = 60.0,
    ) -> None:
        """Read the URL (StartError when it is wrong) and touch nothing.

        The rest is for PostgreSQL: the pool's sizes, and the seconds that a statement may take (None = any).
        """
        self.target = parse(url, data_dir)
        self._statement_timeout = statement_timeout
        self.data_dir = data_dir
        self._pool = (min(pool_min, pool_max), pool_max)
        self._context = TortoiseContext()
        self._open = self._connecting = False
        self._modules: dict[str, list[str]] = {}

    @property
    def dialect(self) -> Dialect:
        """ "sqlite" or "postgres"."""
        return self.target.dialect

    @property
    def url_public(self) -> str:
        """The address without password and options, for logs and people."""
        return self.target.public

    @property
    def is_open(self) -> bool:
        """True between `open` and `close`."""
        return self._open

    async def open(self, apps: Mapping[str, Iterable[str]]) -> None:
        """Connect and register the models of `apps`: label -> modules ("core", or a plugin's name).

        StartError (exit code 4) with a text for the operator when the database cannot be used; nothing stays open.
        The schema is the runner's business (`moorage.db.migrate`), not looked at here.
        """
        if self._open:
            raise RuntimeError("the database is open already")
        modules = {label: list(names) for label, names in apps.items()}
        for label, names in modules.items():
            _import_models(label, names)
        self._refuse_two_dialects(modules)
        self._prepare_file()
        self._open, self._modules = True, modules
        with self.activate():
            try:
                await self._context.init(
                    config={
                        "connections": {self.dialect: self._connection()},
                        "apps": {
                            label: {"models": names, "default_connection": self.dialect}
                            for label, names in modules.items()
                        },
                    }
                )
                self._forget_cached_sql(modules)
                self._check_tables()
                self._connecting = True
                await self.connection().create_connection(with_db=True)
                await self.connection().execute_query("SELECT 1")
            except BaseException as error:
                await self.close()
                if isinstance(error, ConfigurationError):
                    raise StartError(f"The models are wrong: {error}", exit_code=4) from error
                if isinstance(error, Exception) and not isinstance(error, StartError):
                    raise opening_failed(error, self.target) from error
                raise
        _open_databases.add(self)

    async def close(self) -> None:
        """Close every connection. Safe to call twice, and on a database that was never opened."""
        self._open, self._modules = False, {}
        _open_databases.discard(self)
        if self._connecting:
            self._connecting = False
            await self._context.close_connections()

    async def add_app(self, label: str, modules: Iterable[str]) -> None:
        """Register one more app's models on the live connections; the app's migrations must have run.

        StartError when they cannot be imported, name a table of another app, or relate to what is not there; the
        database goes on without them. An app that is there already is replaced by itself.
        """
        context = self._require()
        names = list(modules)
        _import_models(label, names)
        self._refuse_two_dialects({label: names})
        assert context.apps is not None
        known = context.apps.apps.get(label)
        with self.activate():
            try:
                for model in context.apps.init_app(label, names, _init_relations=False).values():
                    model._meta.default_connection = self.dialect
                self._check_tables()
                context.apps._init_relations()
                self._forget_cached_sql([label])
                context.apps._build_initial_querysets()
            except (ConfigurationError, StartError) as error:
                context.apps.apps.pop(label, None)
                if known is not None:
                    context.apps.apps[label] = known
                raise StartError(f"The models of {label} are wrong: {error}", exit_code=4) from error
        self._modules[label] = names

    def activate(self) -> AbstractContextManager[None]:
        """Make this the database of the models for the current task and those that it starts; also before `open`."""
        return _Activation(self._context)

    def enter(self) -> None:
        """As `activate`, to the end of the current task: what each request does, at a tenth of the cost."""
        _current_context.set(self._context)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[TransactionalDBClient]:
        """One unit of work: committed at the end, undone by any exception. Nested ones are savepoints.

        Keep it short, and never wait for the network or a person inside: on SQLite nobody else writes meanwhile.
        On SQLite what was read stays true until the end; on PostgreSQL use `select_for_update()` for that (it is
        harmless on SQLite). Tasks that outlive the transaction are started after it.
        """
        outer, mine = _work.get(), _Work()
        token = _work.set(mine)
        try:
            with self.activate():
                async with self.connection()._in_transaction() as connection:
                    yield connection
        finally:
            mine.over = True
            _work.reset(token)
        if outer is not None and not outer.over:
            outer.callbacks += mine.callbacks
            return
        for callback in mine.callbacks:
            try:
                callback()
            except Exception:
                _log.exception("what follows a commit failed")

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback()` when the outermost transaction of this task is committed; at once if there is none.

        It is never called when the transaction (or the nested one that it was given in) is undone. Its errors are
        logged: what is committed stays so.
        """
        work = _work.get()
        # A task that was started inside a transaction may outlive it.
        if work is None or work.over:
            callback()
        else:
            work.callbacks.append(callback)

    def connection(self) -> BaseDBAsyncClient:
        """The connection for SQL by hand; within a transaction, that transaction's."""
        return self._require().connections.get(self.dialect)

    async def ping(self, timeout: float = 5.0) -> float:
        """Ask the database for an answer; milliseconds that it took. Unavailable when there is none in `timeout` s."""
        if not self._open:
            raise Unavailable("The database is closed")
        started = time.perf_counter()
        try:
            async with asyncio.timeout(timeout):
                await self.connection().execute_query("SELECT 1")
        except TimeoutError as error:
            raise Unavailable("The database did not answer in time") from error
        return (time.perf_counter() - started) * 1000

    async def create_tables(self) -> None:
        """Create the tables straight from the models, without a trace in the ledger: for unit tests."""
        with self.activate():
            await self._require().generate_schemas(safe=True)

    def _require(self) -> TortoiseContext:
        if not self._open:
            raise RuntimeError("the database is not open")
        return self._context

    def _connection(self) -> dict[str, Any]:
        # The connection is named after its dialect because Tortoise caches SQL by that name.
        if self.dialect == "sqlite":
            return {
                "engine": "moorage.db.sqlite",
                "credentials": {
                    "file_path": str(self.target.file),
                    "busy_timeout": self.target.busy_timeout,
                    "journal_mode": "WAL",
                    "synchronous": self.target.synchronous,
                    "foreign_keys": "ON",
                    "journal_size_limit": 4 * 1024 * 1024,
                },
            }
        try:
            importlib.import_module("asyncpg")
        except ImportError as error:
            raise StartError(
                "The database is PostgreSQL, but its driver is not installed: pip install 'moorage[postgres]'.",
                exit_code=4,
            ) from error
        return {
            "engine": "moorage.db.postgres",
            "credentials": {
                "dsn": self.target.dsn,
                "minsize": self._pool[0],
                "maxsize": self._pool[1],
                "statement_timeout": self._statement_timeout,
            },
        }

    def _prepare_file(self) -> None:
        if self.dialect != "sqlite":
            return
        path = self.target.file
        if path.parent == self.data_dir.absolute():
            make_folder(self.data_dir)
        try:
            # Created by us so that it is private from its first moment; an operator's own mode is left alone.
            # One that exists is never opened here: closing it would drop the locks that SQLite holds on it for
            # another Database of this process, and the next command to finish would delete the log in use.
            os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            if path.is_dir():
                raise opening_failed(IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path)), self.target) from None
            if not os.access(path, os.R_OK | os.W_OK):
                raise opening_failed(PermissionError(EACCES, os.strerror(EACCES), str(path)), self.target) from None
        except OSError as error:
            raise opening_failed(error, self.target) from error
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise opening_failed(PermissionError(EACCES, os.strerror(EACCES), str(path.parent)), self.target)

    def _refuse_two_dialects(self, modules: Mapping[str, Iterable[str]]) -> None:
        wanted = {name for names in modules.values() for name in names}
        for other in _open_databases:
            if other.dialect != self.dialect and wanted & {name for names in other._modules.values() for name in names}:
                raise RuntimeError("the same models cannot be open on SQLite and PostgreSQL in one process")

    def _models(self, labels: Iterable[str]) -> Iterator[tuple[str, type[Model]]]:
        apps = self._require().apps
        assert apps is not None
        for label in labels:
            for model in apps.apps.get(label, {}).values():
                yield label, model

    def _check_tables(self) -> None:
        apps = self._require().apps
        assert apps is not None
        owners: dict[str, str] = {"aerich": "the ledger of migrations"}
        for label, model in self._models(list(apps.apps)):
            name, table = f"{label}.{model.__name__}", model._meta.db_table
            if label != "aerich" and owners.setdefault(table, name) != name:
                raise StartError(f"the table {table} is claimed by {owners[table]} and by {name}", exit_code=4)

    def _forget_cached_sql(self, labels: Iterable[str]) -> None:
        for _, model in self._models(labels):
            EXECUTOR_CACHE.pop((self.dialect, model._meta.schema, model._meta.db_table), None)


def _import_models(label: str, names: Iterable[str]) -> None:
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            raise StartError(
                f"The models of {label} cannot be imported from {name}: {type(error).__name__}: {error}", exit_code=4
            ) from error
