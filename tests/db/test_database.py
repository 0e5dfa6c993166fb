"""The engine: models on both kinds of database, transactions, cancelled tasks, several databases at once."""

from __future__ import annotations

import asyncio
import importlib
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from moorage.db import Database
from moorage.errors import StartError, Unavailable
from tortoise.exceptions import IntegrityError, TransactionManagementError
from waits import WAIT


@pytest.fixture
async def db(url: str, data_dir: Path, models: str) -> AsyncIterator[Database]:
    database = Database(url, data_dir)
    await database.open({"harbour": [models]})
    await database.create_tables()
    with database.activate():
        yield database
    await database.close()


@pytest.fixture
async def lite(data_dir: Path, models: str) -> AsyncIterator[Database]:
    database = Database("sqlite://moorage.db?busy_timeout=300", data_dir)
    await database.open({"harbour": [models]})
    await database.create_tables()
    with database.activate():
        yield database
    await database.close()


@pytest.fixture
def harbour(models: str) -> Any:
    return importlib.import_module(models)


class Undo(Exception):
    """Raised to undo a transaction."""


async def test_rows_transactions_and_savepoints(db: Database, harbour: Any) -> None:
    async def undone() -> None:
        async with db.transaction():
            await harbour.Boat.create(name="undone")
            raise Undo

    await harbour.Boat.create(name="one")
    with pytest.raises(Undo):
        await undone()
    async with db.transaction():
        await harbour.Boat.create(name="two")
        with pytest.raises(Undo):
            await undone()
        await harbour.Boat.bulk_create([harbour.Boat(name="three"), harbour.Boat(name="four")])
    await harbour.Boat.bulk_create([harbour.Boat(name="five")])
    assert await harbour.Boat.all().order_by("id").values_list("name", flat=True) == [
        "one",
        "two",
        "three",
        "four",
        "five",
    ]
    assert 0 <= await db.ping() < 5000


async def test_constraints_bite(db: Database, harbour: Any) -> None:
    await harbour.Place.create(name="Kiel")
    with pytest.raises(IntegrityError):
        await harbour.Place.create(name="Kiel")
    with pytest.raises(IntegrityError):
        await harbour.Boat.create(name="lost", place_id=99)
    async with db.transaction():
        await harbour.Place.create(name="Rostock")
        with pytest.raises(IntegrityError):
            async with db.transaction():
                await harbour.Place.create(name="Kiel")
    assert await harbour.Place.all().count() == 2


async def test_a_cancelled_transaction_leaves_nothing_behind(db: Database, harbour: Any) -> None:
    inside = asyncio.Event()

    async def work() -> None:
        async with db.transaction():
            await harbour.Boat.create(name="cancelled")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.wait_for(inside.wait(), WAIT)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async def next_one() -> None:
        async with db.transaction():
            await harbour.Boat.create(name="next")

    await asyncio.wait_for(next_one(), WAIT)
    assert await harbour.Boat.all().values_list("name", flat=True) == ["next"]


async def test_transactions_cancelled_at_any_point_lose_no_connection(db: Database, harbour: Any) -> None:
    async def work(name: str) -> None:
        async with db.transaction():
            await harbour.Boat.create(name=name)
            await harbour.Boat.filter(name=name).update(visits=1)

    for attempt in range(60):
        task = asyncio.create_task(work(f"b{attempt}"))
        # Each attempt is cut off one step of the loop later than the one before.
        for _ in range(attempt // 2):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    # Each of these needs a connection; had the pool lost ten, or SQLite its lock, they would wait for ever.
    await asyncio.wait_for(asyncio.gather(*(work(f"last{n}") for n in range(12))), WAIT)
    assert await harbour.Boat.filter(name__startswith="last", visits=1).count() == 12
    assert await harbour.Boat.filter(visits=0).count() == 0


async def test_a_begin_that_is_cancelled_or_refused_frees_the_connection(
    lite: Database, harbour: Any, data_dir: Path
) -> None:
    async def add(name: str) -> None:
        async with lite.transaction():
            await harbour.Boat.create(name=name)

    with closing(sqlite3.connect(data_dir / "moorage.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for work in (add("no"), harbour.Boat.bulk_create([harbour.Boat(name="no")]), harbour.Boat.create(name="no")):
            with pytest.raises(Unavailable, match="busy"):
                await work
        waiting = asyncio.create_task(add("no"))
        bulk = asyncio.ensure_future(harbour.Boat.bulk_create([harbour.Boat(name="no")]))
        await asyncio.sleep(0.05)
        waiting.cancel()
        bulk.cancel()
        await asyncio.gather(waiting, bulk, return_exceptions=True)
        other.execute("ROLLBACK")
        await asyncio.wait_for(add("yes"), WAIT)
        # Nothing of ours is open: another process can write at once.
        other.execute("PRAGMA busy_timeout=0")
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    assert await harbour.Boat.all().values_list("name", flat=True) == ["yes"]


async def test_reading_does_not_wait_for_a_writer(db: Database, harbour: Any) -> None:
    await harbour.Boat.create(name="before")
    inside, done = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        async with db.transaction():
            await harbour.Boat.create(name="during")
            inside.set()
            await done.wait()

    task = asyncio.create_task(write())
    await asyncio.wait_for(inside.wait(), WAIT)
    assert await asyncio.wait_for(harbour.Boat.all().values_list("name", flat=True), WAIT) == ["before"]
    done.set()
    await task
    assert await harbour.Boat.all().count() == 2


async def test_a_task_that_outlives_its_transaction_cannot_write_into_another(lite: Database, harbour: Any) -> None:
    go = asyncio.Event()

    async def late() -> None:
        await go.wait()
        await harbour.Boat.create(name="late")

    async with lite.transaction():
        task = asyncio.create_task(late())
    async with lite.transaction():
        go.set()
        with pytest.raises(TransactionManagementError, match="ended"):
            await task
    assert await harbour.Boat.all().count() == 0


async def test_two_databases_in_one_process(models: str, harbour: Any, tmp_path: Path) -> None:
    first, second = (Database("sqlite://own.db", tmp_path / name) for name in ("a", "b"))
    for database in (first, second):
        await database.open({"harbour": [models]})
        await database.create_tables()

    async def fill(database: Database, name: str) -> list[str]:
        with database.activate():
            for _ in range(10):
                async with database.transaction():
                    await asyncio.create_task(harbour.Boat.create(name=name))
            found: list[str] = await harbour.Boat.all().values_list("name", flat=True)
            return found

    try:
        assert await asyncio.gather(fill(first, "a"), fill(second, "b")) == [["a"] * 10, ["b"] * 10]
    finally:
        await first.close()
        await second.close()


async def test_the_same_models_on_two_dialects_at_once_are_refused(
    lite: Database, models: str, postgres_url: str, data_dir: Path
) -> None:
    with pytest.raises(RuntimeError, match="SQLite and PostgreSQL"):
        await Database(postgres_url, data_dir).open({"harbour": [models]})


async def test_one_dialect_after_the_other(models: str, harbour: Any, postgres_url: str, data_dir: Path) -> None:
    for url in ("sqlite://a.db", postgres_url, "sqlite://b.db"):
        database = Database(url, data_dir)
        with database.activate():
            await database.open({"harbour": [models]})
            await database.create_tables()
            boat = await harbour.Boat.create(name="x")
            boat.name = "y"
            await boat.save()
            assert await harbour.Boat.get(name="y") == boat
            await database.close()


async def test_add_app_on_the_live_database(db: Database, harbour: Any, package: Callable[..., str]) -> None:
    await harbour.Boat.create(name="old")
    text = """
        from tortoise import fields
        from tortoise.models import Model

        class Note(Model):
            id = fields.IntField(primary_key=True)
            text = fields.TextField()

            class Meta:
                table = "{table}"
        """
    good = package({"models.py": text.replace("{table}", "notes_notes")})
    clash = package({"models.py": text.replace("{table}", "harbour_boats")})
    broken = package({"models.py": "import nothing_of_this_name\n"})
    with pytest.raises(StartError, match=r"harbour_boats is claimed by harbour\.Boat and by clash\.Note"):
        await db.add_app("clash", [f"{clash}.models"])
    with pytest.raises(StartError, match=r"models of broken cannot be imported.*nothing_of_this_name"):
        await db.add_app("broken", [f"{broken}.models"])
    for _ in range(2):
        await db.add_app("notes", [f"{good}.models"])
    await db.create_tables()
    await importlib.import_module(f"{good}.models").Note.create(text="x")
    assert await harbour.Boat.all().count() == 1


async def test_what_is_on_disk_is_private(lite: Database, harbour: Any, data_dir: Path) -> None:
    await harbour.Boat.create(name="x")
    files = sorted(data_dir.iterdir())
    assert [file.name for file in files] == ["moorage.db", "moorage.db-shm", "moorage.db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


async def test_sqlite_is_set_for_durability(lite: Database) -> None:
    for pragma, value in {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 300}.items():
        _, rows = await lite.connection().execute_query(f"PRAGMA {pragma}")
        assert rows[0][0] == value, pragma


async def test_closing_ends_a_transaction_that_hangs(
    lite: Database, harbour: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.db.sqlite.CLOSE_TIMEOUT", 0.1)
    inside = asyncio.Event()

    async def hang() -> None:
        async with lite.transaction():
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await inside.wait()
    await asyncio.wait_for(lite.close(), WAIT)
    assert not lite.is_open
    with pytest.raises(Unavailable):
        await lite.ping()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_lost_connection_is_unavailable_and_comes_back(
    postgres_url: str, data_dir: Path, models: str, harbour: Any
) -> None:
    database = Database(postgres_url, data_dir, pool_max=2)
    with database.activate():
        await database.open({"harbour": [models]})
        try:
            await database.create_tables()
            other = await asyncpg.connect(postgres_url)

            async def lose() -> None:
                async with database.transaction():
                    await other.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                    await harbour.Boat.create(name="lost")

            with pytest.raises(Unavailable):
                await lose()
            await other.close()
            await harbour.Boat.create(name="back")
            assert await harbour.Boat.all().values_list("name", flat=True) == ["back"]
        finally:
            await database.close()


async def test_a_pool_without_a_free_connection_says_so(
    postgres_url: str, data_dir: Path, models: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.db.postgres.ACQUIRE_TIMEOUT", 0.2)
    database = Database(postgres_url, data_dir, pool_max=1)
    with database.activate():
        await database.open({"harbour": [models]})
        taken, done = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with database.transaction():
                taken.set()
                await done.wait()

        task = asyncio.create_task(hold())
        await taken.wait()
        with pytest.raises(Unavailable):
            await database.ping()
        with pytest.raises(Unavailable, match="no free connection"):
            async with database.transaction():
                pass
        done.set()
        await task
        assert await database.ping() >= 0
        await database.close()
