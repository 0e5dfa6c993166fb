"""One workload of the process runtime: what is known of it, and its keeper."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from moorage.errors import Conflict, MoorageError, Unavailable, ValidationFailed
from moorage.runtimes import keeper
from moorage.runtimes.base import Endpoint, Stats, TerminalSize, WorkloadSpec, WorkloadState, WorkloadStatus
from moorage.runtimes.process import launch, listening, orphans, sandbox
from moorage.runtimes.process.control import Control, Gone
from moorage.runtimes.process.executed import ProcessExec
from moorage.runtimes.process.ports import HOST, Ports
from moorage.runtimes.process.storage import ERRORS, Storage

KEEPER = (sys.executable, "-I", "-S", str(Path(keeper.__file__).parent))
"""Isolated and without site-packages: it starts in a hundredth of a second, and needs none of them."""
START_SECONDS = 50.0
NEVER_FOUND = "It was not found again: the machine was restarted, or its keeper was killed"
_log = structlog.get_logger("moorage.runtimes.process")


class Shared:
    """What all workloads of a runtime share. bubblewrap: where it is, None when workloads are not kept apart."""

    def __init__(self, ports: Ports, hidden: tuple[Path, ...]) -> None:
        self.ports, self.hidden = ports, hidden
        self.bubblewrap: str | None = None


class Workload:
    """A workload. Calls that change it are made one at a time, by the runtime's order."""

    def __init__(self, storage: Storage, spec: WorkloadSpec, shared: Shared, state: dict[str, Any]) -> None:
        self.storage, self.spec = storage, spec
        self._shared, self._state = shared, state
        self._watch: asyncio.Task[None] | None = None
        self._cpu: tuple[float, float] | None = None
        self._stopping = False

    @classmethod
    async def make(cls, storage: Storage, spec: WorkloadSpec, shared: Shared) -> Workload:
        """A new one, written down. Unavailable when the disk does not take it."""
        try:
            await asyncio.to_thread(storage.create, spec)
        except FileExistsError:
            raise Conflict(f"There is a folder of a workload {spec.name!r} already") from None
        except OSError as error:
            raise Unavailable(f"The workload cannot be written down: {error.strerror}") from error
        return cls(storage, spec, shared, {"status": "created"})

    @classmethod
    async def find(cls, folder: Path, shared: Shared) -> Workload | None:
        """One from an earlier life of the server, and its keeper if it lives; None when its folder tells nothing."""
        storage = Storage(folder)
        try:
            spec = await asyncio.to_thread(storage.spec)
        except (OSError, ValueError, LookupError, TypeError) as error:
            _log.error("folder of a workload cannot be read", folder=folder.name, reason=repr(error))
            return None
        workload = cls(storage, spec, shared, await asyncio.to_thread(storage.state))
        # The server may have been killed while a keeper started: then it is not to be reached yet.
        if not await workload._found():
            await workload._settle()
        return workload

    # -- state --------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether its keeper lives, as far as is known."""
        return self._watch is not None and not self._watch.done()

    def state(self) -> WorkloadState:
        """As it is now."""
        told = self._state
        status = WorkloadStatus.RUNNING if self.running else WorkloadStatus(told.get("status", "exited"))
        running = status is WorkloadStatus.RUNNING
        ports: dict[str, int] = told.get("ports", {}) if running else {}
        return WorkloadState(
            status=status,
            exit_code=None if running else told.get("exit_code"),
            reason="" if running else told.get("reason", ""),
            started_at=_at(told.get("started_at")),
            ended_at=None if running else _at(told.get("ended_at")),
            unit=str(told["pid"]) if running and told.get("pid") else None,
            endpoints={name: Endpoint(HOST, port) for name, port in ports.items()},
            labels=self.spec.labels,
            isolation=told.get("isolation", ""),
        )

    async def listens(self, port: str) -> bool:
        """See `ProcessRuntime.listens`."""
        number, keeper_pid = self._state.get("ports", {}).get(port), self._state.get("keeper")
        if not self.running or number is None or keeper_pid is None:
            return False
        return await asyncio.to_thread(listening.listens, int(keeper_pid), int(number))

    async def ended(self) -> None:
        """Until it does not run."""
        if self._watch is not None:
            await asyncio.wait([self._watch])

    async def _found(self) -> bool:
        """Whether it runs, though nobody here knew: a keeper that just starts cannot be reached at once."""
        deadline = time.monotonic() + START_SECONDS
        while not self.running and await asyncio.to_thread(self.storage.kept) and time.monotonic() < deadline:
            await self._adopt()
            if not self.running:
                await asyncio.sleep(0.05)
        return self.running

    async def _adopt(self) -> None:
        """Watch the keeper, if it is there."""
        try:
            control = await Control.connect(self.storage.folder)
        except Gone:
            return
        try:
            self._state = (await control.ask({"do": "watch"}))["state"]
        except BaseException as error:
            control.close()
            if not isinstance(error, Gone):
                raise
            return
        self._shared.ports.adopt(self.spec.name, self._state.get("ports", {}).values())
        self._watch = asyncio.get_running_loop().create_task(self._follow(control), name=f"workload:{self.spec.name}")
        self._watch.add_done_callback(lambda watch: self._watched(watch, control))

    def _watched(self, watch: asyncio.Task[None], control: Control) -> None:
        control.close()
        if not watch.cancelled() and (error := watch.exception()) is not None:
            _log.error("the end of a workload was missed", workload=self.spec.name, exc_info=error)

    async def _follow(self, control: Control) -> None:
        """Until the keeper tells the end, or is gone itself."""
        try:
            self._state = (await control.receive())["state"]
        except Gone:
            await self._settle()
        self._shared.ports.free(self.spec.name)
        if not self.spec.name.startswith("."):
            _log.info("workload ended", workload=self.spec.name, code=self._state.get("exit_code"))

    async def _settle(self) -> None:
        """Without a keeper: what it wrote last, or that it was cut short."""
        self._state = await asyncio.to_thread(self.storage.state)
        if self._state.get("status") == "running":
            if left := await asyncio.to_thread(orphans.end, str(self._state.get("mark"))):
                _log.warning("processes without a keeper were ended", workload=self.spec.name, processes=left)
            self._state.update(status="exited", pid=None, keeper=None, ended_at=time.time(), reason=NEVER_FOUND)
            try:
                await asyncio.to_thread(self.storage.write_state, self._state)
            except OSError as error:
                _log.error("state of a workload cannot be written", workload=self.spec.name, reason=str(error))

    async def let_go(self) -> None:
        """Watch it no longer; it goes on."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])

    # -- start and end ------------------------------------------------------------------------------------------

    async def start(self) -> WorkloadState:
        """See `Runtime.start`."""
        if await self._found():
            return self.state()
        await asyncio.to_thread(self._check)
        ports = self._shared.ports.take(self.spec.name, self.spec.ports)
        try:
            task = await asyncio.to_thread(self._task, ports)
            answer = await self._spawn(task)
        except BaseException:
            self._shared.ports.free(self.spec.name)
            raise
        if "error" in answer:
            self._shared.ports.free(self.spec.name)
            if answer["error"] == "running" and await self._found():
                return self.state()
            raise self._failure(answer)
        self._state, self._cpu = answer["state"], None
        await self._adopt()
        if not self.running:
            self._shared.ports.free(self.spec.name)
            await self._settle()
        return self.state()

    def _check(self) -> None:
        launch.check_folders(self.spec)
        if self._shared.bubblewrap:
            sandbox.check(self.spec, self._shared.hidden)

    def _task(self, ports: dict[str, int]) -> dict[str, Any]:
        spec, bubblewrap = self.spec, self._shared.bubblewrap
        temporary = self.storage.empty_temporary()
        command, variables = launch.filled(spec, ports)
        seen = "/tmp" if bubblewrap else str(temporary)  # noqa: S108 - it is the workload's own.
        mark = secrets.token_hex(16)
        env = launch.environment(spec, variables, temporary=seen, mark=mark)
        found = launch.find_program(command[0], path=env["PATH"], workdir=spec.workdir)
        if bubblewrap and not sandbox.sees(found, spec):
            raise ValidationFailed(
                f"The program {command[0]!r} is at {found}, which the sandbox does not show: mount it"
            )
        return {
            "folder": str(self.storage.folder),
            "program": {
                "command": command,
                "env": env,
                "workdir": spec.workdir,
                "limits": launch.rlimits(spec, own_users=bool(bubblewrap) and os.geteuid() != 0),
            },
            "limits": {"memory_bytes": spec.limits.memory_bytes, "processes": spec.limits.processes},
            "log_bytes": spec.limits.log_bytes,
            "stop_seconds": spec.stop_seconds,
            "ports": ports,
            "mark": mark,
            "sandbox": sandbox.arguments(bubblewrap, spec, temporary=temporary, hidden=self._shared.hidden)
            if bubblewrap
            else None,
            "plain": [str(mount.source) for mount in spec.mounts if mount.plain],
            "isolation": "bubblewrap" if bubblewrap else "none",
        }

    async def _spawn(self, task: dict[str, Any]) -> dict[str, Any]:
        """Start a keeper; what it says first."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        errors = os.open(self.storage.folder / ERRORS, flags, 0o600)
        try:
            said = await asyncio.to_thread(_run_keeper, json.dumps(task).encode(), errors)
        except subprocess.TimeoutExpired:
            raise Unavailable("The workload's keeper did not start in time") from None
        finally:
            os.close(errors)
        try:
            answer: dict[str, Any] = json.loads(said)
        except ValueError:
            _log.error("keeper failed", workload=self.spec.name, errors=await asyncio.to_thread(self.storage.errors))
            raise Unavailable("The workload's keeper did not start; the server's log says more") from None
        return answer

    def _failure(self, answer: dict[str, Any]) -> MoorageError:
        """What a keeper's or an exec's refusal means."""
        number = int(answer.get("errno", 0))
        why = os.strerror(number) if number else answer.get("text", "")
        match answer["error"]:
            case "command":
                return ValidationFailed(f"The program could not be started: {why}")
            case "workdir":
                return ValidationFailed(f"The folder to start in cannot be entered: {why}")
            case "ending":
                return Conflict("The workload is ending")
            case "running":
                return Conflict("The workload is kept by somebody else")
            case "sandbox":
                return Unavailable(f"The sandbox could not be set up: {why}")
        if number in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC):
            return Unavailable(f"The machine has no room for it now: {why}")
        _log.error("keeper failed", workload=self.spec.name, answer=answer)
        if answer["error"] == "keeper" and "text" in answer:
            # A fault of its own: what it was told and what it understands differ when the files were exchanged.
            return Unavailable(
                "The workload's keeper failed; the server's log says more. "
                "Restart the server if it was updated while it runs"
            )
        return Unavailable(f"The workload could not be started: {why}")

    async def stop(self, seconds: float | None) -> WorkloadState:
        """See `Runtime.stop`."""
        if await self._found():
            self._stopping = True
            try:
                await self._ask_to_end(self.spec.stop_seconds if seconds is None else max(0.0, seconds))
                await self.ended()
            finally:
                self._stopping = False
        return self.state()

    async def hurry(self, seconds: float) -> None:
        """If it is being stopped just now, let it take no longer than that."""
        if self._stopping:
            await self._ask_to_end(max(0.0, seconds))

    async def _ask_to_end(self, seconds: float) -> None:
        try:
            answer = await self._ask({"do": "stop", "seconds": seconds})
            if answer is None and await asyncio.to_thread(self.storage.kept):
                # It lives and takes no connection: a signal makes it end its workload too, in its own time.
                with contextlib.suppress(OSError):
                    os.kill(int(self._state["keeper"]), signal.SIGTERM)
        except Unavailable:
            # A keeper that does not answer takes the workload with it; what is left is found by its mark.
            _log.error("keeper does not answer and is killed", workload=self.spec.name)
            with contextlib.suppress(OSError):
                os.kill(int(self._state["keeper"]), signal.SIGKILL)

    async def remove(self) -> None:
        """See `Runtime.remove`."""
        await self.stop(0)
        await self.let_go()
        try:
            await asyncio.to_thread(self.storage.remove)
        except OSError as error:
            raise Unavailable(f"The workload's folder cannot be removed: {error.strerror}") from error

    # -- asking -------------------------------------------------------------------------------------------------

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Ask the keeper; None when it has ended."""
        try:
            control = await Control.connect(self.storage.folder)
            try:
                return await control.ask(request)
            finally:
                control.close()
        except Gone:
            return None

    async def stats(self) -> Stats | None:
        """See `Runtime.stats`."""
        answer = await self._ask({"do": "stats"}) if self.running else None
        if answer is None or "error" in answer:
            return None
        now, used = time.monotonic(), float(answer["cpu_seconds"])
        before, self._cpu = self._cpu, (now, used)
        percent = 100 * (used - before[1]) / (now - before[0]) if before and now > before[0] else 0.0
        return Stats(
            cpu_percent=max(0.0, percent),
            memory_bytes=answer["memory_bytes"],
            memory_limit=self.spec.limits.memory_bytes,
            processes=answer["processes"],
        )

    async def exec(
        self,
        command: tuple[str, ...],
        *,
        env: Mapping[str, str],
        workdir: str | None,
        terminal: TerminalSize | None,
    ) -> ProcessExec:
        """See `Runtime.exec`."""
        if not command:
            raise ValidationFailed("There is no command")
        program: dict[str, Any] = {"command": list(command), "env": dict(env)}
        if workdir is not None:
            program["workdir"] = workdir
        size = [terminal.columns, terminal.rows] if terminal else None
        if not self.running:
            raise Conflict("The workload does not run")
        try:
            control = await Control.connect(self.storage.folder)
        except Gone:
            raise Conflict("The workload does not run") from None
        try:
            answer = await control.ask({"do": "exec", "program": program, "terminal": size})
            if "error" in answer:
                raise self._failure(answer)
            return ProcessExec(control, control.files(), terminal=terminal is not None)
        except Gone:
            control.close()
            raise Conflict("The workload has ended") from None
        except BaseException:
            control.close()
            raise


def _run_keeper(task: bytes, errors: int) -> bytes:
    """Start a keeper; what it says until it closes its output. Blocks.

    Not by the event loop: uvloop's processes inherit what is open in the server, its listening sockets too.
    """
    with subprocess.Popen(
        KEEPER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        cwd="/",
        env={"PATH": launch.PATH, "LANG": "C.UTF-8"},
        start_new_session=True,
        close_fds=True,
    ) as process:
        try:
            return process.communicate(task, timeout=START_SECONDS)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _at(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
