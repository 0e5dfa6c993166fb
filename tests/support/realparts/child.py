"""A child process with an output file, a readiness check and an end by process id."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from waits import WAIT


class Child:
    """One process of ours. Its output goes to `log`; `text()` reads it."""

    def __init__(
        self,
        argv: Sequence[str | os.PathLike[str]],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
    ) -> None:
        self.argv = [os.fspath(part) for part in argv]
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                user=user,
                group=user,
                extra_groups=[] if user else None,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def text(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace")

    def wait_until(self, ready: Callable[[], bool], what: str, seconds: float = WAIT) -> None:
        """Poll `ready` until it is true; fail with the process's output when it ends or time runs out."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"{what}: {self.argv[0]} ended with {self.process.returncode}\n{self.text()[-4000:]}"
                )
            if time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{what}: not ready within {seconds:g} s\n{self.text()[-4000:]}")
            time.sleep(0.02)

    def stop(self, sig: signal.Signals = signal.SIGTERM, seconds: float = 15) -> int:
        """Ask it to end, insist with SIGKILL after `seconds`; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait(10)
