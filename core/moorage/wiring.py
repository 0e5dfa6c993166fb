"""What the parts of a server are handed: hubs of plugins, the gate, the route table, the core's own controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from moorage.administration.plugins import PluginControls
from moorage.builtin import Controls, CorePlugin
from moorage.config import Loaded, PluginSection
from moorage.dialects import PROBLEM
from moorage.errors import StartError
from moorage.events import TaskSupervisor
from moorage.events.bus import OwnBus
from moorage.hub import Hub
from moorage.observe.metrics import ScopedMetrics
from moorage.plugin import PluginConfig
from moorage.plugins import Record, State
from moorage.plugins.manager import OfferedHooks
from moorage.proxy import Upstreams
from moorage.runtimes import OwnRuntimes, Runtimes
from moorage.runtimes.docker import DockerRuntime
from moorage.runtimes.process import ProcessRuntime
from moorage.server.gate import Gate, GateSettings
from moorage.server.head import TrustedProxies
from moorage.server.origin import OriginPolicy
from moorage.server.sites import AuditFailed, Mount, Mounted, Sites

if TYPE_CHECKING:
    from moorage.app import App


def core_record(app: App) -> Record:
    """The core as a plugin of its own: always on."""
    section = PluginSection(enabled=True, required=True)
    return Record("core", section, state=State.STARTED, plugin=CorePlugin(_controls(app)))


def make_hub(app: App, record: Record) -> Hub:
    """What one plugin is handed."""
    settings, own = app.loaded.settings, app.started.settings
    return Hub(
        name=record.name,
        config=record.config or PluginConfig(),
        data_dir=own.data_dir / "plugins" / record.name,
        public_url=settings.server.public_url,
        log=structlog.get_logger(f"moorage.{record.name}"),
        access=app.access,
        accounts=app.accounts,
        bus=OwnBus(app.bus),
        sockets=app.registry,
        tasks=TaskSupervisor(record.name),
        metrics=app.metrics.scoped(record.name),
        audit=app.audit,
        db=app.db,
        hooks=OfferedHooks(app.plugins),
        upstreams=Upstreams(),
        runtimes=OwnRuntimes(app.runtimes, record.name),
        sealing=app.accounts.sealing(record.name),
        private=(own.data_dir, *([app.loaded.path] if app.loaded.path else [])),
    )


def make_gate(app: App, sites: Sites) -> Gate:
    """The way in, by the present settings."""
    server, accounts = app.loaded.settings.server, app.loaded.settings.accounts
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
        accounts=app.accounts,
        holds=app.access.holds,
        limiter=app.limiter,
        registry=app.registry,
        proxies=TrustedProxies(server.trusted_proxies),
        origins=OriginPolicy(server.public_url, server.trusted_origins),
        views=app.views,
        proxy=app.proxy,
        observe=app.access_log.observe,
        activate=app.db.enter,
    )


def make_sites(core: Record, records: Sequence[Record]) -> Sites:
    """The route table. StartError (exit code 2) lists what is wrong with it."""
    plugin, hub = core.plugin, core.hub
    own = plugin if isinstance(plugin, CorePlugin) else None
    owners = [
        Mounted(
            name="core",
            dialect=PROBLEM,
            mounts=[Mount(None, None, "")],
            routes=core.routes,
            everywhere=own.everywhere(hub) if own and hub else (),
            apart=own.apart(hub) if own and hub else (),
            permissions=frozenset(p.name for p in CorePlugin.manifest.permissions),
        )
    ]
    try:
        owners += [_mounted(record) for record in records]
        return Sites(owners)
    except AuditFailed as error:
        raise StartError("The routes do not fit together:\n  " + "\n  ".join(error.problems)) from None


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


def _controls(app: App) -> Controls:
    return Controls(
        health=app.health.report,
        plugins=PluginControls(
            records=app.plugin_records,
            loaded=lambda: app.loaded,
            needs_restart=lambda: app.needs_restart,
            reload=app.reload,
            switch=app.switch,
            health=app.health.report,
        ),
        mounts=lambda: {name: r.mounts for name, r in app.plugins.records.items() if r.running},
        metrics=app.metrics.render,
        figures=app.figures.open,
        history=app.history.samples,
        ready=lambda: app.ready,
        sites=lambda: app.gate.sites,
    )


def make_runtimes(loaded: Loaded, metrics: ScopedMetrics) -> Runtimes:
    """The core's own runtimes, as far as they are switched on."""
    settings = loaded.settings
    runtimes, folder = Runtimes(metrics), settings.data_dir / "runtimes"
    # No workload is to see them.
    own = (settings.data_dir, loaded.path, settings.server.tls_key)
    hidden = tuple(path for path in own if path is not None)
    if settings.runtimes.process.enabled:
        on_stop = settings.runtimes.on_stop
        runtimes.add(ProcessRuntime(settings.runtimes.process, folder / "process", on_stop=on_stop, hidden=hidden))
    if settings.runtimes.docker.enabled:
        keep = settings.runtimes.on_stop == "keep"
        runtimes.add(DockerRuntime(settings.runtimes.docker, folder / "docker", keep=keep))
    return runtimes
