"""`moorage plugins`: lists without running anything, edits the file, and examines what is broken."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import fakedist
import pytest
from forks import forker

PLUGIN = """
from moorage.api import *
{before}
class Thing(Plugin):
    manifest = Manifest(name="{name}", version="2.5", summary="A thing", mounts=("/{name}",){manifest})
{after}
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


def install(site: Path, name: str, *, before: str = "", manifest: str = "", after: str = "") -> None:
    fakedist.install(site, name, PLUGIN.format(name=name, before=before, manifest=manifest, after=after))


def plugins(*arguments: str, work: Path, site: Path, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MOORAGE")}
    env = clean | {"PYTHONPATH": str(site), "WORK": str(work)} | env
    done = forker().run([["plugins", *arguments]], cwd=work, env=env, input=None, timeout=60)
    assert "Traceback" not in done.stderr
    return done


def listed(work: Path, site: Path, **env: str) -> dict[str, dict[str, Any]]:
    done = plugins("list", "--json", work=work, site=site, **env)
    assert (done.returncode, done.stderr) == (0, "")
    return {row.pop("name"): row for row in json.loads(done.stdout)}


# -- list --------------------------------------------------------------------------------------------------------


def test_list_reads_metadata_and_runs_nothing(work: Path, site: Path) -> None:
    fakedist.install(site, "one", "import os, pathlib; pathlib.Path(os.environ['WORK'], 'ran').touch()")
    fakedist.install(site, "two", "this is no Python")
    (work / "moorage.toml").write_text(
        '[plugins.one]\nenabled = true\nrequired = true\nmount = ["/a", ":3000/"]\n[plugins.gone]\nenabled = true\n'
        "[plugins.older]\nx = 1\n"
    )
    rows = listed(work, site)
    assert rows["one"] == {
        "distribution": "one-dist",
        "version": "1.0",
        "enabled": True,
        "required": True,
        "mounts": ["/a", ":3000/"],
        "state": "discovered",
        "reason": "",
    }
    assert rows["two"]["enabled"] is False
    assert rows["two"]["state"] == "disabled"
    assert (rows["gone"]["state"], rows["gone"]["version"]) == ("blocked", None)
    assert rows["gone"]["reason"].startswith("is not installed")
    assert rows["older"]["state"] == "disabled"
    assert "not installed" in rows["older"]["reason"]
    assert rows["tmux"]["distribution"] == "moorage"
    assert not (work / "ran").exists()
    table = plugins("list", work=work, site=site).stdout.splitlines()
    assert table[0].split() == ["NAME", "VERSION", "ENABLED", "STATE", "MOUNTS"]
    assert [line.split()[0] for line in table[1:]] == sorted(rows)


def test_list_shows_what_the_running_server_says(work: Path, site: Path) -> None:
    for name in ("one", "two", "three"):
        fakedist.install(site, name, "")
    (work / "moorage.toml").write_text("plugins.one.enabled = true\nplugins.two.enabled = true\n")
    run = work / "data" / "run"
    run.mkdir(parents=True)
    status = {
        "pid": os.getpid(),
        "needs_restart": [],
        "plugins": {
            "one": {"state": "failed", "reason": "start: no"},
            "two": {"state": "disabled", "reason": ""},
            "three": {"state": "started", "reason": ""},
        },
    }
    (run / "plugins.json").write_text(json.dumps(status))
    rows = listed(work, site)
    assert (rows["one"]["state"], rows["one"]["reason"]) == ("failed", "start: no")
    assert rows["two"]["state"] == "discovered"
    assert "has not read yet" in rows["two"]["reason"]
    assert rows["three"]["state"] == "started"
    assert rows["three"]["reason"] == "disabled in the file, which the running server has not read yet"


@pytest.mark.parametrize("left", ['{"pid": %d, "plugins": {"one": {"state": "started"}}}', "{", "[]", '{"pid": "x"}'])
def test_list_does_not_believe_what_a_killed_server_left(work: Path, site: Path, left: str) -> None:
    fakedist.install(site, "one", "")
    dead = subprocess.Popen(["true"])
    dead.wait()
    (work / "data" / "run").mkdir(parents=True)
    (work / "data" / "run" / "plugins.json").write_text(left % dead.pid if "%d" in left else left)
    assert listed(work, site)["one"]["state"] == "disabled"


# -- enable and disable ------------------------------------------------------------------------------------------


def test_enable_makes_the_file_and_disable_edits_it(work: Path, site: Path) -> None:
    install(site, "one")
    done = plugins("enable", "one", work=work, site=site)
    assert (done.returncode, done.stdout) == (0, "Plugin one is enabled in moorage.toml.\n")
    assert (work / "moorage.toml").read_text() == "[plugins.one]\nenabled = true\n"
    assert listed(work, site)["one"]["enabled"] is True
    again = plugins("enable", "one", work=work, site=site)
    assert again.stdout == "Plugin one is enabled in moorage.toml already.\n"
    (work / "moorage.toml").write_text("# mine\n[plugins.one] # and mine\nenabled = true # too\nx = 1\n")
    assert plugins("disable", "one", work=work, site=site).returncode == 0
    assert (work / "moorage.toml").read_text() == "# mine\n[plugins.one] # and mine\nenabled = false # too\nx = 1\n"


def test_the_file_is_the_one_that_the_server_reads(work: Path, site: Path) -> None:
    install(site, "one")
    assert plugins("enable", "one", work=work, site=site, MOORAGE_CONFIG="env.toml").returncode == 0
    assert plugins("enable", "one", "--config", "given.toml", work=work, site=site).returncode == 0
    assert sorted(path.name for path in work.glob("*.toml")) == ["env.toml", "given.toml"]


def test_unknown_names_are_told_the_nearest(work: Path, site: Path) -> None:
    install(site, "notes")
    enable = plugins("enable", "ntes", work=work, site=site)
    assert enable.returncode == 1
    assert "No plugin 'ntes' is installed. Did you mean 'notes'?" in enable.stderr
    disable = plugins("disable", "ntes", work=work, site=site)
    assert disable.returncode == 1
    assert "Did you mean 'notes'?" in disable.stderr
    assert not (work / "moorage.toml").exists()
    assert plugins("enable", "ntes", "--force", work=work, site=site).returncode == 0
    assert plugins("disable", "ntes", work=work, site=site).returncode == 0


def test_disable_works_whatever_else_is_wrong(work: Path, site: Path) -> None:
    fakedist.install(site, "one", "import os; os._exit(9)")
    (work / "moorage.toml").write_text("[server]\nlisen = 1\n[plugins.one]\nenabled = true\n")
    done = plugins("disable", "one", work=work, site=site)
    assert done.returncode == 0
    assert (work / "moorage.toml").read_text() == "[server]\nlisen = 1\n[plugins.one]\nenabled = false\n"
    assert 'moorage.toml:2: server.lisen: unknown key; did you mean "listen"?' in done.stderr


def test_a_file_that_is_no_toml_is_left_alone(work: Path, site: Path) -> None:
    (work / "moorage.toml").write_text("[server\n")
    done = plugins("disable", "tmux", work=work, site=site)
    assert done.returncode == 2
    assert "moorage.toml:1:8: not valid TOML" in done.stderr
    assert (work / "moorage.toml").read_text() == "[server\n"


def test_an_environment_that_says_otherwise_is_pointed_out(work: Path, site: Path) -> None:
    install(site, "one")
    done = plugins("enable", "one", work=work, site=site, MOORAGE__PLUGINS__ONE__ENABLED="false")
    assert "environment MOORAGE__PLUGINS__ONE__ENABLED says otherwise" in done.stderr


# -- doctor ------------------------------------------------------------------------------------------------------


def test_doctor_says_that_a_plugin_is_well(work: Path, site: Path) -> None:
    noise = "import threading, time; print('noise'); threading.Thread(target=time.sleep, args=(60,)).start()"
    install(site, "one", before=noise)
    (work / "moorage.toml").write_text("[plugins.one]\nenabled = true\n")
    done = plugins("doctor", work=work, site=site)
    assert (done.returncode, done.stdout) == (0, "one 2.5: ok\n  served at /one\n")
    assert plugins("doctor", work=work, site=site, MOORAGE__PLUGINS__ONE__ENABLED="false").stdout.startswith(
        "No plugin is enabled"
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def", "import: SyntaxError: "),
        ("import nothing_like_it", "import: ModuleNotFoundError: No module named 'nothing_like_it' ("),
        ("raise SystemExit(0)", "import: SystemExit: 0 ("),
        ("Thing = 5", "import: TypeError: one_module:Thing is not a moorage Plugin with a manifest"),
        ("import os; os._exit(7)", "import: ended the process with exit code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "import: ended the process with signal SIGSEGV"),
        ("import time; time.sleep(60)", "import: did not end within 0.5 s"),
    ],
)
def test_doctor_survives_and_names_what_a_plugin_does(work: Path, site: Path, source: str, expected: str) -> None:
    fakedist.install(site, "one", source)
    (work / "moorage.toml").write_text("server.plugin_import_timeout = 0.5\n[plugins.one]\nenabled = true\n")
    done = plugins("doctor", "one", work=work, site=site)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].endswith(": 1 problem")
    assert done.stdout.splitlines()[1].startswith(f"  - {expected}")


def test_doctor_names_all_that_is_missing(work: Path, site: Path) -> None:
    config = "class Config(PluginConfig):\n    size: int = 1\n"
    install(
        site,
        "one",
        before=config,
        manifest=', config=Config, modules=("nothing_like_it",), extra="more", models="one_models", '
        'migrations="one_migrations"',
    )
    (work / "moorage.toml").write_text('[plugins.one]\nsize = "a"\nsise = 1\n')
    done = plugins("doctor", "one", work=work, site=site)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "one 2.5: 5 problems (not enabled)",
        '  - requirements: cannot import nothing_like_it; pip install "one-dist[more]"',
        '  - moorage.toml:2: plugins.one.size = "a": must be a whole number',
        '  - moorage.toml:3: plugins.one.sise: unknown key; did you mean "size"?',
        "  - models: ModuleNotFoundError: No module named 'one_models'",
        "  - migrations: there is no package one_migrations",
    ]


def test_doctor_of_a_name_that_is_not_installed(work: Path, site: Path) -> None:
    done = plugins("doctor", "tmx", work=work, site=site)
    assert done.returncode == 1
    assert done.stdout == "tmx: 1 problem (not enabled)\n  - is not installed; did you mean 'tmux'?\n"
