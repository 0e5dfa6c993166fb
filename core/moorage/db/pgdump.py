"""Copies of a PostgreSQL database, by PostgreSQL's own pg_dump and pg_restore."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from moorage.db.backup import default_name
from moorage.db.engine import Database
from moorage.db.ledger import LABEL
from moorage.db.lock import DataDirLock, make_folder
from moorage.db.url import Target, without_password
from moorage.errors import StartError

TIMEOUT = 6 * 3600.0
"""Seconds for one run of either program; both may have a lot to copy."""

_TABLE = re.compile(r"^\d+; \d+ \d+ TABLE (\S+) (\S+) ", re.MULTILINE)


def backup_postgres(target: Target, copy: Path) -> None:
    """Write an archive (pg_dump's custom format, mode 0600). StartError (exit code 4) when that fails."""
    if copy.exists():
        raise StartError(f"{copy} exists already; give another name.", exit_code=4)
    make_folder(copy.parent)
    partial = copy.with_name(f".{copy.name}.part")
    try:
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        _run("pg_dump", target, ["--format=custom", "--no-owner", "--no-privileges", f"--file={partial}"])
        partial.rename(copy)
    except OSError as error:
        raise StartError(f"{copy} cannot be written: {error.strerror}.", exit_code=4) from error
    finally:
        partial.unlink(missing_ok=True)


def restore_postgres(url: str, copy: Path, data_dir: Path) -> Path | None:
    """Replace the tables by those of an archive, in one transaction; the copy of what was there, None for nothing.

    StartError (exit code 4) while a server uses the database, for a file that is no archive of ours, and when the
    database has tables that the archive lacks: those would not fit the schema that comes back.
    """
    if not copy.is_file():
        raise StartError(f"There is no file {copy}.", exit_code=4)
    with DataDirLock(data_dir):
        target, present, users = asyncio.run(_look(url, data_dir))
        if users:
            raise StartError(
                f"{users} connections of a Moorage server are open to {target.public}. Stop it first.", exit_code=4
            )
        archived = {name for _, name in _TABLE.findall(_run("pg_restore", None, ["--list", str(copy)]))}
        if "aerich" not in archived:
            raise StartError(f"{copy} is an archive, but not one of Moorage.", exit_code=4)
        if extra := sorted(present - archived):
            raise StartError(
                f"The database {target.public} has tables that {copy} lacks: {', '.join(extra)}. Create an empty "
                "database (createdb), name it in database.url, and restore into that.",
                exit_code=4,
            )
        kept = default_name(data_dir, "-replaced.dump") if present else None
        if kept is not None:
            backup_postgres(target, kept)
        options = ["--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction"]
        _run("pg_restore", target, [*options, str(copy)])
        return kept


async def _look(url: str, data_dir: Path) -> tuple[Target, set[str], int]:
    """The address, the names of its tables, and how many connections of ours are open to it."""
    database = Database(url, data_dir, pool_max=1)
    await database.open({LABEL: ["moorage.db.ledger"]})
    try:
        connection = database.connection()
        tables = await connection.execute_query_dict(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
        )
        users = await connection.execute_query_dict(
            "SELECT count(*) AS n FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'moorage' AND pid <> pg_backend_pid()"
        )
        return database.target, {row["table_name"] for row in tables}, int(users[0]["n"])
    finally:
        await database.close()


def _run(program: str, target: Target | None, arguments: Sequence[str]) -> str:
    path = shutil.which(program)
    if path is None:
        raise StartError(
            f"{program} is not installed. Install PostgreSQL's client programs (on Debian: apt install "
            "postgresql-client), or copy the database with your PostgreSQL's own tools.",
            exit_code=4,
        )
    env = dict(os.environ)
    command = [path, *arguments]
    if target is not None:
        address, password = without_password(target.dsn)
        command.insert(1, f"--dbname={address}")
        # The environment of a process is for its own user's eyes; its arguments are for everybody's.
        env["PGOPTIONS"] = "-c lock_timeout=60s"
        if password is not None:
            env["PGPASSWORD"] = password
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env=env, check=False)
    except subprocess.TimeoutExpired as error:
        raise StartError(f"{program} took more than {TIMEOUT / 3600:.0f} hours.", exit_code=4) from error
    if done.returncode:
        raise StartError(f"{program} failed: {done.stderr.strip()}", exit_code=4)
    return done.stdout
