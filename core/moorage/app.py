"""The application: puts the parts together and takes them through start, reload and stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from moorage.access.service import Access
from moorage.accounts import Accounts
from moorage.accounts.service import SWEEP_EVERY
from moorage.administration.plugins import PluginControls
from moorage.builtin import Controls, CorePlugin
from moorage.config import Loaded, diff, load
from moorage.config.settings import Settings
from moorage.db import Database
from moorage.db.migrate import upgrade
from moorage.db.presence import Presence
from moorage.db.sources import CORE, Source
from moorage.dialects import PROBLEM
from moorage.errors import MoorageError, StartError
from moorage.events import EventBus, SocketRegistry, TaskSupervisor, Topic
from moorage.events.bus import OwnBus
from moorage.events.redis import RedisBackplane
from moorage.events.tasks import repeat
from moorage.hub import Hub
from moorage.limits import RateLimiter
from moorage.observe.audit import Audit
from moorage.observe.figures import Figures, memory_of_process
from moorage.observe.health import HealthMonitor
from moorage.observe.history import History, Now
from moorage.observe.loop import LoopLag
from moorage.observe.metrics import Metrics, ScopedMetrics
from moorage.plugin import Health, PluginConfig
from moorage.plugins import Find, Record, State, discover
from moorage.plugins.manager import HEALTH_TIMEOUT, OfferedHooks, PluginManager
from moorage.plugins.states import PluginFailed
from moorage.proxy import Proxy, Upstreams
from moorage.runtimes import OwnRuntimes, Runtimes
from moorage.runtimes.docker import DockerRuntime
from moorage.runtimes.process import ProcessRuntime
from moorage.server.accesslog import AccessLog
from moorage.server.gate import Gate, GateSettings
from moorage.server.head import TrustedProxies
from moorage.server.origin import OriginPolicy
from moorage.server.sites import AuditFailed, Mount, Mounted, Sites
from moorage.server.views import Views
from moorage.status import write_status

log = structlog.get_logger("moorage.app")
REVALIDATE_SECONDS = 0.75
COUNT_SECONDS = 15.0

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
        self.runtimes = _runtimes(settings, loaded.path, self.metrics.scoped("runtimes"))
        self.plugins = PluginManager(self._make_hub, self.changed, self._plugins_changed, self.runtimes, find)
        self.access = Access(settings.access.roles, veto=self.plugins.veto)
        self.registry.allowed = self._still_allowed
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
        self._views = Views()
        self.proxy = Proxy()
        self._reloading = asyncio.Lock()
        self.switching = asyncio.Lock()
        self._reloads: set[asyncio.Task[dict[str, Any] | StartError]] = set()
        self._checked: list[str] = []
        # A little longer than a plugin's own time, so that it is the plugin's state that tells of a time-out.
        self.health = HealthMonitor(timeout=HEALTH_TIMEOUT + 0.5)
        self.health.add("database", self._database_health, required=True)
        self.health.add("runtimes", self.runtimes.component)
        self.metrics.gauge("sockets_open", "WebSockets and streams that are open.").set_function(
            lambda: float(len(self.registry))
        )
        self.access_log = AccessLog(
            self.metrics, enabled=settings.server.access_log, as_json=settings.log.format == "json"
        )
        self.loop_lag = LoopLag(self.metrics)
        self.history = History(self.access_log.seconds, self._now)
        self.figures = Figures(self.tasks, self._server_figures, self.runtimes.figures)
        self._core = Record("core", _always_on(), state=State.STARTED, plugin=CorePlugin(self._controls()))

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
        self.gate = self._make_gate(sites)
        self.tasks.spawn(repeat("revalidation", REVALIDATE_SECONDS, self._revalidate), "revalidate")
        self.tasks.spawn(repeat("housekeeping", SWEEP_EVERY, self.accounts.sweep), "sweep")
        if self.loaded.settings.runtimes.docker.enabled:
            # It opens without an engine too, and from then on knows how the engine is.
            self.tasks.spawn(self.runtimes.get("docker"), "docker")
        self.tasks.spawn(repeat("counting of workloads", COUNT_SECONDS, self.runtimes.measure), "workloads")
        self.tasks.spawn(self.access_log.run(), "access-log")
        self.tasks.spawn(self.loop_lag.run(), "loop-lag")
        self.tasks.spawn(self.history.run(), "history")
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
            self.health.add("redis", self._redis_health)
            self.bus.bridge(self.backplane, Topic.SHARED)
        await self.limiter.start()
        self.bus.subscribe(Topic.CREDENTIAL_REVOKED, self._credential_revoked)
        self.bus.subscribe(Topic.USER_CHANGED, self._user_changed)
        self.bus.subscribe(Topic.USER_DELETED, self._user_changed)
        self.bus.subscribe(Topic.AUDIT_WRITTEN, self._audit_written)

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
            core.hub = self._make_hub(core)
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

    # -- wiring -------------------------------------------------------------------------------------------------

    def _make_hub(self, record: Record) -> Hub:
        settings = self.loaded.settings
        return Hub(
            name=record.name,
            config=record.config or PluginConfig(),
            data_dir=self.started.settings.data_dir / "plugins" / record.name,
            public_url=settings.server.public_url,
            log=structlog.get_logger(f"moorage.{record.name}"),
            access=self.access,
            accounts=self.accounts,
            bus=OwnBus(self.bus),
            sockets=self.registry,
            tasks=TaskSupervisor(record.name),
            metrics=self.metrics.scoped(record.name),
            audit=self.audit,
            db=self.db,
            hooks=OfferedHooks(self.plugins),
            upstreams=Upstreams(),
            runtimes=OwnRuntimes(self.runtimes, record.name),
            sealing=self.accounts.sealing(record.name),
            private=(self.started.settings.data_dir, *([self.loaded.path] if self.loaded.path else [])),
        )

    def _make_gate(self, sites: Sites) -> Gate:
        server, accounts = self.loaded.settings.server, self.loaded.settings.accounts
        return Gate(
            sites,
            settings=GateSettings(
                max_header_bytes=server.max_header_bytes,
                max_url_bytes=server.max_url_bytes,
                max_body_bytes=server.max_body_bytes,
                max_frame_bytes=server.max_frame_bytes,
                max_json_depth=server.max_json_depth,
                max_sockets_per_user=server.max_sockets_per_user,
                request_timeout=server.request_timeout,
                cookie_name=accounts.cookie_name,
                jwt_cookie_name=accounts.jwt_cookie_name,
                public_url=server.public_url,
                resources=accounts.oauth.enabled,
            ),
            accounts=self.accounts,
            holds=self.access.holds,
            limiter=self.limiter,
            registry=self.registry,
            proxies=TrustedProxies(server.trusted_proxies),
            origins=OriginPolicy(server.public_url, server.trusted_origins),
            views=self._views,
            proxy=self.proxy,
            observe=self.access_log.observe,
            activate=self.db.enter,
        )

    def sites(self, records: Sequence[Record]) -> Sites:
        """The route table. StartError (exit code 2) lists what is wrong with it."""
        core = self._core
        owners = [
            Mounted(
                name="core",
                dialect=PROBLEM,
                mounts=[Mount(None, None, "")],
                routes=core.routes,
                everywhere=core.plugin.everywhere(core.hub) if isinstance(core.plugin, CorePlugin) and core.hub else (),
                apart=core.plugin.apart(core.hub) if isinstance(core.plugin, CorePlugin) and core.hub else (),
                permissions=frozenset(p.name for p in CorePlugin.manifest.permissions),
            )
        ]
        try:
            owners += [_mounted(record) for record in records]
            return Sites(owners)
        except AuditFailed as error:
            raise StartError("The routes do not fit together:\n  " + "\n  ".join(error.problems)) from None

    def redis_url(self) -> str | None:
        url = self.started.settings.redis.url
        return url.get_secret_value() if url is not None else None

    def _controls(self) -> Controls:
        return Controls(
            health=self.health.report,
            plugins=PluginControls(
                records=self.plugin_records,
                loaded=lambda: self.loaded,
                needs_restart=lambda: self.needs_restart,
                reload=self.reload,
                switch=self.switch,
                health=self.health.report,
            ),
            mounts=lambda: {name: r.mounts for name, r in self.plugins.records.items() if r.running},
            metrics=self.metrics.render,
            figures=self.figures.open,
            history=self.history.samples,
            ready=lambda: self.ready,
            sites=lambda: self.gate.sites,
        )

    # -- what goes on while it runs -----------------------------------------------------------------------------

    def _still_allowed(self, actor: Any, rule: Any) -> bool:
        return not isinstance(rule, str) or self.access.holds(actor, rule)

    def _credential_revoked(self, data: dict[str, Any]) -> None:
        entries = self.registry.of_credential(data["method"], data["id"])
        self.registry.close(entries, 4001, "Signed out")

    async def _user_changed(self, data: dict[str, Any]) -> None:
        actors = {entry.actor for entry in self.registry.of_user(data["user_id"])}
        with self.db.activate():
            self.registry.apply(await self.accounts.revalidate(list(actors)))

    async def _audit_written(self, data: dict[str, Any]) -> None:
        with self.db.activate():
            await self.plugins.audit(data["record"])

    async def _revalidate(self) -> None:
        """Changes that another process made (the CLI, another server) reach open sockets within seconds."""
        if actors := self.registry.actors():
            self.registry.apply(await self.accounts.revalidate(actors))

    async def _database_health(self) -> Health:
        return Health("ok", data={"ping_ms": round(await self.db.ping(), 3)})

    def _now(self) -> Now:
        return Now(
            cpu=time.process_time(),
            rss_bytes=memory_of_process(),
            connections=len(self.registry),
            users=len({actor.user.id for actor in self.registry.actors() if actor.user is not None}),
            lag=self.loop_lag.last,
        )

    def _server_figures(self) -> dict[str, Any]:
        return {
            "requests_total": self.access_log.requests,
            "sockets_open": len(self.registry),
            "users_connected": len({actor.user.id for actor in self.registry.actors() if actor.user is not None}),
            "rss_bytes": memory_of_process(),
            "event_loop_lag_seconds": round(self.loop_lag.last, 6),
        }

    async def _redis_health(self) -> Health:
        """Without Redis requests are still answered; other servers are not heard of."""
        connected = self.backplane is not None and self.backplane.connected
        return Health("ok") if connected else Health("degraded", "Redis is away")

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

    async def reload(self) -> dict[str, Any]:
        """Apply a changed configuration. ConfigError or StartError leave everything as it was.

        It goes on when the caller is cancelled: half a reload would be left of one whose client went away.
        """
        task = self.tasks.spawn(self._reload(), "reload")
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

    async def switch(self, name: str, enabled: bool) -> dict[str, Any]:
        """Switch a plugin on or off, in the file and here; as `reload`, it goes on when the caller is cancelled."""
        from moorage.switching import switch

        async def attempt() -> dict[str, Any] | MoorageError:
            try:
                return await switch(self, name, enabled=enabled)
            except MoorageError as error:
                return error

        outcome = await asyncio.shield(self.tasks.spawn(attempt(), "switch"))
        if isinstance(outcome, MoorageError):
            raise outcome
        return outcome

    async def _reload(self) -> dict[str, Any] | StartError:
        from moorage.reload import apply

        async with self._reloading:
            try:
                new = self._wanted(load(self.loaded.path))
                return await apply(self, new, diff(self.loaded, new))
            except StartError as error:
                return error

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


def _runtimes(settings: Settings, config: Path | None, metrics: ScopedMetrics) -> Runtimes:
    """The core's own runtimes, as far as they are switched on. config: the file, which no workload is to see."""
    runtimes, folder = Runtimes(metrics), settings.data_dir / "runtimes"
    own = (settings.data_dir, config, settings.server.tls_key)
    hidden = tuple(path for path in own if path is not None)
    if settings.runtimes.process.enabled:
        runtimes.add(
            ProcessRuntime(
                settings.runtimes.process, folder / "process", on_stop=settings.runtimes.on_stop, hidden=hidden
            )
        )
    if settings.runtimes.docker.enabled:
        keep = settings.runtimes.on_stop == "keep"
        runtimes.add(DockerRuntime(settings.runtimes.docker, folder / "docker", keep=keep))
    return runtimes


def _always_on() -> Any:
    from moorage.config import PluginSection

    return PluginSection(enabled=True, required=True)


def _mounted(record: Record) -> Mounted:
    manifest = record.manifest
    try:
        mounts = [Mount.parse(text) for text in record.mounts]
    except ValueError as error:
        raise AuditFailed([f"[plugins.{record.name}] mount: {error}"]) from None
    failed = record.state in (State.FAILED, State.BLOCKED)
    return Mounted(
        name=record.name,
        dialect=(manifest.dialect if manifest else None) or PROBLEM,
        mounts=mounts,
        routes=record.routes,
        failed=f"Plugin {record.name} does not run" if failed else None,
        permissions=frozenset(p.name for p in manifest.permissions) if manifest else frozenset(),
    )
