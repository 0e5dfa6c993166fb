"""Every source that we ship: its newest migration and its models agree, on every dialect."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from moorage.db import Database
from moorage.db.generate import difference
from moorage.db.migrate import CORE, Source, sources, upgrade
from moorage.db.sources import migrations
from moorage.db.url import DIALECTS, Dialect
from moorage.plugins import shipped_manifests

BY_HAND = "%_search%"
"""Tables that no model can describe: full-text indexes, and what SQLite makes of one. Their own tests use them."""
SHIPPED = sources(shipped_manifests().values())
each_source = pytest.mark.parametrize("source", SHIPPED, ids=lambda source: source.label)


@each_source
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_newest_migration_knows_the_models(source: Source, dialect: Dialect) -> None:
    changes = difference(source, dialect)
    assert changes == "", f"run `moorage db makemigration {source.label}`"


@each_source
def test_the_dialects_have_the_same_versions(source: Source) -> None:
    sqlite, postgres = ([found.version for found in migrations(source, dialect)] for dialect in DIALECTS)
    assert sqlite == postgres


@each_source
def test_tables_are_named_after_their_owner(source: Source) -> None:
    for name in source.models:
        for thing in vars(importlib.import_module(name)).values():
            if isinstance(thing, type) and thing.__module__ == name and hasattr(thing, "_meta"):
                table = thing._meta.db_table
                assert not table or table.startswith(f"{source.label}_"), table


@each_source
async def test_migrations_and_models_make_the_same_schema(source: Source, url: str, data_dir: Path) -> None:
    """Not what aerich thinks of it, but what the database has in the end."""
    await upgrade(url, data_dir, [source])
    migrated = Database(url, data_dir)
    await migrated.open({source.label: source.models})
    try:
        if migrated.dialect == "sqlite":
            found = await _sqlite_schema(migrated)
            fresh = Database("sqlite://fresh.db", data_dir)
            await fresh.open({source.label: source.models})
            try:
                await fresh.create_tables()
                wanted = await _sqlite_schema(fresh)
            finally:
                await fresh.close()
        else:
            found = await _postgres_schema(migrated)
            # The same database once more, in another schema of it.
            await migrated.connection().execute_script("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            await migrated.create_tables()
            wanted = await _postgres_schema(migrated)
    finally:
        await migrated.close()
    assert wanted
    assert found == wanted


async def _sqlite_schema(database: Database) -> dict[str, Any]:
    async def rows(query: str) -> list[tuple[Any, ...]]:
        _, found = await database.connection().execute_query(query)
        return [tuple(row) for row in found]

    schema: dict[str, Any] = {}
    tables = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'aerich' "
        f"AND name NOT LIKE '{BY_HAND}'"
    )
    for (table,) in await rows(tables):
        indexes = set()
        for _, index, unique, origin, _ in await rows(f"PRAGMA index_list('{table}')"):
            columns = tuple(row[2] for row in await rows(f"PRAGMA index_info('{index}')"))
            indexes.add((columns, unique, origin))
        schema[table] = {
            # Without their position: a column that came later stands at the end.
            "columns": sorted(row[1:] for row in await rows(f"PRAGMA table_info('{table}')")),
            "keys": sorted(row[2:] for row in await rows(f"PRAGMA foreign_key_list('{table}')")),
            "indexes": indexes,
        }
    return schema


async def _postgres_schema(database: Database) -> dict[str, Any]:
    async def rows(query: str) -> list[tuple[Any, ...]]:
        _, found = await database.connection().execute_query(query)
        return sorted(tuple(row.values()) for row in found)

    return {
        "columns": await rows(
            "SELECT table_name, column_name, data_type, is_nullable, column_default, character_maximum_length::text "
            "FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'aerich' "
            f"AND table_name NOT LIKE '{BY_HAND}'"
        ),
        "indexes": await rows(
            "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'aerich' "
            f"AND tablename NOT LIKE '{BY_HAND}'"
        ),
        "constraints": await rows(
            "SELECT conrelid::regclass::text, contype::text, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'aerich' "
            f"AND conrelid::regclass::text NOT LIKE '{BY_HAND}'"
        ),
    }


def test_the_core_is_shipped() -> None:
    assert SHIPPED[0] == CORE
    assert CORE.models == ("moorage.accounts.models", "moorage.observe.models")
