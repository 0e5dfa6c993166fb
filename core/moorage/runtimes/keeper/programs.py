"""Programs that the server runs inside a workload: started, told of their end, and ended when nobody wants them."""

from __future__ import annotations

import os
import selectors
import signal

from moorage.runtimes.keeper import child, control, tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from moorage.runtimes.keeper.sandbox import Sandbox

CLOSE_SECONDS = 3.0
"""What a program has between being told to end and being killed."""


class Programs:
    """All that the server runs inside. One is of one connection, and ends with it.

    program: what a program has unless it is told otherwise. errors: where its stderr goes. processes: the workload's.
    later: calls something after so many seconds, under a name.
    """

    def __init__(
        self,
        program: dict[str, Any],
        errors: int,
        sandbox: Sandbox | None,
        selector: selectors.BaseSelector,
        processes: Callable[[], list[int]],
        later: Callable[[str, float, Callable[[], None]], None],
    ) -> None:
        self._program, self._errors, self._sandbox = program, errors, sandbox
        self._selector, self._processes, self._later = selector, processes, later
        self._starting: list[tuple[child.Starting, control.Client, list[int]]] = []
        self._running: dict[int, control.Client] = {}
        self._closing: set[int] = set()
        self._unclaimed: dict[int, int] = {}

    def count(self) -> int:
        """How many run or start."""
        return len(self._running) + len(self._starting)

    def poll(self) -> None:
        """Look at those that start: what has ended must be known by its number first."""
        for item in list(self._starting):
            self._started(*item)

    def exited(self, pid: int, code: int) -> None:
        """A child of the keeper has ended; it may be one of these."""
        if client := self._running.pop(pid, None):
            client.send({"exit": code})
        elif self._starting:
            self._unclaimed[pid] = code

    def start(self, client: control.Client, request: dict[str, Any]) -> None:
        """Start what was asked for; the client is told once it is known how that went. OSError, LookupError."""
        program = {**self._program, **request["program"]}
        program["env"] = {**self._program["env"], **request["program"]["env"]}
        client.size = request.get("terminal")
        ours: list[int] = []
        theirs: list[int] = []
        try:
            if not client.size:
                for mine in (1, 0):
                    pipe = os.pipe2(os.O_CLOEXEC)
                    ours.append(pipe[mine])
                    theirs.append(pipe[1 - mine])
            streams = None if client.size else (theirs[0], theirs[1], self._errors)
            inside = self._sandbox.pid if self._sandbox else None
            size = (int(client.size[0]), int(client.size[1])) if client.size else None
            found = child.start(program, streams=streams, terminal=size, sandbox=inside)
        except BaseException:
            _close_all(ours)
            raise
        finally:
            _close_all(theirs)
        item = (found, client, ours)
        self._starting.append(item)
        self._selector.register(found.report, selectors.EVENT_READ, lambda: self._started(*item))

    def _started(self, found: child.Starting, client: control.Client, ours: list[int]) -> None:
        report = found.report
        if report.fileno() < 0:
            return
        if not found.read():
            return
        # In this order: a child that was forked just now may hold the same socket until it runs its program, and what
        # is closed before it is unregistered would go on to be told of, under a number that is another's by then.
        self._selector.unregister(report)
        report.close()
        self._starting.remove((found, client, ours))
        if found.terminal >= 0:
            ours = [found.terminal]
        if found.error:
            client.send({"error": found.error[0], "errno": found.error[1]})
        else:
            client.program = found.pid
            client.send({"pid": found.pid}, ours)
            if found.pid in self._unclaimed:
                client.send({"exit": self._unclaimed.pop(found.pid)})
            else:
                self._running[found.pid] = client
                if client.peer.fileno() < 0:
                    self.close(client)
        _close_all(ours)
        if not self._starting:
            self._unclaimed.clear()

    def close(self, client: control.Client) -> None:
        """End what a client started: asked first, then killed with all that is of its session."""
        pid = client.program
        if not pid or pid in self._closing:
            return
        if self._running.get(pid) is client:
            tree.send_group(pid, signal.SIGHUP if client.size else signal.SIGTERM)
            tree.send_group(pid, signal.SIGCONT)
        self._closing.add(pid)
        self._later(f"close {pid}", CLOSE_SECONDS, lambda: self._kill_session(pid))

    def _kill_session(self, session: int) -> None:
        self._closing.discard(session)
        for pid in tree.of_session(self._processes(), session):
            tree.send(pid, signal.SIGKILL)


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
