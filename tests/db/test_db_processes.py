"""Several processes on one database, and processes that are killed: no failure, no committed row lost."""

from __future__ import annotations

import asyncio
import importlib
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from moorage.db import Database

PROCESSES, ROUNDS = 4, 25

COUNT = """
import asyncio, importlib, sys
from pathlib import Path
from moorage.db import Database

url, folder, models, rounds = sys.argv[1:]
Boat = importlib.import_module(models).Boat


async def main():
    database = Database(url, Path(folder))
    with database.activate():
        await database.open({"harbour": [models]})
        try:
            print("ready", flush=True)
            sys.stdin.readline()
            for _ in range(int(rounds)):
                async with database.transaction():
                    boat = await Boat.all().select_for_update().get(id=1)
                    boat.visits += 1
                    await boat.save()
        finally:
            await database.close()


asyncio.run(main())
"""


async def test_read_then_write_from_several_processes(
    url: str, data_dir: Path, models: str, start_python: Callable[..., subprocess.Popen[str]]
) -> None:
    database = Database(url, data_dir)
    with database.activate():
        await database.open({"harbour": [models]})
        await database.create_tables()
        boat_class = importlib.import_module(models).Boat
        boat = await boat_class.create(name="counted")
        workers = [start_python(COUNT, url, data_dir, models, ROUNDS, stdin=subprocess.PIPE) for _ in range(PROCESSES)]
        for worker in workers:
            assert worker.stdout is not None
            assert await asyncio.to_thread(worker.stdout.readline) == "ready\n"
        ended = await asyncio.gather(*(asyncio.to_thread(worker.communicate, "go\n", 60) for worker in workers))
        assert [worker.returncode for worker in workers] == [0] * PROCESSES, ended
        await boat.refresh_from_db()
        assert boat.visits == PROCESSES * ROUNDS
        await database.close()


OUTSIDE = """
import sqlite3, sys

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("UPDATE harbour_boats SET visits = visits + 1")
connection.close()
"""


async def test_a_second_look_at_an_open_file_leaves_its_log_in_place(
    data_dir: Path, models: str, start_python: Callable[..., subprocess.Popen[str]]
) -> None:
    """As a reload does it: migrations open the file again, then a command of another process comes and goes."""
    database, file = Database("sqlite://moorage.db", data_dir), data_dir / "moorage.db"
    with database.activate():
        await database.open({"harbour": [models]})
        await database.create_tables()
        boat = await importlib.import_module(models).Boat.create(name="counted")
        log = (data_dir / "moorage.db-wal").stat().st_ino
        second = Database("sqlite://moorage.db", data_dir)
        with second.activate():
            await second.open({"harbour": [models]})
            await second.close()
        assert await asyncio.to_thread(start_python(OUTSIDE, file).wait, 30) == 0
        assert (data_dir / "moorage.db-wal").stat().st_ino == log, "the command deleted the log that is in use"
        await boat.refresh_from_db()
        assert boat.visits == 1
        boat.visits = 5
        await boat.save()
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("SELECT visits FROM harbour_boats").fetchall() == [(5,)]
        await database.close()


WRITE = """
import asyncio, importlib, sys
from pathlib import Path
from moorage.db import Database

url, folder, models = sys.argv[1:]
Boat = importlib.import_module(models).Boat


async def main():
    database = Database(url, Path(folder))
    with database.activate():
        await database.open({"harbour": [models]})
        while True:
            async with database.transaction():
                boat = await Boat.create(name="x" * 40)
                await Boat.filter(id=boat.id).update(visits=1)
            print(boat.id, flush=True)


asyncio.run(main())
"""


async def test_kill_loses_no_committed_row(
    url: str, data_dir: Path, models: str, start_python: Callable[..., subprocess.Popen[str]]
) -> None:
    database = Database(url, data_dir)
    committed: list[int] = []
    with database.activate():
        await database.open({"harbour": [models]})
        await database.create_tables()
        await database.close()
        for kill_after in (1, 20, 57):
            writer = start_python(WRITE, url, data_dir, models)
            assert writer.stdout is not None
            committed += [int(await asyncio.to_thread(writer.stdout.readline)) for _ in range(kill_after)]
            writer.kill()
            rest, _ = await asyncio.to_thread(writer.communicate, None, 10)
            # Lines that were on their way; the last may be cut.
            committed += [int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
            await database.open({"harbour": [models]})
            found = dict(await importlib.import_module(models).Boat.all().values_list("id", "visits"))
            assert set(committed) <= set(found)
            assert set(found.values()) == {1}, "half of a transaction"
            await database.close()
    if database.dialect == "sqlite":
        with closing(sqlite3.connect(database.target.file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("crash", ["raise SystemExit", "os.kill(os.getpid(), 9)"])
def test_rows_written_outside_of_a_transaction_are_committed(
    data_dir: Path, models: str, start_python: Callable[..., subprocess.Popen[str]], crash: str
) -> None:
    script = f"""
        import asyncio, importlib, os, sys
        from pathlib import Path
        from moorage.db import Database

        Boat = importlib.import_module(sys.argv[2]).Boat

        async def main():
            database = Database("sqlite://moorage.db", Path(sys.argv[1]))
            with database.activate():
                await database.open({{"harbour": [sys.argv[2]]}})
                await database.create_tables()
                await Boat.create(name="one")
                await Boat.bulk_create([Boat(name="two"), Boat(name="three")])
                {crash}

        asyncio.run(main())
        """
    start_python(script, data_dir, models).communicate(timeout=20)
    with closing(sqlite3.connect(data_dir / "moorage.db")) as connection:
        assert connection.execute("SELECT count(*) FROM harbour_boats").fetchone() == (3,)
