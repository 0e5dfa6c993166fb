"""What a runtime is: the one protocol by which workloads are made, run, reached and ended, whatever runs them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from moorage.plugin import Health


class WorkloadStatus(enum.Enum):
    """How a workload is."""

    CREATED = "created"
    """Made and never started."""
    RUNNING = "running"
    EXITED = "exited"
    """Ended by itself, stopped, or killed; it can be started again."""
    MISSING = "missing"
    """The runtime knows nothing of it."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of the host that a workload sees, at the same path unless `target` says otherwise.

    A runtime that cannot show it elsewhere refuses a `target` that differs (ValidationFailed).
    plain: there is no link in the path of `source`, and one that another workload puts there must not be followed: the
    start fails. Containers' engines follow links that are put there just then.
    """

    source: Path
    target: str | None = None
    read_only: bool = False
    plain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a workload may use; None is unlimited, as far as the runtime and the machine go.

    cpus: cores, may be a fraction. processes: with threads where the runtime counts them. log_bytes: of output kept;
    the oldest goes. A runtime that cannot hold a limit says so in its docs, and holds the others.
    """

    memory_bytes: int | None = None
    cpus: float | None = None
    processes: int | None = None
    open_files: int | None = None
    log_bytes: int = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSpec:
    """What is to run.

    name: `[a-z0-9][a-z0-9-]{0,62}`, unique within the plugin.
    command: program and arguments, never a shell line; empty: what the image says.
    workdir: where it starts. home: a folder of the host, mounted at the same path, writable: `HOME`, and all
        `XDG_*_HOME` below it. mounts: what else it sees.
    image: for runtimes with images; others ignore it.
    env: variables beside the few that every workload has (PATH, LANG, TERM, HOME, XDG_*); none of the server's own.
    secrets: variables too; never in logs, on command lines, in labels, nor in what `inspect` shows.
    ports: names of the TCP ports that it will listen on. `{port:NAME}` in `command` and `env` becomes the number,
        `{host}` the address to listen on: loopback, or all of a container's own.
    labels: for operators and for `list` after a restart; no secrets.
    stop_seconds: between being asked to end (SIGTERM) and being made to (SIGKILL).
    """

    name: str
    command: tuple[str, ...] = ()
    workdir: str = "/"
    home: Path | None = None
    image: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    mounts: tuple[Mount, ...] = ()
    ports: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a port of a workload is reached: host and port, or the path of a unix socket."""

    host: str = "127.0.0.1"
    port: int = 0
    path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadState:
    """A workload as it is now.

    exit_code: of the last end; 128 + n for signal n. reason: a sentence when something is to be said of its end
    (out of memory, never found again …), without secrets. unit: the runtime's own name for it (container id, process
    id), for people. digest: of the image that it was made from. labels: as in its spec. isolation: how it is kept
    apart ("bubblewrap", "container", "none").
    """

    status: WorkloadStatus
    exit_code: int | None = None
    reason: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    unit: str | None = None
    image: str | None = None
    digest: str | None = None
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    isolation: str = ""

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.status is WorkloadStatus.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What a running workload uses. cpu_percent: of one core, since the call before (0 at the first)."""

    cpu_percent: float
    memory_bytes: int
    memory_limit: int | None
    processes: int
    net_in_bytes: int | None = None
    net_out_bytes: int | None = None
    block_in_bytes: int | None = None
    block_out_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class TerminalSize:
    """Cells of a terminal."""

    columns: int = 80
    rows: int = 24


class Exec(Protocol):
    """A program that was started inside a running workload, and its input and output."""

    async def read(self, limit: int = 65536) -> bytes:
        """Output as it comes, b"" at its end. One reader.

        With a terminal it is everything; without, stdout, and stderr is in the workload's log where that can be.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Input; returns when the program's side took it (back-pressure). ConnectionError when it has ended."""
        ...

    async def close_input(self) -> None:
        """End its input. Nothing without effect: with a terminal, use `close`."""
        ...

    async def resize(self, size: TerminalSize) -> None:
        """Tell its terminal a new size. Nothing happens without one."""
        ...

    async def wait(self) -> int:
        """The exit code, 128 + n for signal n, once it has ended."""
        ...

    async def close(self) -> None:
        """End it and all that it started: SIGHUP with a terminal, SIGTERM without, then SIGKILL. Safe to repeat."""
        ...


class Runtime(Protocol):
    """Runs workloads. `name` here is unique on the server: the caller's plugin is in it.

    Errors: NotFound for a name without a workload, Conflict when its state forbids the call, ValidationFailed for a
    spec that cannot be (a missing folder, an image that is not there), Unavailable when what the runtime needs is
    away. Every call ends within its own time-out; none blocks the event loop. Calls for one name may overlap: the
    runtime puts them in an order.
    """

    kind: str
    """"process", "docker" …: how config and API call it."""

    async def open(self) -> None:
        """Begin: find again what runs from before. Failing here makes the runtime unavailable, not the server."""
        ...

    async def close(self) -> None:
        """End with the server. Workloads go on unless the settings say that they end."""
        ...

    async def health(self) -> Health:
        """How it is."""
        ...

    async def create(self, spec: WorkloadSpec) -> WorkloadState:
        """Make it ready to start. Conflict if there is one of that name."""
        ...

    async def start(self, name: str) -> WorkloadState:
        """Start it, from the beginning or again; its ports may be others than before. Running already: no change."""
        ...

    async def stop(self, name: str, seconds: float | None = None) -> WorkloadState:
        """Ask it to end, make it end after `seconds`; returns when it has. Not running: no change."""
        ...

    async def remove(self, name: str) -> None:
        """End it at once and forget it. Harmless for an unknown one. Mounted folders stay."""
        ...

    async def inspect(self, name: str) -> WorkloadState:
        """How it is; MISSING for an unknown one, no error."""
        ...

    async def wait(self, name: str) -> WorkloadState:
        """Returns once it does not run, at once if so. Takes as long as it takes."""
        ...

    async def list(self) -> dict[str, WorkloadState]:
        """All workloads of this server, those of an earlier life of it too."""
        ...

    async def logs(self, name: str, *, lines: int = 200) -> bytes:
        """The newest lines of its output, stdout and stderr together; never more than `Limits.log_bytes`."""
        ...

    async def stats(self, name: str) -> Stats | None:
        """What it uses; None when it does not run."""
        ...

    async def exec(
        self,
        name: str,
        command: tuple[str, ...],
        *,
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
        terminal: TerminalSize | None = None,
    ) -> Exec:
        """Start a program inside a running workload, apart from the world as the workload is."""
        ...

    async def digest(self, image: str) -> str | None:
        """What the image's name stands for now; None for an unknown image, or a runtime without images."""
        ...
