"""The databases that parts measure on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import bench.processes  # noqa: F401 - finds the parts that tests use.

from realparts.postgres import Postgres, find_bindir  # isort: skip


def fresh_database(name: str, stack: contextlib.ExitStack) -> tuple[str, Callable[[], object]] | None:
    """Its URL, and what is done once it is full; None, and said, where it is not installed."""
    if name == "sqlite":
        return "sqlite://moorage.db", lambda: None
    folder, why = find_bindir(), Postgres.missing()
    if folder is None or why:
        print(f"  ({why})")
        return None
    postgres = Postgres(folder)
    stack.callback(postgres.stop)
    url = postgres.new_database()
    # It does so by itself within a minute.
    return url, lambda: postgres.psql("VACUUM (ANALYZE)", url.rpartition("/")[2])
