"""Processes of `moorage` that are forks of one that has imported it: what a command takes is mostly its imports.

Each is a process of its own, with its own files, environment and folder, as if it had been started by name; only what
is imported is shared, and that has not done anything yet. Tests of the start itself start the program by its name.

One process per test run waits for orders (`_wait_for_orders`). For each it forks a minder, the minder forks the command
and tells its process id and, at last, its exit code over a socket of their own.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

LONGEST = 1 << 20
"""Bytes of an order."""
STANDARD_FILES = 3


class Fork:
    """One command that runs: as much of `subprocess.Popen` as tests use."""

    def __init__(self, told: socket.socket, args: list[str], stdout: IO[str] | None) -> None:
        self.args, self.stdout = args, stdout
        self.returncode: int | None = None
        self._told = told
        self.pid = int(self._line())

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self.returncode = int(self._line())
            self._told.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended. subprocess.TimeoutExpired when it has not within `timeout` seconds."""
        if self.returncode is None and not select.select([self._told], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        code = self.poll()
        assert code is not None
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str | None, None]:
        """What it has printed until its end."""
        self.wait(timeout)
        if self.stdout is None:
            return None, None
        os.set_blocking(self.stdout.fileno(), False)  # What it has started may hold the other end.
        with self.stdout, contextlib.suppress(TypeError):  # A text wrapper over a pipe that has nothing to read.
            return self.stdout.read(), None
        return "", None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            part = self._told.recv(1)
            assert part, "the process that forks commands has ended"
            line += part
        return line


class Forker:
    """Starts commands."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            env = {key: value for key, value in os.environ.items() if not key.startswith("MOORAGE")}
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=env,
            )
        atexit.register(self.close)

    def start(
        self,
        commands: Sequence[Sequence[str]],
        *,
        env: Mapping[str, str],
        stdin: IO[Any] | int,
        stdout: IO[Any] | int,
        stderr: IO[Any] | int,
        reads: IO[str] | None = None,
        cwd: Path | None = None,
    ) -> Fork:
        """Start a process that runs one or more commands, each a list of arguments, one after the other.

        reads: what the Fork is to have as `stdout`.
        """
        ours, theirs = socket.socketpair()
        files = [file if isinstance(file, int) else file.fileno() for file in (stdin, stdout, stderr)]
        order = {"commands": [list(command) for command in commands], "env": dict(env), "cwd": str(cwd or Path.cwd())}
        with theirs:
            socket.send_fds(self._orders, [b"fork"], [theirs.fileno(), *files])
        ours.sendall(json.dumps(order).encode() + b"\n")
        return Fork(ours, ["moorage", *commands[0]], reads)

    def run(
        self,
        commands: Sequence[Sequence[str]],
        *,
        env: Mapping[str, str],
        input: str | None,
        timeout: float,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run commands to their end, as `subprocess.run` does."""
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(open(os.memfd_create(name), "w+")) for name in ("in", "out", "err")]
            files[0].write(input or "")
            files[0].seek(0)
            fork = self.start(commands, env=env, stdin=files[0], stdout=files[1], stderr=files[2], cwd=cwd)
            try:
                code = fork.wait(timeout)
            except subprocess.TimeoutExpired:
                fork.kill()
                fork.wait(timeout)
                raise
            for file in files[1:]:
                file.seek(0)
            return subprocess.CompletedProcess(fork.args, code, files[1].read(), files[2].read())

    def close(self) -> None:
        """End what forks; what it has forked goes on."""
        self._orders.close()
        self._process.wait()


_forkers: dict[int, Forker] = {}


def forker() -> Forker:
    """The one of this process."""
    if os.getpid() not in _forkers:
        _forkers[os.getpid()] = Forker()
    return _forkers[os.getpid()]


# -- the process that forks -----------------------------------------------------------------------------------


def _import() -> None:
    from moorage.cli.main import COMMANDS
    from moorage.console import assets
    from moorage.plugins.discover import discover

    for place, _ in COMMANDS.values():
        importlib.import_module(place.partition(":")[0])
    for name in ("moorage.app", "moorage.lifecycle", "uvloop", "tortoise.backends.sqlite.client"):
        importlib.import_module(name)
    # A server imports only the plugins that are on; to import them is the longer part of their start.
    for found in discover().values():
        if found.distribution == "moorage":
            found.entry_point.load()
    assets.load()


def _wait_for_orders(orders: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """None when nobody can give any more; in a fork that is to run a command, the order and its standard files."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # So that nobody has to wait for minders.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        message, files, _, _ = socket.recv_fds(orders, 16, 1 + STANDARD_FILES)
        if not message:
            return None
        if os.fork() == 0:
            orders.close()
            return _mind(files)
        for file in files:
            os.close(file)


def _mind(files: list[int]) -> tuple[dict[str, Any], list[int]]:
    """Fork the command, and tell of it until it has ended. Returns in the command's process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    tell, *standard = files
    with socket.socket(fileno=tell) as told:
        with told.makefile("rb") as reader:
            order = json.loads(reader.readline(LONGEST))
        if (child := os.fork()) == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            told.detach()
            return order, standard
        for file in standard:
            os.close(file)
        with contextlib.suppress(OSError):  # Nobody may be there to hear it.
            told.sendall(b"%d\n" % child)
            _, status = os.waitpid(child, 0)
            told.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(order: dict[str, Any], standard: list[int]) -> int:
    """Run the commands of an order in this process; returns the worst exit code."""
    from moorage.cli.main import run

    for number, file in enumerate(standard):
        os.dup2(file, number)
    os.closerange(STANDARD_FILES, 1024)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.path[:0] = filter(None, order["env"].get("PYTHONPATH", "").split(os.pathsep))
    time.tzset()
    codes = []
    for command in order["commands"]:
        sys.argv = ["moorage", *command]
        codes.append(run(command))
    return max(codes)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as given:
        _import()
        gc.collect()
        gc.freeze()
        job = _wait_for_orders(given)
    if job is not None:
        code = _become(*job)
        if job[0]["commands"][0][0] == "serve":
            sys.exit(code)  # Whether it ends by itself when it has stopped is what tests look at.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # To free all that was imported takes as long as most commands.
