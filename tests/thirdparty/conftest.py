"""Plugins of other people: built as wheels and installed beside the server, without network."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import MOORAGE, environment

ROOT = Path(__file__).parents[2]
TIMEOUT = 120


def execute(*command: object, cwd: Path, **env: str) -> str:
    """Run to the end; what it said. Fails with that if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}"
    return done.stdout


@dataclass
class Project:
    """A distribution's sources, and the folder into which its wheel was installed."""

    folder: Path
    site: Path

    def python(self, *args: object) -> str:
        """Run Python in the project, with the installed plugins."""
        return execute(sys.executable, *args, cwd=self.folder, PYTHONPATH=str(self.site), PYTHONDONTWRITEBYTECODE="1")


@pytest.fixture(scope="session")
def run():
    """`execute`, for tests."""
    return execute


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Where the plugins are installed; on PYTHONPATH it is a part of the environment."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="session")
def mypy_cache(pytestconfig):
    """Shared by the projects, and kept from run to run, so that Moorage is read once."""
    return pytestconfig.cache.mkdir("mypy-thirdparty")


def installed(folder: Path, site: Path, wheels: Path) -> Project:
    """Build the project's wheel with its own backend and install it with pip."""
    execute(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels, cwd=folder)
    (wheel,) = wheels.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps", "--no-index"]
    execute(*pip, "--target", site, wheel, cwd=folder)
    return Project(folder, site)


def example(name: str, site: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """An example of this repository, from a copy of its folder."""
    folder = tmp_path_factory.mktemp(name) / name
    tracked = execute("git", "ls-files", "-z", f"examples/{name}", cwd=ROOT).split("\0")
    for file in filter(None, tracked):
        target = folder / Path(file).relative_to(f"examples/{name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / file).read_bytes())
    return installed(folder, site, tmp_path_factory.mktemp(f"{name}-wheel"))


@pytest.fixture(scope="session")
def hello(site, tmp_path_factory):
    """The example with routes, tables and a socket."""
    return example("moorage-hello", site, tmp_path_factory)


@pytest.fixture(scope="session")
def guard(site, tmp_path_factory):
    """The example that takes part in terminals."""
    return example("moorage-guard", site, tmp_path_factory)


@pytest.fixture(scope="session")
def scaffold(site, tmp_path_factory):
    """What `moorage plugins new` makes, under a name of two words."""
    folder = tmp_path_factory.mktemp("scaffold")
    said = execute(MOORAGE, "plugins", "new", "tide-table", cwd=folder)
    assert "moorage plugins enable tide-table" in said
    return installed(folder / "moorage-tide-table", site, tmp_path_factory.mktemp("scaffold-wheel"))
