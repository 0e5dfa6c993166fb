"""The plugin: its manifest, and the hooks by which the core calls it."""

from __future__ import annotations

from collections.abc import Iterable

from moorage.api import OCTO, Actor, Health, Hub, Manifest, Plugin, Route, ToolSet, hookimpl

from moorage_memories import views
from moorage_memories.config import MemoriesConfig
from moorage_memories.hooks import Specs
from moorage_memories.rights import PERMISSIONS
from moorage_memories.service import Memories
from moorage_memories.tools import Lending


class MemoriesPlugin(Plugin):
    """Memories."""

    manifest = Manifest(
        name="memories",
        version="0.1.0",
        summary="Memories: what people and models keep, found again by words and by meaning",
        config=MemoriesConfig,
        permissions=PERMISSIONS,
        dialect=OCTO,
        extra="memories",
    )

    @hookimpl
    def moorage_add_hookspecs(self) -> Iterable[object]:
        """Backends of other plugins, and projects."""
        return [Specs]

    @hookimpl
    def moorage_routes(self, hub: Hub) -> Iterable[Route]:
        """Build the services, and the routes over them."""
        if not isinstance(hub.config, MemoriesConfig):
            raise TypeError("the memories plugin was given another plugin's settings")
        self.memories = Memories(hub, hub.config)
        self.lending = Lending(hub, self.memories)
        return views.routes(self.memories, hub.config)

    @hookimpl
    def moorage_features(self) -> dict[str, bool]:
        """That there are memories."""
        return {"mmry_enabled": True}

    @hookimpl
    async def moorage_health(self) -> Health:
        """How it is."""
        return Health("ok")

    @hookimpl(optionalhook=True)
    async def moorage_chat_tools(self, actor: Actor) -> Iterable[ToolSet]:
        """A user's memories, for the models that they chat with."""
        return self.lending.sets(actor)
