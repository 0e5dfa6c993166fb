"""`moorage access` over a real database and configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from moorage.cli.main import run

CONFIG = """
[access.roles.helper]
includes = "viewer"
grants = ["core:key:read:any"]
denies = ["core:key:delete"]
"""

Said = tuple[int, str, str]
Command = Callable[..., Said]


@pytest.fixture
def moorage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command with the configuration; (exit code, stdout, stderr)."""
    (tmp_path / "moorage.toml").write_text(CONFIG)
    (tmp_path / "password").write_text("correct horse battery\n")

    def command(*words: str) -> Said:
        code = run(["--config", str(tmp_path / "moorage.toml"), *words])
        out, err = capsys.readouterr()
        return code, out, err

    for name, role in (("ann", "helper"), ("bob", "operator")):
        assert command("users", "create", name, "--role", role, "--password-file", str(tmp_path / "password"))[0] == 0
    return command


def test_explain_names_the_reason_and_tells_by_its_exit_code(moorage: Command) -> None:
    code, out, _ = moorage("access", "explain", "ann", "core:key:read", "user:bob")
    assert code == 0, out
    assert "the object is another user's, so core:key:read:any is needed" in out
    assert "granted by 'core:key:read:any' in [access.roles.helper]" in out
    assert out.endswith("allowed\n")

    code, out, _ = moorage("access", "explain", "bob", "core:key:read", "user:ann")
    assert code == 1
    assert out.endswith("denied\n")

    code, out, _ = moorage("access", "explain", "ann", "core:key:delete", "--json")
    assert code == 1
    said = json.loads(out)
    assert said["allowed"] is False
    assert "denied by 'core:key:delete' in [access.roles.helper]" in said["reasons"]


def test_what_cannot_be_explained(moorage: Command) -> None:
    code, _, err = moorage("access", "explain", "ann", "core:key:raed")
    assert code == 2
    assert "Did you mean 'core:key:read'?" in err
    code, _, err = moorage("access", "explain", "eve", "core:key:read")
    assert code == 2
    assert "no user 'eve'" in err
    assert "Traceback" not in err


def test_roles_and_permissions(moorage: Command) -> None:
    code, out, _ = moorage("access", "roles", "--json")
    assert code == 0
    held = json.loads(out)
    assert list(held) == ["viewer", "operator", "admin", "owner", "helper"]
    assert {"core:key:create", "core:key:delete", "core:key:read"} <= set(held["viewer"])
    assert set(held["helper"]) == {*held["viewer"], "core:key:read:any"} - {"core:key:delete", "core:key:read"}
    assert "  core:key:read:any\n" in moorage("access", "roles")[1]

    code, out, _ = moorage("access", "permissions", "--json")
    assert code == 0
    found = {entry["name"]: entry for entry in json.loads(out)}
    assert found["core:key:read"] == {
        "name": "core:key:read",
        "plugin": "core",
        "summary": "List API keys",
        "default": "viewer",
        "owned": True,
        "default_any": "admin",
    }
    assert found["core:metrics:read"]["default_any"] is None
    assert "core:metrics:read" in moorage("access", "permissions")[1]


def test_a_wrong_role_is_told_and_a_missing_plugin_only_noted(moorage: Command, tmp_path: Path) -> None:
    path = tmp_path / "moorage.toml"
    path.write_text(CONFIG + '[plugins.nowhere]\nenabled = true\n[access.roles.x]\ngrants = ["nowhere:a:b"]\n')
    code, out, err = moorage("access", "roles")
    assert code == 0, err
    assert "Plugin nowhere cannot be read" in err
    assert "x  (nothing)" in out
    path.write_text(CONFIG + '[access.roles.x]\ngrants = ["core:key:raed"]\n')
    code, _, err = moorage("access", "roles")
    assert code == 2
    assert "access.roles.x.grants: 'core:key:raed'" in err
