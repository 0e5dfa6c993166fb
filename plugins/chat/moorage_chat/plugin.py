"""The plugin: its manifest, and the hooks by which the core calls it."""

from __future__ import annotations

from collections.abc import Iterable

from moorage.api import CHAT, Actor, Entry, Health, Hub, Manifest, Plugin, Route, Running, hookimpl

from moorage_chat import views
from moorage_chat.accounting import Accounting
from moorage_chat.config import ChatConfig
from moorage_chat.console import Console
from moorage_chat.engine.service import Engine
from moorage_chat.engine.settings import Settings
from moorage_chat.engine.toolbox import Toolbox
from moorage_chat.engine.toolchoice import ToolChoice
from moorage_chat.hooks import Specs
from moorage_chat.limits import Limits
from moorage_chat.openai_api import routes as openai_api
from moorage_chat.providers.choice import NONE
from moorage_chat.providers.registry import Providers
from moorage_chat.rights import PERMISSIONS
from moorage_chat.store.conversations import Conversations
from moorage_chat.store.idempotency import Idempotency
from moorage_chat.store.messages import Messages
from moorage_chat.store.portable import Portable
from moorage_chat.store.removal import Removal
from moorage_chat.store.search import Search
from moorage_chat.store.shares import Shares
from moorage_chat.views import Services


class ChatPlugin(Plugin):
    """Chat."""

    manifest = Manifest(
        name="chat",
        version="0.1.0",
        summary="Chat: conversations, and answers of any provider's models that survive everything",
        config=ChatConfig,
        permissions=PERMISSIONS,
        models="moorage_chat.models",
        migrations="moorage_chat.migrations",
        dialect=CHAT,
        modules=("openai",),
        extra="chat",
        commands={"chat": ("moorage_chat.commands:chat", "See what models cost, set limits, check providers.")},
    )

    services: Services
    removal: Removal
    conversations: Conversations
    messages: Messages
    providers: Providers
    engine: Engine
    console: Console

    @hookimpl
    def moorage_add_hookspecs(self) -> Iterable[object]:
        """Providers and tools of other plugins."""
        return [Specs]

    @hookimpl
    def moorage_routes(self, hub: Hub) -> Iterable[Route]:
        """Build the services, and the routes over them."""
        if not isinstance(hub.config, ChatConfig):
            raise TypeError("the chat plugin was given another plugin's settings")
        self.removal = Removal(hub)
        self.conversations = Conversations(hub, hub.config, self.removal)
        self.messages = Messages(hub, hub.config)
        self.providers = Providers(hub, hub.config)
        limits = Limits(hub, hub.config)
        toolbox = Toolbox(hub)
        tool_choice = ToolChoice(toolbox, self.conversations)
        self.engine = Engine(
            hub,
            hub.config,
            conversations=self.conversations,
            messages=self.messages,
            providers=self.providers,
            limits=limits,
            toolbox=toolbox,
            tool_choice=tool_choice,
        )
        self.services = Services(
            hub,
            hub.config,
            conversations=self.conversations,
            messages=self.messages,
            search=Search(hub, hub.config),
            shares=Shares(hub, self.conversations),
            portable=Portable(hub, hub.config, self.conversations),
            idempotency=Idempotency(hub),
            limits=limits,
            accounting=Accounting(hub, limits),
            toolbox=toolbox,
            tool_choice=tool_choice,
            settings=Settings(self.conversations, self.providers, toolbox),
            providers=self.providers,
            engine=self.engine,
        )
        self.console = Console(hub, self.conversations, self.services.search, self.engine)
        return [*views.routes(self.services), *openai_api.routes(self.services)]

    @hookimpl
    async def moorage_startup(self) -> None:
        """Make the providers, and begin to look after answers and what is stored."""
        self.services.limits.check()
        self.providers.start()
        await self.engine.start_up()
        self.removal.start()

    @hookimpl
    async def moorage_drain(self) -> None:
        """Store what is being answered as far as it is, and tell who follows it."""
        await self.engine.drain()

    @hookimpl
    async def moorage_shutdown(self) -> None:
        """Let go of the providers."""
        self.engine.close()
        await self.providers.close()

    @hookimpl
    async def moorage_health(self) -> Health:
        """How much is being answered now. That there is no provider yet is no fault, and is said.

        No provider is asked: this is looked at every few seconds, and one that is away is told of by `GET /providers`.
        """
        load = self.providers.load()
        data = {
            "answers": self.services.limits.under_way,
            "providers": {id: {"running": running, "waiting": waiting} for id, (running, waiting) in load.items()},
        }
        return Health("ok", "" if load else NONE, data)

    @hookimpl
    async def moorage_overview(self, actor: Actor, limit: int) -> Iterable[Entry]:
        """One's last conversations."""
        return await self.console.overview(actor, limit)

    @hookimpl
    async def moorage_search(self, actor: Actor, query: str, limit: int) -> Iterable[Entry]:
        """Conversations by their titles and by what was said."""
        return await self.console.search(actor, query, limit)

    @hookimpl
    async def moorage_running(self, actor: Actor, limit: int) -> Iterable[Running]:
        """Answers that models are giving to anybody."""
        return self.console.running(actor, limit)

    @hookimpl
    async def moorage_end(self, actor: Actor, kind: str, id: str) -> None:
        """Stop an answer."""
        await self.console.end(actor, kind, id)
