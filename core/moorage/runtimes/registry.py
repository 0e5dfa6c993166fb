"""All runtimes of the server, and what one plugin sees of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import structlog

from moorage.errors import MoorageError, Unavailable, ValidationFailed
from moorage.plugin import Health
from moorage.runtimes.base import Exec, Runtime, Stats, TerminalSize, WorkloadSpec, WorkloadState

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
BETWEEN = "."
"""Stands between a plugin's name and its workload's: neither can contain it."""
CALL_SECONDS = 60.0
_log = structlog.get_logger("moorage.runtimes")


class Runtimes:
    """The server's runtimes, by kind. One that does not open is kept with the reason, and tried again when used."""

    def __init__(self) -> None:
        self._all: dict[str, Runtime] = {}
        self._opened: set[str] = set()
        self._reasons: dict[str, str] = {}
        self._opening: dict[str, asyncio.Lock] = {}

    def add(self, runtime: Runtime) -> None:
        """Make a runtime known. ValueError when its kind is taken."""
        if runtime.kind in self._all:
            raise ValueError(f"there are two runtimes of the kind {runtime.kind!r}")
        self._all[runtime.kind] = runtime
        self._opening[runtime.kind] = asyncio.Lock()

    async def remove(self, kind: str) -> None:
        """Close a runtime and forget it; harmless for an unknown kind."""
        runtime = self._all.pop(kind, None)
        if runtime is not None and kind in self._opened:
            self._opened.discard(kind)
            await runtime.close()

    def kinds(self) -> list[str]:
        """All kinds, the preferred ones first."""
        return list(self._all)

    async def get(self, kind: str) -> Runtime:
        """The runtime of a kind, opened. Unavailable says why not."""
        runtime = self._all.get(kind)
        if runtime is None:
            raise Unavailable(f"The runtime {kind!r} is not switched on: see [runtimes] in the configuration")
        if kind not in self._opened:
            async with self._opening[kind]:
                if kind not in self._opened:
                    await self._open(runtime)
        return runtime

    async def _open(self, runtime: Runtime) -> None:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await runtime.open()
        except Exception as error:
            text = error.message if isinstance(error, MoorageError) else f"{type(error).__name__}"
            if self._reasons.get(runtime.kind) != text:
                _log.error("runtime not available", runtime=runtime.kind, exc_info=error)
            self._reasons[runtime.kind] = text
            raise Unavailable(f"The runtime {runtime.kind!r} is not available: {text}") from error
        self._reasons.pop(runtime.kind, None)
        self._opened.add(runtime.kind)

    async def health(self) -> Mapping[str, Health]:
        """Of each that was opened; one that could not be is failed, with the reason."""
        found: dict[str, Health] = {}
        for kind, runtime in self._all.items():
            if kind in self._opened:
                found[kind] = await runtime.health()
            elif kind in self._reasons:
                found[kind] = Health("failed", self._reasons[kind])
        return found

    async def close(self) -> None:
        """Close all."""
        for kind in list(self._all):
            try:
                await self.remove(kind)
            except Exception:
                _log.exception("runtime did not end well", runtime=kind)


class OwnRuntimes:
    """The runtimes as one plugin sees them: only its own workloads are in them."""

    def __init__(self, runtimes: Runtimes, plugin: str) -> None:
        self._runtimes, self._plugin = runtimes, plugin

    def kinds(self) -> list[str]:
        """What is switched on, the preferred ones first."""
        return self._runtimes.kinds()

    async def get(self, kind: str) -> RuntimeView:
        """The runtime of a kind. Unavailable when it is not switched on or does not run."""
        return RuntimeView(await self._runtimes.get(kind), self._plugin)


class RuntimeView:
    """A `Runtime` in which names are the plugin's own, and calls have a time-out. See `Runtime` for each call."""

    def __init__(self, runtime: Runtime, plugin: str) -> None:
        self._runtime, self._prefix = runtime, plugin + BETWEEN
        self.kind = runtime.kind

    def _named(self, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValidationFailed(f"{name!r} is no name for a workload: small letters, digits and -")
        return self._prefix + name

    async def create(self, spec: WorkloadSpec) -> WorkloadState:
        """See `Runtime.create`."""
        async with _bounded(self.kind, CALL_SECONDS):
            return await self._runtime.create(replace(spec, name=self._named(spec.name)))

    async def start(self, name: str) -> WorkloadState:
        """See `Runtime.start`."""
        async with _bounded(self.kind, CALL_SECONDS):
            return await self._runtime.start(self._named(name))

    async def stop(self, name: str, seconds: float | None = None) -> WorkloadState:
        """See `Runtime.stop`."""
        async with _bounded(self.kind, CALL_SECONDS + (seconds or 0)):
            return await self._runtime.stop(self._named(name), seconds)

    async def remove(self, name: str) -> None:
        """See `Runtime.remove`."""
        async with _bounded(self.kind, CALL_SECONDS):
            await self._runtime.remove(self._named(name))

    async def inspect(self, name: str) -> WorkloadState:
        """See `Runtime.inspect`."""
        async with _bounded(self.kind, CALL_SECONDS):
            return await self._runtime.inspect(self._named(name))

    async def wait(self, name: str) -> WorkloadState:
        """See `Runtime.wait`."""
        return await self._runtime.wait(self._named(name))

    async def list(self) -> dict[str, WorkloadState]:
        """The plugin's own workloads, by their names."""
        async with _bounded(self.kind, CALL_SECONDS):
            found = await self._runtime.list()
        return {n.removeprefix(self._prefix): state for n, state in found.items() if n.startswith(self._prefix)}

    async def logs(self, name: str, *, lines: int = 200) -> bytes:
        """See `Runtime.logs`."""
        async with _bounded(self.kind, CALL_SECONDS):
            return await self._runtime.logs(self._named(name), lines=lines)

    async def stats(self, name: str) -> Stats | None:
        """See `Runtime.stats`."""
        async with _bounded(self.kind, CALL_SECONDS):
            return await self._runtime.stats(self._named(name))

    async def exec(
        self,
        name: str,
        command: Iterable[str],
        *,
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
        terminal: TerminalSize | None = None,
    ) -> Exec:
        """See `Runtime.exec`."""
        async with _bounded(self.kind, CALL_SECONDS):
            return await self._runtime.exec(
                self._named(name), tuple(command), env=env, workdir=workdir, terminal=terminal
            )

    async def digest(self, image: str) -> str | None:
        """See `Runtime.digest`."""
        async with _bounded(self.kind, CALL_SECONDS):
            return await self._runtime.digest(image)


class _bounded:
    """A time-out whose end is an Unavailable that names the runtime."""

    def __init__(self, kind: str, seconds: float) -> None:
        self._kind, self._timeout = kind, asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *error: object) -> None:
        try:
            await self._timeout.__aexit__(*error)  # type: ignore[arg-type]
        except TimeoutError as late:
            raise Unavailable(f"The runtime {self._kind!r} did not answer in time") from late
