"""The application: holds the parts of a server and takes them through start, reload and stop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from moorage.access.service import Access
from moorage.accounts import Accounts
from moorage.administration.plugins import Done
from moorage.config import Loaded, diff, load
from moorage.db import Database
from moorage.db.migrate import upgrade
from moorage.db.presence import Presence
from moorage.db.sources import CORE, Source
from moorage.errors import MoorageError, StartError
from moorage.events import EventBus, SocketRegistry, TaskSupervisor, Topic
from moorage.events.redis import RedisBackplane
from moorage.limits import RateLimiter
from moorage.observe.audit import Audit
from moorage.observe.figures import Figures
from moorage.observe.health import HealthMonitor
from moorage.observe.history import History
from moorage.observe.loop import LoopLag
from moorage.observe.metrics import Metrics
from moorage.plugins import Find, Record, State, discover
from moorage.plugins.manager import HEALTH_TIMEOUT, PluginManager
from moorage.plugins.states import PluginFailed
from moorage.proxy import Proxy
from moorage.server.accesslog import AccessLog
from moorage.server.gate import Gate
from moorage.server.sites import Sites
from moorage.server.views import Views
from moorage.status import write_status
from moorage.upkeep import Upkeep
from moorage.wiring import core_record, make_gate, make_hub, make_runtimes, make_sites

log = structlog.get_logger("moorage.app")
CLOSE_GOING_AWAY = 1001


class App:
    """One server. `start` to `stop` is its life; `gate` is the ASGI application in between."""

    gate: Gate

    def __init__(self, loaded: Loaded, *, safe_mode: bool = False, find: Find = discover) -> None:
        self.safe_mode, self.find = safe_mode, find
        self.loaded = self._wanted(loaded)
        # The data folder, the database and Redis stay those of the start, whatever a reload reads.
        self.started = self.loaded
        settings = loaded.settings
        self.metrics = Metrics()
        self.bus = EventBus()
        self.registry = SocketRegistry()
        self.tasks = TaskSupervisor("app")
        self.runtimes = make_runtimes(loaded, self.metrics.scoped("runtimes"))
        self.plugins = PluginManager(partial(make_hub, self), self.changed, self._plugins_changed, self.runtimes, find)
        self.access = Access(settings.access.roles, veto=self.plugins.veto)
        self.upkeep = Upkeep(self)
        self.registry.allowed = self.upkeep.still_allowed
        self.db = Database(
            settings.database.url.get_secret_value(),
            settings.data_dir,
            pool_min=settings.database.pool_min,
            pool_max=settings.database.pool_max,
        )
        self.audit = Audit(self.db, self.bus)
        self.accounts = Accounts(
            settings.accounts,
            self.db,
            self.audit,
            self.bus,
            settings.data_dir,
            self.access,
            issuer=settings.server.public_url or "moorage",
            trusted_origins=settings.server.trusted_origins,
        )
        self.limiter = RateLimiter(settings.limits, self.redis_url(), self.metrics)
        self.backplane: RedisBackplane | None = None
        self.presence: Presence | None = None
        self.ready = False
        self.needs_restart: list[str] = []
        self.addresses: list[str] = []
        self.views = Views()
        self.proxy = Proxy()
        self._reloading = asyncio.Lock()
        self.switching = asyncio.Lock()
        self._reloads: set[asyncio.Task[dict[str, Any] | StartError]] = set()
        self._checked: list[str] = []
        # A little longer than a plugin's own time, so that it is the plugin's state that tells of a time-out.
        self.health = HealthMonitor(timeout=HEALTH_TIMEOUT + 0.5)
        self.health.add("database", self.upkeep.database_health, required=True)
        self.health.add("runtimes", self.runtimes.component)
        self.metrics.gauge("sockets_open", "WebSockets and streams that are open.").set_function(
            lambda: float(len(self.registry))
        )
        self.access_log = AccessLog(
            self.metrics, enabled=settings.server.access_log, as_json=settings.log.format == "json"
        )
        self.loop_lag = LoopLag(self.metrics)
        self.history = History(self.access_log.seconds, self.upkeep.now)
        self.figures = Figures(self.tasks, self.upkeep.figures, self.runtimes.figures)
        self._core = core_record(self)

    # -- start --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Migrate, open the database, start the plugins, build the routes. StartError says why not."""
        records = await self.plugins.load(self.loaded)
        await self.migrate(records)
        with self.db.activate():
            await self._open(records)
            await self.prepare(records)
            self.sites(records)  # Its faults stop the server before anything has been started.
            self.plugins.records = {record.name: record for record in records}  # So that `stop` ends what has started.
            await self.start_plugins(records)
            self.require(records)
        sites = self.sites(records)
        self.plugins.adopt(records)
        self.gate = make_gate(self, sites)
        self.upkeep.begin()
        self.ready = True

    def _wanted(self, loaded: Loaded) -> Loaded:
        """What is to run: in safe mode no plugin, whatever the configuration says."""
        if not self.safe_mode:
            return loaded
        none_on = {n: s.model_copy(update={"enabled": False}) for n, s in loaded.settings.plugins.items()}
        return replace(loaded, settings=loaded.settings.model_copy(update={"plugins": none_on}))

    async def migrate(self, records: Sequence[Record]) -> None:
        """Core first: without it nothing runs. A plugin's failed migration fails that plugin."""
        settings = self.started.settings
        url = settings.database.url.get_secret_value()
        await upgrade(url, settings.data_dir, [CORE])
        for record in records:
            manifest = record.manifest
            if record.state is not State.LOADED or manifest is None or not manifest.models or not manifest.migrations:
                continue
            try:
                source = Source(record.name, (manifest.models,), manifest.migrations)
                await upgrade(url, settings.data_dir, [source])
            except (StartError, ImportError) as error:
                record.fail(PluginFailed(record.name, "migration", str(error)))
                log.error("plugin failed", plugin=record.name, reason=record.reason)

    async def _open(self, records: Sequence[Record]) -> None:
        await self.db.open({CORE.label: list(CORE.models)})
        if self.db.dialect == "postgres":
            self.presence = Presence(self.db.target, shared=self.loaded.settings.redis.url is not None)
            await self.presence.acquire()
            self.tasks.spawn(self.presence.keep(), "presence")
        await self.add_models(records)
        settings = self.loaded.settings
        if settings.redis.url is not None:
            self.backplane = RedisBackplane(settings.redis.url.get_secret_value())
            await self.backplane.start()
            self.health.add("redis", self.upkeep.redis_health)
            self.bus.bridge(self.backplane, Topic.SHARED)
        await self.limiter.start()
        self.upkeep.listen()

    async def add_models(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.state is State.LOADED and record.manifest is not None and record.manifest.models:
                try:
                    await self.db.add_app(record.name, [record.manifest.models])
                except Exception as error:
                    record.fail(PluginFailed(record.name, "models", f"{type(error).__name__}: {error}"))
                    log.exception("plugin failed", plugin=record.name, reason=record.reason)

    async def prepare(self, records: Sequence[Record]) -> None:
        """Routes of the core, then of each plugin in order."""
        core = self._core
        if core.plugin is not None and core.hub is None:
            core.manifest = core.plugin.manifest
            self.plugins.dispatcher.register("core", core.plugin)
            core.hub = make_hub(self, core)
            core.routes = list(self.plugins.dispatcher.call_one("moorage_routes", core.plugin, hub=core.hub))
        for record in records:
            if record.manifest is not None and record.state is State.LOADED:
                try:
                    self.access.declare(record.name, record.manifest.permissions)
                except ValueError as error:
                    record.fail(PluginFailed(record.name, "permissions", str(error)))
            await self.plugins.prepare(record, self.loaded.settings.server.plugin_import_timeout)
        self.access.check_roles()

    async def start_plugins(self, records: Sequence[Record], others: Sequence[Record] = ()) -> None:
        """Start prepared plugins in order; each failure is noted in its record."""
        known = {record.name: record for record in (*others, *records)}
        for record in records:
            await self.plugins.start(record, self.loaded.settings.server.plugin_start_timeout, known)

    def require(self, records: Sequence[Record]) -> None:
        """StartError (exit code 3) if a plugin that is required does not run."""
        for record in records:
            if record.section.required and not record.running:
                raise StartError(
                    f"Plugin {record.name} is required and does not run: {record.reason}. Mend it, "
                    f"or set [plugins.{record.name}] required = false, or start with --safe-mode.",
                    exit_code=3,
                )

    def sites(self, records: Sequence[Record]) -> Sites:
        """The route table of these plugins and the core. StartError (exit code 2) lists what is wrong with it."""
        return make_sites(self._core, records)

    def redis_url(self) -> str | None:
        url = self.started.settings.redis.url
        return url.get_secret_value() if url is not None else None

    def plugin_records(self) -> list[Record]:
        """Every plugin, on or off, by name."""
        idle = self.plugins.idle(self.loaded, self.find())
        return sorted([*self.plugins.records.values(), *idle], key=lambda record: record.name)

    def changed(self) -> None:
        """Tell health checks and commands of the plugins as they are now."""
        for name in self._checked:
            self.health.remove(name)
        self._checked = list(self.plugins.records)
        for record in self.plugins.records.values():
            self.health.add(record.name, partial(self.plugins.check, record))
        self.tell()

    def _plugins_changed(self, states: Mapping[str, State]) -> None:
        self.tell()
        for name, state in states.items():
            self.bus.publish(Topic.PLUGIN_CHANGED, {"name": name, "state": state.value})

    def tell(self) -> None:
        """Write down how the plugins are, for commands to read."""
        write_status(self.started.settings.data_dir, self.plugin_records(), self.needs_restart)

    # -- reload -------------------------------------------------------------------------------------------------

    async def reload(self, done: Done | None = None) -> dict[str, Any]:
        """Apply a changed configuration. ConfigError or StartError leave everything as it was.

        It goes on when the caller is cancelled: half a reload would be left of one whose client went away. done: called
        with the report, even so.
        """
        task = self.tasks.spawn(self._reload(done), "reload")
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)
        try:
            outcome = await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise StartError("The server is stopping.") from None
            raise
        if isinstance(outcome, StartError):
            raise outcome
        return outcome

    async def switch(self, name: str, enabled: bool, done: Done) -> dict[str, Any]:
        """Switch a plugin on or off, in the file and here; as `reload`, it goes on when the caller is cancelled."""
        from moorage.switching import switch

        async def attempt() -> dict[str, Any] | MoorageError:
            try:
                report = await switch(self, name, enabled=enabled)
            except MoorageError as error:
                return error
            await done(report)
            return report

        outcome = await asyncio.shield(self.tasks.spawn(attempt(), "switch"))
        if isinstance(outcome, MoorageError):
            raise outcome
        return outcome

    async def _reload(self, done: Done | None) -> dict[str, Any] | StartError:
        from moorage.reload import apply

        async with self._reloading:
            try:
                new = self._wanted(load(self.loaded.path))
                report = await apply(self, new, diff(self.loaded, new))
            except StartError as error:
                return error
        if done is not None:
            await done(report)
        return report

    # -- stop ---------------------------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Stop taking work: plugins are told, sockets are closed with 1001 and given two seconds."""
        self.ready = False
        if hasattr(self, "gate"):
            self.gate.draining = True
        timeout = self.loaded.settings.server.plugin_stop_timeout
        if self._reloads:
            for task in self._reloads:
                task.cancel()
            await asyncio.wait(self._reloads, timeout=2 * timeout)  # It stops what it had started.
        with self.db.activate():
            await asyncio.gather(*(self.plugins.drain(r, timeout) for r in self.plugins.records.values()))
        self.registry.close(list(self.registry), CLOSE_GOING_AWAY, "Server shutting down")
        await self.registry.wait_closed(2.0)

    async def stop(self) -> None:
        """End plugins in reverse order, then tasks, events and at last the database."""
        timeout = self.loaded.settings.server.plugin_stop_timeout
        with self.db.activate():
            for record in sorted(self.plugins.records.values(), key=lambda r: -r.order):
                await self.plugins.stop(record, timeout)
        await self.tasks.stop()
        self.access_log.close()
        backplane = [self.backplane.stop] if self.backplane is not None else []
        # Last, so that no other server takes the place of one that still writes.
        presence = [self.presence.release] if self.presence is not None else []
        for end in (
            self.runtimes.close,
            self.proxy.close,
            self.bus.close,
            *backplane,
            self.limiter.stop,
            self.accounts.close,
            self.db.close,
            *presence,
        ):
            # Whatever it says, what comes after must be ended all the same.
            try:
                await end()
            except MoorageError as error:
                log.error("did not end well", part=end.__qualname__, reason=error.message)
            except Exception:
                log.exception("did not end well", part=end.__qualname__)
