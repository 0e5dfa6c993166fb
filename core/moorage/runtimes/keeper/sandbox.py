"""The sandbox of a workload: bubblewrap around a shell that waits, into which every program is put."""

from __future__ import annotations

import errno
import json
import os
import select
import stat
import time

from moorage.runtimes.keeper import syscalls, tree

HOLDER = ["/bin/sh", "-c", "echo; read -r _"]
"""Says that all is in place, and ends with the keeper, whose pipe it reads."""
READY_SECONDS = 20.0
KILL = 9


class SandboxFailed(Exception):
    """It could not be set up; the text says why."""


class Sandbox:
    """A running sandbox.

    pid: its first process, with which all in it end. bwrap: the program around it. pids: all that holds it.
    """

    def __init__(self, command: list[str], plain: list[str]) -> None:
        """Start it and wait until it is ready. SandboxFailed.

        command: bubblewrap with its arguments, without the program to run. plain: what must be seen in it as it is
        outside when no link is followed.
        """
        in_read, self._hold = os.pipe2(os.O_CLOEXEC)
        out, out_write = os.pipe2(os.O_CLOEXEC)
        info, info_write = os.pipe2(os.O_CLOEXEC)
        errors, errors_write = os.pipe2(os.O_CLOEXEC)
        # Not on its command line, which those inside can read.
        options = os.memfd_create("options", os.MFD_CLOEXEC)
        os.write(options, "\0".join([*command[1:], "--info-fd", str(info_write)]).encode() + b"\0")
        os.lseek(options, 0, os.SEEK_SET)
        parent = os.getpid()
        self.pid = 0
        self.bwrap = os.fork()
        if not self.bwrap:
            try:
                syscalls.die_with_parent(KILL)
                if os.getppid() != parent:
                    os._exit(1)
                os.setsid()
                os.umask(0o022)
                for target, fd in enumerate((in_read, out_write, errors_write)):
                    os.dup2(fd, target)
                for fd in (info_write, options):
                    os.set_inheritable(fd, True)
                os.execve(command[0], ["bwrap", "--args", str(options), "--", *HOLDER], {"PATH": "/usr/bin:/bin"})
            except BaseException as error:
                os.write(2, f"{command[0]}: {error}".encode())
            finally:
                os._exit(127)
        for fd in (in_read, out_write, info_write, errors_write, options):
            os.close(fd)
        try:
            said = _read(info, errors, until=b"}")
            ready = _read(out, errors, until=b"\n")
            if not ready or not said:
                raise SandboxFailed(_read(errors, errors, until=None).decode("utf-8", "replace").strip()[-400:])
            self.pid = int(json.loads(said)["child-pid"])
            self.pids = (self.bwrap, self.pid, *tree.children(self.pid))
            # Bubblewrap follows links, and who may write beside a folder can put one in its place at any moment.
            # Nothing runs in the sandbox yet, and what is mounted there stays: now it can be told.
            for path in plain:
                if not _same(path, self.pid):
                    raise SandboxFailed(f"{path} was exchanged while it was mounted, or is reached by a link")
        except BaseException:
            self.end()
            raise
        finally:
            for fd in (out, info, errors):
                os.close(fd)

    def end(self) -> None:
        """Kill all that is in it."""
        for pid in (self.pid, self.bwrap):
            if pid:
                tree.send(pid, KILL)


def _read(fd: int, errors: int, *, until: bytes | None) -> bytes:
    """What comes until a byte, or until the end."""
    data = b""
    deadline = time.monotonic() + READY_SECONDS
    while until is None or until not in data:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise SandboxFailed("it was not ready in time")
        more = os.read(fd, 4096)
        if not more:
            return data if until is None else b""
        data += more
    return data


def _same(path: str, pid: int) -> bool:
    """Whether a process sees at a path what is there for this one, without any link on the way."""
    try:
        ours, theirs = (_identity(root, path) for root in ("/", f"/proc/{pid}/root"))
    except OSError:
        return False
    return ours == theirs


def _identity(root: str, path: str) -> tuple[int, int]:
    here = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in path.split("/"):
            if name in ("", "."):
                continue
            if name == "..":
                raise OSError(errno.ELOOP, "it goes upwards")
            above, here = here, -1
            try:
                here = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
            finally:
                os.close(above)
        about = os.fstat(here)
    finally:
        if here >= 0:
            os.close(here)
    if stat.S_ISLNK(about.st_mode):
        raise OSError(errno.ELOOP, "it is a link")
    return about.st_dev, about.st_ino
