"""The plugin: its manifest, and the hooks by which the core calls it."""

from __future__ import annotations

from collections.abc import Iterable

from moorage.api import OCTO, Actor, Entry, Health, Hub, Manifest, Plugin, Route, ToolSet, hookimpl

from moorage_memories import views
from moorage_memories.backends.choice import chosen
from moorage_memories.config import MemoriesConfig
from moorage_memories.console import Console
from moorage_memories.embeddings.encoder import Encoder
from moorage_memories.hooks import Specs
from moorage_memories.removal import Removal
from moorage_memories.rights import PERMISSIONS
from moorage_memories.service import Memories
from moorage_memories.tools import Lending
from moorage_memories.vectors import Sentences


class MemoriesPlugin(Plugin):
    """Memories."""

    manifest = Manifest(
        name="memories",
        version="0.1.0",
        summary="Memories: what people and models keep, found again by words and by meaning",
        config=MemoriesConfig,
        permissions=PERMISSIONS,
        models="moorage_memories.models",
        migrations="moorage_memories.migrations",
        dialect=OCTO,
        extra="memories",
        commands={"memories": ("moorage_memories.commands:memories", "See, carry out and in, and delete memories.")},
    )

    hub: Hub
    config: MemoriesConfig
    memories: Memories
    lending: Lending
    encoder: Encoder
    console: Console

    @hookimpl
    def moorage_add_hookspecs(self) -> Iterable[object]:
        """Backends of other plugins, and projects."""
        return [Specs]

    @hookimpl
    def moorage_routes(self, hub: Hub) -> Iterable[Route]:
        """Build the services, and the routes over them."""
        if not isinstance(hub.config, MemoriesConfig):
            raise TypeError("the memories plugin was given another plugin's settings")
        config = self.config = hub.config
        self.hub = hub
        self.memories = Memories(hub, config)
        self.encoder = Encoder(hub.tasks, config.model_folder, threads=config.model_threads, on=config.semantic)
        self.lending = Lending(hub, self.memories)
        self.console = Console(hub, self.memories)
        return views.routes(self.memories, Sentences(hub, self.encoder), config)

    @hookimpl
    def moorage_features(self) -> dict[str, bool]:
        """That there are memories."""
        return {"mmry_enabled": True}

    @hookimpl
    async def moorage_startup(self) -> None:
        """Open the place where memories are kept."""
        backend = chosen(self.hub, self.config, self.encoder)
        await backend.start()
        self.memories.use(backend)
        Removal(self.hub, backend).start()

    @hookimpl
    async def moorage_shutdown(self) -> None:
        """Close it."""
        backend = self.memories.backend
        self.memories.use(None)
        await backend.close()
        await self.encoder.close()

    @hookimpl
    async def moorage_health(self) -> Health:
        """What is wrong or lacking with what memories need, which is no fault of the plugin's."""
        return Health("ok", await self.memories.backend.describe())

    @hookimpl(optionalhook=True)
    async def moorage_chat_tools(self, actor: Actor) -> Iterable[ToolSet]:
        """A user's memories, for the models that they chat with."""
        return self.lending.sets(actor)

    @hookimpl
    async def moorage_overview(self, actor: Actor, limit: int) -> Iterable[Entry]:
        """One's newest memories."""
        return await self.console.overview(actor, limit)

    @hookimpl
    async def moorage_search(self, actor: Actor, query: str, limit: int) -> Iterable[Entry]:
        """Memories by their words."""
        return await self.console.search(actor, query, limit)
