"""The runner: fresh and old databases, failures, kills, two runners at once, and what it refuses."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from moorage.db import Database
from moorage.db.migrate import CORE, MigrationError, Source, sources, status, upgrade
from moorage.errors import StartError
from moorage.plugin import Manifest
from waits import WAIT

PLACES = {
    "sqlite": "CREATE TABLE harbour_places (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, name TEXT NOT NULL UNIQUE)",
    "postgres": "CREATE TABLE harbour_places (id SERIAL PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
}
BOATS = """
    CREATE TABLE harbour_boats (id INTEGER PRIMARY KEY, name TEXT,
        place_id INT NOT NULL REFERENCES harbour_places (id) ON DELETE CASCADE);
    CREATE INDEX idx_boats_name ON harbour_boats (name);
    """
FIRST = {dialect: f"{sql};{BOATS}" for dialect, sql in PLACES.items()}

MakeSource = Callable[..., Source]
StartPython = Callable[..., "subprocess.Popen[str]"]


async def run_sql(url: str, data_dir: Path, *statements: str) -> list[dict[str, Any]]:
    """Run statements by hand; the rows of the last one."""
    database = Database(url, data_dir)
    await database.open({"aerich": ["moorage.db.ledger"]})
    try:
        for statement in statements[:-1]:
            await database.connection().execute_query(statement)
        return await database.connection().execute_query_dict(statements[-1])
    finally:
        await database.close()


async def tables(url: str, data_dir: Path) -> set[str]:
    if url.startswith("sqlite"):
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    else:
        query = "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'"
    return {row["name"] for row in await run_sql(url, data_dir, query)}


async def test_a_fresh_database_and_a_second_run(url: str, data_dir: Path, source: MakeSource) -> None:
    harbour = source("harbour", {"0001_init": FIRST, "0002_flag": "ALTER TABLE harbour_boats ADD flag TEXT"})
    notes = source("notes", {"0001_init": "CREATE TABLE notes_notes (id INT)"})
    before = await status(url, data_dir, [harbour, notes])
    assert [(str(found.version), found.applied) for found in before] == [
        ("harbour 0001_init", False),
        ("harbour 0002_flag", False),
        ("notes 0001_init", False),
    ]
    assert not data_dir.exists() or not (data_dir / "moorage.db").exists()
    applied = await upgrade(url, data_dir, [harbour, notes])
    assert [str(version) for version in applied] == ["harbour 0001_init", "harbour 0002_flag", "notes 0001_init"]
    assert await tables(url, data_dir) == {"aerich", "harbour_places", "harbour_boats", "notes_notes"}
    assert await upgrade(url, data_dir, [harbour, notes]) == []
    assert await upgrade(url, data_dir, [notes]) == []
    assert all(found.applied for found in await status(url, data_dir, [harbour, notes]))
    # Nothing held data, so nothing was copied.
    assert not (data_dir / "backups").exists()


async def test_an_old_database_with_data_is_copied_and_migrated(url: str, data_dir: Path, source: MakeSource) -> None:
    await upgrade(url, data_dir, [source("harbour", {"0001_init": FIRST})])
    await run_sql(
        url,
        data_dir,
        "INSERT INTO harbour_places (id, name) VALUES (1, 'Kiel')",
        "INSERT INTO harbour_boats (id, name, place_id) VALUES (7, 'Anna', 1)",
        "SELECT 1",
    )
    # A NOT NULL column with a default, and on SQLite a change of type: a new table that takes the old one's rows.
    rebuild = """
        CREATE TABLE new_places (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, name VARCHAR(80) NOT NULL UNIQUE);
        INSERT INTO new_places (id, name) SELECT id, name FROM harbour_places;
        DROP TABLE harbour_places;
        ALTER TABLE new_places RENAME TO harbour_places;
        """
    second = {
        "sqlite": f"ALTER TABLE harbour_boats ADD sail TEXT NOT NULL DEFAULT 'white';{rebuild}",
        "postgres": "ALTER TABLE harbour_boats ADD sail TEXT NOT NULL DEFAULT 'white';"
        "ALTER TABLE harbour_places ALTER name TYPE VARCHAR(80)",
    }
    newer = source("harbour", {"0001_init": FIRST, "0002_sail": second})
    assert [str(version) for version in await upgrade(url, data_dir, [newer])] == ["harbour 0002_sail"]
    found = await run_sql(
        url,
        data_dir,
        "SELECT b.id, b.name, b.sail, p.name AS place FROM harbour_boats b JOIN harbour_places p ON p.id = b.place_id",
    )
    assert [dict(row) for row in found] == [{"id": 7, "name": "Anna", "sail": "white", "place": "Kiel"}]
    if url.startswith("sqlite"):
        copy = data_dir / "backups" / "before-harbour-0002_sail.db"
        assert copy.stat().st_mode & 0o777 == 0o600
        old = await run_sql(f"sqlite://{copy}", data_dir, "SELECT * FROM harbour_boats")
        assert old == [{"id": 7, "name": "Anna", "place_id": 1}]
        # Foreign keys hold again, and still lead to the table that was rebuilt.
        with pytest.raises(Exception, match="FOREIGN KEY"):
            await run_sql(url, data_dir, "INSERT INTO harbour_boats (id, place_id) VALUES (8, 99)", "SELECT 1")


async def test_a_failing_migration_is_rolled_back_whole(url: str, data_dir: Path, source: MakeSource) -> None:
    bad = "CREATE TABLE harbour_half (id INT); ALTER TABLE harbour_nowhere\n ADD colour TEXT; SELECT 1"
    harbour = source("harbour", {"0001_init": FIRST, "0002_good": "SELECT 1", "0003_bad": bad, "0004_on": "SELECT 1"})
    with pytest.raises(MigrationError) as caught:
        await upgrade(url, data_dir, [harbour])
    assert caught.value.exit_code == 4
    assert caught.value.label == "harbour"
    text = str(caught.value)
    assert "The migration harbour 0003_bad of " in text
    assert "failed and was rolled back at the statement: ALTER TABLE harbour_nowhere ADD colour TEXT\n" in text
    assert "harbour_nowhere" in text.splitlines()[-1]
    assert await tables(url, data_dir) == {"aerich", "harbour_places", "harbour_boats"}
    done = {found.version.name: found.applied for found in await status(url, data_dir, [harbour])}
    assert done == {"0001_init": True, "0002_good": True, "0003_bad": False, "0004_on": False}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("async def upgrade(db):\n    raise KeyError('boat')", "KeyError: 'boat'|'boat'"),
        ('async def upgrade(db):\n    return "SELECT \'x"', "has no end"),
        ("def upgrade(db:\n    return ''", "cannot be loaded from .*SyntaxError"),
        ("import no_such_thing\nasync def upgrade(db):\n    return ''", "cannot be loaded from .*no_such_thing"),
    ],
)
async def test_a_broken_file(url: str, data_dir: Path, source: MakeSource, text: str, reason: str) -> None:
    with pytest.raises(StartError, match=reason) as caught:
        await upgrade(url, data_dir, [source("harbour", {"0001_init": text})])
    assert "harbour 0001_init" in str(caught.value)
    assert caught.value.exit_code == 4
    assert "harbour" not in await tables(url, data_dir)


async def test_rows_that_would_lose_their_parents(data_dir: Path, source: MakeSource) -> None:
    url = "sqlite://moorage.db"
    await upgrade(url, data_dir, [source("harbour", {"0001_init": FIRST})])
    await run_sql(
        url,
        data_dir,
        "INSERT INTO harbour_places (id, name) VALUES (1, 'Kiel')",
        "INSERT INTO harbour_boats (id, place_id) VALUES (7, 1)",
        "SELECT 1",
    )
    newer = source("harbour", {"0001_init": FIRST, "0002_sink": "DELETE FROM harbour_places"})
    with pytest.raises(MigrationError, match="foreign_key_check"):
        await upgrade(url, data_dir, [newer])
    assert await run_sql(url, data_dir, "SELECT id FROM harbour_boats") == [{"id": 7}]
    assert await run_sql(url, data_dir, "SELECT id FROM harbour_places") == [{"id": 1}]


async def test_a_start_that_fails_again_and_again_fills_no_disk(data_dir: Path, source: MakeSource) -> None:
    url = "sqlite://moorage.db"
    await upgrade(url, data_dir, [source("harbour", {"0001_init": FIRST})])
    newer = source("harbour", {"0001_init": FIRST, "0002_bad": "nonsense"})
    for _ in range(3):
        with pytest.raises(MigrationError):
            await upgrade(url, data_dir, [newer])
    assert [file.name for file in (data_dir / "backups").iterdir()] == ["before-harbour-0002_bad.db"]


async def test_no_migration_without_its_backup(data_dir: Path, source: MakeSource) -> None:
    url = "sqlite://moorage.db"
    await upgrade(url, data_dir, [source("harbour", {"0001_init": FIRST})])
    (data_dir / "backups").write_text("in the way")
    newer = source("harbour", {"0001_init": FIRST, "0002_drop": "DROP TABLE harbour_boats"})
    with pytest.raises(StartError, match="backups"):
        await upgrade(url, data_dir, [newer])
    assert "harbour_boats" in await tables(url, data_dir)


async def test_a_damaged_database(data_dir: Path, source: MakeSource) -> None:
    harbour = source("harbour", {"0001_init": FIRST})
    await upgrade("sqlite://moorage.db", data_dir, [harbour])
    file = data_dir / "moorage.db"
    content = bytearray(file.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    file.write_bytes(content)
    with pytest.raises(StartError, match=r"is damaged .*moorage db restore") as caught:
        await upgrade("sqlite://moorage.db", data_dir, [harbour])
    assert caught.value.exit_code == 4


async def test_a_newer_schema_is_refused(url: str, data_dir: Path, source: MakeSource) -> None:
    await upgrade(url, data_dir, [source("harbour", {"0001_init": FIRST, "0002_new": "SELECT 1"})])
    older = source("harbour", {"0001_init": FIRST})
    with pytest.raises(StartError) as caught:
        await upgrade(url, data_dir, [older])
    assert caught.value.exit_code == 4
    assert "it has harbour 0002_new, and the newest that this one knows is harbour 0001_init" in str(caught.value)
    assert "moorage db restore" in str(caught.value)
    shown = await status(url, data_dir, [older])
    assert [(str(found.version), found.applied, found.known) for found in shown] == [
        ("harbour 0001_init", True, True),
        ("harbour 0002_new", True, False),
    ]
    # The owner of other tables does not mind.
    assert await upgrade(url, data_dir, [source("notes", {"0001_init": "SELECT 1"})])


async def test_a_different_history_is_refused(url: str, data_dir: Path, source: MakeSource) -> None:
    await upgrade(url, data_dir, [source("harbour", {"0001_init": FIRST, "0003_c": "SELECT 1"})])
    with pytest.raises(StartError, match="has harbour 0003_c but not harbour 0002_b, which comes before it"):
        await upgrade(url, data_dir, [source("harbour", {"0001_init": FIRST, "0002_b": "", "0003_c": ""})])


@pytest.mark.parametrize(
    ("versions", "reason"),
    [
        ({"0001_init": "", "1_again": ""}, "Two migrations of harbour have the number 1"),
        ({"0001_init": "", "second": ""}, "is no migration: its name must be like"),
    ],
)
async def test_wrong_files(data_dir: Path, source: MakeSource, versions: dict[str, str], reason: str) -> None:
    with pytest.raises(StartError, match=reason):
        await upgrade("sqlite://moorage.db", data_dir, [source("harbour", versions)])


async def test_missing_files(data_dir: Path, package: Callable[..., str]) -> None:
    for migrations, reason in (
        (package({}), "harbour has no migrations for sqlite"),
        ("no_such_one", "no package"),
    ):
        with pytest.raises(StartError, match=reason):
            await upgrade("sqlite://moorage.db", data_dir, [Source("harbour", (), migrations)])


def test_sources_of_manifests() -> None:
    plain = Manifest(name="plain", version="1", summary="")
    notes = Manifest(name="notes", version="1", summary="", models="notes.models", migrations="notes.migrations")
    assert sources([plain, notes]) == [CORE, Source("notes", ("notes.models",), "notes.migrations")]
    with pytest.raises(StartError, match="bare has models but no migrations"):
        sources([Manifest(name="bare", version="1", summary="", models="bare.models")])


UPGRADE = """
import asyncio, sys
from pathlib import Path
from moorage.db.migrate import Source, upgrade

url, folder, package = sys.argv[1:]
source = Source("harbour", (), package)
if sys.stdin.isatty() is False:
    print("ready", flush=True)
    sys.stdin.readline()
for version in asyncio.run(upgrade(url, Path(folder), [source])):
    print(version.name, flush=True)
"""


async def test_several_runners_at_once(url: str, data_dir: Path, source: MakeSource, start_python: StartPython) -> None:
    versions: dict[str, Any] = {"0001_init": FIRST}
    versions |= {f"{n:04d}_more": f"CREATE TABLE harbour_t{n} (id INT)" for n in range(2, 12)}
    harbour = source("harbour", versions)
    runners = [start_python(UPGRADE, url, data_dir, harbour.migrations, stdin=subprocess.PIPE) for _ in range(4)]
    for runner in runners:
        assert runner.stdout is not None
        assert await asyncio.to_thread(runner.stdout.readline) == "ready\n"
    ended = await asyncio.gather(*(asyncio.to_thread(runner.communicate, "go\n", 60) for runner in runners))
    assert [runner.returncode for runner in runners] == [0] * 4, ended
    applied = [name for out, _ in ended for name in out.splitlines()]
    assert sorted(applied) == sorted(versions)
    ledger = await run_sql(url, data_dir, "SELECT version FROM aerich")
    assert sorted(row["version"] for row in ledger) == sorted(f"{name}.py" for name in versions)


HALF = """
import asyncio
from pathlib import Path


async def upgrade(db):
    await db.execute_query("CREATE TABLE harbour_half (id INT)")
    await db.execute_query("INSERT INTO harbour_places (id, name) VALUES (2, 'half')")
    Path({marker!r}).touch()
    {then}
"""


async def killed_in_the_middle(url: str, data_dir: Path, package: str, marker: Path, start_python: StartPython) -> None:
    """Start a runner on the package's migrations and kill it once it has made `marker`."""
    runner = start_python(UPGRADE, url, data_dir, package, stdin=subprocess.PIPE)
    assert runner.stdin is not None
    runner.stdin.write("go\n")
    runner.stdin.flush()
    for _ in range(1000):
        if marker.exists():
            break
        assert runner.poll() is None, runner.communicate()
        await asyncio.sleep(0.02)
    runner.kill()
    runner.wait(10)


async def test_killed_in_the_middle_of_a_migration(
    url: str, data_dir: Path, tmp_path: Path, source: MakeSource, start_python: StartPython
) -> None:
    await upgrade(url, data_dir, [source("harbour", {"0001_init": FIRST})])
    marker = tmp_path / "marker"
    hanging = HALF.format(marker=str(marker), then="await asyncio.sleep(60)")
    stuck = source("harbour", {"0001_init": FIRST, "0002_half": hanging})
    await killed_in_the_middle(url, data_dir, stuck.migrations, marker, start_python)
    good = source("harbour", {"0001_init": FIRST, "0002_half": "CREATE TABLE harbour_half (id INT)"})
    assert [str(version) for version in await upgrade(url, data_dir, [good])] == ["harbour 0002_half"]
    assert await run_sql(url, data_dir, "SELECT * FROM harbour_places") == []


async def test_killed_while_postgres_is_busy_with_a_statement(
    postgres_url: str, data_dir: Path, tmp_path: Path, source: MakeSource, start_python: StartPython
) -> None:
    """The server's process must not go on for its five minutes with the lock in its hand."""
    await upgrade(postgres_url, data_dir, [source("harbour", {"0001_init": FIRST})])
    marker = tmp_path / "marker"
    busy = HALF.format(marker=str(marker), then="return 'SELECT pg_sleep(300)'")
    stuck = source("harbour", {"0001_init": FIRST, "0002_half": busy})
    await killed_in_the_middle(postgres_url, data_dir, stuck.migrations, marker, start_python)
    good = source("harbour", {"0001_init": FIRST, "0002_half": "CREATE TABLE harbour_half (id INT)"})
    assert await asyncio.wait_for(upgrade(postgres_url, data_dir, [good]), WAIT)


async def test_waiting_for_another_runner_has_an_end(
    url: str, data_dir: Path, tmp_path: Path, source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "marker"
    text = f"""
        import asyncio
        from pathlib import Path

        async def upgrade(db):
            Path({str(marker)!r}).touch()
            await asyncio.sleep(60)
        """
    stuck = asyncio.create_task(upgrade(url, data_dir, [source("harbour", {"0001_init": text})]))
    while not marker.exists():
        await asyncio.sleep(0.01)
    monkeypatch.setattr("moorage.db.migrate.LOCK_TIMEOUT", 1)
    with pytest.raises(StartError, match="Another process has been migrating the database for more than 1 s"):
        await upgrade(url, data_dir, [source("notes", {"0001_init": "SELECT 1"})])
    stuck.cancel()
    await asyncio.gather(stuck, return_exceptions=True)
    assert await upgrade(url, data_dir, [source("notes", {"0001_init": "SELECT 1"})])


def test_a_run_with_nothing_to_do_is_quick_and_loads_no_generator(
    data_dir: Path, run_python: Callable[..., str]
) -> None:
    script = """
        import asyncio, sys, time
        from pathlib import Path
        from moorage.db.migrate import CORE, upgrade

        started = time.process_time()
        applied = asyncio.run(upgrade("sqlite://moorage.db", Path(sys.argv[1]), [CORE]))
        print(len(applied), time.process_time() - started, "aerich" in sys.modules, "asyncpg" in sys.modules)
        """
    assert run_python(script, data_dir).split()[0] != "0"
    applied, seconds, aerich, asyncpg = run_python(script, data_dir).split()
    assert (applied, aerich, asyncpg) == ("0", "False", "False")
    # Of computing; some 10 ms are needed. What passes meanwhile is the machine's.
    assert float(seconds) < 0.3
