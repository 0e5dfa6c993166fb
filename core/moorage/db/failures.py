"""Why a database cannot be used, in words for the operator, without passwords."""

from __future__ import annotations

import sqlite3

from moorage.db.url import Target
from moorage.errors import StartError, Unavailable


def opening_failed(error: BaseException, target: Target) -> StartError:
    """The text for an error met while opening or migrating `target`. Exit code 4."""
    if isinstance(error, Unavailable) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, StartError):
        return error
    reason = _sqlite(error, target) if target.dialect == "sqlite" else _postgres(error, target)
    return StartError(reason, exit_code=4)


def _sqlite(error: BaseException, target: Target) -> str:
    path = target.file
    code = getattr(error, "sqlite_errorcode", -1) & 0xFF
    if isinstance(error, FileNotFoundError):
        return f"The folder {path.parent} of the database does not exist. Create it, or change database.url."
    if isinstance(error, IsADirectoryError):
        return f"The database {path} is a folder. Change database.url to name a file."
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return (
            f"The database file {path} is damaged or is no SQLite database ({error}). "
            "Put back a copy with `moorage db restore FILE`; the folder `backups` of the data folder may hold some."
        )
    if isinstance(error, PermissionError) or code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return (
            f"The database {path} cannot be written ({_plain(error)}). "
            "The user who runs Moorage must be allowed to write both the file and its folder."
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"The database {path} is locked by another process for longer than {target.busy_timeout / 1000:g} s."
    if code == sqlite3.SQLITE_FULL:
        return f"The disk that holds the database {path} is full."
    return f"The database {path} cannot be used: {_plain(error)}."


def _postgres(error: BaseException, target: Target) -> str:
    where = target.public
    # By name, so that this module needs no asyncpg.
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"InvalidPasswordError", "InvalidAuthorizationSpecificationError"}:
        return f"PostgreSQL refuses the user or the password of {where}. Check database.url (or database.url_file)."
    if "InvalidCatalogNameError" in names:
        return f"PostgreSQL has no such database: {where}. Create it (createdb), or change database.url."
    if "InsufficientPrivilegeError" in names:
        return f"The PostgreSQL user of {where} lacks a right: {error}."
    if "TooManyConnectionsError" in names or "CannotConnectNowError" in names:
        return f"PostgreSQL takes no connection now ({where}): {error}."
    if isinstance(error, TimeoutError):
        return f"PostgreSQL does not answer in time: {where}."
    if isinstance(error, OSError):
        return f"PostgreSQL cannot be reached at {where}: {_plain(error)}. Is it running, and is database.url right?"
    return f"The database {where} cannot be used: {type(error).__name__}: {_plain(error)}."


def _plain(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rstrip(".") or type(error).__name__
