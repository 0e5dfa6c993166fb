"""`moorage users` and `moorage keys` on a database that no server holds."""

import asyncio
import json
import re
import sys
from io import BytesIO, TextIOWrapper

import pytest
from moorage.access.service import Access
from moorage.accounts import ClientInfo
from moorage.cli.main import run
from moorage.cli.offline import open_accounts
from moorage.config import load

PASSWORD = "correct horse battery"


@pytest.fixture
def moorage(tmp_path, monkeypatch, capsys):
    """moorage(*args, typed=bytes, code=0): stdout and stderr of a command."""
    config = tmp_path / "moorage.toml"
    config.write_text('[access.roles.helper]\nincludes = "viewer"\n')
    monkeypatch.setenv("MOORAGE_CONFIG", str(config))

    def call(*args, typed=b"", code=0):
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(typed)))
        got = run(list(args))
        out, err = capsys.readouterr()
        assert got == code, (out, err)
        assert "Traceback" not in err
        return out, err

    return call


def create(moorage, name, *more, password=PASSWORD):
    return moorage("users", "create", name, "--password-file", "-", *more, typed=password.encode() + b"\n")


def listed(moorage, what="users", *more):
    return json.loads(moorage(what, "list", "--json", *more)[0])


def test_users_from_first_to_last(moorage):
    out, _ = create(moorage, "Ann", "--role", "owner", "--email", "ann@example.org", "--display-name", "Ann S.")
    assert re.fullmatch(r"Created Ann \(user_\w+\), owner\.\n", out)
    create(moorage, "bob")
    moorage("users", "set-role", "BOB", "helper")
    moorage("users", "disable", "bob")
    ann, bob = listed(moorage)
    assert (ann["username"], ann["name"], ann["email"], ann["role"], ann["active"]) == (
        "Ann",
        "Ann S.",
        "ann@example.org",
        "owner",
        True,
    )
    assert (bob["role"], bob["active"]) == ("helper", False)
    out, _ = moorage("users", "list")
    assert re.search(r"bob +helper +- +user_\w+  disabled", out)
    moorage("users", "enable", "bob")
    assert listed(moorage)[1]["active"] is True
    moorage("users", "set-password", "ann@example.org", "--password-file", "-", typed=b"another battery")


def test_a_user_is_deleted_once_it_was_confirmed(moorage):
    create(moorage, "ann", "--role", "owner")
    create(moorage, "bob")
    moorage("keys", "create", "robot", "--user", "bob")
    for typed in (b"", b"n\n", b"\n"):
        _, err = moorage("users", "delete", "bob", typed=typed, code=130)
        assert "Delete bob (user_" in err
        assert "cannot be undone" in err
    assert [user["username"] for user in listed(moorage)] == ["ann", "bob"]
    out, err = moorage("users", "delete", "BOB", typed=b"y\n")
    assert out == "Deleted bob.\n"
    assert [user["username"] for user in listed(moorage)] == ["ann"]
    assert listed(moorage, "keys") == []
    create(moorage, "bob")
    moorage("users", "delete", "bob", "--yes")
    assert [user["username"] for user in listed(moorage)] == ["ann"]


@pytest.mark.parametrize(
    ("args", "typed", "says"),
    [
        (["users", "create", "a b", "--password-file", "-"], b"correct horse", "username"),
        (["users", "create", "bob", "--password-file", "-"], b"short", "at least 8"),
        (["users", "create", "bob", "--password-file", "-"], b"password123\r\n", "common"),
        (["users", "create", "bob", "--password-file", "-"], b"\n", "no password"),
        (["users", "create", "bob", "--password-file", "-"], b"\xff\xfe\xfa", "UTF-8"),
        (["users", "create", "bob", "--password-file", "/nowhere/at/all"], b"", "No such file"),
        (["users", "create", "ANN", "--password-file", "-"], b"correct horse", "taken"),
        (["users", "create", "bob", "--role", "king", "--password-file", "-"], b"correct horse", "helper"),
        (["users", "set-role", "ann", "viewer"], b"", "last active owner"),
        (["users", "disable", "ann"], b"", "last active owner"),
        (["users", "enable", "nobody"], b"", "users list"),
        (["users", "delete", "nobody", "--yes"], b"", "users list"),
        (["users", "delete", "ann", "--yes"], b"", "last active owner"),
        (["keys", "create", "x", "--user", "nobody"], b"", "users list"),
        (["keys", "create", "x", "--user", "ann", "--scope", "no:such:thing"], b"", "no:such:thing"),
        (["keys", "create", "x\ny", "--user", "ann"], b"", "control"),
        (["keys", "revoke", "mcp_00000000"], b"", "keys list"),
    ],
)
def test_mistakes_are_told_in_a_line(moorage, args, typed, says):
    create(moorage, "ann", "--role", "owner")
    _, err = moorage(*args, typed=typed, code=1)
    assert says in err
    assert err.startswith("Error: ")
    assert len(err.splitlines()) == 1
    assert [user["username"] for user in listed(moorage)] == ["ann"]


def test_without_a_terminal_a_password_must_come_from_somewhere(moorage):
    _, err = moorage("users", "create", "ann", code=2)
    assert "--password-file" in err
    for days in ("0", "-1", "nan", "inf", "40000"):
        moorage("keys", "create", "x", "--user", "ann", "--expires", days, code=2)
    moorage("keys", "create", "x", code=2)


def test_a_password_file_keeps_all_but_its_line_end(moorage, tmp_path):
    file = tmp_path / "password"
    file.write_bytes("  pässword with spaces \r\n".encode())
    moorage("users", "create", "ann", "--password-file", str(file))

    async def log_in():
        async with open_accounts(load(), Access({})) as accounts:
            await accounts.login("ann", "  pässword with spaces ", ClientInfo("192.0.2.1"))

    asyncio.run(log_in())


def test_keys_from_first_to_last(moorage):
    create(moorage, "ann")
    out, err = moorage("keys", "create", "my robot", "--user", "Ann", "--scope", "core:key:*", "--expires", "1.5")
    assert re.fullmatch(r"mcp_[0-9a-f]{8}_[A-Za-z0-9_-]{32}\n", out), "the key alone, for scripts"
    assert out.strip() not in err
    (key,) = listed(moorage, "keys", "--user", "ann")
    assert (key["name"], key["scopes"], key["last_used_at"]) == ("my robot", ["core:key:*"], None)
    assert key["expires_at"] > key["created_at"]
    shown, _ = moorage("keys", "list")
    assert "my robot" in shown
    assert out.strip() not in shown
    assert key["prefix"] in moorage("keys", "revoke", out.strip())[0]
    assert listed(moorage, "keys") == []
    for by in ("id", "pid", "prefix"):
        moorage("keys", "create", "again", "--user", "ann")
        (key,) = listed(moorage, "keys")
        moorage("keys", "revoke", str(key[by]))
        assert listed(moorage, "keys") == []
