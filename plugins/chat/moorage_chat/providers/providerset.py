"""Which providers there are: those of the settings, and those of the plugins that run now."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moorage.api import HookFailed, Hub, Topic

from moorage_chat.providers.base import Provider, ProviderError
from moorage_chat.providers.turns import Turns

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
HOOK = "moorage_chat_providers"
LEAVE_SECONDS = 60.0
"""How long a provider that is gone may go on with the answers that it has begun."""


class ProviderSet:
    """The providers by their ids. gone: told of each that is there no more, before it is closed."""

    def __init__(self, hub: Hub, gone: Callable[[Provider], None]) -> None:
        self._hub, self._gone = hub, gone
        self._own: tuple[Provider, ...] = ()
        self._foreign: dict[str, tuple[Provider, ...]] = {}
        self._stale: set[str] = set()
        self._all: dict[str, Provider] = {}
        self._turns: dict[int, tuple[Provider, Turns]] = {}
        """By `id()`: a third party's class may be a dataclass, which cannot be a key."""

    def start(self, own: Iterable[Provider]) -> None:
        """Begin with those of the settings; what they import is imported in the background."""
        self._own = tuple(own)
        self._hub.bus.subscribe(Topic.PLUGIN_CHANGED, self._plugin_changed)
        self._put_together()
        for provider in self._own:
            self._hub.tasks.spawn(self._warm(provider), f"start of {provider.id}")

    async def close(self) -> None:
        """Close every provider."""
        providers = [provider for provider, _ in self._turns.values()]
        self._own, self._foreign, self._all, self._turns = (), {}, {}, {}
        for provider in providers:
            await self._close(provider)

    def current(self) -> Mapping[str, Provider]:
        """Those that there are now, the settings' first."""
        if self._stale or self._hub.hooks.implementers(HOOK) != list(self._foreign):
            self._put_together()
        return self._all

    def turns(self, provider: Provider) -> Turns:
        """Its turns."""
        return self._turns[id(provider)][1]

    def _put_together(self) -> None:
        names = self._hub.hooks.implementers(HOOK)
        kept = {name: self._foreign[name] for name in names if name in self._foreign and name not in self._stale}
        self._stale.clear()
        self._foreign = {name: kept[name] if name in kept else self._ask(name) for name in names}
        before, self._all = self._all, {provider.id: provider for provider in self._own}
        for plugin, providers in self._foreign.items():
            for provider in providers:
                if self._all.setdefault(provider.id, provider) is not provider:
                    self._hub.log.error("a provider's id is taken", plugin=plugin, provider=provider.id)
        for provider in self._all.values():
            turns = Turns(provider.bounds.max_parallel, provider.bounds.max_queue)
            self._turns.setdefault(id(provider), (provider, turns))
        for provider in before.values():
            if self._all.get(provider.id) is not provider:
                self._gone(provider)
                self._hub.tasks.spawn(self._leave(provider), f"end of {provider.id}")

    def _ask(self, plugin: str) -> tuple[Provider, ...]:
        try:
            made: Any = tuple(self._hub.hooks.call_one(HOOK, plugin) or ())
        except HookFailed as error:
            self._hub.log.error("a plugin's providers are left out", plugin=plugin, reason=str(error))
        except Exception:
            self._hub.log.exception("a plugin's providers are left out", plugin=plugin)
        else:
            wrong = [one for one in made if not isinstance(one, Provider) or not _ID.fullmatch(str(one.id))]
            if wrong:
                self._hub.log.error("these are no providers, or have no id", plugin=plugin, what=repr(wrong))
            return tuple(one for one in made if one not in wrong)
        return ()

    def _plugin_changed(self, data: Mapping[str, Any]) -> None:
        """A reload may have made it anew: then its providers are other ones."""
        if data["name"] in self._foreign:
            self._stale.add(data["name"])

    async def _leave(self, provider: Provider) -> None:
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self.turns(provider).ended()
        except TimeoutError:
            pass
        if self._turns.pop(id(provider), None) is not None:
            await self._close(provider)

    async def _warm(self, provider: Provider) -> None:
        try:
            await provider.warm()
        except ProviderError as error:
            self._hub.log.error("provider cannot be used", provider=provider.id, reason=error.detail)

    async def _close(self, provider: Provider) -> None:
        try:
            await provider.close()
        except Exception:
            self._hub.log.exception("provider did not close", provider=provider.id)
