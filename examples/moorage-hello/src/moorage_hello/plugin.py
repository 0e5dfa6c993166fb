"""The plugin: its manifest, and the hooks by which the core calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from moorage.api import Actor, Entry, Health, Hub, Manifest, Page, Plugin, Route, Topic, hookimpl

from moorage_hello import __version__
from moorage_hello.config import CREATE, DELETE, READ, HelloConfig
from moorage_hello.greetings import Greetings
from moorage_hello.routes import routes


class HelloPlugin(Plugin):
    """Greets, and keeps greetings."""

    manifest = Manifest(
        name="hello",
        version=__version__,
        summary="Greets, and keeps greetings",
        config=HelloConfig,
        permissions=(READ, CREATE, DELETE),
        models="moorage_hello.models",
        migrations="moorage_hello.migrations",
    )

    greetings: Greetings
    _unsubscribe: Callable[[], None]

    @hookimpl
    def moorage_routes(self, hub: Hub) -> Iterable[Route]:
        """Build the service, and the routes over it."""
        assert isinstance(hub.config, HelloConfig)
        self.greetings = Greetings(hub, hub.config)
        return routes(self.greetings)

    @hookimpl
    async def moorage_startup(self, hub: Hub) -> None:
        """Listen for deleted users. The tables are there: migrations have run."""
        self._unsubscribe = hub.bus.subscribe(Topic.USER_DELETED, self.greetings.forget_user)

    @hookimpl
    async def moorage_shutdown(self, hub: Hub) -> None:
        """Stop listening. Sockets are closed already, and the database is still open."""
        self._unsubscribe()

    @hookimpl
    def moorage_pages(self) -> Iterable[Page]:
        """One's greetings, in the console."""
        return [Page("greetings", "Greetings", "/hello/greetings.js", permission=READ.name)]

    @hookimpl
    async def moorage_search(self, actor: Actor, query: str, limit: int) -> Iterable[Entry]:
        """One's greetings with that text, for the console's search."""
        found = await self.greetings.find(actor, query, limit)
        return [
            Entry("greeting", one.text, "/console/plugin/hello/greetings", updated_at=one.created_at) for one in found
        ]

    @hookimpl
    async def moorage_health(self, hub: Hub) -> Health:
        """Whether the table can be read."""
        return Health("ok", data={"greetings": await self.greetings.count()})
