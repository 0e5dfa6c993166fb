"""A place for memories that another plugin brings: taken when it is needed, let go of with that plugin, and missed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

from moorage.api import Hub, Manifest, Plugin, PluginConfig, Unavailable, hookimpl
from moorage_memories.backends.base import MemoryBackend
from moorage_memories.records import Change, Draft, Filter, Found, Memory, Mode, Page, Scope, StoreInfo
from moorage_memories.store.entries import made
from pydantic import Field
from waits import WAIT


class Shelf(MemoryBackend):
    """Keeps each user's memories in a list, newest last."""

    name = "shelf"
    kept: ClassVar[dict[int, list[Memory]]] = {}
    opened = closed = 0
    broken = False

    async def start(self) -> None:
        if Shelf.broken:
            raise Unavailable("the shelf is broken")
        Shelf.opened += 1

    async def close(self) -> None:
        Shelf.closed += 1

    async def store_for(self, owner_id: int, project: str) -> str:
        return "project"

    async def stores(self, owner_id: int) -> Sequence[StoreInfo]:
        return [StoreInfo("default", len(self.kept.get(owner_id, ())))]

    async def page(self, scope: Scope, filter: Filter, *, offset: int, limit: int) -> Page:
        found = [one for one in reversed(self.kept.get(scope.owner_id, [])) if filter.matches(one)]
        return Page(found[offset : offset + limit], len(found))

    async def get(self, scope: Scope, memory_id: str) -> Memory:
        raise NotImplementedError

    async def add(self, scope: Scope, drafts: Sequence[Draft]) -> Sequence[Memory]:
        new = made("default", drafts)
        self.kept.setdefault(scope.owner_id, []).extend(new)
        return new

    async def present(self, scope: Scope, ids: Sequence[str]) -> set[str]:
        return {one.id for one in self.kept.get(scope.owner_id, ())} & set(ids)

    async def change(self, scope: Scope, memory_id: str, change: Change) -> Memory:
        raise NotImplementedError

    async def delete(self, scope: Scope, memory_id: str) -> None:
        self.kept[scope.owner_id] = [one for one in self.kept[scope.owner_id] if one.id != memory_id]

    async def search(self, scope: Scope, query: str, *, mode: Mode, filter: Filter, limit: int) -> Found:
        raise NotImplementedError

    async def export(self, scope: Scope) -> AsyncIterator[Memory]:
        for one in self.kept.get(scope.owner_id, []):
            yield one

    async def forget_user(self, owner_id: int) -> None:
        self.kept.pop(owner_id, None)

    async def owners(self) -> Sequence[int]:
        return list(self.kept)


class ShelfConfig(PluginConfig):
    height: int = Field(1, description="It is made anew when this is another one.")


class ShelfPlugin(Plugin):
    manifest = Manifest(name="shelves", version="1", summary="A shelf", config=ShelfConfig, after=("memories",))

    @hookimpl
    def moorage_routes(self, hub: Hub) -> Sequence[Any]:
        return []

    @hookimpl(optionalhook=True)
    def moorage_memories_backends(self) -> Sequence[MemoryBackend]:
        return [Shelf()]


CONFIG = {"plugins": {"memories": {"backend": "shelf"}}}


async def test_it_is_taken_when_it_is_needed_and_let_go_of_with_its_plugin(moorage_server) -> None:
    Shelf.kept.clear()
    Shelf.opened = Shelf.closed = 0
    async with moorage_server("memories", ShelfPlugin, config=CONFIG) as server:
        ann = await server.as_user()
        assert (await ann.post("/api/memories", json={"content": "Mind the step"})).status_code == 200
        assert (Shelf.opened, Shelf.closed) == (1, 0)
        # What every surface has works over it, in whatever way it does.
        (line,) = (await ann.get("/api/memories/export")).text.splitlines()
        assert json.loads(line)["content"] == "Mind the step"
        again = await ann.post("/api/memories/import", content=line)
        assert again.json() == {"imported": 0, "skipped": 1}

        await server.reload({"plugins": {"shelves": {"height": 2}}})
        assert (await ann.get("/api/memories")).json()["total"] == 1
        assert (Shelf.opened, Shelf.closed) == (2, 1), "the old one is closed, the new one is asked"

        root = await server.as_user("owner")
        assert (await root.delete(f"/api/users/{ann.user.pid}")).status_code == 200
        async with asyncio.timeout(WAIT):
            while ann.user.id in Shelf.kept:
                await asyncio.sleep(0.02)
    assert Shelf.closed == 2


async def test_what_cannot_be_had_is_said_and_tried_again(moorage_server, monkeypatch) -> None:
    monkeypatch.setattr(Shelf, "broken", True)
    async with moorage_server("memories", ShelfPlugin, config=CONFIG) as server:
        ann = await server.as_user()
        answer = await ann.get("/api/memories")
        assert (answer.status_code, "the shelf is broken" in answer.text) == (503, True)
        Shelf.broken = False
        assert (await ann.get("/api/memories")).status_code == 200
        await server.reload({"plugins": {"shelves": {"enabled": False}}})
        missing = await ann.get("/api/memories")
        assert (missing.status_code, "'shelf': there is none of that name" in missing.text) == (503, True)
