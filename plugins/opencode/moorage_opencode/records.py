"""Sessions as they are kept in memory: what the hot path reads, and who is doing what with each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from moorage.api import Upstream

from moorage_opencode.models import OpenCodeSession, aware
from moorage_opencode.states import ACTIVE, Status


@dataclass(slots=True)
class Live:
    """A session as the hot path knows it, without a look into the database.

    upstream: OpenCode's, None while the session does not run. authorization: the header that it takes.
    """

    pid: str
    user_id: int
    status: str
    workspace: Path
    workload: str
    runtime: str
    upstream: Upstream | None = None
    authorization: str = field(default="", repr=False)


@dataclass(slots=True, eq=False)
class Entry:
    """A session and what goes on with it.

    used_at: when somebody last used it; `unwritten` until the row says so. holds: how many use it right now.
    lock: held by the operation that changes it. task: the newest operation, which may still wait for its turn.
    stops: stops and deletions that wait for their turn: what starts gives way to them.
    watch: waits for the workload's end. restarts: how often it was started again by itself since it last ran well.
    silent: how often in a row it did not say whether its agent is at work. settled: set when it was looked at after
    the start of the server, or after its end; None where that was not needed.
    """

    live: Live
    used_at: datetime
    unwritten: bool = False
    holds: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: asyncio.Task[object] | None = None
    stops: int = 0
    watch: asyncio.Task[None] | None = None
    restarts: int = 0
    silent: int = 0
    settled: asyncio.Event | None = None
    ready_at: float = 0.0

    @property
    def active(self) -> bool:
        """Whether it counts as one that runs."""
        return self.live.status in ACTIVE

    @property
    def running(self) -> bool:
        """Whether it can be reached."""
        return self.live.status == Status.RUNNING and self.live.upstream is not None

    def idle(self, seconds: float) -> bool:
        """Whether it runs, and nobody used it for so long."""
        if not self.running or self.holds or (self.live.upstream is not None and self.live.upstream.in_use):
            return False
        return (datetime.now(UTC) - self.used_at).total_seconds() > seconds

    def touch(self) -> None:
        """Somebody uses it just now."""
        self.used_at, self.unwritten = datetime.now(UTC), True

    def unwatch(self) -> None:
        """Its end is expected from now on."""
        if self.watch is not None:
            self.watch.cancel()
            self.watch = None


def entry_of(row: OpenCodeSession) -> Entry:
    """A row as it is kept in memory."""
    live = Live(row.pid, row.user_id, row.status, Path(row.workspace_path), row.workload, row.runtime)
    return Entry(live, aware(row.last_activity_at or row.started_at or row.created_at))


class Records:
    """All sessions of this server, by id."""

    def __init__(self) -> None:
        self._all: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._all.values()))

    def get(self, pid: str) -> Entry | None:
        """The session of that id."""
        return self._all.get(pid)

    def add(self, entry: Entry) -> None:
        """One more."""
        self._all[entry.live.pid] = entry

    def remove(self, entry: Entry) -> None:
        """It is no more. Harmless to repeat."""
        self._all.pop(entry.live.pid, None)

    def of(self, user_id: int) -> list[Entry]:
        """Those of a user."""
        return [entry for entry in self._all.values() if entry.live.user_id == user_id]

    def counts(self) -> dict[str, int]:
        """How many there are, by status; all statuses are in it."""
        found = dict.fromkeys((status.value for status in Status), 0)
        for entry in self._all.values():
            found[entry.live.status] = found.get(entry.live.status, 0) + 1
        return found
