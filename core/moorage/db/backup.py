"""Copies of the database: taken while a server runs, put back while none does."""

from __future__ import annotations

import itertools
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from moorage.db.lock import DataDirLock, make_folder
from moorage.errors import StartError


def default_name(data_dir: Path, suffix: str) -> Path:
    """`data_dir/backups/moorage-20260131T235959Z` and the suffix, numbered where a second brings two of them."""
    stem = f"moorage-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    names = (f"{stem}{suffix}" if n == 1 else f"{stem}-{n}{suffix}" for n in itertools.count(1))
    return next(path for name in names if not (path := data_dir / "backups" / name).exists())


def backup_before_migration(database: Path, data_dir: Path, name: str) -> Path | None:
    """Copy a SQLite file that holds tables to `data_dir/backups/before-NAME.db`; None when there is nothing to copy.

    The name says what is about to run, so a start that fails again and again fills no disk.
    """
    with closing(_connect(database)) as connection:
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
    if not tables:
        return None
    copy = data_dir / "backups" / f"before-{name}.db"
    backup_sqlite(database, copy, replace=True)
    return copy


def backup_sqlite(database: Path, copy: Path, *, replace: bool = False) -> None:
    """Copy a SQLite database, whoever uses it meanwhile, as of one moment. The copy is one file, mode 0600.

    StartError (exit code 4) when the copy exists already (unless `replace`), cannot be written, or is not sound;
    then no file of that name is left behind or changed.
    """
    if not database.is_file():
        raise StartError(f"There is no database file {database}.", exit_code=4)
    if copy.exists() and not replace:
        raise StartError(f"{copy} exists already; give another name.", exit_code=4)
    make_folder(copy.parent)
    partial = copy.with_name(f".{copy.name}.part")
    try:
        # One that a killed process left.
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(_connect(database)) as source, closing(sqlite3.connect(partial)) as target:
            source.backup(target)
            # A single file, without a log beside it, that can be read from a medium that cannot be written.
            target.execute("PRAGMA journal_mode=DELETE")
            _check(target, database)
        _sync(partial)
        partial.rename(copy)
        _sync(copy.parent)
    except (sqlite3.Error, OSError) as error:
        raise StartError(
            f"The database {database} cannot be copied to {copy}: {_plain(error)}.", exit_code=4
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def restore_sqlite(copy: Path, database: Path, data_dir: Path) -> Path | None:
    """Put a backup in the place of the database; where the replaced one went, None when there was none.

    StartError (exit code 4) while a server holds the data folder, or when the copy is not a sound database of ours;
    then nothing has changed.
    """
    with DataDirLock(data_dir):
        _check_backup(copy)
        kept = _put_aside(database, data_dir)
        try:
            if database.exists():
                # One transaction of SQLite's own: whole or not at all, also for a command that has the file open.
                with closing(_connect(copy)) as source, closing(sqlite3.connect(database, timeout=10.0)) as target:
                    source.backup(target)
            else:
                backup_sqlite(copy, database)
        except (sqlite3.Error, OSError) as error:
            raise StartError(f"{copy} cannot be put in place of {database}: {_plain(error)}.", exit_code=4) from error
        return kept


def _put_aside(database: Path, data_dir: Path) -> Path | None:
    """A copy of the database as it is now, or the damaged file itself with its log."""
    if not database.exists():
        return None
    kept = default_name(data_dir, "-replaced.db")
    try:
        backup_sqlite(database, kept)
    except StartError as error:
        if not isinstance(error.__cause__, sqlite3.DatabaseError):
            raise
        kept = default_name(data_dir, "-damaged.db")
        for suffix in ("-wal", "-shm", ""):
            part = database.with_name(database.name + suffix)
            if part.exists():
                part.rename(kept.with_name(kept.name + suffix))
    return kept


def _check_backup(copy: Path) -> None:
    if not copy.is_file():
        raise StartError(f"There is no file {copy}.", exit_code=4)
    try:
        with closing(_connect(copy)) as connection:
            _check(connection, copy)
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'aerich'").fetchone():
                raise StartError(f"{copy} is a SQLite database, but not one of Moorage.", exit_code=4)
    except sqlite3.Error as error:
        raise StartError(f"{copy} is no sound SQLite database: {_plain(error)}.", exit_code=4) from error


def _check(connection: sqlite3.Connection, path: Path) -> None:
    problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise sqlite3.DatabaseError(f"{path} is damaged: {problem}")


def _connect(path: Path) -> sqlite3.Connection:
    """Open for reading only, so that looking at a file never creates or changes one."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _plain(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rstrip(".")
