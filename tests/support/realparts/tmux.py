"""A tmux server of the test's own, on a private socket."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

from waits import WAIT


class TmuxServer:
    """`tmux -L NAME -f /dev/null`; the server itself starts with the first session."""

    def __init__(self) -> None:
        self.socket_name = f"moorage-test-{os.getpid()}-{secrets.token_hex(4)}"
        self.env = {key: value for key, value in os.environ.items() if key not in ("TMUX", "TMUX_PANE")}
        self.env.update(TERM="xterm-256color", LC_ALL="C.UTF-8", PS1="$ ", SHELL="/bin/sh")

    @staticmethod
    def missing() -> str | None:
        """Why it cannot run here, or None."""
        return None if shutil.which("tmux") else "tmux is not installed (Debian: tmux)"

    @property
    def socket_path(self) -> Path:
        return Path(os.environ.get("TMUX_TMPDIR", "/tmp")) / f"tmux-{os.getuid()}" / self.socket_name

    def run(self, *args: str, check: bool = True) -> str:
        """Run one tmux command; returns its output. RuntimeError with tmux's words when it fails."""
        argv = ["tmux", "-L", self.socket_name, "-f", "/dev/null", *args]
        done = subprocess.run(
            argv, capture_output=True, text=True, env=self.env, timeout=WAIT, stdin=subprocess.DEVNULL
        )
        if check and done.returncode:
            raise RuntimeError(f"tmux {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout.rstrip("\n")

    def new_session(self, name: str, command: str = "exec /bin/sh", *, cols: int = 80, rows: int = 24) -> str:
        """Start a detached session; returns its id (`$0`)."""
        wanted = ("-x", str(cols), "-y", str(rows))
        form = "#{session_id} #{window_width} #{window_height}"
        made, *size = self.run("new-session", "-d", "-P", "-F", form, "-s", name, *wanted, command).split()
        if size != [str(cols), str(rows)]:
            # While a client of another session has a size, tmux gives that to a new one too, whatever it was asked.
            window = ("-t", f"{made}:")
            self.run("resize-window", *window, *wanted, ";", "set-option", "-wu", *window, "window-size")
        return made

    def capture(self, target: str) -> str:
        """The visible screen as plain text."""
        return self.run("capture-pane", "-p", "-t", target)

    def wait_for(self, target: str, text: str, seconds: float = WAIT) -> str:
        """Poll the screen until it shows `text`; returns it."""
        deadline = time.monotonic() + seconds
        while text not in (screen := self.capture(target)):
            if time.monotonic() > deadline:
                raise AssertionError(f"{text!r} did not appear in {target} within {seconds:g} s:\n{screen}")
            time.sleep(0.02)
        return screen

    @property
    def pid(self) -> int | None:
        """The server's process id; None while none runs."""
        text = self.run("display-message", "-p", "#{pid}", check=False)
        return int(text) if text.isdigit() else None

    def stop(self) -> None:
        """End the server, by its process id if it does not end by itself, and remove the socket."""
        pid = self.pid
        self.run("kill-server", check=False)
        if pid is not None and not _gone(pid, 5):
            os.kill(pid, signal.SIGKILL)
            _gone(pid, 5)
        self.socket_path.unlink(missing_ok=True)


def _gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False
