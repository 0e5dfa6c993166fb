"""The migration runner: brings a database to the schema of this release, or refuses and says why.

Each migration is one transaction, with its line in the ledger, so a crash at any moment leaves either all of it or
nothing. Two runners at once are safe: one waits for the other and then finds nothing left to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.utils import get_schema_sql

from moorage.db.backup import backup_before_migration
from moorage.db.engine import Database
from moorage.db.failures import opening_failed
from moorage.db.ledger import LABEL, Applied
from moorage.db.lock import file_lock
from moorage.db.sources import CORE, Migration, Source, Version, migrations, sources
from moorage.db.statements import split
from moorage.db.url import parse
from moorage.errors import StartError, Unavailable

__all__ = ["CORE", "MigrationError", "Source", "Version", "VersionStatus", "sources", "status", "upgrade"]

LOCK_TIMEOUT = 60.0
"""Seconds to wait for another runner, and on PostgreSQL for each lock on a table."""

# Any number will do, as long as it is always this one and nobody else's.
_ADVISORY_LOCK = 0x6D6F6F72616765

_log = logging.getLogger("moorage.db")


class MigrationError(StartError):
    """A migration that failed and was rolled back. `label` is its owner: "core" or a plugin's name."""

    def __init__(self, text: str, label: str) -> None:
        self.label = label
        super().__init__(text, exit_code=4)


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """One migration and where it stands. known: False for one that the database has and this release does not."""

    version: Version
    applied: bool
    known: bool = True


async def status(db_url: str, data_dir: Path, sources: Sequence[Source]) -> list[VersionStatus]:
    """Every migration of the sources, oldest first, without changing anything (not even creating the file)."""
    target = parse(db_url, data_dir)
    files = {source.label: migrations(source, target.dialect) for source in sources}
    if target.dialect == "sqlite" and not target.file.exists():
        done: Mapping[str, set[Version]] = {}
    else:
        async with _opened(db_url, data_dir) as db:
            done = await _read_ledger(db.connection())
    found = []
    for label, known in files.items():
        applied = done.get(label, set())
        found += [VersionStatus(file.version, file.version in applied) for file in known]
        found += [VersionStatus(version, True, known=False) for version in sorted(_strangers(known, applied))]
    return found


async def upgrade(db_url: str, data_dir: Path, sources: Sequence[Source]) -> list[Version]:
    """Apply what is missing, source by source in the order given; what was applied.

    A SQLite file that holds data is copied to `data_dir/backups` first. StartError (exit code 4) for a schema that is
    newer than this release; MigrationError for a migration that fails, with what came before it applied.
    """
    target = parse(db_url, data_dir)
    files = {source.label: migrations(source, target.dialect) for source in sources}
    # PostgreSQL is locked in each transaction instead: such a lock cannot outlive its connection.
    lock = file_lock(data_dir / "run" / "migrate.lock", LOCK_TIMEOUT) if target.dialect == "sqlite" else nullcontext()
    try:
        async with lock, _opened(db_url, data_dir) as db:
            pending = _pending(files, await _read_ledger(db.connection()), db.url_public)
            if not pending:
                return []
            if target.dialect == "sqlite":
                first = pending[0].version
                await asyncio.to_thread(backup_before_migration, target.file, data_dir, f"{first.label}-{first.name}")
                # A table can only be rebuilt with this off; what is broken by it is found before the commit.
                await db.connection().execute_query("PRAGMA foreign_keys=OFF")
            applied = []
            for migration in pending:
                if await _apply(db, migration):
                    _log.info("applied migration %s", migration.version)
                    applied.append(migration.version)
            return applied
    except TimeoutError:
        raise StartError(
            f"Another process has been migrating the database for more than {LOCK_TIMEOUT:.0f} s. "
            "Wait for it to end, then start again.",
            exit_code=4,
        ) from None


@asynccontextmanager
async def _opened(db_url: str, data_dir: Path) -> AsyncIterator[Database]:
    db = Database(db_url, data_dir, pool_max=1, statement_timeout=None)
    await db.open({LABEL: ["moorage.db.ledger"]})
    try:
        with db.activate():
            yield db
    except Unavailable as error:
        raise opening_failed(error, db.target) from error
    finally:
        await db.close()


async def _read_ledger(connection: BaseDBAsyncClient) -> dict[str, set[Version]]:
    if connection.capabilities.dialect == "sqlite":
        found = await connection.execute_query_dict("SELECT 1 AS there FROM sqlite_master WHERE name = 'aerich'")
    else:
        found = await connection.execute_query_dict("SELECT 1 AS there WHERE to_regclass('aerich') IS NOT NULL")
    done: dict[str, set[Version]] = {}
    if found:
        for row in await connection.execute_query_dict("SELECT app, version FROM aerich"):
            done.setdefault(row["app"], set()).add(Version.of(row["app"], row["version"]))
    return done


def _strangers(known: Iterable[Migration], applied: set[Version]) -> set[Version]:
    return applied - {migration.version for migration in known}


def _pending(files: Mapping[str, list[Migration]], done: Mapping[str, set[Version]], database: str) -> list[Migration]:
    pending = []
    for label, known in files.items():
        applied = done.get(label, set())
        if strangers := _strangers(known, applied):
            raise StartError(
                f"The database {database} was migrated by another release: it has {max(strangers)}, and the newest "
                f"that this one knows is {known[-1].version}. Install that release again, or put back a backup from "
                "before (`moorage db restore FILE`).",
                exit_code=4,
            )
        missing = [migration for migration in known if migration.version not in applied]
        if missing and applied and missing[0].version < max(applied):
            raise StartError(
                f"The database {database} has {max(applied)} but not {missing[0].version}, which comes before it: "
                "it was migrated by a different history of releases. Put back a backup, or apply it by hand.",
                exit_code=4,
            )
        pending += missing
    return pending


async def _apply(db: Database, migration: Migration) -> bool:
    """Run one migration in a transaction. False when another runner was faster."""
    make_sql, state = migration.load()
    version = migration.version
    statement = ""
    try:
        async with db.transaction() as connection:
            await _lock(connection)
            await _create_ledger(connection, db)
            if await Applied.exists(app=version.label, version=version.recorded):
                return False
            broken = await _broken_references(connection)
            for statement in split(await make_sql(connection), db.dialect):
                await connection.execute_query(statement)
            statement = ""
            if await _broken_references(connection) > broken:
                raise ValueError("rows would refer to rows that are gone (PRAGMA foreign_key_check)")
            await Applied.create(app=version.label, version=version.recorded, content=state)
    except (StartError, TimeoutError):
        raise
    except Exception as error:
        where = f" at the statement: {shorten(statement, 300, placeholder=' …')}" if statement else ""
        reason = opening_failed(error, db.target) if isinstance(error, Unavailable) else error
        raise MigrationError(
            f"The migration {version} of {db.url_public} failed and was rolled back{where}\nReason: {reason}",
            version.label,
        ) from error
    return True


async def _lock(connection: BaseDBAsyncClient) -> None:
    """Wait for other runners on PostgreSQL; on SQLite the transaction itself is the lock."""
    if connection.capabilities.dialect == "sqlite":
        return
    await connection.execute_query(f"SELECT set_config('lock_timeout', '{LOCK_TIMEOUT:.0f}s', true)")
    # From version 14 on: a killed runner's statement ends with it, instead of holding its locks until it is done.
    await connection.execute_query(
        "SELECT set_config('client_connection_check_interval', '1s', true) "
        "WHERE current_setting('server_version_num')::int >= 140000"
    )
    try:
        await connection.execute_query(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
    except Exception as error:
        if type(error).__name__ == "LockNotAvailableError":
            raise TimeoutError from error
        raise


async def _create_ledger(connection: BaseDBAsyncClient, db: Database) -> None:
    for statement in split(get_schema_sql(connection, safe=True), db.dialect):
        await connection.execute_query(statement)


async def _broken_references(connection: BaseDBAsyncClient) -> int:
    if connection.capabilities.dialect != "sqlite":
        return 0
    _, rows = await connection.execute_query("PRAGMA foreign_key_check")
    return len(rows)
