"""Runs git so that nothing in the repository decides what is executed: no hooks, filters, external programs, remotes.

A repository's settings and attributes can name programs. The settings that are given here count for more than those
of any file; where they are called as a repository likes (`filter.NAME.clean`), the names are asked for first.
"""

from __future__ import annotations

import os
import selectors
import signal
import stat
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from mcp.server.mcpserver.exceptions import ToolError

SECONDS = 60.0
MAX_OUTPUT = 1024 * 1024
MAX_STDERR = 4000
NOTHING = os.devnull
SETTINGS = {
    "core.hooksPath": NOTHING,
    "core.fsmonitor": "false",
    "core.pager": "cat",
    "core.editor": "true",
    "core.sshCommand": "false",
    "core.askPass": "true",
    "core.quotePath": "false",
    # Larger files are shown as binary ones: nothing has to hold two versions of them in memory.
    "core.bigFileThreshold": "2m",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "log.showSignature": "false",
    "diff.ignoreSubmodules": "all",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "safe.directory": "*",
    "init.defaultBranch": "main",
    "init.templateDir": "",
    "protocol.allow": "never",
}
BY_NAME = {
    ("filter", "clean"): "",
    ("filter", "smudge"): "",
    ("filter", "process"): "",
    ("filter", "required"): "false",
    # An empty command would be run as it is.
    ("diff", "textconv"): "cat",
    ("merge", "driver"): "false",
}
ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_EDITOR": "true",
    "GIT_PAGER": "cat",
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C.UTF-8",
}
FOREIGN = ("commondir", "objects/info/alternates", "objects/info/http-alternates")
"""Files that make a repository a part of another one, which need not be in the workspace."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a command wrote. truncated: there was more, and the command was ended."""

    code: int
    data: bytes
    truncated: bool
    stderr: str


class Git:
    """The repository of the workspace. One call at a time changes it: `lock`."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        for name in [name for name in os.environ if name.startswith("GIT_")]:
            del os.environ[name]
        # Of the process as a whole: GitPython takes it from there. The names say where the repository is, so that
        # git neither looks above the workspace nor works where a repository's `core.worktree` says.
        os.environ.update(
            ENVIRONMENT,
            GIT_DIR=str(Path(folder, ".git")),
            GIT_WORK_TREE=folder,
            GIT_CEILING_DIRECTORIES=str(Path(folder).parent),
        )
        self._set(SETTINGS)

    def check(self) -> None:
        """ToolError unless the workspace has a repository of its own; then git may be called. Takes its settings in."""
        git = Path(self.folder, ".git")
        try:
            about = git.lstat()
        except OSError:
            raise ToolError("The workspace has no git repository: make one with git_init") from None
        if not stat.S_ISDIR(about.st_mode):
            raise ToolError(".git is a link or a file that leads to a repository elsewhere: only a folder is used here")
        if not (git / "HEAD").is_file():
            raise ToolError(".git is no git repository any more: its HEAD is missing")
        for name in ("config", "HEAD", "index", "objects", "refs", "info", "logs", "packed-refs", "objects/info"):
            if (git / name).is_symlink():
                raise ToolError(f".git/{name} is a link: a repository whose parts lie elsewhere is not used here")
        for name in FOREIGN:
            if (git / name).exists():
                raise ToolError(f".git/{name} makes the repository a part of another one: such a one is not used here")
        self._set(SETTINGS | self._named())

    def _named(self) -> dict[str, str]:
        """What neutralises settings whose names the repository chose. ToolError for settings that git cannot read."""
        self._set(SETTINGS)
        found = self.run("config", "--list", "--name-only", "-z")
        if found.code != 0 or found.truncated:
            raise ToolError(f"The repository's settings cannot be read: {found.stderr or 'there are too many'}")
        more: dict[str, str] = {}
        for raw in found.data.split(b"\0"):
            key = os.fsdecode(raw)
            section, _, rest = key.partition(".")
            name, dot, variable = rest.rpartition(".")
            if dot and (section, variable.lower()) in BY_NAME:
                more[f"{section}.{name}.{variable}"] = BY_NAME[section, variable.lower()]
        return more

    @staticmethod
    def _set(settings: dict[str, str]) -> None:
        os.environ["GIT_CONFIG_COUNT"] = str(len(settings))
        for number, (key, value) in enumerate(settings.items()):
            os.environ[f"GIT_CONFIG_KEY_{number}"] = key
            os.environ[f"GIT_CONFIG_VALUE_{number}"] = value

    def run(self, *arguments: str, text: bytes | None = None, limit: int = MAX_OUTPUT) -> Output:
        """Run a git command, never by a shell. text: its stdin. ToolError: no git, or it takes too long."""
        with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as given:
            given.write(text or b"")
            given.seek(0)
            try:
                process = subprocess.Popen(
                    ["git", *arguments],
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd=self.folder,
                    start_new_session=True,
                )
            except FileNotFoundError:
                raise ToolError("git is not installed where the workspace runs") from None
            try:
                data, truncated = _read(process, limit)
                if truncated:
                    os.killpg(process.pid, signal.SIGKILL)
                code = process.wait(SECONDS)
            except (TimeoutError, subprocess.TimeoutExpired):
                raise ToolError(f"git {arguments[0]} did not end within {SECONDS:g} s") from None
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                if process.stdout is not None:
                    process.stdout.close()
            errors.seek(0)
            said = errors.read(MAX_STDERR).decode("utf-8", "replace").strip()
        return Output(0 if truncated else code, data, truncated, said)

    def call(self, *arguments: str, text: bytes | None = None, limit: int = MAX_OUTPUT) -> Output:
        """The same; ToolError with git's words when it fails."""
        found = self.run(*arguments, text=text, limit=limit)
        if found.code != 0:
            raise ToolError(
                found.stderr or found.data.decode("utf-8", "replace").strip() or f"git ended with {found.code}"
            )
        return found


def _read(process: subprocess.Popen[bytes], limit: int) -> tuple[bytes, bool]:
    """What it writes until it ends its output, and whether there was more than `limit`. TimeoutError."""
    assert process.stdout is not None
    data, fd, deadline = bytearray(), process.stdout.fileno(), time.monotonic() + SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        while len(data) <= limit:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                raise TimeoutError
            part = os.read(fd, 65536)
            if not part:
                return bytes(data), False
            data += part
    return bytes(data[:limit]), True
