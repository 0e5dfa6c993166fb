"""Which tmux, what an ordinary client of it is asked and answers, and what can go wrong with it."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

KEPT_ENVIRONMENT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TMUX_TMPDIR",
    "USER",
    "LOGNAME",
    "TERM",
    "SHELL",
    "TZ",
)
_NAMED_PATH = re.compile(
    r"^(error connecting to |error creating |no server running on |couldn't create directory |cannot run )"
    r"/.*?(?= \([^()]*\)$|: [^:/]*$|$)",
    re.MULTILINE,
)
"""Where a path stands for certain, with blanks and all."""
_PATH = re.compile(r"(?<![^\s'\"(=])/[^\s'\"):;,]+")
_OF_USERS = ("duplicate session: ", "can't find ", "invalid ")
"""What tmux says of names that users gave: whatever looks like a path there is theirs."""


class TmuxError(Exception):
    """tmux refused a command, did not answer in time, or is gone. The text is tmux's own or ours, for the log."""

    @property
    def public(self) -> str:
        """The same for users: where things lie on this machine is no business of theirs."""
        text = str(self)
        if text.startswith(_OF_USERS):
            return text
        return _PATH.sub("…", _NAMED_PATH.sub(r"\1…", text))


class TmuxRefused(TmuxError):
    """tmux cannot do what it was told; the text is its own."""


class TmuxSilent(TmuxError):
    """tmux did not answer in time; it may still do what it was told."""

    def __init__(self) -> None:
        super().__init__("tmux did not answer in time")


class TmuxGone(TmuxError):
    """There is no tmux server, no such session, or the client has ended."""


@dataclass(frozen=True, slots=True)
class Tmux:
    """Which tmux to talk to: its binary and its socket, by name (`-L`) or by path (`-S`)."""

    binary: str = "tmux"
    socket_name: str | None = None
    socket_path: Path | None = None

    def argv(self, *arguments: str, start: bool = False) -> list[str]:
        """The argument vector of a tmux client. `-u`: names are UTF-8 whatever our locale; `-N`: start no server."""
        return [self.binary, "-u", *(() if start else ("-N",)), *self.socket(), *arguments]

    def socket(self) -> list[str]:
        """The options that name its socket; none for tmux's default server."""
        if self.socket_path is not None:
            return ["-S", str(self.socket_path)]
        return ["-L", self.socket_name] if self.socket_name is not None else []

    def where(self) -> str:
        """Names the tmux server that this is about, also to those who share a database with other machines."""
        folder = os.environ.get("TMUX_TMPDIR", "")
        return "\0".join(
            (platform.node(), str(os.getuid()), folder, self.socket_name or "", str(self.socket_path or ""))
        )

    @staticmethod
    def environment() -> dict[str, str]:
        """The little of our environment that a tmux client needs: secrets stay ours, `TMUX` would forbid attaching."""
        return {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}

    async def has_sessions(self, timeout: float) -> bool:
        """Whether a tmux server with a session runs. Raises TmuxError when tmux cannot be run or asked.

        Asked before a control client is started: one that comes while tmux makes a session can crash tmux 3.3,
        and a first `tmux new` takes its time. An ordinary client does no harm.
        """
        try:
            return bool(await self.run("list-sessions", "-F", "s", timeout=timeout))
        except (TmuxRefused, TmuxGone):
            return False

    async def run(self, *arguments: str, timeout: float, start: bool = False) -> str:
        """What an ordinary client answers to one command. start: where no server runs, one is started.

        Users' texts go through `names.argument`. TmuxRefused with tmux's own words when the command fails, TmuxGone
        without a server, TmuxError when tmux cannot be run or asked.
        """
        return await asyncio.to_thread(self._run, self.argv(*arguments, start=start), timeout)

    def _run(self, argv: list[str], timeout: float) -> str:
        # Not the loop's: uvloop leaves a child the ends of its pipes, which a tmux server that it starts would keep.
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=False,
                env=self.environment(),
                cwd="/",  # A server stays where it was started.
                start_new_session=True,
            )
        except OSError as error:
            raise TmuxError(f"cannot run {self.binary}: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise TmuxSilent from error
        if done.returncode == 0:
            return done.stdout.decode("utf-8", "replace").removesuffix("\n")
        raise complaint(done.stderr.decode("utf-8", "replace").strip() or "tmux refused")


def complaint(text: str) -> TmuxError:
    """What an ordinary client's last words mean."""
    if text.startswith(("no server running", "lost server", "server exited", "no current")):
        return TmuxGone(text)
    if text.startswith(("protocol version mismatch", "couldn't create directory", "directory /")):
        return TmuxError(text)
    if text.startswith("error c"):  # error connecting to …, error creating …
        return TmuxGone(text) if text.endswith("(No such file or directory)") else TmuxError(text)
    return TmuxRefused(text)
