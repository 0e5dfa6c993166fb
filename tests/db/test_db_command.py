"""`moorage db …` as an operator runs it, on both kinds of database."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from moorage.cli.main import run
from moorage.db import Database, DataDirLock

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def moorage(url: str, data_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Command:
    """moorage(*arguments): exit code, output, errors; of the command with a configuration for `url`."""
    config = tmp_path / "moorage.toml"
    config.write_text(f'data_dir = "{data_dir}"\n[database]\nurl = "{url}"\n')

    def command(*arguments: object) -> tuple[int, str, str]:
        code = run(["--config", str(config), *map(str, arguments)])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return command


def test_upgrade_and_status(moorage: Command, url: str, data_dir: Path) -> None:
    code, out, _ = moorage("db", "status")
    assert code == 0
    assert "core 0001_init" in out
    assert "pending" in out
    code, out, _ = moorage("db", "upgrade")
    assert (code, out.splitlines()[0]) == (0, "Applied core 0001_init.")
    code, out, err = moorage("db", "upgrade")
    public = Database(url, data_dir).url_public
    assert (code, out, err) == (0, f"The database {public} is up to date.\n", "")
    code, out, _ = moorage("db", "status", "--json")
    assert {"label": "core", "version": "0001_init", "applied": True, "known": True} in json.loads(out)


async def users(url: str, data_dir: Path, *statements: str) -> list[str]:
    database = Database(url, data_dir)
    await database.open({"aerich": ["moorage.db.ledger"]})
    try:
        for statement in statements:
            await database.connection().execute_query(statement)
        rows = await database.connection().execute_query_dict("SELECT username FROM core_users ORDER BY id")
        return [row["username"] for row in rows]
    finally:
        await database.close()


def user(name: str) -> str:
    return (
        "INSERT INTO core_users (pid, username, username_key, name, role, active, created_at, updated_at) "
        f"VALUES ('{name}', '{name}', '{name}', '{name}', 'owner', '1', '2026-01-01', '2026-01-01')"
    )


def test_backup_and_restore(moorage: Command, url: str, data_dir: Path, tmp_path: Path) -> None:
    moorage("db", "upgrade")
    assert asyncio.run(users(url, data_dir, user("ann"))) == ["ann"]
    copy = tmp_path / "copy"
    code, out, err = moorage("db", "backup", copy)
    assert (code, err) == (0, "")
    assert f"to {copy}." in out
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    code, _, err = moorage("db", "backup", copy)
    assert code == 4
    assert "exists already" in err

    assert asyncio.run(users(url, data_dir, "DELETE FROM core_users", user("ben"))) == ["ben"]
    with DataDirLock(data_dir):
        code, _, err = moorage("db", "restore", copy)
    assert code == 4
    assert "is in use by process" in err
    assert asyncio.run(users(url, data_dir)) == ["ben"]

    code, out, err = moorage("db", "restore", copy)
    assert (code, err) == (0, "")
    assert asyncio.run(users(url, data_dir)) == ["ann"]
    kept = out.split("What was there before is in ")[1].strip().removesuffix(".")
    code, _, _ = moorage("db", "restore", kept)
    assert code == 0
    assert asyncio.run(users(url, data_dir)) == ["ben"]
    # Rows that come next get numbers of their own.
    assert asyncio.run(users(url, data_dir, user("eve"))) == ["ben", "eve"]


def test_a_backup_without_a_name(moorage: Command, url: str, data_dir: Path) -> None:
    moorage("db", "upgrade")
    assert moorage("db", "backup")[0] == 0
    (copy,) = (data_dir / "backups").iterdir()
    assert copy.suffix == (".db" if url.startswith("sqlite") else ".dump")


@pytest.mark.parametrize("content", [None, b"no archive"])
def test_restore_of_something_else(moorage: Command, tmp_path: Path, content: bytes | None) -> None:
    moorage("db", "upgrade")
    file = tmp_path / "other"
    if content is not None:
        file.write_bytes(content)
    code, _, err = moorage("db", "restore", file)
    assert code == 4
    assert str(file) in err or "archive" in err


def test_a_database_that_cannot_be_used(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "moorage.toml"
    config.write_text(f'[database]\nurl = "sqlite://{tmp_path}/nowhere/x.db"\n')
    for name in ("upgrade", "backup"):
        assert run(["--config", str(config), "db", name]) == 4
        assert "moorage: " in capfd.readouterr().err


class TestPostgres:
    """What only PostgreSQL can do wrong."""

    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url

    def test_tables_that_the_archive_lacks(self, moorage: Command, url: str, data_dir: Path, tmp_path: Path) -> None:
        moorage("db", "upgrade")
        moorage("db", "backup", tmp_path / "copy")
        asyncio.run(users(url, data_dir, "CREATE TABLE later (id INT)"))
        code, _, err = moorage("db", "restore", tmp_path / "copy")
        assert code == 4
        assert "has tables that" in err
        assert "later" in err

    def test_a_server_elsewhere(self, moorage: Command, url: str, data_dir: Path, tmp_path: Path) -> None:
        async def restore_beside_a_server() -> tuple[int, str, str]:
            database = Database(url, data_dir / "of-another-host")
            await database.open({"aerich": ["moorage.db.ledger"]})
            try:
                return await asyncio.to_thread(moorage, "db", "restore", tmp_path / "copy")
            finally:
                await database.close()

        moorage("db", "upgrade")
        moorage("db", "backup", tmp_path / "copy")
        code, _, err = asyncio.run(restore_beside_a_server())
        assert code == 4
        assert "of a Moorage server are open" in err

    def test_without_the_programs(self, moorage: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        moorage("db", "upgrade")
        monkeypatch.setenv("PATH", str(tmp_path))
        code, _, err = moorage("db", "backup")
        assert code == 4
        assert "pg_dump is not installed" in err

    def test_the_password_is_in_no_argument(
        self, moorage: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
    ) -> None:
        moorage("db", "upgrade")
        spy = tmp_path / "bin" / "pg_dump"
        spy.parent.mkdir()
        spy.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\necho "the server is unwell" >&2\nexit 1\n')
        spy.chmod(0o755)
        monkeypatch.setenv("PATH", f"{spy.parent}:/usr/bin:/bin")
        code, _, err = moorage("db", "backup", tmp_path / "copy")
        assert code == 4
        assert "pg_dump failed: the server is unwell" in err
        assert not (tmp_path / "copy").exists()
        arguments = (tmp_path / "arguments").read_text()
        password = urlsplit(url).password
        assert password
        assert password not in arguments
        assert unquote(password) not in arguments


def test_backup_makes_no_folder_for_a_file_that_was_named(moorage: Command, tmp_path: Path) -> None:
    moorage("db", "upgrade")
    code, _, err = moorage("db", "backup", tmp_path / "typo" / "copy.db")
    assert code == 4
    assert "There is no folder" in err
    assert not (tmp_path / "typo").exists()
