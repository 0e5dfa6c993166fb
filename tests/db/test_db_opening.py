"""A database that cannot be opened: one clear text for the operator, never with a password in it."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from moorage.db import Database
from moorage.db.url import parse, without_password
from moorage.errors import StartError

LEDGER = {"aerich": ["moorage.db.ledger"]}


async def refusal(url: str, data_dir: Path) -> str:
    """The text with which opening fails; nothing is left open after it."""
    database = Database(url, data_dir)
    with pytest.raises(StartError) as caught:
        await database.open(LEDGER)
    assert caught.value.exit_code == 4
    assert not database.is_open
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("moorage.db", "not a URL"),
        ("mysql://x/y", "unknown kind of database 'mysql'"),
        ("sqlite://", "names no file"),
        ("sqlite:///srv/", "names no file"),
        ("sqlite://:memory:", "in memory"),
        ("sqlite://a.db?journal_mode=off", "unknown option 'journal_mode'"),
        ("sqlite://a.db?synchronous=off", "synchronous=OFF"),
        ("sqlite://a.db?busy_timeout=soon", "number of milliseconds"),
        ("postgres://u:pa:ss@h:port/db", "malformed PostgreSQL URL"),
        ("postgres://u:hunter2@[::1/db", "malformed PostgreSQL URL"),
    ],
)
def test_wrong_urls(url: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(StartError, match=reason) as caught:
        parse(url, tmp_path)
    assert caught.value.exit_code == 2
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("sqlite://moorage.db?synchronous=normal", "sqlite:///data/moorage.db"),
        ("sqlite://sub/my%20boats.db", "sqlite:///data/sub/my boats.db"),
        ("sqlite:////srv/moorage.db", "sqlite:///srv/moorage.db"),
        ("sqlite:///srv/moorage.db", "sqlite:///srv/moorage.db"),
        ("postgres://ann:hunter2@db.example:5433/boats?sslmode=require", "postgres://ann@db.example:5433/boats"),
        ("postgresql://ann@[::1]/boats?password=hunter2", "postgres://ann@[::1]/boats"),
        ("postgres:///boats?host=/run/postgresql", "postgres:///boats"),
    ],
)
def test_what_may_be_shown_of_a_url(url: str, public: str) -> None:
    target = parse(url, Path("/data"))
    assert target.public == public
    assert "hunter2" not in repr(target)


def test_the_password_is_taken_out_of_an_address() -> None:
    assert without_password("postgresql://ann:a%40b@h:1/d?sslmode=require&password=x") == (
        "postgresql://ann@h:1/d?sslmode=require",
        "a@b",
    )
    assert without_password("postgresql:///d?host=/run/pg&password=a%26b") == (
        "postgresql:///d?host=%2Frun%2Fpg",
        "a&b",
    )
    assert without_password("postgresql://h/d") == ("postgresql://h/d", None)


async def test_a_missing_folder(tmp_path: Path) -> None:
    text = await refusal(f"sqlite://{tmp_path}/nowhere/moorage.db", tmp_path)
    assert f"The folder {tmp_path}/nowhere of the database does not exist" in text
    # The data folder itself is made.
    database = Database("sqlite://moorage.db", tmp_path / "new" / "data")
    await database.open(LEDGER)
    await database.close()


async def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "moorage.db").mkdir()
    assert "is a folder" in await refusal("sqlite://moorage.db", tmp_path)


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "moorage.db"
    file.write_bytes(b"Once upon a time, there was a harbour. " * 200)
    before = file.read_bytes()
    text = await refusal("sqlite://moorage.db", tmp_path)
    assert f"The database file {file} is damaged or is no SQLite database" in text
    assert "moorage db restore" in text
    assert file.read_bytes() == before


async def test_a_database_with_a_damaged_page(tmp_path: Path) -> None:
    file = tmp_path / "moorage.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE aerich (id INTEGER PRIMARY KEY, version TEXT, app TEXT, content JSON)")
        connection.commit()
    content = bytearray(file.read_bytes())
    content[100:4096] = b"\xff" * 3996
    file.write_bytes(content)
    assert "is damaged" in await refusal("sqlite://moorage.db", tmp_path)


async def test_a_file_that_is_locked_for_good(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "moorage.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "is locked by another process" in await refusal("sqlite://moorage.db?busy_timeout=50", tmp_path)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user can reach, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="moorage-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


OPEN = """
import asyncio, os, sys
from pathlib import Path
from moorage.db import Database
from moorage.db.migrate import CORE, upgrade
from moorage.errors import StartError

folder = Path(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


async def main():
    for work in (Database("sqlite://moorage.db", folder).open({"aerich": ["moorage.db.ledger"]}),
                 upgrade("sqlite://moorage.db", folder, [CORE])):
        try:
            await work
        except StartError as error:
            print(error.exit_code, error)


asyncio.run(main())
"""


@pytest.mark.parametrize("with_file", [True, False])
def test_a_data_folder_that_cannot_be_written(
    open_folder: Path, with_file: bool, run_python: Callable[..., str]
) -> None:
    data = open_folder / "data"
    data.mkdir()
    if with_file:
        (data / "moorage.db").touch()
        (data / "moorage.db").chmod(0o666)
    data.chmod(0o555)
    lines = run_python(OPEN, data).splitlines()
    assert lines == [
        f"4 The database {data}/moorage.db cannot be written (Permission denied). "
        "The user who runs Moorage must be allowed to write both the file and its folder.",
        f"4 The folder {data}/run cannot be created: Permission denied.",
    ]


def replace(url: str, **parts: str) -> str:
    return urlunsplit(urlsplit(url)._replace(**parts))


async def test_a_wrong_postgres_password_user_or_name(postgres_url: str, tmp_path: Path) -> None:
    address = urlsplit(postgres_url)
    public = f"{address.username}@{address.hostname}:{address.port}"
    for password in ("hunter2", "x"):
        url = replace(postgres_url, netloc=f"{address.username}:{password}@{address.hostname}:{address.port}")
        text = await refusal(url, tmp_path)
        assert text == (
            f"PostgreSQL refuses the user or the password of postgres://{public}{address.path}. "
            "Check database.url (or database.url_file)."
        )
    text = await refusal(replace(postgres_url, path="/no_such_boats"), tmp_path)
    assert f"PostgreSQL has no such database: postgres://{public}/no_such_boats" in text


async def test_postgres_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        text = await refusal(f"postgres://ann:hunter2@127.0.0.1:{port}/boats", tmp_path)
    assert f"PostgreSQL cannot be reached at postgres://ann@127.0.0.1:{port}/boats" in text
    assert "hunter2" not in text


async def test_postgres_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moorage.db.postgres.CONNECT_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = await refusal(f"postgres://ann:hunter2@127.0.0.1:{silent.getsockname()[1]}/boats", tmp_path)
    assert "does not answer in time" in text


async def test_postgres_without_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "asyncpg", None)
    text = await refusal("postgres://ann@127.0.0.1/boats", tmp_path)
    assert "pip install 'moorage[postgres]'" in text


def test_a_crash_with_an_open_database_ends_the_process(
    tmp_path: Path, start_python: Callable[..., subprocess.Popen[str]]
) -> None:
    script = """
        import asyncio, sys
        from pathlib import Path
        from moorage.db import Database

        async def main():
            database = Database("sqlite://moorage.db", Path(sys.argv[1]))
            await database.open({"aerich": ["moorage.db.ledger"]})
            raise RuntimeError("crash")

        asyncio.run(main())
        """
    process = start_python(script, tmp_path)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "RuntimeError: crash" in err


def test_reading_a_url_needs_no_data_folder() -> None:
    assert parse("sqlite://a.db", Path("relative")).file == Path(os.getcwd(), "relative", "a.db")
