"""Runs aerich for one source and one dialect, in a process of its own: aerich keeps its state on classes.

Reads a job from standard input and writes its result to standard output, both JSON. Needs no database server.
job: {"label", "models": [module], "dialect", "files": [path of an existing migration], "name", "empty": bool}
result: {"text": the new file's text or null when nothing changed} or {"error": why there can be none}
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aerich import Command
from aerich.exceptions import NotSupportError
from tortoise import Tortoise
from tortoise.exceptions import ConfigurationError

_ENGINES: dict[str, dict[str, Any]] = {
    "sqlite": {"engine": "tortoise.backends.sqlite", "credentials": {"file_path": ":memory:"}},
    # Never dialled: aerich only asks the connection for its dialect.
    "postgres": {
        "engine": "tortoise.backends.asyncpg",
        "credentials": {"host": "127.0.0.1", "port": 1, "user": "nobody", "password": None, "database": "none"},
    },
}


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job."""
    with TemporaryDirectory(prefix="moorage-migration-") as scratch:
        folder = Path(scratch, job["label"])
        folder.mkdir()
        for path in job["files"]:
            shutil.copy(path, folder)
        before = set(folder.glob("*.py"))
        try:
            asyncio.run(_generate(job, scratch))
        except NotSupportError as error:
            hint = "Write this one by hand (--by-hand), as a new table that takes the old one's rows."
            return {"error": f"{error} {hint}"}
        except ConfigurationError as error:
            return {"error": str(error)}
        new = set(folder.glob("*.py")) - before
        return {"text": new.pop().read_text(encoding="utf-8") if new else None}


async def _generate(job: dict[str, Any], location: str) -> None:
    label: str = job["label"]
    config = {
        "connections": {"default": _ENGINES[job["dialect"]]},
        # This label alone, so that a relation into another's tables fails here.
        "apps": {label: {"models": job["models"], "default_connection": "default"}},
    }
    command = Command(config, app=label, location=location)
    try:
        if job["files"]:
            await command.init(offline=True)
            await command.migrate(job["name"], empty=job["empty"], no_input=True, offline=True)
        else:
            await command.init_migrations(safe=False)
    finally:
        await Tortoise.close_connections()


if __name__ == "__main__":
    # aerich has things to print; the result must stand alone.
    with redirect_stdout(sys.stderr):
        result = run(json.load(sys.stdin))
    json.dump(result, sys.stdout)
