"""Cutting SQL into statements."""

from __future__ import annotations

import sqlite3

import pytest
from moorage.db.statements import split
from moorage.db.url import DIALECTS, Dialect


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("sql", "statements"),
    [
        ("", []),
        (" ;; -- nothing\n /* at all; */ ;", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;\nSELECT 2;\n", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';' ; SELECT 2", ["SELECT ';'", "SELECT 2"]),
        ("SELECT 'it''s; so'; SELECT 2", ["SELECT 'it''s; so'", "SELECT 2"]),
        ('SELECT "a;b"; SELECT 2', ['SELECT "a;b"', "SELECT 2"]),
        ("SELECT 1 -- one; two\n; SELECT 2", ["SELECT 1 -- one; two", "SELECT 2"]),
        ("SELECT 1 /* ; */ + 1; SELECT 2", ["SELECT 1 /* ; */ + 1", "SELECT 2"]),
        ("/* A client's; table */ SELECT 1;", ["/* A client's; table */ SELECT 1"]),
    ],
)
def test_both(dialect: Dialect, sql: str, statements: list[str]) -> None:
    assert split(sql, dialect) == statements


@pytest.mark.parametrize(
    ("sql", "statements"),
    [
        ("SELECT $$a;b$$; SELECT 2", ["SELECT $$a;b$$", "SELECT 2"]),
        ("DO $x$ BEGIN; $$ END $x$; SELECT 2", ["DO $x$ BEGIN; $$ END $x$", "SELECT 2"]),
        (r"SELECT E'it\'s;'; SELECT 2", [r"SELECT E'it\'s;'", "SELECT 2"]),
        (r"SELECT 'C:\'; SELECT 2", [r"SELECT 'C:\'", "SELECT 2"]),
        ("SELECT $1; SELECT a$b$c; SELECT 3", ["SELECT $1", "SELECT a$b$c", "SELECT 3"]),
        ("/* a /* b; */ c; */ SELECT 1", ["/* a /* b; */ c; */ SELECT 1"]),
    ],
)
def test_postgres(sql: str, statements: list[str]) -> None:
    assert split(sql, "postgres") == statements


def test_sqlite_triggers_and_odd_quotes() -> None:
    trigger = 'CREATE TRIGGER t AFTER INSERT ON "a;" BEGIN UPDATE [b;] SET `c;` = 1; DELETE FROM "d"; END'
    assert split(f"SELECT 1; {trigger}; SELECT 2", "sqlite") == ["SELECT 1", trigger, "SELECT 2"]


def test_sqlite_agrees_with_itself() -> None:
    """What we cut out of a real schema, SQLite takes one by one and ends with the same schema."""
    script = """
        CREATE TABLE a (x TEXT DEFAULT ';', y TEXT /* ';' */) /* it's; a table */;
        CREATE TABLE b (z); -- the end;
        CREATE TRIGGER c AFTER INSERT ON a BEGIN
            INSERT INTO b VALUES (new.x || ';');
            UPDATE b SET z = CASE WHEN z = ';' THEN 'END;' ELSE z END;
        END;
        INSERT INTO a (y) VALUES ('q;');
        """
    whole, cut = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
    try:
        whole.executescript(script)
        for statement in split(script, "sqlite"):
            cut.execute(statement)
        query = "SELECT sql FROM sqlite_master UNION ALL SELECT z FROM b"
        assert cut.execute(query).fetchall() == whole.execute(query).fetchall()
    finally:
        whole.close()
        cut.close()


@pytest.mark.parametrize("sql", ["SELECT 'a", 'SELECT "a', "SELECT $$a", "SELECT $x$a$$", "/* a"])
def test_what_has_no_end(sql: str) -> None:
    with pytest.raises(ValueError, match="character"):
        split(sql, "postgres")
