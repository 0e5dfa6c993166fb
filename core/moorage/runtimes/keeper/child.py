"""Starts one program: forked from the keeper, put into the sandbox where there is one, told what it may use."""

from __future__ import annotations

import array
import fcntl
import os
import resource
import signal
import socket
import struct
import termios

from moorage.runtimes.keeper import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAMESPACES = ("mnt", "pid", "ipc", "uts", "cgroup")
_STARTED, _TERMINAL, _FAILED = b"P", b"T", b"E"


class Starting:
    """A program on its way. `pid` is set once it is known; `error` is (what, errno) when it could not be started."""

    def __init__(self, report: socket.socket, pid: int, known: bool) -> None:
        self.report = report
        self.pid = pid if known else 0
        self.terminal = -1
        self.error: tuple[str, int] | None = None
        self.done = False

    def read(self) -> bool:
        """Take what was reported; whether all is known now: `pid`, and `error` or not. Then close `report`."""
        while not self.done:
            try:
                data, ancillary, _, _ = self.report.recvmsg(256, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return False
            for level, kind, content in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    (self.terminal,) = struct.unpack("i", content[:4])
            if data[:1] == _STARTED:
                self.pid = int(data[1:])
            elif data[:1] == _FAILED:
                what, _, number = data[1:].decode().partition(":")
                self.error = what, int(number)
            elif not data:
                self.done = True
        return True


def start(
    program: dict[str, Any],
    *,
    streams: tuple[int, int, int] | None,
    terminal: tuple[int, int] | None,
    sandbox: int | None,
) -> Starting:
    """Fork and exec a program.

    program: {"command": [str], "env": {str: str}, "workdir": str, "limits": {"open_files", "processes", "cores"}}.
    streams: what its 0, 1 and 2 are to be; None with a terminal of (columns, rows), which it opens itself.
    sandbox: the first process of the sandbox in which it is to be.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    pid = os.fork()
    if pid:
        theirs.close()
        ours.setblocking(False)
        return Starting(ours, pid, sandbox is None)
    what = "keeper"
    try:
        ours.close()
        syscalls.hide_memory()
        if sandbox is None:
            syscalls.die_with_parent(signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
        _keep(theirs, streams)
        if sandbox is not None:
            what = "sandbox"
            _enter(sandbox)
            inner = os.fork()  # Only children are in the new process namespace.
            if inner:
                theirs.send(_STARTED + str(inner).encode())
                os._exit(0)
        os.setsid()
        if terminal is not None:
            what = "terminal"
            _open_terminal(theirs, terminal)
        if sandbox is not None:
            what = "sandbox"
            syscalls.no_new_privileges()
            syscalls.drop_capabilities()
        _run(program, theirs)
    except OSError as error:
        theirs.send(_FAILED + f"{what}:{error.errno}".encode())
    except BaseException:
        theirs.send(_FAILED + f"{what}:0".encode())
    finally:
        os._exit(127)


def _keep(report: socket.socket, streams: tuple[int, int, int] | None) -> None:
    """Close all that is the keeper's, so that a program can reach nothing of it, nor look at it on the way."""
    for number in range(1, signal.NSIG):
        try:
            signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            continue
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # Above all numbers that are wanted, so that none is overwritten before it is copied.
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in streams or ()]
    for target, fd in enumerate(moved):
        os.dup2(fd, target)
    kept = report.fileno()
    os.closerange(3, kept)
    os.closerange(kept + 1, 1 << 16)


def _enter(pid: int) -> None:
    """Into all namespaces of a process, the innermost user namespace last: rights are needed until then."""
    opened: list[int] = []
    for name in NAMESPACES:
        fd = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        here = os.stat(f"/proc/self/ns/{name}")
        if os.fstat(fd).st_ino == here.st_ino:
            os.close(fd)
        else:
            opened.append(fd)
    user = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    owner = syscalls.owner_of(opened[0])
    syscalls.setns(owner)
    for fd in opened:
        syscalls.setns(fd)
    if os.fstat(user).st_ino != os.fstat(owner).st_ino:
        syscalls.setns(user)
    for fd in (*opened, user, owner):
        os.close(fd)


def _open_terminal(report: socket.socket, size: tuple[int, int]) -> None:
    """A terminal that belongs to where we are now, so that its name is right; the keeper is given its other end."""
    master, slave = os.openpty()
    columns, rows = size
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    report.sendmsg([_TERMINAL], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [master]))])
    os.close(master)
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for target in range(3):
        os.dup2(slave, target)
    os.close(slave)


def _run(program: dict[str, Any], report: socket.socket) -> None:
    limits = program["limits"]
    _limit(resource.RLIMIT_CORE, 0)
    if limits.get("open_files"):
        _limit(resource.RLIMIT_NOFILE, limits["open_files"])
    if limits.get("processes"):
        # Counted per user namespace: in a sandbox it is the workload's alone. Outside it would be all of the user's.
        _limit(resource.RLIMIT_NPROC, limits["processes"])
    if limits.get("cores"):
        os.sched_setaffinity(0, limits["cores"])
    os.umask(0o022)
    try:
        os.chdir(program["workdir"])
    except OSError as error:
        report.send(_FAILED + f"workdir:{error.errno}".encode())
        os._exit(127)
    try:
        os.execvpe(program["command"][0], program["command"], program["env"])
    except OSError as error:
        report.send(_FAILED + f"command:{error.errno}".encode())
        os._exit(127)


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))
