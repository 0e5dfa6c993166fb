"""The dispatcher: calls hooks per plugin, awaits the async ones, and names the plugin in every error.

pluggy keeps the registrations and checks them; it cannot await, bound or attribute a call, so calling is ours.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pluggy
import structlog

from moorage.events.tasks import contained
from moorage.hooks import PROJECT, Specs
from moorage.plugin import Plugin
from moorage.plugins.states import HookLate, PluginFailed

Order = Callable[[Plugin], tuple[int, str]]
log = structlog.get_logger("moorage.plugins")
GRACE = 0.5
"""Seconds in which a hook that was cancelled must end; after that it is left to itself."""


class Dispatcher:
    """One pluggy manager for the server's life; plugins come and go with reloads."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(Specs)
        self._names: dict[int, str] = {}
        self._offered: dict[str, str] = {}
        self._left: set[asyncio.Task[Any]] = set()
        self._serial = 0

    def register(self, name: str, plugin: Plugin) -> None:
        """Register hook implementations. PluginFailed for an unknown hook or argument, or sync where async is due."""
        self._serial += 1
        self._names[id(plugin)] = name
        try:
            self.manager.register(plugin, f"{name}#{self._serial}")
            self._check(name, plugin)
        except (pluggy.PluginValidationError, PluginFailed) as error:
            self.unregister(plugin)
            reason = error.reason if isinstance(error, PluginFailed) else str(error).splitlines()[-1].strip()
            raise PluginFailed(name, "hooks", reason) from error

    def unregister(self, plugin: Plugin) -> None:
        """Forget a plugin; harmless for an unknown one."""
        if self.manager.is_registered(plugin):
            self.manager.unregister(plugin)
        self._names.pop(id(plugin), None)

    def add_hookspecs(self, name: str, specs: Any) -> None:
        """Add the hooks that a plugin offers to others. PluginFailed if there are none, or one is another's."""
        hooks = [hook for hook in dir(specs) if self.manager.parse_hookspec_opts(specs, hook) is not None]
        if not hooks:
            raise PluginFailed(name, "hooks", f"{specs!r} marks no @hookspec")
        for hook in hooks:
            caller = getattr(self.manager.hook, hook, None)
            if caller is None or caller.spec is None:
                continue
            if (owner := self._offered.get(hook, "the core")) != name:
                raise PluginFailed(name, "hooks", f"{hook} is already offered by {owner}")
        self._offered.update(dict.fromkeys(hooks, name))
        try:
            self.manager.add_hookspecs(specs)
        except ValueError as error:
            # Its own, there already: the plugin was loaded again by a reload.
            log.debug("hooks are there already", plugin=name, reason=str(error))

    def _check(self, name: str, plugin: Plugin) -> None:
        for caller in self.manager.get_hookcallers(plugin) or ():
            implementation = next(i for i in caller.get_hookimpls() if i.plugin is plugin)
            if caller.spec is None:
                if implementation.optionalhook or not caller.name.startswith("moorage_"):
                    continue
                raise PluginFailed(name, "hooks", f"there is no hook {caller.name!r}")
            wants = inspect.iscoroutinefunction(caller.spec.function)
            if wants != inspect.iscoroutinefunction(implementation.function):
                kind = "async" if wants else "sync"
                raise PluginFailed(name, "hooks", f"{caller.name} must be {kind}")

    def implements(self, hook: str, plugin: Plugin) -> bool:
        """True if the plugin implements the hook."""
        return self._implementation(hook, plugin) is not None

    def _implementation(self, hook: str, plugin: Plugin) -> Any:
        caller = getattr(self.manager.hook, hook, None)
        if caller is None:
            return None
        return next((i for i in caller.get_hookimpls() if i.plugin is plugin), None)

    def call_one(self, hook: str, plugin: Plugin, **arguments: Any) -> Any:
        """Call a sync hook in one plugin; None if it has none. PluginFailed with the hook's name otherwise."""
        implementation = self._implementation(hook, plugin)
        if implementation is None:
            return None
        try:
            return implementation.function(*[arguments[name] for name in implementation.argnames])
        except (Exception, SystemExit) as error:
            raise PluginFailed(self._name(plugin), hook, f"{type(error).__name__}: {error}") from error

    async def await_one(self, hook: str, plugin: Plugin, timeout: float, **arguments: Any) -> Any:
        """Await an async hook in one plugin, at most `timeout` seconds; None if it has none.

        A task of its own, since only that can be left behind: a time-out alone waits for code that ignores it.
        """
        implementation = self._implementation(hook, plugin)
        if implementation is None:
            return None
        name = self._name(plugin)
        call = implementation.function(*[arguments[name] for name in implementation.argnames])
        task = asyncio.create_task(contained(call), name=f"{name}:{hook}")
        task.add_done_callback(lambda _: call.close())
        try:
            await asyncio.wait({task}, timeout=timeout)
        finally:
            ended = task.done()
            if not ended:
                await self._leave(name, hook, task)
        if not ended:
            raise HookLate(name, hook, f"did not end within {timeout:g} s")
        if task.cancelled():
            raise PluginFailed(name, hook, "was cancelled from within")
        if (error := task.exception()) is not None:
            raise PluginFailed(name, hook, f"{type(error).__name__}: {error}") from error
        return task.result()

    async def _leave(self, name: str, hook: str, task: asyncio.Task[Any]) -> None:
        """Cancel a hook that takes too long, and go on without it if it will not end."""
        self._left.add(task)
        task.add_done_callback(self._left.discard)
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE)
        if not task.done():
            log.error("hook ignores that it was cancelled and is left to itself", plugin=name, hook=hook)

    def implementations(self, hook: str, order: Order) -> list[tuple[str, Plugin]]:
        """(name, plugin) of all that implement a hook, in plugin order."""
        caller = getattr(self.manager.hook, hook, None)
        if caller is None:
            return []
        found = [(self._name(i.plugin), i.plugin) for i in caller.get_hookimpls()]
        return sorted(found, key=lambda item: order(item[1]))

    def _name(self, plugin: Plugin) -> str:
        return self._names.get(id(plugin), plugin.manifest.name)
