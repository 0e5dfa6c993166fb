"""The wheel and the source distribution hold what they must, and the wheel runs where nothing else is installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import httpx
import pytest
from realparts.child import Child
from realparts.ports import free_port

PLUGINS = ("chat", "mcp", "memories", "opencode", "tmux", "voice")


def tracked(root: Path, *folders: str) -> set[str]:
    done = subprocess.run(["git", "ls-files", *folders], cwd=root, capture_output=True, text=True, timeout=30)
    if done.returncode:
        pytest.skip("the source tree is no git repository")
    return {name for name in done.stdout.splitlines() if (root / name).is_file()}


def test_the_wheel_holds_the_code_the_page_and_the_migrations(dist, root) -> None:
    names = set(zipfile.ZipFile(dist.wheel).namelist())
    packages = {
        re.sub(r"^(core|plugins/[^/]+)/", "", name)
        for name in tracked(root, "core", *(f"plugins/{plugin}/moorage_{plugin}" for plugin in PLUGINS))
        if "/console/web/" not in name
    }
    assert packages - names == set()
    assert {f"moorage_{plugin}/py.typed" for plugin in PLUGINS} <= names
    assert {"moorage/py.typed", "moorage/console/static/index.html"} <= names
    for dialect in ("sqlite", "postgres"):
        assert any(re.match(rf"moorage/db/migrations/{dialect}/\d+.*\.py$", name) for name in names)
    page = zipfile.ZipFile(dist.wheel).read("moorage/console/static/index.html").decode()
    for asset in re.findall(r"/console/(assets/[^\"]+)", page):
        assert f"moorage/console/static/{asset}" in names


def test_the_wheel_holds_no_file_of_the_page_that_nothing_names(dist) -> None:
    with zipfile.ZipFile(dist.wheel) as wheel:
        files = [name for name in wheel.namelist() if name.startswith("moorage/console/static/")]
        texts = "".join(wheel.read(name).decode() for name in files if name.endswith((".html", ".js", ".css")))
        empty = [name for name in files if wheel.getinfo(name).file_size == 0]
    assets = [Path(name).name for name in files if "/assets/" in name]
    assert [name for name in assets if name.removesuffix(".br") not in texts] == []
    assert empty == []


def test_the_wheel_holds_nothing_else(dist) -> None:
    for name in zipfile.ZipFile(dist.wheel).namelist():
        known = {"moorage", *(f"moorage_{plugin}" for plugin in PLUGINS)}
        assert name.split("/")[0] in known or ".dist-info/" in name
        assert not re.search(r"node_modules|/web/|/tests/|__pycache__|\.ts$|\.tsx$", name)


def test_the_source_distribution_can_be_built_and_tested_from(dist, root) -> None:
    with tarfile.open(dist.sdist) as packed:
        names = {member.name.partition("/")[2] for member in packed.getmembers()}
    wanted = tracked(root, "core", "plugins", "tests", "config", "Makefile", "scripts", "conftest.py", "hatch_build.py")
    assert wanted - names == set()
    # With the page in it nobody needs Node.js to install from source.
    assert "core/moorage/console/static/index.html" in names
    assert not [name for name in names if "node_modules" in name or ".venv" in name]


@pytest.fixture(scope="session")
def clean(dist, tmp_path_factory) -> Path:
    """A virtual environment with the wheel and its dependencies, and nothing else."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    pip = [str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", str(dist.wheel)]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "bin"


@pytest.mark.timeout(600)
def test_installed_in_a_clean_environment_it_starts_and_answers(clean: Path, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "moorage.toml").write_text(f'[server]\nlisten = ["127.0.0.1:{port}"]\n')
    env = {"PATH": f"{clean}:{os.environ['PATH']}", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    server = Child([clean / "moorage", "serve"], tmp_path / "log", env=env, cwd=tmp_path)
    url = f"http://127.0.0.1:{port}"

    def healthy() -> bool:
        try:
            return httpx.get(f"{url}/health").status_code == 200
        except httpx.TransportError:
            return False

    try:
        server.wait_until(healthy, "moorage serve", 60)
        assert "/#setup=" in server.text()
        assert '<div id="app">' in httpx.get(url).text
        listed = subprocess.run(
            [clean / "moorage", "plugins", "list", "--json"], env=env, cwd=tmp_path, capture_output=True, text=True
        )
        assert listed.returncode == 0, listed.stderr
        assert {plugin["name"] for plugin in json.loads(listed.stdout)} == set(PLUGINS)
    finally:
        code = server.stop()
    assert code == 0, server.text()[-2000:]
