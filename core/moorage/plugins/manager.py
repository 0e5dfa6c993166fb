"""The manager: takes plugins through their states, one at a time, so that a bad one hurts only itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from moorage.access import Actor
from moorage.config import Loaded, PluginSection
from moorage.hub import HookFailed, Hub
from moorage.plugin import Health, Plugin
from moorage.plugins.discover import Discovered, Find, discover, in_order
from moorage.plugins.dispatch import Dispatcher
from moorage.plugins.loader import in_thread, load
from moorage.plugins.states import HookLate, PluginFailed, Record, State
from moorage.routes import Route
from moorage.runtimes import Runtimes

log = structlog.get_logger("moorage.plugins")
HEALTH_TIMEOUT = 2.0
LAST = 1 << 30


class PluginManager:
    """All plugins of one server. `records` holds the current generation, by name."""

    def __init__(
        self,
        make_hub: Callable[[Record], Hub],
        on_change: Callable[[], None],
        on_state: Callable[[Mapping[str, State]], None],
        runtimes: Runtimes,
        find: Find = discover,
    ) -> None:
        self.dispatcher = Dispatcher()
        self.records: dict[str, Record] = {}
        self._make_hub, self._find, self._runtimes = make_hub, find, runtimes
        self._on_change, self._on_state = on_change, on_state
        self._vetoers: list[tuple[str, Plugin]] = []
        self._seen: dict[str, tuple[int, State]] = {}

    # -- loading ------------------------------------------------------------------------------------------------

    async def load(self, loaded: Loaded, names: Iterable[str] | None = None) -> list[Record]:
        """New records for the enabled plugins (or for `names` of them), loaded and in start order."""
        found = self._find()
        sections = {n: s for n, s in loaded.settings.plugins.items() if s.enabled}
        wanted = set(sections) if names is None else set(names)
        enabled = dict.fromkeys(sections, True)
        records = [Record(name, sections[name]) for name in sorted(wanted)]
        for record in records:
            await load(record, found.get(record.name), loaded, enabled)
        return self._ordered(records)

    def idle(self, loaded: Loaded, found: Mapping[str, Discovered]) -> list[Record]:
        """Records of what is installed and off, for lists."""
        sections = loaded.settings.plugins
        names = (set(found) | set(sections)) - {n for n, s in sections.items() if s.enabled}
        return [Record(n, sections.get(n, PluginSection()), state=State.DISABLED) for n in sorted(names)]

    def _ordered(self, records: list[Record]) -> list[Record]:
        """Sort by requires and after, ties by name. A cycle blocks the plugins in it."""
        cycle = _number(records)
        for record in records:
            if record.name in cycle:
                reason = f"requires/after form a circle: {', '.join(cycle)}"
                record.fail(PluginFailed(record.name, "order", reason, State.BLOCKED))
        return sorted(records, key=lambda record: record.order)

    # -- starting and stopping ----------------------------------------------------------------------------------

    async def prepare(self, record: Record, timeout: float) -> None:
        """Register the hooks of a loaded plugin and ask for its routes. A failure is noted in the record."""
        plugin = record.plugin
        if record.state is not State.LOADED or plugin is None:
            return
        try:
            self.dispatcher.register(record.name, plugin)
            hub = record.hub = self._make_hub(record)
            for specs in self.dispatcher.call_one("moorage_add_hookspecs", plugin, hub=hub) or ():
                self.dispatcher.add_hookspecs(record.name, specs)
            routes = await in_thread(
                record.name,
                "routes",
                timeout,
                lambda: list(self.dispatcher.call_one("moorage_routes", plugin, hub=hub) or ()),
            )
            wrong = [r for r in routes if not isinstance(r, Route)]
            if wrong:
                raise PluginFailed(record.name, "routes", f"{wrong[0]!r} is not a route")
            record.routes = routes
        except PluginFailed as failure:
            self._failed(record, failure)
        except Exception as error:
            # Hooks that return something else than they should.
            log.exception("plugin could not be prepared", plugin=record.name)
            self._failed(record, PluginFailed(record.name, "hooks", f"{type(error).__name__}: {error}"))

    async def start(self, record: Record, timeout: float, others: Mapping[str, Record]) -> None:
        """Start a prepared plugin. A failure is noted in the record."""
        plugin, manifest = record.plugin, record.manifest
        if record.state is not State.LOADED or plugin is None or manifest is None:
            return
        try:
            for name in manifest.requires:
                other = others.get(name)
                if other is None or not other.running:
                    raise PluginFailed(record.name, "requirements", f"plugin {name!r} does not run", State.BLOCKED)
            await self.dispatcher.await_one("moorage_startup", plugin, timeout, hub=record.hub)
            record.started = True
            self._take_runtimes(record, plugin)
            record.state, record.reason = State.STARTED, ""
            log.info("plugin started", plugin=record.name, version=record.version)
        except PluginFailed as failure:
            await self._end_runtimes(record)
            await self._end(record, "moorage_shutdown", timeout)
            record.started = False
            self._failed(record, failure)
            if record.hub is not None:
                await record.hub.tasks.stop()

    def _take_runtimes(self, record: Record, plugin: Plugin) -> None:
        """Make the runtimes that a plugin brings known. PluginFailed."""
        for runtime in self.dispatcher.call_one("moorage_runtimes", plugin, hub=record.hub) or ():
            try:
                self._runtimes.add(runtime, record.name)
            except ValueError as error:
                raise PluginFailed(record.name, "runtimes", str(error)) from error
            record.runtimes = [*record.runtimes, runtime]

    async def _end_runtimes(self, record: Record) -> None:
        for runtime in record.runtimes:
            try:
                await self._runtimes.remove(runtime)
            except Exception:
                log.exception("runtime did not end well", plugin=record.name, runtime=runtime.kind)
        record.runtimes = ()

    def _failed(self, record: Record, failure: PluginFailed) -> None:
        record.fail(failure)
        log.error("plugin failed", plugin=record.name, reason=record.reason, exc_info=failure.__cause__)
        self._forget(record)

    def _forget(self, record: Record) -> None:
        """What it hooked into: hooks and events reach it no more."""
        if record.plugin is not None:
            self.dispatcher.unregister(record.plugin)
        if record.hub is not None:
            record.hub.bus.leave()
            record.hub.upstreams.close()

    def adopt(self, records: Iterable[Record]) -> None:
        """Make records the current generation."""
        self.records = {record.name: record for record in records}
        _number(self.records.values())
        running = {id(r.plugin): (r.order, r.name) for r in self.records.values() if r.running}
        self._vetoers = [
            item
            for item in self.dispatcher.implementations(
                "moorage_authorize", lambda plugin: running.get(id(plugin), (LAST, ""))
            )
            if id(item[1]) in running
        ]
        self._on_change()
        before, self._seen = self._seen, {r.name: (id(r.plugin), r.state) for r in self.records.values()}
        gone = dict.fromkeys(before.keys() - self._seen.keys(), State.DISABLED)
        self._on_state(gone | {name: now[1] for name, now in self._seen.items() if now != before.get(name)})

    async def drain(self, record: Record, timeout: float) -> None:
        """Tell a plugin to stop taking work. Errors are logged."""
        await self._end(record, "moorage_drain", timeout)

    async def stop(self, record: Record, timeout: float) -> None:
        """Stop a plugin, its runtimes and its tasks, and forget its hooks. Errors are logged."""
        await self._end_runtimes(record)
        await self._end(record, "moorage_shutdown", timeout)
        if record.hub is not None:
            await record.hub.tasks.stop(timeout)
        self._forget(record)

    async def _end(self, record: Record, hook: str, timeout: float) -> None:
        if not record.started or record.plugin is None or not self.dispatcher.implements(hook, record.plugin):
            return
        try:
            await self.dispatcher.await_one(hook, record.plugin, timeout, hub=record.hub)
        except PluginFailed as failure:
            log.error("plugin did not stop well", plugin=record.name, reason=str(failure), exc_info=failure.__cause__)

    # -- asking -------------------------------------------------------------------------------------------------

    def veto(self, actor: Actor, permission: str, resource: Any) -> str | None:
        """The first plugin's reason against a decision, or None. A plugin that fails vetoes."""
        for name, plugin in self._vetoers:
            try:
                reason = self.dispatcher.call_one(
                    "moorage_authorize", plugin, actor=actor, permission=permission, resource=resource
                )
            except PluginFailed:
                log.exception("veto failed, so the answer is no", plugin=name, permission=permission)
                return f"plugin {name} could not decide"
            if reason is not None:
                return str(reason)
        return None

    async def check(self, record: Record) -> Health:
        """One plugin's health; its state follows it."""
        if not record.running or record.plugin is None:
            return Health("failed", record.reason)
        try:
            told = await self.dispatcher.await_one("moorage_health", record.plugin, HEALTH_TIMEOUT, hub=record.hub)
        except PluginFailed as failure:
            told = Health("failed", str(failure))
        health = told if isinstance(told, Health) else Health()
        before = record.state, record.reason
        if health.status != "ok":
            record.state, record.reason = State.DEGRADED, health.detail
        elif record.state in (State.STARTED, State.DEGRADED) and not record.kept:
            # It may have something to say all the same: what is still to be installed, for one.
            record.state, record.reason = State.STARTED, health.detail
        if before != (record.state, record.reason):
            self._seen[record.name] = id(record.plugin), record.state
            self._on_state({record.name: record.state})
        return health

    async def audit(self, record: Any, timeout: float = 5.0) -> None:
        """Hand an audit record to every plugin that wants it. Errors are logged."""
        for name, plugin in self.dispatcher.implementations("moorage_audit", lambda _: (0, "")):
            try:
                await self.dispatcher.await_one("moorage_audit", plugin, timeout, record=record)
            except PluginFailed:
                log.exception("audit hook failed", plugin=name)


def _number(records: Iterable[Record]) -> list[str]:
    """Give records their place in the order of start. Returns the names that form a circle; they come last."""
    records = list(records)
    before = {r.name: (*r.manifest.requires, *r.manifest.after) if r.manifest else () for r in records}
    order, cycle = in_order(before)
    place = {name: index for index, name in enumerate([*order, *cycle], start=1)}
    for record in records:
        record.order = place[record.name]
    return cycle


class OfferedHooks:
    """The hooks that one plugin offers to others, as its hub sees them (`hub.HookCaller`)."""

    def __init__(self, manager: PluginManager) -> None:
        self._manager = manager

    def call(self, hook: str, **arguments: Any) -> list[tuple[str, Any]]:
        """Call a sync hook in all that implement it; one that fails is logged and left out."""
        answers = []
        for name, plugin in self._implementations(hook):
            try:
                answers.append((name, self._manager.dispatcher.call_one(hook, plugin, **arguments)))
            except PluginFailed:
                log.exception("hook failed", plugin=name, hook=hook)
        return answers

    async def gather(self, hook: str, *, timeout: float, **arguments: Any) -> list[tuple[str, Any]]:
        """The same for an async hook."""
        answers = []
        for name, plugin in self._implementations(hook):
            try:
                answers.append((name, await self._manager.dispatcher.await_one(hook, plugin, timeout, **arguments)))
            except PluginFailed:
                log.exception("hook failed", plugin=name, hook=hook)
        return answers

    def implementers(self, hook: str) -> list[str]:
        """The names of those that implement a hook, in plugin order."""
        return [name for name, _ in self._implementations(hook)]

    def call_one(self, hook: str, plugin: str, **arguments: Any) -> Any:
        """Call a sync hook in one plugin. HookFailed."""
        try:
            return self._manager.dispatcher.call_one(hook, self._one(hook, plugin), **arguments)
        except PluginFailed as failure:
            raise HookFailed(plugin, hook, failure.reason) from failure

    async def await_one(self, hook: str, plugin: str, *, timeout: float, **arguments: Any) -> Any:
        """Await an async hook in one plugin. HookFailed."""
        try:
            return await self._manager.dispatcher.await_one(hook, self._one(hook, plugin), timeout, **arguments)
        except PluginFailed as failure:
            raise HookFailed(plugin, hook, failure.reason, late=isinstance(failure, HookLate)) from failure

    def _one(self, hook: str, name: str) -> Plugin:
        for found, plugin in self._implementations(hook):
            if found == name:
                return plugin
        raise HookFailed(name, hook, "does not run, or has no such hook")

    def _implementations(self, hook: str) -> list[tuple[str, Plugin]]:
        """Those that run: what is still starting, or is left over from before a reload, is not asked."""
        order = {id(r.plugin): (r.order, r.name) for r in self._manager.records.values() if r.running}
        found = self._manager.dispatcher.implementations(hook, lambda plugin: order.get(id(plugin), (LAST, "")))
        return [(name, plugin) for name, plugin in found if id(plugin) in order]
