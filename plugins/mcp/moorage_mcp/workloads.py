"""Where a workspace's programs run: one workload for each workspace, in which its MCP servers are executed.

The workload's own program does nothing but hold it open, so that servers can be started in it, each with pipes of its
own, and end with it. Nothing of it outlasts the server: what was started has its pipes in the server's hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Coroutine
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moorage.api import (
    Conflict,
    Hub,
    MoorageError,
    NotFound,
    RuntimeView,
    Unavailable,
    ValidationFailed,
    WorkloadState,
    WorkloadStatus,
)

from moorage_mcp import folders, programs
from moorage_mcp.config import McpConfig
from moorage_mcp.executed import LOG_LINES, Program
from moorage_mcp.records import Status, UpstreamInfo, WorkspaceInfo

LIFE = "life"
"""A label: which object here has made a workload. What an object that is gone has left is removed."""
CLOSE_SECONDS = 5.0
"""In which servers that are asked to end have done so; then they are ended with their workload."""
ALL_SECONDS = 8.0
"""In which all workloads are ended when the plugin ends."""
EMPTY_SECONDS = 60.0
"""After which a workload in which nothing runs is stopped at the latest: another is quickly made."""
FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0
_lives: set[str] = set()
"""Of the objects that live in this process: while the configuration is read again there are two."""


@dataclass(slots=True, eq=False)
class _Entry:
    """A workspace that was used. name: of the workload that runs or starts, "" when there is none.

    lock: held while it is started or stopped. starting: what all wait for who come meanwhile.
    """

    workspace_id: int
    name: str = ""
    state: WorkloadState | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    starting: asyncio.Task[MoorageError | None] | None = None
    watch: asyncio.Task[None] | None = None
    running: set[Program] = field(default_factory=set)
    timer: asyncio.TimerHandle | None = None
    view: RuntimeView | None = None
    failed: bool = False

    @property
    def up(self) -> bool:
        return self.state is not None and self.state.running


class Workloads:
    """Starts workloads when they are needed, and ends them when nobody needs them any more."""

    def __init__(self, hub: Hub, config: McpConfig) -> None:
        self._hub, self._config = hub, config
        self._life = secrets.token_hex(4)
        self._entries: dict[int, _Entry] = {}
        self._purged: set[str] = set()
        """Of workspaces that are gone: a request that began before must not make their folder and programs anew."""
        self._server = ""
        self._closed = False
        self._context = Context()

    # -- with the plugin ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """With the plugin's start: end what an earlier life of the server has left running."""
        self._server = await asyncio.to_thread(self._hub.server_id)
        # What runs on is nobody's request: it must not bear the address and the log's context of whoever came first.
        self._context = copy_context()
        _lives.add(self._life)
        for kind in self._hub.runtimes.kinds():
            self._spawn(self._remove_left(kind), f"end what is left in {kind}")

    async def close(self) -> None:
        """End all that runs."""
        self._closed = True
        entries = list(self._entries.values())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ALL_SECONDS):
                await asyncio.gather(*(self._end(entry) for entry in entries), return_exceptions=True)
        _lives.discard(self._life)

    async def _remove_left(self, kind: str) -> None:
        pause = FIRST_RETRY
        while True:
            try:
                view = await self._hub.runtimes.get(kind)
                for name, state in (await view.list()).items():
                    if state.labels.get(LIFE) not in _lives:
                        self._hub.log.info("workload of an earlier life is removed", workload=name, runtime=kind)
                        await view.remove(name)
                return
            except MoorageError as error:
                self._hub.log.debug("runtime not looked through", runtime=kind, reason=error.message)
            await asyncio.sleep(pause)
            pause = min(LONGEST_RETRY, pause * 2)

    # -- what others call -----------------------------------------------------------------------------------------

    async def folder(self, workspace: WorkspaceInfo) -> Path:
        """The workspace's files: a folder that is there, and a git repository when it is new. Unavailable."""
        home = self._home(workspace)
        try:
            if not await asyncio.to_thread(home.is_dir):
                with self._hub.db.activate():
                    owner = await self._hub.accounts.get_user(workspace.user_id)
                name, email = (owner.name or owner.username, owner.email or "") if owner else ("", "")
                await asyncio.to_thread(folders.make, home, name, email)
            await asyncio.to_thread(folders.mend, home)
            return home / folders.FILES
        except OSError as error:
            raise Unavailable(f"The workspace's folder cannot be made: {error.strerror}") from error

    async def exec(self, workspace: WorkspaceInfo, upstream: UpstreamInfo) -> Program:
        """Start an MCP server, the workload first if need be; its stdin and stdout are the caller's.

        Errors: Conflict (workspace not active, or of another server), ValidationFailed (no such program, no image: the
        message says what to do), Unavailable (the runtime is away). How many may run is the caller's business.
        """
        command = programs.command(workspace, upstream)
        for last in (False, True):
            entry = await self._up(workspace)
            assert entry.view is not None
            name = entry.name
            try:
                # In a container an exec's stderr comes with its output.
                logged = b"" if workspace.runtime == programs.DOCKER else await entry.view.logs(name, lines=LOG_LINES)
                begun = await entry.view.exec(
                    name,
                    command,
                    env=programs.environment(self._config, workspace, upstream),
                    workdir=str(self._home(workspace) / folders.FILES),
                )
            except (Conflict, NotFound):
                # It ended just now.
                if last:
                    raise
                await self._forget(entry, name)
                continue
            except ValidationFailed as error:
                raise ValidationFailed(programs.missing(workspace, command, error.message)) from error
            finally:
                self._arm(entry)
            # All servers of a workspace write to one log.
            hidden = tuple(secret for one in (upstream, *workspace.upstreams) for secret in one.secrets.values())
            program = Program(begun, entry.view, name, programs.missing(workspace, command), hidden, logged)
            return self._register(entry, program, upstream)
        raise AssertionError("unreachable")

    async def stop(self, workspace_id: int) -> None:
        """End the workspace's servers and its workload; harmless when nothing runs."""
        entry = self._entries.get(workspace_id)
        if entry is not None:
            await self._end(entry)

    async def purge(self, workspace: WorkspaceInfo) -> None:
        """End it, and remove its folder. Unavailable when the folder cannot be removed as a whole."""
        self._purged.add(workspace.pid)
        if (entry := self._entries.get(workspace.id)) is not None:
            await self._end(entry, sure=True)
            self._entries.pop(workspace.id, None)
        if workspace.server and workspace.server != self._server:
            raise Conflict("The workspace's folder is on another server of the same database")
        try:
            await asyncio.to_thread(folders.remove, self._home(workspace))
        except OSError as error:
            raise Unavailable(f"The workspace's folder cannot be removed: {error.strerror}") from error

    def figures(self, workspace_id: int) -> tuple[str | None, str | None]:
        """container_id and container_status: "starting", "running", "failed" (to start), "stopped"."""
        entry = self._entries.get(workspace_id)
        if entry is None:
            return None, "stopped"
        if entry.up and entry.state is not None:
            return entry.state.unit, "running"
        if entry.starting is not None and not entry.starting.done():
            return None, "starting"
        return None, "failed" if entry.failed else "stopped"

    def running(self) -> int:
        """How many MCP servers run now."""
        return sum(len(entry.running) for entry in self._entries.values())

    # -- start ----------------------------------------------------------------------------------------------------

    async def _up(self, workspace: WorkspaceInfo) -> _Entry:
        """The workspace's entry, its workload running."""
        self._admit(workspace)
        entry = self._entries.setdefault(workspace.id, _Entry(workspace.id))
        while not entry.up:
            if entry.starting is None or entry.starting.done():
                entry.starting = self._spawn(self._start(entry, workspace), f"start {workspace.pid}")
            # Who came first may leave: the others still want it.
            await asyncio.wait({entry.starting})
            if entry.starting.cancelled():
                raise Unavailable("The server is stopping, or reads its configuration again")
            if (error := entry.starting.result()) is not None:
                raise error
        return entry

    def _admit(self, workspace: WorkspaceInfo) -> None:
        if self._closed:
            raise Unavailable("The server is stopping, or reads its configuration again")
        if workspace.status is not Status.ACTIVE or workspace.pid in self._purged:
            raise Conflict(f"The workspace is {'deleted' if workspace.pid in self._purged else workspace.status.value}")
        if workspace.server and workspace.server != self._server:
            raise Conflict("The workspace's folder is on another server of the same database")

    async def _start(self, entry: _Entry, workspace: WorkspaceInfo) -> MoorageError | None:
        async with entry.lock:
            try:
                async with asyncio.timeout(self._config.start_timeout):
                    await self._begin(entry, workspace)
            except TimeoutError:
                error: MoorageError = Unavailable(
                    f"The workspace did not start within {self._config.start_timeout:g} s"
                )
            except MoorageError as refused:
                error = refused
            except Exception:
                self._hub.log.exception("workspace did not start", workspace=workspace.pid)
                error = Unavailable("The workspace did not start; the server's log says more")
            else:
                entry.failed = False
                return None
            entry.failed = True
            if entry.name and entry.view is not None:
                await self._remove(entry.view, entry.name)
            entry.name, entry.state = "", None
            self._hub.log.warning("workspace did not start", workspace=workspace.pid, reason=error.message)
            return error

    async def _begin(self, entry: _Entry, workspace: WorkspaceInfo) -> None:
        kind = workspace.runtime
        image = programs.image(self._config, kind)
        await self.folder(workspace)
        entry.view = view = await self._hub.runtimes.get(kind)
        entry.name = name = f"ws-{workspace.id}-{secrets.token_hex(4)}"
        labels = {"workspace": workspace.pid, LIFE: self._life}
        spec = programs.spec(self._config, kind, name, self._home(workspace), image=image, labels=labels)
        await view.create(spec)
        entry.state = await view.start(name)
        if not entry.up:
            raise Unavailable(f"The workspace's workload ended at once: {entry.state.reason or 'without a reason'}")
        entry.watch = self._spawn(self._watch(entry, view, name), f"watch {workspace.pid}")

    async def _watch(self, entry: _Entry, view: RuntimeView, name: str) -> None:
        """Notice when the workload ends by itself; a runtime that goes away is asked again."""
        pause = FIRST_RETRY
        while True:
            try:
                state = await view.wait(name)
                break
            except NotFound:
                state = WorkloadState(status=WorkloadStatus.MISSING)
                break
            except MoorageError:
                await asyncio.sleep(pause)
                pause = min(LONGEST_RETRY, pause * 2)
        if entry.name == name:
            entry.name, entry.state = "", state
            self._hub.log.warning("workload ended by itself", workload=name, reason=state.reason)
            await self._remove(view, name)

    def _register(self, entry: _Entry, program: Program, upstream: UpstreamInfo) -> Program:
        entry.running.add(program)
        self._spawn(self._follow(entry, program), f"follow {upstream.pid}")
        return program

    async def _follow(self, entry: _Entry, program: Program) -> None:
        """Until the server has ended; the last one begins the time after which the workload is stopped."""
        try:
            await program.wait()
        finally:
            entry.running.discard(program)
            self._arm(entry)

    # -- end ------------------------------------------------------------------------------------------------------

    def _arm(self, entry: _Entry) -> None:
        """A workload in which nothing runs is stopped after a while."""
        if not entry.running and entry.up and not self._closed:
            if entry.timer is not None:
                entry.timer.cancel()
            entry.timer = asyncio.get_running_loop().call_later(
                min(self._config.idle_seconds, EMPTY_SECONDS), self._idle, entry
            )

    def _idle(self, entry: _Entry) -> None:
        entry.timer = None
        if not entry.running and not self._closed:
            self._spawn(self._end(entry, unless_used=True), "stop idle")

    async def _forget(self, entry: _Entry, name: str) -> None:
        """A workload that takes no programs, because it has ended or is about to, is not used again."""
        async with entry.lock:
            if entry.name == name and entry.view is not None:
                self._clear(entry)
                await self._remove(entry.view, name)

    async def _remove(self, view: RuntimeView, name: str) -> None:
        """Remove a workload; one whose runtime is away is removed when it is there again."""
        try:
            await view.remove(name)
        except MoorageError as error:
            self._hub.log.warning("workload not removed yet", workload=name, reason=error.message)
            self._spawn(self._remove_later(view, name), f"remove {name}")

    @staticmethod
    async def _remove_later(view: RuntimeView, name: str) -> None:
        pause = FIRST_RETRY
        while True:
            await asyncio.sleep(pause)
            pause = min(LONGEST_RETRY, pause * 2)
            with contextlib.suppress(MoorageError):
                await view.remove(name)
                return

    @staticmethod
    def _clear(entry: _Entry) -> None:
        entry.name, entry.state = "", None
        if entry.watch is not None:
            entry.watch.cancel()

    async def _end(self, entry: _Entry, *, unless_used: bool = False, sure: bool = False) -> None:
        """sure: Unavailable when the workload cannot be removed now; it is known no more, but may run."""
        async with entry.lock:
            if entry.timer is not None:
                entry.timer.cancel()
                entry.timer = None
            if unless_used and entry.running:
                return
            name, view = entry.name, entry.view
            self._clear(entry)
            if not name or view is None:
                return
            closing = [asyncio.ensure_future(program.close()) for program in entry.running]
            if closing:
                _, late = await asyncio.wait(closing, timeout=CLOSE_SECONDS)
                for task in late:
                    task.cancel()
            if sure:
                await view.remove(name)
            else:
                await self._remove(view, name)

    def _home(self, workspace: WorkspaceInfo) -> Path:
        return self._hub.folder() / "workspaces" / workspace.pid

    def _spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        try:
            return self._context.copy().run(self._hub.tasks.spawn, work, name)
        except RuntimeError as error:
            raise Unavailable("The server is stopping, or reads its configuration again") from error
