"""The processes of a workload: found, counted, measured and ended through /proc."""

from __future__ import annotations

import os
import signal

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


def descendants(root: int) -> list[int]:
    """All living descendants of a process, parents first; without `root` itself."""
    found: list[int] = []
    parents = [root]
    while parents:
        fresh = children(parents.pop())
        found += fresh
        parents += fresh
    return found


def children(pid: int) -> list[int]:
    """The living children of a process."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
        except OSError:
            continue
    return found


def end(root: int) -> None:
    """SIGKILL for every descendant.

    Whole process groups at once, which nobody who forks can outrun; who makes groups of its own all the time is
    stopped first, one by one, until none is left that forks on while it is looked for.
    """
    own = os.getpgid(0)
    known: set[int] = set()
    while fresh := [pid for pid in descendants(root) if pid not in known]:
        for group in {_group(pid) for pid in fresh} - {own, 0}:
            send_group(group, signal.SIGKILL)
        for pid in fresh:
            send(pid, signal.SIGSTOP)
        known.update(fresh)
    for pid in known:
        send(pid, signal.SIGKILL)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


def send(pid: int, number: int) -> None:
    """A signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except OSError:
        pass


def send_group(pid: int, number: int) -> None:
    """A signal to the process group of a process that may be gone."""
    try:
        os.killpg(pid, number)
    except OSError:
        pass


def resident(pids: list[int]) -> int:
    """Bytes of memory, what is shared counted for each: quick, and too much rather than too little."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/statm", "rb") as file:
                total += int(file.read().split()[1]) * PAGE
        except (OSError, IndexError):
            continue
    return total


def proportional(pids: list[int]) -> int:
    """Bytes of memory, what is shared divided by those who share it: true, and slow for large processes."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
                for line in file:
                    if line.startswith(b"Pss:"):
                        total += int(line.split()[1]) * 1024
                        break
        except OSError:
            total += resident([pid])  # Not ours to look into, or without an address space.
    return total


def cpu_seconds(pids: list[int]) -> float:
    """Of these processes, and of children of theirs that have ended."""
    total = 0
    for pid in pids:
        total += sum(map(int, _stat(pid)[11:15]))
    return total / TICKS


def of_session(pids: list[int], session: int) -> list[int]:
    """Those of the processes that are in a session."""
    return [pid for pid in pids if (fields := _stat(pid)) and int(fields[3]) == session]


def _stat(pid: int) -> list[bytes]:
    """The fields of a process from its state on (the third), none when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []
