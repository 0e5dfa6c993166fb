"""`moorage invites` on a database that no server holds."""

import json
import re
import sys
from io import BytesIO, TextIOWrapper

import pytest
from moorage.cli.main import run


@pytest.fixture
def moorage(tmp_path, monkeypatch, capsys):
    """moorage(*args, code=0): stdout and stderr of a command."""
    config = tmp_path / "moorage.toml"
    config.write_text('[access.roles.helper]\nincludes = "viewer"\n')
    monkeypatch.setenv("MOORAGE_CONFIG", str(config))

    def call(*args, code=0):
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO()))
        got = run(["invites", *args])
        out, err = capsys.readouterr()
        assert got == code, (out, err)
        assert "Traceback" not in err
        return out, err

    return call


def listed(moorage, *more):
    return json.loads(moorage("list", "--json", *more)[0])


def test_invites_from_first_to_last(moorage):
    out, err = moorage("create", "--role", "helper", "--uses", "3", "--expires", "2", "--note", "for Ann")
    assert re.fullmatch(r"[2-9A-Z]{12}\n", out)
    assert re.match(r"Invite inv_\w+ \(helper\)\.", err)
    code = out.strip()
    token = moorage("create", "--link", "--unlimited")[0].strip()
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", token)
    link, first = listed(moorage)
    assert (link["kind"], link["code"], link["max_uses"], link["role"]) == ("link", None, None, "operator")
    assert (first["code"], first["max_uses"], first["note"], first["state"]) == (code, 3, "for Ann", "valid")
    assert first["created_by"] is None
    lines = moorage("list")[0].splitlines()
    assert re.fullmatch(rf"{link['pid']} +\(link\) +operator +0/any +valid", lines[0])
    assert re.fullmatch(rf"{first['pid']} +{code} +helper +0/3 +valid +until 2\d\d\d-\d\d-\d\d +for Ann", lines[1])
    assert token not in "".join(lines)
    assert moorage("revoke", code.lower())[0] == f"Invite {first['pid']} is revoked.\n"
    assert moorage("revoke", first["pid"])[0] == f"Invite {first['pid']} was revoked before.\n"
    assert [one["pid"] for one in listed(moorage, "--valid")] == [link["pid"]]
    moorage("revoke", token)
    assert listed(moorage, "--valid") == []
    assert moorage("list", "--valid")[0] == ""


def test_a_code_of_ones_own(moorage):
    assert moorage("create", "--code", "Welcome-1")[0] == "Welcome-1\n"
    _, err = moorage("create", "--code", "WELCOME-1", code=1)
    assert "taken" in err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--role", "owner"), 1, "role must be one of"),
        (("--role", "nobody"), 1, "role must be one of"),
        (("--uses", "0"), 2, "not in the range"),
        (("--expires", "0"), 2, "not in the range"),
        (("--expires", "nan"), 2, "not a valid integer"),
        (("--expires", "3650"), 2, "not in the range"),
        (("--code", "a b c d"), 1, "code must have"),
        (("--code", "abcd", "--link"), 2, "exclude each other"),
        (("--note", "x" * 201), 1, "note may have"),
    ],
)
def test_what_cannot_be_is_told(moorage, options, code, said):
    assert said in moorage("create", *options, code=code)[1]
    assert listed(moorage) == []


@pytest.mark.parametrize("name", ["inv_missing", "", "x" * 400])
def test_what_is_not_there_is_told(moorage, name):
    assert "Invite not found" in moorage("revoke", name, code=1)[1]
