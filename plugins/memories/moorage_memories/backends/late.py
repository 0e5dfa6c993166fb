"""A backend that another plugin brings: found when it is first needed, since that plugin may start after this one.

It is let go of when that plugin ends or is made anew, and looked for again by whoever asks next.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from moorage.api import Hub, MoorageError, Topic, Unavailable

from moorage_memories.backends.base import MemoryBackend
from moorage_memories.records import Change, Draft, Filter, Found, Memory, Mode, Page, Scope, StoreInfo

HOOK = "moorage_memories_backends"


class LateBackend(MemoryBackend):
    """Hands everything on. name: the one that is wanted. Unavailable while no plugin brings it.

    known: the names of our own, for the error's text.
    """

    def __init__(self, hub: Hub, name: str, known: Sequence[str]) -> None:
        self._hub, self.name, self._known = hub, name, known
        self._lock = asyncio.Lock()
        self._found: MemoryBackend | None = None
        self._plugin, self._unwell = "", False

    async def start(self) -> None:
        """Hear what becomes of the plugin."""
        self._hub.bus.subscribe(Topic.PLUGIN_CHANGED, self._plugin_changed)

    async def close(self) -> None:
        """Close it, if it was ever needed."""
        found, self._found = self._found, None
        if found is not None:
            await found.close()

    async def describe(self) -> str:
        """What is wrong with it, or that it is not there."""
        try:
            return await (await self._opened()).describe()
        except MoorageError as error:
            return error.message

    async def store_for(self, owner_id: int, project: str) -> str:
        return await (await self._opened()).store_for(owner_id, project)

    async def stores(self, owner_id: int) -> Sequence[StoreInfo]:
        return await (await self._opened()).stores(owner_id)

    async def page(self, scope: Scope, filter: Filter, *, offset: int, limit: int) -> Page:
        return await (await self._opened()).page(scope, filter, offset=offset, limit=limit)

    async def get(self, scope: Scope, memory_id: str) -> Memory:
        return await (await self._opened()).get(scope, memory_id)

    async def add(self, scope: Scope, drafts: Sequence[Draft]) -> Sequence[Memory]:
        return await (await self._opened()).add(scope, drafts)

    async def present(self, scope: Scope, ids: Sequence[str]) -> set[str]:
        return await (await self._opened()).present(scope, ids)

    async def change(self, scope: Scope, memory_id: str, change: Change) -> Memory:
        return await (await self._opened()).change(scope, memory_id, change)

    async def delete(self, scope: Scope, memory_id: str) -> None:
        await (await self._opened()).delete(scope, memory_id)

    async def search(self, scope: Scope, query: str, *, mode: Mode, filter: Filter, limit: int) -> Found:
        return await (await self._opened()).search(scope, query, mode=mode, filter=filter, limit=limit)

    async def export(self, scope: Scope) -> AsyncIterator[Memory]:
        found = (await self._opened()).export(scope)
        try:
            async for memory in found:
                yield memory
        finally:
            if (close := getattr(found, "aclose", None)) is not None:
                await close()

    async def forget(self, scope: Scope) -> None:
        await (await self._opened()).forget(scope)

    async def forget_user(self, owner_id: int) -> None:
        await (await self._opened()).forget_user(owner_id)

    async def owners(self) -> Sequence[int]:
        """None while it is not there: who was deleted is looked for again."""
        try:
            backend = await self._opened()
        except Unavailable:
            return ()
        return await backend.owners()

    async def _opened(self) -> MemoryBackend:
        if self._found is not None:
            return self._found
        async with self._lock:
            if self._found is None:
                backend, plugin = self._brought()
                await backend.start()
                self._found, self._plugin = backend, plugin
            return self._found

    def _brought(self) -> tuple[MemoryBackend, str]:
        names = list(self._known)
        for plugin, given in self._hub.hooks.call(HOOK):
            try:
                backends = [one for one in given if isinstance(one, MemoryBackend)]
            except Exception:
                self._hub.log.exception("a plugin's backends of memories cannot be had", plugin=plugin)
                continue
            for backend in backends:
                if backend.name == self.name:
                    return backend, plugin
                names.append(backend.name)
        raise Unavailable(f"[plugins.memories] backend = {self.name!r}: there is none of that name, only {names}")

    async def _plugin_changed(self, data: dict[str, Any]) -> None:
        if self._found is None or data["name"] != self._plugin:
            return
        # One that was unwell and is well again is the same one.
        same = data["state"] == "degraded" or (data["state"] == "started" and self._unwell)
        self._unwell = data["state"] == "degraded"
        if not same:
            await self.close()
