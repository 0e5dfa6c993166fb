"""The process runtime: its workloads, found again at start, each with its keeper and one order of calls."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import structlog

from moorage.config.settings import ProcessSettings
from moorage.errors import Conflict, MoorageError, NotFound, Unavailable, ValidationFailed
from moorage.plugin import Health
from moorage.runtimes.base import Exec, Stats, TerminalSize, WorkloadSpec, WorkloadState, WorkloadStatus
from moorage.runtimes.process import launch, sandbox
from moorage.runtimes.process.ports import Ports
from moorage.runtimes.process.storage import Storage
from moorage.runtimes.process.workload import Shared, Workload

T = TypeVar("T")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
TRIAL = ".trial"
"""The folder of a workload that only shows whether there can be sandboxes."""
_log = structlog.get_logger("moorage.runtimes.process")


class ProcessRuntime:
    """Workloads as processes. folder: where each has a folder of its own (mode 0700).

    on_stop: whether workloads go on while the server is stopped. hidden: folders and files of the server that no
    workload in a sandbox may see.
    """

    kind = "process"

    def __init__(
        self,
        settings: ProcessSettings,
        folder: Path,
        *,
        on_stop: Literal["keep", "stop"] = "keep",
        hidden: tuple[Path, ...] = (),
    ) -> None:
        self._settings, self._folder, self._on_stop = settings, folder, on_stop
        self._shared = Shared(Ports(settings.ports), hidden)
        self._workloads: dict[str, Workload] = {}
        self._last: dict[str, asyncio.Task[Any]] = {}
        self._turns: set[asyncio.Task[Any]] = set()
        self._without = ""

    # -- with the server ----------------------------------------------------------------------------------------

    async def open(self) -> None:
        """See `Runtime.open`."""
        folders = await asyncio.to_thread(self._folders)
        await self._isolate()
        found = await asyncio.gather(*(Workload.find(folder, self._shared) for folder in folders))
        self._workloads = {workload.spec.name: workload for workload in found if workload is not None}

    def _folders(self) -> list[Path]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return sorted(path for path in self._folder.iterdir() if path.is_dir() and NAME.fullmatch(path.name))

    async def _isolate(self) -> None:
        """Find out whether workloads can be kept apart, by really doing it. Unavailable when they must and cannot."""
        wanted = self._settings.isolation
        if wanted == "none":
            self._without = "switched off: [runtimes.process] isolation"
            return
        self._shared.bubblewrap = sandbox.find()
        self._without = "" if self._shared.bubblewrap else "bubblewrap is not installed"
        if self._shared.bubblewrap:
            self._without = await self._try()
        if self._without:
            self._shared.bubblewrap = None
            if wanted == "bubblewrap":
                raise Unavailable(f"Workloads cannot be isolated: {self._without}")
            _log.warning("workloads are not isolated", reason=self._without)

    async def _try(self) -> str:
        """Run a program in a sandbox; why it did not work."""
        storage = Storage(self._folder / TRIAL)
        await asyncio.to_thread(storage.remove)
        trial = None
        try:
            trial = await Workload.make(storage, WorkloadSpec(name=TRIAL, command=("true",)), self._shared)
            await trial.start()
            await trial.ended()
            state = trial.state()
            return "" if state.exit_code == 0 else state.reason or f"a trial ended with {state.exit_code}"
        except MoorageError as error:
            return error.message
        finally:
            if trial is not None:
                await trial.remove()

    async def close(self) -> None:
        """See `Runtime.close`."""
        while self._turns:
            await asyncio.wait(self._turns)
        if self._on_stop == "stop":
            running = [name for name, workload in self._workloads.items() if workload.running]
            ends = await asyncio.gather(*(self.stop(name) for name in running), return_exceptions=True)
            for name, end in zip(running, ends, strict=True):
                if isinstance(end, BaseException):
                    _log.error("workload was not ended", workload=name, reason=str(end))
        await asyncio.gather(*(workload.let_go() for workload in self._workloads.values()))
        self._workloads.clear()

    async def health(self) -> Health:
        """See `Runtime.health`."""
        running = sum(workload.running for workload in self._workloads.values())
        detail = f"Workloads are not isolated: {self._without}" if self._without else ""
        isolation = "bubblewrap" if self._shared.bubblewrap else "none"
        return Health("ok", detail, data={"running": running, "isolation": isolation})

    # -- one workload -------------------------------------------------------------------------------------------

    async def create(self, spec: WorkloadSpec) -> WorkloadState:
        """See `Runtime.create`."""
        if not NAME.fullmatch(spec.name):
            raise ValidationFailed(f"{spec.name!r} is no name for a workload")
        launch.check(spec)
        return await self._turn(spec.name, lambda: self._create(spec))

    async def _create(self, spec: WorkloadSpec) -> WorkloadState:
        if spec.name in self._workloads:
            raise Conflict(f"There is a workload {spec.name!r} already")
        await asyncio.to_thread(launch.check_folders, spec)
        storage = Storage(self._folder / spec.name)
        workload = self._workloads[spec.name] = await Workload.make(storage, spec, self._shared)
        return workload.state()

    async def start(self, name: str) -> WorkloadState:
        """See `Runtime.start`."""
        return await self._turn(name, lambda: self._get(name).start())

    async def stop(self, name: str, seconds: float | None = None) -> WorkloadState:
        """See `Runtime.stop`."""
        await self._hurry(name, seconds)
        return await self._turn(name, lambda: self._get(name).stop(seconds))

    async def remove(self, name: str) -> None:
        """See `Runtime.remove`."""
        await self._hurry(name, 0)
        await self._turn(name, lambda: self._remove(name))

    async def _remove(self, name: str) -> None:
        workload = self._workloads.get(name)
        if workload is not None:
            await workload.remove()
            del self._workloads[name]

    async def _hurry(self, name: str, seconds: float | None) -> None:
        """A stop that is under way need not take longer than the next one would."""
        workload = self._workloads.get(name)
        if workload is not None and seconds is not None:
            await workload.hurry(seconds)

    async def inspect(self, name: str) -> WorkloadState:
        """See `Runtime.inspect`."""
        workload = self._workloads.get(name)
        return workload.state() if workload is not None else WorkloadState(status=WorkloadStatus.MISSING)

    async def wait(self, name: str) -> WorkloadState:
        """See `Runtime.wait`."""
        workload = self._get(name)
        await workload.ended()
        return workload.state()

    async def listens(self, name: str, port: str) -> bool:
        """Whether it is the workload itself that listens at its port, and nobody else of this machine."""
        return await self._get(name).listens(port)

    async def list(self) -> dict[str, WorkloadState]:
        """See `Runtime.list`."""
        return {name: workload.state() for name, workload in self._workloads.items()}

    async def logs(self, name: str, *, lines: int = 200) -> bytes:
        """See `Runtime.logs`."""
        workload = self._get(name)
        return await asyncio.to_thread(workload.storage.tail, lines, workload.spec.limits.log_bytes)

    async def stats(self, name: str) -> Stats | None:
        """See `Runtime.stats`."""
        return await self._get(name).stats()

    async def exec(
        self,
        name: str,
        command: tuple[str, ...],
        *,
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
        terminal: TerminalSize | None = None,
    ) -> Exec:
        """See `Runtime.exec`."""
        return await self._get(name).exec(command, env=env or {}, workdir=workdir, terminal=terminal)

    async def digest(self, image: str) -> str | None:
        """See `Runtime.digest`: there are no images here."""
        return None

    def _get(self, name: str) -> Workload:
        workload = self._workloads.get(name)
        if workload is None:
            raise NotFound(f"There is no workload {name!r}")
        return workload

    async def _turn(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do something when its turn on that name has come, and to its end, though who waits for it may go away."""
        before = self._last.get(name)

        async def do() -> T:
            if before is not None:
                await asyncio.wait([before])
            return await work()

        task = self._last[name] = asyncio.get_running_loop().create_task(do(), name=f"workload:{name}")
        self._turns.add(task)
        task.add_done_callback(lambda _: self._done(name, task))
        return await asyncio.shield(task)

    def _done(self, name: str, task: asyncio.Task[Any]) -> None:
        self._turns.discard(task)
        if self._last.get(name) is task:
            del self._last[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            # Who waited was told; if nobody waits any more, nobody need be.
            _log.debug("work on a workload failed", workload=name, reason=repr(error))
