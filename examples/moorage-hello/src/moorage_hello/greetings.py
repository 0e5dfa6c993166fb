"""What the plugin does: greets, keeps greetings, and tells those who listen about new ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from moorage.api import Actor, Conflict, Hub, NotFound, Socket, Unauthorized
from typing_extensions import TypedDict

from moorage_hello.config import CREATE, DELETE, READ, HelloConfig
from moorage_hello.models import Greeting


class Kept(TypedDict):
    """A greeting as clients see it."""

    id: int
    user_id: int
    text: str
    created_at: str


class Greetings:
    """Made once per life of the plugin; every right is asked of the hub, about the object in hand."""

    def __init__(self, hub: Hub, config: HelloConfig) -> None:
        self._hub, self._config = hub, config
        self._listeners: set[Socket] = set()
        self._made = hub.metrics.counter("greetings", "Greetings that were kept.")

    def greet(self, name: str) -> str:
        """A greeting for anybody."""
        return f"{self._config.greeting}, {name}!"

    async def page(self, actor: Actor, *, before: int | None, limit: int) -> list[Greeting]:
        """The newest greetings that the actor may see: their own, or everybody's."""
        allowed = self._hub.access.list_filter(actor, READ.name)
        if allowed is None:
            return []
        found = Greeting.filter(**allowed)
        if before is not None:
            found = found.filter(id__lt=before)
        return await found.order_by("-id").limit(limit)

    async def find(self, actor: Actor, text: str, limit: int) -> list[Greeting]:
        """The actor's own newest greetings that have `text` in them."""
        user = actor.user
        if user is None or not self._hub.access.can(actor, READ.name, owner_id=user.id):
            return []
        return await Greeting.filter(user_id=user.id, text__icontains=text).order_by("-id").limit(limit)

    async def keep(self, actor: Actor, text: str) -> Greeting:
        """Keep a greeting for the actor. Conflict when they have as many as the configuration allows."""
        if actor.user is None:
            raise Unauthorized
        self._hub.access.require(actor, CREATE.name, owner_id=actor.user.id)
        async with self._hub.db.transaction():
            if await Greeting.filter(user_id=actor.user.id).count() >= self._config.keep:
                raise Conflict(f"You keep {self._config.keep} greetings already")
            greeting = await Greeting.create(user_id=actor.user.id, text=text, created_at=datetime.now(UTC))
            await self._hub.audit.write("hello_greeting.kept", actor=actor, target=f"greeting:{greeting.id}")
        self._made.inc()
        self._tell(greeting)
        return greeting

    async def forget(self, actor: Actor, greeting_id: int) -> None:
        """Delete a greeting. NotFound for one that is not there, or that the actor may not even see."""
        greeting = await Greeting.get_or_none(id=greeting_id)
        if greeting is None or not self._hub.access.can(actor, READ.name, owner_id=greeting.user_id):
            raise NotFound("There is no such greeting")
        self._hub.access.require(actor, DELETE.name, owner_id=greeting.user_id)
        await greeting.delete()

    async def forget_user(self, data: dict[str, Any]) -> None:
        """A user was deleted: what they kept goes too."""
        await Greeting.filter(user_id=data["user_id"]).delete()

    async def count(self) -> int:
        """How many greetings there are."""
        return await Greeting.all().count()

    async def listen(self, socket: Socket) -> None:
        """Greet each name that comes in, and send new greetings that the listener may see."""
        await socket.accept()
        self._listeners.add(socket)
        try:
            async for name in socket:
                if isinstance(name, str):
                    await socket.send(json.dumps({"greeting": self.greet(name)}))
        finally:
            self._listeners.discard(socket)

    def _tell(self, greeting: Greeting) -> None:
        text = json.dumps({"kept": view(greeting)})
        for socket in self._listeners:
            # The socket's actor is looked up now: a role that changed since it was opened counts.
            if self._hub.access.can(socket.actor, READ.name, owner_id=greeting.user_id):
                socket.post(text)


def view(greeting: Greeting) -> Kept:
    """A greeting as clients see it."""
    return {
        "id": greeting.id,
        "user_id": greeting.user_id,
        "text": greeting.text,
        "created_at": greeting.created_at.isoformat(),
    }
