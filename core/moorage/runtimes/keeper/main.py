"""The keeper's work: start the program, keep its log, answer the server, watch its limits, end its whole tree."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import selectors
import signal
import sys
import time

from moorage.runtimes.keeper import child, control, state, syscalls, tree
from moorage.runtimes.keeper.log import Log
from moorage.runtimes.keeper.programs import Programs
from moorage.runtimes.keeper.sandbox import Sandbox, SandboxFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

LOCK = "lock"
LOCK_SECONDS = 1.0
START_SECONDS = 20.0
CHUNK = 1 << 18
AGAIN_SECONDS = 0.05
"""Between two looks at a tree that is being ended."""
MEMORY_RATE = 2 << 30
"""Bytes a second that a workload is thought to be able to take: how soon it must be looked at again."""
LOOK_MIN, LOOK_MAX = 0.2, 5.0
COUNT_MAX = 1.0
"""Processes can be made faster than memory can be filled."""


class StartFailed(Exception):
    """The workload could not be started. `what` and `number` (an errno) say why; the text is for people."""

    def __init__(self, what: str, number: int = 0, text: str = "") -> None:
        self.what, self.number = what, number
        super().__init__(text)


class Keeper:
    """One workload, from its start to its end."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task, self.folder = task, task["folder"]
        self.limits = task["limits"]
        self.selector = selectors.DefaultSelector()
        self.clients: dict[int, control.Client] = {}
        self.timers: dict[str, tuple[float, Callable[[], None]]] = {}
        self.sandbox: Sandbox | None = None
        self.programs: Programs | None = None
        self.main = 0
        self.ending = self.ended = False
        self.state: dict[str, Any] = {"status": "running"}
        self.state.update({name: task[name] for name in ("ports", "isolation", "mark")})

    # -- start --------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Take the folder, start the program. StartFailed."""
        self._lock()
        self.wakeup, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        syscalls.become_subreaper()
        self.log = Log(self.folder, self.task["log_bytes"])
        # The end for writing stays open, so that it has no end of its own: programs come and go.
        self.output, self.errors = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.output, False)
        try:
            if self.task["sandbox"]:
                self.sandbox = Sandbox(self.task["sandbox"], self.task["plain"])
            self._start_main()
            self.programs = Programs(
                self.task["program"], self.errors, self.sandbox, self.selector, self._processes, self._later
            )
        except SandboxFailed as failure:
            raise StartFailed("sandbox", text=str(failure)) from None
        self.state.update(started_at=time.time(), pid=self.main, keeper=os.getpid())
        try:
            self.listener = control.listen(self.folder)
            state.write(self.folder, self.state)
        except OSError as error:
            raise StartFailed("folder", error.errno or 0) from None
        self.selector.register(self.wakeup, selectors.EVENT_READ, self._signalled)
        self.selector.register(self.output, selectors.EVENT_READ, self._take_output)
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        if self.limits.get("memory_bytes") or self.limits.get("processes"):
            self._later("limits", LOOK_MIN, self._check_limits)

    def _lock(self) -> None:
        """The lock on the folder says that the workload lives, whatever numbers processes have after a reboot."""
        self.lock = os.open(os.path.join(self.folder, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise StartFailed("running") from None
                time.sleep(0.01)

    def _start_main(self) -> None:
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        inside = self.sandbox.pid if self.sandbox else None
        found = child.start(
            self.task["program"], streams=(nothing, self.errors, self.errors), terminal=None, sandbox=inside
        )
        os.close(nothing)
        found.report.setblocking(True)
        found.report.settimeout(START_SECONDS)
        try:
            found.read()
        except OSError:
            raise StartFailed("time") from None
        found.report.close()
        if found.error:
            raise StartFailed(*found.error)
        self.main = found.pid

    def abandon(self) -> None:
        """After a failed start: leave nothing."""
        if self.sandbox:
            self.sandbox.end()
        self.ending = self.ended = True
        while self._reap():
            tree.end(os.getpid())
            time.sleep(0.005)

    # -- the loop -----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until the last process of the workload has ended."""
        while not self.ended:
            now = time.monotonic()
            due = min((at for at, _ in self.timers.values()), default=None)
            for key, _ in self.selector.select(None if due is None else max(0.0, due - now)):
                key.data()
            now = time.monotonic()
            for name in [name for name, (at, _) in self.timers.items() if at <= now]:
                _, call = self.timers.pop(name)
                call()

    def _later(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        self.timers[name] = (time.monotonic() + seconds, call)

    def _signalled(self) -> None:
        for number in os.read(self.wakeup, 4096):
            if number in (signal.SIGTERM, signal.SIGINT):
                self.stop(self.task["stop_seconds"], "The machine, or somebody on it, told its keeper to end it")
        self._reap()

    def _reap(self) -> bool:
        """Take the exit codes of what has ended; whether any child is left."""
        if self.programs:
            self.programs.poll()
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                if self.ending and self.main:
                    self._finish()
                return False
            if not pid:
                return True
            code = os.waitstatus_to_exitcode(status)
            self._exited(pid, code if code >= 0 else 128 - code)

    def _exited(self, pid: int, code: int) -> None:
        if pid == self.main:
            self.state.update(exit_code=code, ended_at=time.time())
            self._end()
            return
        if self.sandbox and pid == self.sandbox.bwrap and not self.ending:
            self.state.setdefault("reason", "Its sandbox was ended from outside")
            self._end()
        if self.programs:
            self.programs.exited(pid, code)

    # -- the end ------------------------------------------------------------------------------------------------

    def stop(self, seconds: float, reason: str = "") -> None:
        """Ask the program to end, and make it after `seconds`; sooner when asked again with less."""
        if self.ending:
            return
        if reason:
            self.state.setdefault("reason", reason)
        if "stop" not in self.timers:
            tree.send_group(self.main, signal.SIGTERM)
            self._later("stop", seconds, self._end)
        elif self.timers["stop"][0] > time.monotonic() + seconds:
            self._later("stop", seconds, self._end)

    def _end(self) -> None:
        """Kill the tree, again and again until no process is left."""
        self.ending = True
        if self.sandbox:
            self.sandbox.end()
        if self.main and "exit_code" not in self.state:
            tree.send_group(self.main, signal.SIGKILL)
        tree.end(os.getpid())
        if self._reap() and not self.ended:
            self._later("end", AGAIN_SECONDS, self._end)

    def _finish(self) -> None:
        if self.ended:
            return
        self.ended = True
        while data := self._output():
            self.log.write(data)
        self.state.update(status="exited", pid=None, keeper=None)
        self.state.setdefault("ended_at", time.time())
        try:
            state.write(self.folder, self.state)
        except OSError:
            pass  # Who waits is told; who comes later finds the lock free and the workload not running.
        self.listener.close()
        try:
            os.unlink(os.path.join(self.folder, control.NAME))
        except OSError:
            pass
        # Before it is told, so that who is told can start it again at once.
        fcntl.flock(self.lock, fcntl.LOCK_UN)
        for client in self.clients.values():
            if client.watches:
                client.send({"state": self.state})
            client.close()

    # -- limits and figures -------------------------------------------------------------------------------------

    def _check_limits(self) -> None:
        memory, most = self.limits.get("memory_bytes"), self.limits.get("processes")
        pids = self._processes()
        wait = LOOK_MAX
        if most:
            if len(pids) > most:
                self._exceeded(f"It had more processes than the {most} that it may have")
                return
            wait = min(wait, max(LOOK_MIN, COUNT_MAX * (1 - len(pids) / most)))
        if memory:
            used = tree.resident(pids)
            if used > memory:
                used = tree.proportional(pids)
            if used > memory:
                self._exceeded(f"Out of memory: it used more than the {memory >> 20} MiB that it may")
                return
            wait = min(wait, max(LOOK_MIN, (memory - used) / MEMORY_RATE))
        self._later("limits", wait, self._check_limits)

    def _exceeded(self, reason: str) -> None:
        self.state["reason"] = reason
        self.log.write(f"\n[{reason}]\n".encode())
        self._end()

    def _processes(self) -> list[int]:
        """The workload's own: without what holds the sandbox."""
        own = self.sandbox.pids if self.sandbox else ()
        return [pid for pid in tree.descendants(os.getpid()) if pid not in own]

    def _stats(self) -> dict[str, Any]:
        pids = self._processes()
        return {
            "cpu_seconds": tree.cpu_seconds(pids),
            "memory_bytes": tree.proportional(pids),
            "processes": len(pids),
        }

    # -- output -------------------------------------------------------------------------------------------------

    def _output(self) -> bytes:
        try:
            return os.read(self.output, CHUNK)
        except BlockingIOError:
            return b""

    def _take_output(self) -> None:
        data = self._output()
        self.log.write(data)
        if wait := self.log.pause(len(data), time.monotonic()):
            self.selector.unregister(self.output)
            self._later("output", wait, self._listen_to_output)

    def _listen_to_output(self) -> None:
        self.selector.register(self.output, selectors.EVENT_READ, self._take_output)

    # -- the server ---------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            peer, _ = self.listener.accept()
        except OSError:
            return
        if len(self.clients) >= control.MAX_CLIENTS or not control.allowed(peer):
            peer.close()
            return
        client = control.Client(peer)
        self.clients[peer.fileno()] = client
        self.selector.register(peer, selectors.EVENT_READ, lambda: self._serve(client))

    def _serve(self, client: control.Client) -> None:
        if client.peer.fileno() < 0:
            return  # The workload ended on the way here.
        requests = client.requests()
        if requests is None:
            self.selector.unregister(client.peer)
            del self.clients[client.peer.fileno()]
            client.close()
            if self.programs:
                self.programs.close(client)
            return
        for request in requests:
            try:
                self._answer(client, request)
            except (OSError, LookupError, TypeError, ValueError) as error:
                client.send({"error": "keeper", "errno": getattr(error, "errno", 0) or errno.EINVAL})

    def _answer(self, client: control.Client, request: dict[str, Any]) -> None:
        match request.get("do"):
            case "watch":
                client.watches = True
                client.send({"state": self.state})
            case "stop":
                self.stop(float(request["seconds"]))
                client.send({"done": True})
            case "stats":
                client.send(self._stats())
            case "exec" if self.programs and not self.ending and not client.program:
                if self.programs.count() >= control.MAX_PROGRAMS:
                    client.send({"error": "full", "errno": errno.EAGAIN})
                else:
                    self.programs.start(client, request)
            case "close" if self.programs:
                self.programs.close(client)
            case _:
                client.send({"error": "ending" if self.ending else "request", "errno": 0})


def main() -> None:
    """Read the task from stdin, say on stdout whether the program runs, then keep it."""
    os.closerange(3, 1 << 16)  # Whatever the server had open is none of ours.
    task = json.loads(sys.stdin.buffer.read())
    if os.fork():
        os._exit(0)  # So that it is nobody's child whom the server would have to wait for.
    os.umask(0o077)
    os.chdir("/")
    keeper = Keeper(task)
    try:
        keeper.open()
    except StartFailed as failure:
        _say({"error": failure.what, "errno": failure.number, "text": str(failure)})
        keeper.abandon()
        return
    except BaseException as error:
        _say({"error": "keeper", "errno": getattr(error, "errno", 0) or errno.EIO, "text": repr(error)})
        keeper.abandon()
        raise
    _say({"state": keeper.state})
    nothing = os.open(os.devnull, os.O_RDWR)
    for target in range(2):
        os.dup2(nothing, target)
    keeper.run()


def _say(answer: dict[str, Any]) -> None:
    """Tell the server. It may be gone, and will find this again when it comes back."""
    try:
        os.write(1, json.dumps(answer).encode() + b"\n")
    except OSError:
        pass
