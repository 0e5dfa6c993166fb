"""`moorage audit` on a database that no server holds."""

import json
import re
import sqlite3
import sys
from io import BytesIO, TextIOWrapper

import pytest
from moorage.cli.main import run

PASSWORD = "correct horse battery"


@pytest.fixture
def moorage(tmp_path, monkeypatch, capsys):
    """moorage(*args, typed=bytes, code=0): stdout and stderr of a command."""
    config = tmp_path / "moorage.toml"
    config.write_text("[accounts]\nargon2_memory_kib = 64\nargon2_time = 1\n")
    monkeypatch.setenv("MOORAGE_CONFIG", str(config))

    def call(*args, typed=b"", code=0):
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(typed)))
        got = run(list(args))
        out, err = capsys.readouterr()
        assert got == code, (out, err)
        assert "Traceback" not in err
        return out, err

    return call


@pytest.fixture
def users(moorage):
    for name in ("ann", "bob"):
        moorage("users", "create", name, "--password-file", "-", typed=PASSWORD.encode() + b"\n")
    moorage("keys", "create", "ci", "--user", "ann")


def insert(tmp_path, **values):
    row = {
        "at": "2020-01-01 00:00:00+00:00",
        "actor": "anonymous",
        "method": "anonymous",
        "action": "test.done",
        "address": "",
        "user_agent": "",
        "request_id": "",
        "data": "{}",
        **values,
    }
    with sqlite3.connect(next(tmp_path.rglob("moorage.db"))) as connection:
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO core_audit_events ({columns}) VALUES ({marks})", list(row.values()))
    connection.close()


def rows(moorage, *args):
    return json.loads(moorage("audit", "--json", *args)[0])


def test_the_table_has_one_line_for_each_event_newest_first(moorage, users):
    lines = moorage("audit")[0].splitlines()
    assert [line.split()[3] for line in lines] == ["key.created", "user.created", "user.created"]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  system ", line) for line in lines)


def test_json_lines_are_the_same_events(moorage, users):
    lines = [json.loads(line) for line in moorage("audit", "--jsonl")[0].splitlines()]
    assert lines == rows(moorage)
    assert len(moorage("audit", "--jsonl", "--limit", "2")[0].splitlines()) == 2
    assert len(rows(moorage, "--limit", "1")) == 1
    assert lines[0].keys() == {
        "id", "at", "actor", "actor_id", "method", "action", "target", "address", "user_agent", "request_id", "data",
    }  # fmt: skip


def test_filters(moorage, users, tmp_path):
    insert(tmp_path, actor="user_gone", actor_id=99, address="192.0.2.1", request_id="r-9", target="key:7")
    for args in (
        ("--action", "test.*"),
        ("--action", "test.done"),
        ("--actor", "user_gone"),
        ("--address", "192.0.2.1"),
        ("--request", "r-9"),
        ("--target", "key:7"),
        ("--until", "2020-01-02"),
        ("--since", "2019-12-31T23:00:00-01:00", "--until", "2020-01-01T00:00:01Z"),
    ):
        assert [row["action"] for row in rows(moorage, *args)] == ["test.done"], args
    assert len(rows(moorage, "--since", "2h")) == 3
    assert len(rows(moorage, "--actor", "system")) == 3
    assert rows(moorage, "--actor", "ANN") == []


def test_the_table_names_users_and_escapes_what_would_steer_a_terminal(moorage, users, tmp_path):
    pid = json.loads(moorage("users", "list", "--json")[0])[0]["pid"]
    insert(tmp_path, actor=pid, actor_id=1, target="a\nb", data='{"x": "\\u001b[31m"}')
    (line,) = moorage("audit", "--action", "test.done")[0].splitlines()
    assert " ann " in line
    assert "a\\nb" in line
    assert "\x1b" not in line
    assert len(rows(moorage, "--actor", "ann")) == 1


def test_wrong_options_say_what_is_right(moorage, users):
    assert "2h, 7d" in moorage("audit", "--since", "yesterday", code=2)[1]
    assert "2h, 7d" in moorage("audit", "--until", "999999999w", code=2)[1]
    assert "characters" in moorage("audit", "--action", "\udc80", code=2)[1]
    assert "There is no user 'nobody'" in moorage("audit", "--actor", "nobody", code=1)[1]
    assert "one of" in moorage("audit", "--json", "--jsonl", code=2)[1]
    assert "behind its name" in moorage("audit", "--actor", "x", "prune", "--before", "1d", code=2)[1]
    assert "future" in moorage("audit", "prune", "--before", "2999-01-01", code=2)[1]


def test_pruning_asks_removes_and_is_recorded(moorage, users, tmp_path):
    insert(tmp_path)
    insert(tmp_path)
    moorage("audit", "prune", "--before", "2021-01-01", typed=b"n\n", code=130)
    assert len(rows(moorage, "--action", "test.done")) == 2
    assert moorage("audit", "prune", "--before", "2021-01-01", "--yes")[0] == "Removed 2 events.\n"
    assert rows(moorage, "--action", "test.done") == []
    (pruned,) = rows(moorage, "--action", "audit.pruned")
    assert (pruned["actor"], pruned["method"]) == ("system", "system")
    assert pruned["data"] == {"before": "2021-01-01T00:00:00+00:00", "count": 2}
    assert len(rows(moorage)) == 4
