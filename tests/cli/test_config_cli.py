"""`moorage config` and the command itself, as an operator runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import fakedist
import pytest

MOORAGE = str(Path(sys.executable).with_name("moorage"))
SHIPPED_FILE = Path(__file__).parents[2] / "config" / "moorage.toml"

THIRD = """
from moorage.api import *
from pydantic import Field, SecretStr

class Config(PluginConfig):
    size: int = Field(1, ge=1)
    token: SecretStr | None = None

class Thing(Plugin):
    manifest = Manifest(name="third", version="1.0", summary="A third party's", config=Config)
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder on the path of the commands, for plugins of the test's own."""
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The commands' working folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def moorage(*arguments: str, cwd: Path, site: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MOORAGE")}
    if site is not None:
        env["PYTHONPATH"] = str(site)
    return subprocess.run(
        [MOORAGE, *arguments], cwd=cwd, env=clean | env, capture_output=True, text=True, timeout=60, check=False
    )


# -- the command itself ------------------------------------------------------------------------------------------


def test_help_lists_the_commands(work: Path) -> None:
    done = moorage("--help", cwd=work)
    assert done.returncode == 0
    listed = [line.split()[0] for line in done.stdout.partition("Commands:\n")[2].splitlines()]
    accounts = ["users", "keys", "invites", "signing-keys", "access", "audit"]
    assert listed == ["serve", "config", "plugins", *accounts, "openapi", "db"]


def test_a_broken_command_hurts_no_other(work: Path, site: Path) -> None:
    """Without the database's and the web's libraries plugins can still be switched off."""
    (site / "sitecustomize.py").write_text(
        "import sys\n"
        "class Broken:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('tortoise', 'quart', 'hypercorn', 'pwdlib'):\n"
        "            raise ImportError(f'{name} is broken')\n"
        "sys.meta_path.insert(0, Broken())\n"
    )
    (work / "moorage.toml").write_text("[plugins.tmux]\nenabled = true\n")
    assert moorage("--help", cwd=work, site=site).returncode == 0
    assert moorage("plugins", "list", cwd=work, site=site).returncode == 0
    assert moorage("plugins", "disable", "tmux", cwd=work, site=site).returncode == 0
    assert (work / "moorage.toml").read_text() == "[plugins.tmux]\nenabled = false\n"
    done = moorage("users", "list", cwd=work, site=site)
    assert done.returncode == 1
    assert done.stderr == "Error: `moorage users` cannot be loaded: ImportError: tortoise is broken\n"


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("--version",), 0, "moorage, version "),
        (("usrs",), 2, "No such command 'usrs'. Did you mean 'users'?"),
        (("config", "explian"), 2, "No such command 'explian'"),
        (("config", "explain", "--config", "none.toml"), 2, "none.toml: no such file (named by --config)"),
        (("--config", "none.toml", "config", "explain"), 2, "none.toml: no such file (named by --config)"),
    ],
)
def test_first_steps(work: Path, arguments: tuple[str, ...], code: int, expected: str) -> None:
    done = moorage(*arguments, cwd=work)
    assert done.returncode == code
    assert expected in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_an_unexpected_error_is_a_line_and_on_request_a_traceback(work: Path, site: Path) -> None:
    (site / "sitecustomize.py").write_text(
        "import moorage.config.files as files\ndef fail(*a): raise RuntimeError('a fault of ours')\nfiles.find = fail\n"
    )
    done = moorage("config", "explain", cwd=work, site=site)
    assert done.returncode == 1
    assert done.stderr == (
        "moorage: unexpected error: RuntimeError: a fault of ours. Set MOORAGE_TRACEBACK=1 to see where.\n"
    )
    assert "Traceback" in moorage("config", "explain", cwd=work, site=site, MOORAGE_TRACEBACK="1").stderr


def test_a_reader_that_goes_away_is_no_error(work: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [MOORAGE, "config", "template"], cwd=work, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode != 0


# -- config ------------------------------------------------------------------------------------------------------


def test_the_template_is_the_shipped_file(work: Path) -> None:
    done = moorage("config", "template", cwd=work)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == SHIPPED_FILE.read_text()


def test_explain_says_where_each_value_comes_from(work: Path, site: Path) -> None:
    fakedist.install(site, "third", THIRD)
    (work / "token").write_text("hunter2")
    (work / "token").chmod(0o600)
    (work / "m.toml").write_text(
        '[server]\nlisten = "127.0.0.1:1"\n[plugins.third]\nenabled = true\ntoken_file = "token"\n'
    )
    env = {"MOORAGE_CONFIG": "m.toml", "MOORAGE__DATABASE__URL": "postgres://me:hunter2@db/x"}
    done = moorage("config", "explain", "--json", cwd=work, site=site, **env)
    assert (done.returncode, done.stderr) == (0, "")
    told = {row.pop("key"): row for row in json.loads(done.stdout)}
    assert told["server.listen"] == {"value": ["127.0.0.1:1"], "source": "m.toml:2", "secret": False}
    assert told["server.engine"] == {"value": "hypercorn", "source": "default", "secret": False}
    assert told["server.public_url"] == {"value": None, "source": "default", "secret": False}
    assert told["database.url"] == {
        "value": "postgres://me:********@db/x",
        "source": "environment MOORAGE__DATABASE__URL",
        "secret": True,
    }
    assert told["plugins.third.size"] == {"value": 1, "source": "default", "secret": False}
    assert told["plugins.third.token"] == {
        "value": "********",
        "source": f"{work}/token (named by m.toml:5)",
        "secret": True,
    }
    assert "hunter2" not in done.stdout
    part = moorage("config", "explain", "plugins.third", cwd=work, site=site, **env)
    assert [line.split()[0] for line in part.stdout.splitlines()] == [
        f"plugins.third.{key}" for key in ("enabled", "required", "mount", "size", "token")
    ]
    assert "hunter2" not in part.stdout
    wrong = moorage("config", "explain", "plugins.fourth", cwd=work, site=site, **env)
    assert (wrong.returncode, wrong.stdout) == (1, "")


def test_explain_works_beside_a_broken_plugin(work: Path, site: Path) -> None:
    fakedist.install(site, "third", "raise RuntimeError('broken')")
    (work / "moorage.toml").write_text('[plugins.third]\nenabled = true\npassword = "hunter2"\n')
    done = moorage("config", "explain", "plugins", cwd=work, site=site)
    assert done.returncode == 0
    assert "plugins.third.password" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
    assert done.stderr == "warning: plugin third cannot be read, its options are as written: broken\n"


def test_check_says_that_all_is_right(work: Path, site: Path) -> None:
    fakedist.install(site, "third", THIRD)
    (work / "moorage.toml").write_text("[plugins.third]\nenabled = true\nsize = 3\n[plugins.off]\nx = 1\n")
    done = moorage("config", "check", cwd=work, site=site)
    assert (done.returncode, done.stdout, done.stderr) == (0, "The configuration is right (moorage.toml).\n", "")


def test_check_says_all_that_is_wrong(work: Path, site: Path) -> None:
    fakedist.install(site, "third", THIRD)
    fakedist.install(site, "fourth", "def")
    (work / "key.pem").write_text("no key")
    (work / "moorage.toml").write_text(
        """
[server]
tls_cert = "cert.pem"
tls_key = "key.pem"
trusted_proxies = "::/0"
[access.roles.one]
includes = "two"
[access.roles.two]
includes = "one"
[plugins.third]
enabled = true
size = 0
[plugins.fourth]
enabled = true
[plugins.fifth]
enabled = true
"""
    )
    done = moorage("config", "check", cwd=work, site=site)
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert lines[0].startswith("warning: moorage.toml:5: server.trusted_proxies")
    assert lines[1].startswith("moorage: the configuration has ")
    rest = "\n".join(lines[2:])
    assert f"moorage.toml:3: server.tls_cert: cannot read {work}/cert.pem" in rest
    assert "access.roles.one" in rest
    assert "moorage.toml:12: plugins.third.size = 0: must be at least 1" in rest
    assert "plugins.fourth: import: SyntaxError" in rest
    assert "plugins.fifth: is not installed" in rest
    assert "Traceback" not in rest


def test_a_wrong_configuration_is_told_by_every_command(work: Path) -> None:
    (work / "moorage.toml").write_text('[server]\nlisen = 1\n[log]\nlevel = "loud"\n')
    expected = (
        "moorage: the configuration has 2 problems:\n"
        'moorage.toml:2: server.lisen: unknown key; did you mean "listen"?\n'
        'moorage.toml:4: log.level = "loud": must be "debug", "info", "warning" or "error"\n'
    )
    for arguments in (("config", "check"), ("serve",), ("users", "list")):
        done = moorage(*arguments, cwd=work)
        assert (done.returncode, done.stderr) == (2, expected), arguments
