"""The real OpenCode, its SDK and ttyd's web client, from npm; installed once for each checkout, beside its Python.

As a program it installs them ahead of the tests, so that none of them has to wait for it.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from realparts.child import Child
from realparts.ports import free_port

SOURCES = Path(__file__).parents[3] / "plugins/opencode/tests/npm"
FILES = ("package.json", "package-lock.json", ".npmrc")
INSTALL_SECONDS = 600
OFFLINE = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    "OPENCODE_DISABLE_SHARE": "1",
    "OPENCODE_DISABLE_EXTERNAL_SKILLS": "1",
    "OPENCODE_DISABLE_CLAUDE_CODE": "1",
}


def missing() -> str | None:
    """Why it cannot be had here, or None."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return "npm is not installed (Debian: nodejs npm)"
    return None


@cache
def node_modules() -> Path:
    """The folder of the installed packages. RuntimeError with npm's words when they cannot be installed."""
    whole = hashlib.sha256(b"\0".join((SOURCES / name).read_bytes() for name in FILES)).hexdigest()
    folder = Path(sys.prefix) / "npm" / whole[:16]
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "installed"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # One of several workers installs, the others wait.
        if not done.exists():
            _install(folder)
            done.touch()
    return folder / "node_modules"


def _install(folder: Path) -> None:
    for name in FILES:
        shutil.copy(SOURCES / name, folder)
    ran = subprocess.run(
        ["npm", "ci", "--ignore-scripts"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
    )
    if ran.returncode:
        raise RuntimeError(f"npm could not install OpenCode:\n{ran.stderr[:3000]}")


@cache
def binary() -> Path:
    """The program itself. There are several for some machines, for newer and older processors: the first that runs."""
    found = sorted(node_modules().glob("opencode-*/bin/opencode"))
    for path in found:
        if subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False).returncode == 0:
            return path
    raise RuntimeError(f"none of these programs runs here: {[str(path) for path in found]}")


class OpenCode:
    """An `opencode serve` of the test's own, without Moorage: for what it says and does by itself.

    folder: holds its home; `workspace` below it is the project. config: its `opencode.json`.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.workspace = folder / "workspace"
        self.workspace.mkdir(parents=True, exist_ok=True)
        self.port, self.password = free_port(), secrets.token_urlsafe(16)
        home = folder / "home"
        home.mkdir(exist_ok=True)
        self.env = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(home),
            "OPENCODE_SERVER_PASSWORD": self.password,
            "OPENCODE_CONFIG_CONTENT": json.dumps({"autoupdate": False, "share": "disabled", **config}),
            **OFFLINE,
        }
        self.child = Child(
            [binary(), "serve", "--hostname", "127.0.0.1", "--port", str(self.port)],
            folder / "opencode.log",
            env=self.env,
            cwd=self.workspace,
        )
        # A request that comes before this line is never answered.
        self.child.wait_until(lambda: "server listening" in self.child.text(), "opencode serve", 60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def authorization(self) -> str:
        """The header that it takes."""
        return "Basic " + base64.b64encode(f"opencode:{self.password}".encode()).decode()

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": self.authorization}, timeout=60)

    def stop(self) -> None:
        self.child.stop()


if __name__ == "__main__":
    if reason := missing():
        print(f"Going on without OpenCode: {reason}", file=sys.stderr)
    else:
        node_modules()
