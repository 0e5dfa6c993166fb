"""The real OpenCode, its SDK and ttyd's web client, from npm."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from realparts import npm
from realparts.child import Child
from realparts.ports import free_port

OFFLINE = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    "OPENCODE_DISABLE_SHARE": "1",
    "OPENCODE_DISABLE_EXTERNAL_SKILLS": "1",
    "OPENCODE_DISABLE_CLAUDE_CODE": "1",
}


missing = npm.missing


def node_modules() -> Path:
    """The folder of the installed packages. RuntimeError with npm's words when they cannot be installed."""
    return npm.node_modules(npm.OPENCODE)


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
