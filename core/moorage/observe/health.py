"""Health: asks the database and the plugins at once, each within its time, and says how the whole is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from moorage.plugin import Health

Check = Callable[[], Awaitable[Health]]

OK, DEGRADED, FAILED = "ok", "degraded", "failed"
_log = structlog.get_logger("moorage.health")


@dataclass(frozen=True, slots=True)
class Component:
    """One part's health. took: milliseconds that the check needed."""

    health: Health
    took: float
    required: bool

    def as_json(self) -> dict[str, Any]:
        """{"status", "response_time_ms"} and, where there is any, {"detail", "data"}: for those who may see it."""
        body: dict[str, Any] = {"status": self.health.status, "response_time_ms": round(self.took, 1)}
        if self.health.detail:
            body["detail"] = self.health.detail
        if self.health.data:
            body["data"] = self.health.data
        return body


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The whole: "failed" when a required part failed, "degraded" when any part is not well, else "ok"."""

    status: str
    components: Mapping[str, Component]

    def as_json(self) -> dict[str, Any]:
        """{"status", "components": {name: …}}; without the components it may be shown to anybody."""
        return {
            "status": self.status,
            "components": {name: component.as_json() for name, component in self.components.items()},
        }


class HealthMonitor:
    """Makes reports; those who ask at one time, or within `ttl` seconds, get the same one.

    /health is open to all, so it must not be a way to make the server work.
    timeout: seconds for each check; all run side by side.
    """

    def __init__(self, *, timeout: float = 2.0, ttl: float = 1.0) -> None:
        self._timeout, self._ttl = timeout, ttl
        self._checks: dict[str, tuple[Check, bool]] = {}
        self._report: HealthReport | None = None
        self._made = 0.0
        self._lock = asyncio.Lock()

    def add(self, name: str, check: Check, *, required: bool = False) -> None:
        """Ask `check` from now on; replaces one of the same name. An error or a time-out counts as failed."""
        self._checks[name] = (check, required)
        self._report = None

    def remove(self, name: str) -> None:
        """Ask it no more; an unknown name is harmless."""
        self._checks.pop(name, None)
        self._report = None

    async def report(self) -> HealthReport:
        """The report of now, or of at most `ttl` seconds ago."""
        async with self._lock:
            if self._report is None or time.monotonic() - self._made > self._ttl:
                names = list(self._checks)
                found = await asyncio.gather(*(self._ask(name, *self._checks[name]) for name in names))
                self._report = _whole(dict(zip(names, found, strict=True)))
                self._made = time.monotonic()
            return self._report

    async def _ask(self, name: str, check: Check, required: bool) -> Component:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                health = await check()
        except TimeoutError:
            health = Health(FAILED, f"no answer within {self._timeout:g} s")
            _log.warning("health check timed out", component=name, timeout=self._timeout)
        except Exception as error:
            health = Health(FAILED, type(error).__name__)
            _log.warning("health check failed", component=name, exc_info=True)
        return Component(health, (time.perf_counter() - started) * 1000, required)


def _whole(components: dict[str, Component]) -> HealthReport:
    status = OK
    for component in components.values():
        if component.health.status == FAILED and component.required:
            return HealthReport(FAILED, components)
        if component.health.status != OK:
            status = DEGRADED
    return HealthReport(status, components)
