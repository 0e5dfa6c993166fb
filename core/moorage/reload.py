"""Reload: a new generation of plugins and routes is made beside the old one, then swapped in."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from moorage.config import diff
from moorage.errors import StartError
from moorage.limits import RateLimiter
from moorage.observe import logs
from moorage.plugins import Record, State
from moorage.server.head import TrustedProxies
from moorage.server.listeners import with_mount_ports
from moorage.server.origin import OriginPolicy
from moorage.server.sites import Sites

if TYPE_CHECKING:
    from moorage.app import App
    from moorage.config import ConfigDiff, Loaded

log = structlog.get_logger("moorage.reload")
LIVE = ("limits.", "access.", "server.trusted_proxies", "server.trusted_origins", "server.public_url", "log.level")
LIVE_SERVER = (
    "server.max_body_bytes",
    "server.max_frame_bytes",
    "server.max_json_depth",
    "server.max_sockets_per_user",
    "server.request_timeout",
    "server.access_log",
    "server.plugin_",
)
REMOVED, RESTARTED = 1001, 1012


async def apply(app: App, new: Loaded, changes: ConfigDiff) -> dict[str, Any]:
    """Bring the running server to `new`. Whatever is raised before the swap leaves everything as it was.

    Returns {"added", "removed", "changed", "failed", "needs_restart"}. StartError says why not.
    """
    gone = set(changes.plugins_removed)
    # What did not run, or not as it was told, is tried again: the mend may have been outside of the configuration.
    idle = {r.name for r in app.plugins.records.values() if not r.running or r.kept}
    touched = set(changes.plugins_changed) | set(changes.plugins_added) | (idle - gone)
    old = app.loaded
    app.access.check(new.settings.access.roles)
    kept = [r for r in app.plugins.records.values() if r.name not in touched | gone]
    fresh: list[Record] = []
    app.loaded = new
    try:
        sites = await _prepare(app, new, touched, fresh, kept)
        limiter = await _limiter(app, old, new)
    except BaseException:
        app.loaded = old
        await _undo(app, fresh)
        raise
    # From here on nothing may fail: what was prepared takes the place of what was.
    replaced = [r for r in app.plugins.records.values() if r not in kept]
    leaving = [entry for r in replaced for entry in app.registry.of_plugin(r.name)]
    app.gate.sites = sites
    app.plugins.adopt([*kept, *fresh])
    _core_settings(app, old, new)
    if limiter is not None:
        limiter, app.limiter, app.gate.identifier.limiter = app.limiter, limiter, limiter
    app.registry.recheck()
    await _retire(app, replaced, leaving, gone)
    if limiter is not None:
        await limiter.stop()
    report = {
        "added": sorted(changes.plugins_added),
        "removed": sorted(gone),
        "changed": sorted(set(changes.plugins_changed) - {record.name for record in kept}),
        # One that is well may have something to say all the same.
        "failed": {r.name: r.reason for r in app.plugins.records.values() if r.reason and r.state is not State.STARTED},
        "needs_restart": app.needs_restart,
    }
    for warning in new.warnings:
        log.warning("configuration", warning=warning)
    log.info("configuration reloaded", **report)
    return report


async def _prepare(app: App, new: Loaded, names: set[str], fresh: list[Record], kept: list[Record]) -> Sites:
    """Make, start and check the next generation. `fresh` and `kept` are filled as it goes, so that it can be undone."""
    fresh += await app.plugins.load(new, names)
    await app.migrate(fresh)
    with app.db.activate():
        await app.add_models(fresh)
        await app.prepare(fresh)
    # Once more, now that the permissions of new plugins are known.
    app.access.check(new.settings.access.roles)
    await _fall_back(app, fresh, kept)
    _check_ports(app, new, app.sites([*kept, *fresh]).ports)
    with app.db.activate():
        await app.start_plugins(fresh, kept)
    await _fall_back(app, fresh, kept)
    _block_dependants(kept, fresh)
    app.require([*kept, *fresh])
    return app.sites([*kept, *fresh])


async def _undo(app: App, fresh: list[Record]) -> None:
    """Leave nothing behind of a generation that was not taken."""
    timeout = app.loaded.settings.server.plugin_stop_timeout
    with app.db.activate():
        for record in reversed(fresh):
            await app.plugins.stop(record, timeout)
    for record in fresh:
        before = app.plugins.records.get(record.name)
        if before is not None and before.manifest is not None:
            app.access.declare(before.name, before.manifest.permissions)
        else:
            app.access.withdraw(record.name)


async def _limiter(app: App, old: Loaded, new: Loaded) -> RateLimiter | None:
    """A limiter for changed limits, ready for use."""
    if old.settings.limits == new.settings.limits:
        return None
    limiter = RateLimiter(new.settings.limits, app.redis_url(), app.metrics)
    await limiter.start()
    return limiter


async def _fall_back(app: App, fresh: list[Record], kept: list[Record]) -> None:
    """A wrong setting must not take down what runs: the old one goes on, and says why."""
    for record in list(fresh):
        old = app.plugins.records.get(record.name)
        if record.state not in (State.FAILED, State.BLOCKED) or old is None or not old.running:
            continue
        old.reason = f"kept its old configuration: {record.reason}"
        old.state, old.kept = State.DEGRADED, True
        await app.plugins.stop(record, app.loaded.settings.server.plugin_stop_timeout)
        fresh.remove(record)
        kept.append(old)


def _block_dependants(kept: list[Record], fresh: list[Record]) -> None:
    """Plugins that go on only with another one that is gone become blocked ones, and theirs in turn."""
    while True:
        running = {r.name for r in (*kept, *fresh) if r.running}
        stranded = [r for r in kept if r.running and r.manifest and set(r.manifest.requires) - running]
        if not stranded:
            return
        for record in stranded:
            missing = ", ".join(sorted(set(record.manifest.requires) - running)) if record.manifest else ""
            kept.remove(record)
            fresh.append(
                replace(
                    record, state=State.BLOCKED, reason=f"requirements: {missing} does not run", plugin=None, hub=None
                )
            )


def _check_ports(app: App, new: Loaded, ports: set[int]) -> None:
    wanted = set(with_mount_ports(new.settings.server.listen, ports))
    missing = wanted - set(app.addresses) - set(new.settings.server.listen)
    if missing:
        raise StartError(
            f"A mount wants {', '.join(sorted(missing))}, and a listener can only be opened at start: "
            "restart the server."
        )


def _core_settings(app: App, old: Loaded, new: Loaded) -> None:
    """Settings of the core that can change while it runs; the rest is told to the operator."""
    server, gate = new.settings.server, app.gate
    gate.proxies = TrustedProxies(server.trusted_proxies)
    gate.origins = OriginPolicy(server.public_url, server.trusted_origins)
    gate.settings.public_url = server.public_url
    gate.settings.max_body_bytes = server.max_body_bytes
    gate.settings.max_frame_bytes = server.max_frame_bytes
    gate.settings.max_json_depth = server.max_json_depth
    gate.settings.max_sockets_per_user = server.max_sockets_per_user
    gate.settings.request_timeout = server.request_timeout
    app.access_log.enabled = server.access_log
    logs.set_level(new.settings.log.level)
    if old.settings.access != new.settings.access:
        app.access.configure(new.settings.access.roles)
    # Compared with the start and not with the last reload, so that what was taken back waits no longer.
    app.needs_restart = [key for key in diff(app.started, new).core_changed if not key.startswith(LIVE + LIVE_SERVER)]
    if app.needs_restart:
        log.warning("these settings take effect at the next start", keys=app.needs_restart)


async def _retire(app: App, replaced: list[Record], leaving: list[Any], gone: set[str]) -> None:
    """Drain and stop what is no longer of this generation. Cut short by the server's end, it still stops them."""
    timeout = app.loaded.settings.server.plugin_stop_timeout
    try:
        with app.db.activate():
            await asyncio.gather(*(app.plugins.drain(record, timeout) for record in replaced))
        for entry in leaving:
            removed = entry.plugin in gone
            text = "Plugin disabled" if removed else "Plugin restarted"
            app.registry.close([entry], REMOVED if removed else RESTARTED, text)
        await app.registry.wait_gone(leaving, 2.0)
    finally:
        with app.db.activate():
            for record in sorted(replaced, key=lambda record: -record.order):
                await app.plugins.stop(record, timeout)
        for name in gone:
            app.access.withdraw(name)
        app.changed()
