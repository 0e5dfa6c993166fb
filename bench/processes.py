"""Servers in processes of their own, and what /proc says of them."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

sys.path.append(str(Path(__file__).parent.parent / "tests" / "support"))
import harness

PASSWORD = "correct horse battery"


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used, all threads, as exactly as the scheduler knows it (Linux).

    /proc/PID/stat counts in steps of 10 ms, and a process that wakes up at regular times can escape its sampling.
    The clock's number is made as in clock_getcpuclockid(3).
    """
    return time.clock_gettime((~pid << 3) | 2)


def children(pid: int) -> list[int]:
    """The processes that it has started and that are still there."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def rss_mb(pid: int) -> float:
    """Resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


class Moorage(harness.Server):
    """A `moorage serve` whose output goes to a file: nobody reads a pipe during a benchmark."""

    command: tuple[str, ...] = (harness.MOORAGE,)

    def spawn(self, *args: str) -> subprocess.Popen[str]:
        """Start the process without waiting for it."""
        with (self.folder / "stderr.log").open("a") as log, (self.folder / "stdout.log").open("a") as out:
            self.process = subprocess.Popen(
                [*self.command, "serve", "--config", str(self.config_file), *args],
                env=harness.environment(**self.env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                text=True,
            )
        return self.process

    def wait_started(self, timeout: float = 30) -> Moorage:
        """Wait until it answers."""
        self.wait_healthy(time.monotonic() + timeout)
        return self

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self.process is not None
        return self.process.pid


class Plain:
    """Any other server: a command that listens on the port that is put for {port}."""

    def __init__(self, command: list[str], path: str, env: dict[str, str] | None = None) -> None:
        self.port = harness.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [part.format(port=self.port) for part in command]
        self._path, self._env = path, env or {}

    @contextlib.contextmanager
    def running(self, *, any_status: bool = False, seconds: float = 30, quiet: bool = False) -> Iterator[Plain]:
        """Started and answering, with 200 unless another answer is as good; ended at the end.

        quiet: what it says on stderr is of no interest.
        """
        self.process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if quiet else None,
            env=harness.environment(**self._env),
        )
        try:
            deadline = time.monotonic() + seconds
            while True:
                with contextlib.suppress(httpx.TransportError):
                    status = httpx.get(self.url + self._path).status_code
                    if any_status or status == 200:
                        break
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"{self._command} did not start")
                time.sleep(0.02)
            yield self
        finally:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def pid(self) -> int:
        """Of the running process."""
        return self.process.pid


def first_ready(path: Path, config: dict[str, Any], **env: str) -> Moorage:
    """A Moorage in `path`, not started yet, with a user `ann` who may do what operators do."""
    path.mkdir()
    server = Moorage(path, config, env=env)
    server.add_user("ann", "operator", PASSWORD)
    return server


@contextlib.contextmanager
def listening(server: Plain, seconds: float = 30) -> Iterator[None]:
    """The server, started, until it answers anything at all; ended at the end."""
    with server.running(any_status=True, seconds=seconds, quiet=True):
        yield
