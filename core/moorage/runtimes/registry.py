"""All runtimes of the server, and what one plugin sees of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from moorage.errors import MoorageError, NotFound, Unavailable, ValidationFailed
from moorage.observe.metrics import ScopedMetrics
from moorage.plugin import Health
from moorage.runtimes.base import Exec, Runtime, Stats, TerminalSize, WorkloadSpec, WorkloadState
from moorage.runtimes.figures import ContainerShape, container_figures

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
KIND = re.compile(r"[a-z][a-z0-9_-]{0,62}")
BETWEEN = "."
"""Stands between a plugin's name and its workload's: neither can contain it."""
CALL_SECONDS = 60.0
FIGURES_SECONDS = 5.0
FIGURES_AT_ONCE = 8
CORE = "core"
_METHODS = [name for name in vars(Runtime) if not name.startswith("_")]
_log = structlog.get_logger("moorage.runtimes")


@dataclass(slots=True, eq=False)
class _Entry:
    """A runtime that is known. reason: why it could not be opened, the last time that it was tried."""

    runtime: Runtime
    owner: str
    opened: bool = False
    reason: str = ""
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)


class Runtimes:
    """The server's runtimes, by kind. One that does not open is kept with the reason, and tried again when used."""

    def __init__(self, metrics: ScopedMetrics | None = None) -> None:
        # While a plugin is replaced by a reload, there are two of a kind: the newer one counts.
        self._all: dict[str, list[_Entry]] = {}
        self.metrics = _Metrics(metrics) if metrics is not None else None

    def add(self, runtime: Runtime, owner: str = CORE) -> None:
        """Make a runtime known. ValueError when it is none, or its kind is somebody else's."""
        kind = getattr(runtime, "kind", None)
        if not isinstance(kind, str) or not KIND.fullmatch(kind):
            raise ValueError(f"{runtime!r} has no kind: small letters, digits, - and _")
        missing = [name for name in _METHODS if not callable(getattr(runtime, name, None))]
        if missing:
            raise ValueError(f"the runtime {kind!r} is none: it has no {', '.join(missing)}")
        entries = self._all.setdefault(kind, [])
        if entries and entries[-1].owner != owner:
            raise ValueError(f"there is a runtime of the kind {kind!r} already, of {entries[-1].owner}")
        entries.append(_Entry(runtime, owner))

    async def remove(self, runtime: Runtime) -> None:
        """Close a runtime and forget it; harmless for an unknown one."""
        for kind, entries in list(self._all.items()):
            for entry in [entry for entry in entries if entry.runtime is runtime]:
                entries.remove(entry)
                if not entries:
                    del self._all[kind]
                await self._close(entry)

    async def _close(self, entry: _Entry) -> None:
        async with entry.opening:
            if entry.opened:
                entry.opened = False
                async with bounded(entry.runtime.kind, CALL_SECONDS):
                    await entry.runtime.close()

    def kinds(self) -> list[str]:
        """All kinds, the preferred ones first."""
        return list(self._all)

    async def get(self, kind: str) -> Runtime:
        """The runtime of a kind, opened. Unavailable says why not."""
        entries = self._all.get(kind)
        if not entries:
            raise Unavailable(f"The runtime {kind!r} is not switched on: see [runtimes] in the configuration")
        entry = entries[-1]
        if not entry.opened:
            async with entry.opening:
                if not entry.opened:
                    await self._open(entry)
        return entry.runtime

    async def _open(self, entry: _Entry) -> None:
        kind = entry.runtime.kind
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await entry.runtime.open()
        except Exception as error:
            text = error.message if isinstance(error, MoorageError) else type(error).__name__
            if entry.reason != text:
                expected = isinstance(error, MoorageError)
                _log.error("runtime not available", runtime=kind, reason=text, exc_info=None if expected else error)
            entry.reason = text
            raise Unavailable(f"The runtime {kind!r} is not available: {text}") from error
        entry.reason, entry.opened = "", True

    async def health(self) -> Mapping[str, Health]:
        """Of each that was opened; one that could not be is failed, with the reason."""
        found: dict[str, Health] = {}
        for kind, entries in list(self._all.items()):
            entry = entries[-1]
            if entry.opened:
                found[kind] = await _asked(entry.runtime)
            elif entry.reason:
                found[kind] = Health("failed", entry.reason)
        return found

    async def component(self) -> Health:
        """All of them as one part of /health: degraded when one is not well, because the others go on."""
        found = await self.health()
        bad = any(health.status != "ok" for health in found.values())
        details = [f"{kind}: {health.detail}" for kind, health in found.items() if health.detail]
        data: dict[str, Any] = {kind: {"status": "unused"} for kind in self._all if kind not in found}
        data |= {kind: {"status": health.status, **(health.data or {})} for kind, health in found.items()}
        return Health("degraded" if bad else "ok", "; ".join(details), data)

    async def measure(self) -> None:
        """Count what runs, for the metrics."""
        for kind, entries in list(self._all.items()):
            if self.metrics is not None and entries[-1].opened:
                try:
                    async with bounded(kind, CALL_SECONDS):
                        states = await entries[-1].runtime.list()
                except Unavailable:
                    continue  # Its health tells of that.
                self.metrics.running.labels(kind).set(sum(state.running for state in states.values()))

    async def figures(self) -> tuple[list[ContainerShape], list[str]]:
        """What runs with a label `session` uses, and a sentence for each runtime that did not say; never an error."""
        found: list[ContainerShape] = []
        away: list[str] = []
        for kind, entries in list(self._all.items()):
            if not entries[-1].opened:
                continue
            try:
                async with asyncio.timeout(FIGURES_SECONDS):
                    found += await _figures_of(entries[-1].runtime)
            except TimeoutError:
                away.append(f"The runtime {kind!r} did not answer in time")
            except Exception as error:
                away.append(error.message if isinstance(error, MoorageError) else f"The runtime {kind!r} failed")
        return found, away

    async def close(self) -> None:
        """Close all."""
        for entry in [entry for entries in self._all.values() for entry in entries]:
            try:
                await self.remove(entry.runtime)
            except Exception:
                _log.exception("runtime did not end well", runtime=entry.runtime.kind)


async def _asked(runtime: Runtime) -> Health:
    try:
        async with bounded(runtime.kind, CALL_SECONDS):
            return await runtime.health()
    except Exception as error:
        return Health("failed", error.message if isinstance(error, MoorageError) else type(error).__name__)


class _Metrics:
    def __init__(self, metrics: ScopedMetrics) -> None:
        self.running = metrics.gauge("workloads_running", "Workloads that run.", ["kind"])
        self.starts = metrics.counter("starts_total", "Workloads that were started.", ["kind"])
        self.failures = metrics.counter(
            "failures_total", "Calls that a runtime did not do, by its own fault.", ["kind"]
        )


async def _figures_of(runtime: Runtime) -> list[ContainerShape]:
    running = [
        (name, state) for name, state in (await runtime.list()).items() if state.running and "session" in state.labels
    ]
    turns = asyncio.Semaphore(FIGURES_AT_ONCE)

    async def stats(name: str) -> Stats | None:
        async with turns:
            try:
                return await runtime.stats(name)
            except NotFound:
                return None

    measured = await asyncio.gather(*(stats(name) for name, _ in running))
    return [
        container_figures(state.labels["session"], state.unit, name.partition(BETWEEN)[2], used)
        for (name, state), used in zip(running, measured, strict=True)
        if used is not None
    ]


class OwnRuntimes:
    """The runtimes as one plugin sees them: only its own workloads are in them."""

    def __init__(self, runtimes: Runtimes, plugin: str) -> None:
        self._runtimes, self._plugin = runtimes, plugin

    def kinds(self) -> list[str]:
        """What is switched on, the preferred ones first."""
        return self._runtimes.kinds()

    async def get(self, kind: str) -> RuntimeView:
        """The runtime of a kind. Unavailable when it is not switched on or does not run."""
        await self._runtimes.get(kind)
        return RuntimeView(self._runtimes, kind, self._plugin)


class RuntimeView:
    """A `Runtime` in which names are the plugin's own, and calls have a time-out. See `Runtime` for each call.

    It stays good when the plugin that brought the runtime is replaced by a reload.
    """

    def __init__(self, runtimes: Runtimes, kind: str, plugin: str) -> None:
        self._runtimes, self._prefix = runtimes, plugin + BETWEEN
        self.kind = kind

    def _named(self, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValidationFailed(f"{name[:80]!r} is no name for a workload: small letters, digits and -")
        return self._prefix + name

    @asynccontextmanager
    async def _call(self, longer: float = 0.0) -> AsyncIterator[Runtime]:
        """The runtime, for one call, which may take so many seconds longer than others."""
        try:
            async with bounded(self.kind, CALL_SECONDS + longer):
                yield await self._runtimes.get(self.kind)
        except MoorageError as error:
            if error.status >= 500:
                self._failed()
            raise
        except Exception:
            self._failed()
            raise

    def _failed(self) -> None:
        if self._runtimes.metrics is not None:
            self._runtimes.metrics.failures.labels(self.kind).inc()

    async def create(self, spec: WorkloadSpec) -> WorkloadState:
        """See `Runtime.create`."""
        spec = replace(spec, name=self._named(spec.name))
        async with self._call() as runtime:
            return await runtime.create(spec)

    async def start(self, name: str) -> WorkloadState:
        """See `Runtime.start`."""
        name = self._named(name)
        async with self._call() as runtime:
            state = await runtime.start(name)
        if self._runtimes.metrics is not None:
            self._runtimes.metrics.starts.labels(self.kind).inc()
        return state

    async def stop(self, name: str, seconds: float | None = None) -> WorkloadState:
        """See `Runtime.stop`. As long as `CALL_SECONDS` more than what the workload is given."""
        name = self._named(name)
        async with self._call(seconds or 0) as runtime:
            return await runtime.stop(name, seconds)

    async def remove(self, name: str) -> None:
        """See `Runtime.remove`."""
        name = self._named(name)
        async with self._call() as runtime:
            await runtime.remove(name)

    async def inspect(self, name: str) -> WorkloadState:
        """See `Runtime.inspect`."""
        name = self._named(name)
        async with self._call() as runtime:
            return await runtime.inspect(name)

    async def listens(self, name: str, port: str) -> bool:
        """Whether it is the workload that listens at its port: to be asked before a secret is sent there.

        A runtime whose ports others can take has a call `listens(name, port)`; one that has none is believed.
        """
        name = self._named(name)
        async with self._call() as runtime:
            ask = getattr(runtime, "listens", None)
            return ask is None or bool(await ask(name, port))

    async def wait(self, name: str) -> WorkloadState:
        """See `Runtime.wait`."""
        return await (await self._runtimes.get(self.kind)).wait(self._named(name))

    async def list(self) -> dict[str, WorkloadState]:
        """The plugin's own workloads, by their names."""
        async with self._call() as runtime:
            found = await runtime.list()
        return {n.removeprefix(self._prefix): state for n, state in found.items() if n.startswith(self._prefix)}

    async def logs(self, name: str, *, lines: int = 200) -> bytes:
        """See `Runtime.logs`."""
        name = self._named(name)
        async with self._call() as runtime:
            return await runtime.logs(name, lines=lines)

    async def stats(self, name: str) -> Stats | None:
        """See `Runtime.stats`."""
        name = self._named(name)
        async with self._call() as runtime:
            return await runtime.stats(name)

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
        name = self._named(name)
        async with self._call() as runtime:
            return await runtime.exec(name, tuple(command), env=env, workdir=workdir, terminal=terminal)

    async def digest(self, image: str) -> str | None:
        """See `Runtime.digest`."""
        async with self._call() as runtime:
            return await runtime.digest(image)


@asynccontextmanager
async def bounded(kind: str, seconds: float) -> AsyncIterator[None]:
    """A time-out whose end is an Unavailable that names the runtime."""
    timeout = asyncio.timeout(seconds)
    try:
        async with timeout:
            yield
    except TimeoutError as late:
        if not timeout.expired():
            raise  # The runtime's own, of which it says more.
        raise Unavailable(f"The runtime {kind!r} did not answer in time") from late
