"""Backups of SQLite files: taken from under a writer, put back whole, and refused when they are not sound."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from moorage.db import DataDirLock
from moorage.db.backup import backup_sqlite, restore_sqlite
from moorage.errors import StartError


def make(file: Path, rows: int, *, ledger: bool = True) -> None:
    """A database of ours with that many boats."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE boats (id INTEGER PRIMARY KEY, a TEXT, b TEXT)")
        if ledger:
            connection.execute("CREATE TABLE aerich (id INTEGER PRIMARY KEY, version TEXT, app TEXT, content JSON)")
        connection.executemany("INSERT INTO boats (a, b) VALUES (?, ?)", [("x" * 300, "y")] * rows)
        connection.commit()


def count(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found: int = connection.execute("SELECT count(*) FROM boats").fetchone()[0]
        return found


WRITER = """
import sqlite3, sys

connection = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
while True:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO boats (a) VALUES (?)", ("x" * 300,))
    connection.execute("UPDATE boats SET b = 'y' WHERE b IS NULL")
    connection.execute("COMMIT")
    print("row", flush=True)
"""


def test_a_backup_from_under_a_writer(
    data_dir: Path, tmp_path: Path, start_python: Callable[..., subprocess.Popen[str]]
) -> None:
    database = data_dir / "moorage.db"
    make(database, 2000)
    writer = start_python(WRITER, database)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "row\n"
    before = count(database)
    copies = [tmp_path / "copies" / f"{n}.db" for n in range(3)]
    for copy in copies:
        backup_sqlite(database, copy)
    assert writer.poll() is None
    after = count(database)
    counts = [count(copy) for copy in copies]
    assert before <= counts[0] <= counts[1] <= counts[2] <= after
    for copy in copies:
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("SELECT count(*) FROM boats WHERE b IS NULL").fetchone() == (0,), "half a write"
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    # One file each, nothing beside it.
    assert sorted(copies[0].parent.iterdir()) == copies


def test_a_backup_is_never_written_over(data_dir: Path, tmp_path: Path) -> None:
    make(data_dir / "moorage.db", 1)
    copy = tmp_path / "copy.db"
    copy.write_text("precious")
    with pytest.raises(StartError, match="exists already"):
        backup_sqlite(data_dir / "moorage.db", copy)
    assert copy.read_text() == "precious"


def test_a_backup_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="There is no database file"):
        backup_sqlite(tmp_path / "none.db", tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []


def damage(file: Path) -> None:
    """Spoil the pages of the rows, not the header."""
    content = bytearray(file.read_bytes())
    for page in range(4, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    file.write_bytes(content)


def test_a_damaged_database_gives_no_backup(data_dir: Path, tmp_path: Path) -> None:
    make(data_dir / "moorage.db", 500)
    damage(data_dir / "moorage.db")
    with pytest.raises(StartError, match=r"damaged|malformed"):
        backup_sqlite(data_dir / "moorage.db", tmp_path / "copies" / "copy.db")
    assert list((tmp_path / "copies").iterdir()) == []


def test_restore_replaces_all_and_keeps_what_was_there(data_dir: Path, tmp_path: Path) -> None:
    database, copy = data_dir / "moorage.db", tmp_path / "copy.db"
    make(database, 3)
    backup_sqlite(database, copy)
    # What the server left in its log when it was killed belongs to the database that is replaced.
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DELETE FROM boats WHERE id > 1")
        connection.execute("CREATE TABLE newer (id INTEGER)")
        connection.commit()
        kept = restore_sqlite(copy, database, data_dir)
        # A command that has the file open sees the restored rows, not a mixture.
        assert connection.execute("SELECT count(*) FROM boats").fetchone() == (3,)
        assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'newer'").fetchone() is None
    assert count(database) == 3
    assert kept is not None
    assert count(kept) == 1
    assert copy.exists()


def test_restore_where_there_is_nothing(data_dir: Path, tmp_path: Path) -> None:
    make(tmp_path / "copy.db", 5)
    assert restore_sqlite(tmp_path / "copy.db", data_dir / "moorage.db", data_dir) is None
    assert count(data_dir / "moorage.db") == 5
    assert stat.S_IMODE((data_dir / "moorage.db").stat().st_mode) == 0o600


@pytest.mark.parametrize("how", ["pages", "header"])
def test_restore_over_a_damaged_file(data_dir: Path, tmp_path: Path, how: str) -> None:
    database, copy = data_dir / "moorage.db", tmp_path / "copy.db"
    make(database, 500)
    backup_sqlite(database, copy)
    if how == "pages":
        damage(database)
    else:
        database.write_bytes(b"not a database at all" * 500)
    spoilt = database.read_bytes()
    kept = restore_sqlite(copy, database, data_dir)
    assert count(database) == 500
    assert kept is not None
    assert kept.name.endswith("-damaged.db")
    assert kept.read_bytes() == spoilt


def test_restore_is_refused_while_a_server_holds_the_folder(data_dir: Path, tmp_path: Path) -> None:
    make(data_dir / "moorage.db", 1)
    make(tmp_path / "copy.db", 2)
    with DataDirLock(data_dir), pytest.raises(StartError, match="is in use by process"):
        restore_sqlite(tmp_path / "copy.db", data_dir / "moorage.db", data_dir)
    assert count(data_dir / "moorage.db") == 1


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "There is no file"),
        ("text", "is no sound SQLite database"),
        ("damaged", "is no sound SQLite database"),
        ("foreign", "not one of Moorage"),
    ],
)
def test_what_cannot_be_restored(data_dir: Path, tmp_path: Path, kind: str, reason: str) -> None:
    make(data_dir / "moorage.db", 1)
    copy = tmp_path / "copy.db"
    if kind == "text":
        copy.write_text("boats " * 100)
    elif kind != "missing":
        make(copy, 500, ledger=kind != "foreign")
    if kind == "damaged":
        damage(copy)
    with pytest.raises(StartError, match=reason) as caught:
        restore_sqlite(copy, data_dir / "moorage.db", data_dir)
    assert caught.value.exit_code == 4
    assert count(data_dir / "moorage.db") == 1
    assert not (data_dir / "backups").exists()
