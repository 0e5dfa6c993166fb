"""What a running server does on its own: ends what a changed right ends, counts, tells how it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from moorage.accounts.service import SWEEP_EVERY
from moorage.events import Topic
from moorage.events.tasks import repeat
from moorage.observe.figures import memory_of_process
from moorage.observe.history import Now
from moorage.plugin import Health

if TYPE_CHECKING:
    from moorage.app import App

REVALIDATE_SECONDS = 0.75
COUNT_SECONDS = 15.0
SIGNED_OUT = 4001


class Upkeep:
    """Of one server. `listen` when its database is open, `begin` when it is complete."""

    def __init__(self, app: App) -> None:
        self._app = app

    def listen(self) -> None:
        """Hear of changes from now on."""
        bus = self._app.bus
        bus.subscribe(Topic.CREDENTIAL_REVOKED, self._credential_revoked)
        bus.subscribe(Topic.USER_CHANGED, self._user_changed)
        bus.subscribe(Topic.USER_DELETED, self._user_changed)
        bus.subscribe(Topic.AUDIT_WRITTEN, self._audit_written)

    def begin(self) -> None:
        """Start what is done again and again."""
        app = self._app
        app.tasks.spawn(repeat("revalidation", REVALIDATE_SECONDS, self._revalidate), "revalidate")
        app.tasks.spawn(repeat("housekeeping", SWEEP_EVERY, app.accounts.sweep), "sweep")
        if app.loaded.settings.runtimes.docker.enabled:
            # It opens without an engine too, and from then on knows how the engine is.
            app.tasks.spawn(app.runtimes.get("docker"), "docker")
        app.tasks.spawn(repeat("counting of workloads", COUNT_SECONDS, app.runtimes.measure), "workloads")
        app.tasks.spawn(app.access_log.run(), "access-log")
        app.tasks.spawn(app.loop_lag.run(), "loop-lag")
        app.tasks.spawn(app.history.run(), "history")

    def still_allowed(self, actor: Any, rule: Any) -> bool:
        """Whether who has a socket open may still have it. rule: a permission, or what needs none."""
        return not isinstance(rule, str) or self._app.access.holds(actor, rule)

    def _credential_revoked(self, data: dict[str, Any]) -> None:
        registry = self._app.registry
        registry.close(registry.of_credential(data["method"], data["id"]), SIGNED_OUT, "Signed out")

    async def _user_changed(self, data: dict[str, Any]) -> None:
        app = self._app
        actors = {entry.actor for entry in app.registry.of_user(data["user_id"])}
        with app.db.activate():
            app.registry.apply(await app.accounts.revalidate(list(actors)))

    async def _audit_written(self, data: dict[str, Any]) -> None:
        with self._app.db.activate():
            await self._app.plugins.audit(data["record"])

    async def _revalidate(self) -> None:
        """Changes that another process made (the CLI, another server) reach open sockets within seconds."""
        app = self._app
        if actors := app.registry.actors():
            app.registry.apply(await app.accounts.revalidate(actors))

    # -- how it is ----------------------------------------------------------------------------------------------

    async def database_health(self) -> Health:
        """Whether the database answers, and how fast."""
        return Health("ok", data={"ping_ms": round(await self._app.db.ping(), 3)})

    async def redis_health(self) -> Health:
        """Without Redis requests are still answered; other servers are not heard of."""
        backplane = self._app.backplane
        connected = backplane is not None and backplane.connected
        return Health("ok") if connected else Health("degraded", "Redis is away")

    def now(self) -> Now:
        """One moment of the server's history."""
        return Now(
            cpu=time.process_time(),
            rss_bytes=memory_of_process(),
            connections=len(self._app.registry),
            users=self._users(),
            lag=self._app.loop_lag.last,
        )

    def figures(self) -> dict[str, Any]:
        """What is open, how much was asked, what it takes."""
        return {
            "requests_total": self._app.access_log.requests,
            "sockets_open": len(self._app.registry),
            "users_connected": self._users(),
            "rss_bytes": memory_of_process(),
            "event_loop_lag_seconds": round(self._app.loop_lag.last, 6),
        }

    def _users(self) -> int:
        return len({actor.user.id for actor in self._app.registry.actors() if actor.user is not None})
