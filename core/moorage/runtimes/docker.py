"""Workloads as containers of a Docker engine (or of Podman's Docker API), through the Docker SDK in threads."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from moorage.config.settings import DockerSettings
from moorage.errors import Conflict, MoorageError, NotFound, Unavailable, ValidationFailed
from moorage.ownid import own_id
from moorage.plugin import Health
from moorage.runtimes import docker_spec as made
from moorage.runtimes.base import Exec, Stats, TerminalSize, WorkloadSpec, WorkloadState, WorkloadStatus
from moorage.runtimes.docker_calls import Calls, Refused, meaning
from moorage.runtimes.docker_events import Listener, Watcher
from moorage.runtimes.docker_exec import MARK, NOTHING, DockerExec, begin, end_marked
from moorage.runtimes.docker_stream import BadAnswer, ask_json
from moorage.runtimes.turns import Turns

T = TypeVar("T")
MISSING = WorkloadState(status=WorkloadStatus.MISSING)
FIRST_LOOK, LONGEST_LOOK = 1.0, 120.0
"""Seconds between two looks at a container whose end no event has told: events tell it at once."""
HEALTH_SECONDS = 2.0
"""How long the engine may take to say how it is, and how long what it said holds."""
END_SECONDS = 5.0
"""How long programs in containers may take to end with the server."""
START_TRIES, START_PAUSE = 4, 0.25
MOST_LINES = 100_000
_log = structlog.get_logger("moorage.runtimes.docker")


class DockerRuntime:
    """Workloads as containers.

    folder: where it keeps the name of this server's own among the engine's containers. keep: whether workloads go on
    without the server. It opens without an engine: calls are Unavailable until there is one.
    """

    kind = "docker"

    def __init__(self, settings: DockerSettings, folder: Path, *, keep: bool = True) -> None:
        self._settings, self._folder, self._keep = settings, folder, keep
        self._server = ""
        self._turns = Turns()
        self._samples: dict[str, made.Sample] = {}
        self._execs: set[DockerExec] = set()
        self._numbers = itertools.count(1)
        self._life = secrets.token_hex(6)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._health: tuple[float, Health] | None = None
        self._cpus: int | None = None
        self._closed = False

    async def open(self) -> None:
        """See `Runtime.open`."""
        self._server, self._closed = await asyncio.to_thread(own_id, self._folder), False
        self._calls = Calls(self._settings.url, self._settings.timeout, self._settings.threads)
        label = f"{made.SERVER}={self._server}"
        self._watcher = Watcher(self._settings.url, label, self._settings.timeout, self._connected)
        self._watcher.start()

    async def close(self) -> None:
        """See `Runtime.close`."""
        if self._closed or not self._server:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await asyncio.gather(*(one.close() for one in list(self._execs)), return_exceptions=True)
        if not self._keep:
            await self._stop_all()
        self._closed = True
        await self._watcher.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._calls.close()

    async def health(self) -> Health:
        """See `Runtime.health`. Asked for without a thread, so that an engine that hangs cannot be in its way."""
        if self._health is None or time.monotonic() - self._health[0] > HEALTH_SECONDS:
            found = await self._ask_health()
            self._health = (time.monotonic(), found)
        return self._health[1]

    async def _ask_health(self) -> Health:
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                version = str((await ask_json(self._settings.url, "/version")).get("Version", ""))[:64]
        except (OSError, EOFError, BadAnswer, AttributeError) as error:  # TimeoutError is an OSError.
            said = "does not answer" if isinstance(error, TimeoutError) else "cannot be reached"
            return Health("failed", f"The Docker engine {said}")
        return Health("ok", f"Docker engine {version}", {"version": version})

    # Workloads

    async def create(self, spec: WorkloadSpec) -> WorkloadState:
        """See `Runtime.create`."""
        image = spec.image
        if not image:
            raise ValidationFailed("A container needs an image")
        async with self._turns.of(spec.name):
            digest = await self.digest(image)
            if digest is None:
                raise ValidationFailed(
                    f"The image {image!r} is not on the Docker engine, and is not fetched by itself: "
                    f"run `docker pull {image}` or build it there"
                )
            place = await self._place(spec)
            body = made.body(spec, place, digest)
            if self._settings.url.startswith("unix://"):
                await asyncio.to_thread(made.check_mounts, spec)
                if spec.home is not None:
                    await asyncio.to_thread(made.hand_over, spec.home, place.user)
            try:
                await self._do(lambda client: client.create_container_from_config(body, self._called(spec.name)))
            except Refused as refused:
                # Podman says 500.
                if refused.status == 409 or "already in use by" in refused.text:
                    raise Conflict("There is a workload of that name already") from refused
                raise meaning(refused, "the container") from refused
            return await self.inspect(spec.name)

    async def start(self, name: str) -> WorkloadState:
        """See `Runtime.start`."""
        async with self._turns.of(name):
            for left in reversed(range(START_TRIES)):
                unit = (await self._needed(name))["Id"]
                try:
                    # Harmless for one that runs.
                    await self._do(partial(_start, unit=unit))
                except Refused as refused:
                    if left and _may_pass(refused):
                        await asyncio.sleep(START_PAUSE)
                        continue
                    raise meaning(refused, "the container") from refused
                return await self.inspect(name)
        raise AssertionError("unreachable")

    async def stop(self, name: str, seconds: float | None = None) -> WorkloadState:
        """See `Runtime.stop`. No thread waits meanwhile: events tell of the end."""
        async with self._turns.of(name):
            found = await self._needed(name)
            state = self._state(found)
            if not state.running:
                return state
            if seconds is None:
                seconds = float((found["Config"] or {}).get("StopTimeout") or 10)
            with self._watcher.listen(self._called(name)) as listener:
                await self._signal(found["Id"], "SIGTERM")
                state = await self._ended(name, listener, seconds)
                if state.running:
                    await self._signal(found["Id"], "SIGKILL")
                    state = await self._ended(name, listener, self._settings.timeout)
            if state.running:
                raise Unavailable("The Docker engine could not end the container")
            return state

    async def remove(self, name: str) -> None:
        """See `Runtime.remove`. It does not wait for a `stop` that is under way: that one ends with it."""
        found = await self._find(name)
        if found is not None and self._state(found).running:
            await self._signal(found["Id"], "SIGKILL")
        async with self._turns.of(name):
            self._samples.pop(name, None)
            found = await self._find(name)
            if found is None:
                return
            with self._watcher.listen(self._called(name)) as listener:
                try:
                    await self._do(lambda client: client.remove_container(found["Id"], v=True, force=True))
                except Refused as refused:
                    if refused.status not in (404, 409):
                        raise meaning(refused, "the container's end") from refused
                deadline = time.monotonic() + self._settings.timeout
                # 409: the engine is at it already, at somebody else's word.
                while await self._find(name) is not None:
                    if time.monotonic() > deadline:
                        raise Unavailable("The Docker engine could not remove the container")
                    await listener.wait(FIRST_LOOK)

    async def inspect(self, name: str) -> WorkloadState:
        """See `Runtime.inspect`."""
        found = await self._find(name)
        return MISSING if found is None else self._state(found)

    async def wait(self, name: str) -> WorkloadState:
        """See `Runtime.wait`. An engine that goes away meanwhile is waited for."""
        with self._watcher.listen(self._called(name)) as listener:
            await self._needed(name)
            seconds = FIRST_LOOK
            while True:
                if self._closed:
                    raise Unavailable("The server is ending")
                with contextlib.suppress(Unavailable):
                    state = await self.inspect(name)
                    if not state.running:
                        return state
                await listener.wait(seconds)
                seconds = min(seconds * 2, LONGEST_LOOK)

    async def list(self) -> dict[str, WorkloadState]:
        """See `Runtime.list`."""
        units = [str(one["Id"]) for one in await self._ours()]
        some = asyncio.Semaphore(self._settings.threads)

        async def look(unit: str) -> Mapping[str, Any] | None:
            async with some:
                return await self._attributes(unit)

        found = [one for one in await asyncio.gather(*map(look, units)) if one is not None]
        return {one["Config"]["Labels"][made.NAME]: self._state(one) for one in found if self._is_ours(one)}

    async def logs(self, name: str, *, lines: int = 200) -> bytes:
        """See `Runtime.logs`. The engine keeps no more of it than the spec's limit."""
        unit = (await self._needed(name))["Id"]
        if lines <= 0:
            return b""
        tail = min(lines, MOST_LINES)
        try:
            return bytes(await self._do(lambda client: client.logs(unit, tail=tail)))
        except Refused as refused:
            raise meaning(refused, "the container's log") from refused

    async def stats(self, name: str) -> Stats | None:
        """See `Runtime.stats`."""
        needed = await self._needed(name)
        unit = needed["Id"]
        if not self._state(needed).running:
            self._samples.pop(name, None)
            return None
        try:
            told = await self._do(lambda client: client.stats(unit, stream=False, one_shot=True))
        except Refused as refused:
            if refused.status in (404, 409):
                return None
            raise meaning(refused, "the container's figures") from refused
        found = made.stats_of(told, unit, self._samples.get(name))
        if found is None:
            self._samples.pop(name, None)
            return None
        self._samples[name] = found[1]
        return found[0]

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
        found = await self._needed(name)
        if not self._state(found).running:
            raise Conflict("The workload does not run")
        unit, mark = str(found["Id"]), f"{self._life}-{next(self._numbers)}."

        async def end(marked: str, signal: str) -> None:
            self._execs.discard(begun)
            await end_marked(self._calls, self._watcher, unit, marked, signal, NOTHING)

        try:
            begun = await begin(
                self._settings.url, self._calls, self._watcher, unit, command, env=env or {}, workdir=workdir,
                terminal=terminal, mark=mark, end=end, timeout=self._settings.timeout,
            )  # fmt: skip
        except Refused as refused:
            if refused.status in (404, 409):
                raise Conflict("The workload does not run") from refused
            raise meaning(refused, "the program") from refused
        except BadAnswer as answer:
            raise meaning(Refused(answer.status or 500, answer.text), "the program") from answer
        except (OSError, EOFError) as error:
            raise Unavailable("The Docker engine broke off") from error
        except asyncio.CancelledError:
            # It may have begun without anybody to end it.
            self._spawn(end_marked(self._calls, self._watcher, unit, f"{MARK}={mark}", "KILL", NOTHING))
            raise
        self._execs.add(begun)
        return begun

    async def digest(self, image: str) -> str | None:
        """See `Runtime.digest`: what a registry calls it, or the engine's id of it."""
        try:
            found = await self._do(lambda client: client.inspect_image(image))
        except Refused as refused:
            if refused.status in (400, 404):
                return None
            raise meaning(refused, "the image") from refused
        return made.image_digest(found, image)

    # Parts

    async def _do(self, do: Callable[[Any], T]) -> T:
        if not self._server:
            raise Unavailable("The Docker runtime has not been opened")
        return await self._calls(do)

    def _called(self, name: str) -> str:
        return made.container_name(self._server, name)

    def _state(self, attributes: Mapping[str, Any]) -> WorkloadState:
        return made.state_of(attributes, published=self._settings.reach == "published")

    def _is_ours(self, attributes: Mapping[str, Any]) -> bool:
        labels = attributes["Config"].get("Labels") or {}
        return labels.get(made.SERVER) == self._server and made.NAME in labels

    async def _attributes(self, unit: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = await self._do(lambda client: client.inspect_container(unit))
        except Refused as refused:
            if refused.status == 404:
                return None
            raise meaning(refused, "the container's state") from refused
        return found

    async def _find(self, name: str) -> Mapping[str, Any] | None:
        """What the engine says of a workload; None for a container that is not there, or that is not ours."""
        found = await self._attributes(self._called(name))
        return found if found is not None and self._is_ours(found) else None

    async def _needed(self, name: str) -> Mapping[str, Any]:
        found = await self._find(name)
        if found is None:
            raise NotFound("There is no such workload")
        return found

    async def _ours(self) -> Iterable[Mapping[str, Any]]:
        filters = {"label": f"{made.SERVER}={self._server}"}
        try:
            found: list[Mapping[str, Any]] = await self._do(lambda client: client.containers(all=True, filters=filters))
        except Refused as refused:
            raise meaning(refused, "the list of containers") from refused
        return found

    async def _place(self, spec: WorkloadSpec) -> made.Place:
        if spec.limits.cpus is not None and self._cpus is None:
            with contextlib.suppress(Refused):
                self._cpus = int((await self._do(lambda client: client.info())).get("NCPU") or 0) or None
        return made.Place(
            server=self._server,
            network=self._settings.network,
            user=self._settings.user or f"{os.getuid()}:{os.getgid()}",
            published=self._settings.reach == "published",
            read_only=self._settings.read_only,
            cpus=self._cpus,
        )

    async def _signal(self, unit: str, signal: str) -> None:
        try:
            await self._do(lambda client: client.kill(unit, signal))
        except Refused as refused:
            # It does not run any more, or is gone: what was wanted.
            if refused.status not in (404, 409):
                raise meaning(refused, "the container's end") from refused

    async def _ended(self, name: str, listener: Listener, seconds: float) -> WorkloadState:
        """The state once it does not run, or after so many seconds. An engine that restarts meanwhile is waited for."""
        deadline, pause = time.monotonic() + seconds, FIRST_LOOK
        while True:
            left = deadline - time.monotonic()
            try:
                state = await self.inspect(name)
                if not state.running or left <= 0:
                    return state
            except Unavailable:
                if left <= 0:
                    raise
            await listener.wait(min(left, pause))
            pause = min(pause * 2, LONGEST_LOOK)

    async def _stop_all(self) -> None:
        try:
            found = await self.list()
        except MoorageError as error:
            _log.warning("containers could not be stopped", reason=error.message)
            return
        await asyncio.gather(*(self.stop(name) for name in found), return_exceptions=True)

    # The engine is there

    def _connected(self) -> None:
        self._cpus = None
        self._spawn(self._end_strays())

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work, name="docker")
        self._tasks.add(task)

        def done(task: asyncio.Task[Any]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.warning("docker: work in the background failed", reason=f"{type(error).__name__}: {error}")

        task.add_done_callback(done)

    async def _end_strays(self) -> None:
        """Programs that an earlier life of this server began in containers, and that nobody can reach any more."""
        for one in await self._ours():
            found = await self._attributes(str(one["Id"]))
            if found is not None and found["State"].get("Running") and found.get("ExecIDs"):
                async with asyncio.timeout(self._settings.timeout):
                    own = f"{MARK}={self._life}-"
                    await end_marked(self._calls, self._watcher, found["Id"], f"{MARK}=", "HUP", own)


def _may_pass(refused: Refused) -> bool:
    """Whether another try may succeed.

    The engine chooses a port, and somebody else may be faster. An engine that was killed in the middle of a start
    finds a rest of that, refuses the next start, and clears it away with that.
    """
    return any(words in refused.text for words in ("already allocated", "address already in use", ": already exists"))


def _start(client: Any, unit: str) -> None:
    client.start(unit)
