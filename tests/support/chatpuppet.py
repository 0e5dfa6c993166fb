"""A provider that says what a test tells it to, behind a server, and a user who asks it."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from moorage.api import Manifest, Plugin, hookimpl
from moorage_chat.providers.base import Ask, Bounds, Finish, ModelInfo, Piece, Provider, Reasoning, Text, Usage
from waits import WAIT

END = Finish("stop")


class Puppet(Provider):
    """Says what a test puts into `says`; None: the provider's generator ends."""

    id, name, bounds = "puppet", "Puppet", Bounds(max_parallel=100)

    def __init__(self) -> None:
        self.says: asyncio.Queue[Piece | Exception | None] = asyncio.Queue()
        self.asked: list[Ask] = []
        self.let_go = asyncio.Event()
        self.stubborn = False

    async def models(self) -> Sequence[ModelInfo]:
        return [ModelInfo("p", "p")]

    async def generate(self, ask: Ask) -> AsyncIterator[Piece]:
        self.asked.append(ask)
        if "title generator" in str(ask.messages[0]["content"]):
            for piece in (Reasoning("hm"), Text('Title: "A good title"\nand more'), Usage(3, 4), END):
                yield piece
            return
        try:
            while (piece := await self.says.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        except asyncio.CancelledError:
            while self.stubborn:
                await asyncio.sleep(0.05)
            raise
        finally:
            self.let_go.set()


class Puppeteer(Plugin):
    """Gives the puppet."""

    manifest = Manifest(name="puppeteer", version="1", summary="A puppet", requires=("chat",))

    def __init__(self) -> None:
        self.puppet = Puppet()

    @hookimpl(optionalhook=True)
    def moorage_chat_providers(self):
        return [self.puppet]


class Told(list):
    """The events of a stream, as (type, data without the generation's id)."""

    def text(self):
        return "".join(data["delta"] for kind, data in self if kind == "delta")

    @property
    def done(self):
        kind, data = self[-1]
        assert kind == "done"
        return data


class User:
    """A user's client, over HTTP."""

    def __init__(self, app, client):
        self.app, self.client = app, client

    async def ask(self, content="Hello"):
        conversation = (await self.client.post("/conversations", json={})).json()["id"]
        await self.say(conversation, content)
        return conversation

    async def say(self, conversation, content):
        answer = await self.client.post(f"/conversations/{conversation}/messages", json={"content": content})
        assert answer.status_code == 200, answer.text

    @asynccontextmanager
    async def stream(self, conversation):
        """(id, an iterator of (type, data)); the client leaves at the end."""
        async with self.client.stream("POST", f"/conversations/{conversation}/stream", json={}) as response:
            if response.status_code != 200:
                await response.aread()
            assert response.status_code == 200, response.text
            yield response.headers["x-generation-id"], events(response)

    async def follow(self, id, after=0):
        async with self.client.stream("GET", f"/chat/generations/{id}/stream?after={after}") as response:
            assert response.status_code == 200
            return Told([event async for event in events(response)])

    async def get(self, path):
        answer = await self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def messages(self, conversation):
        return [
            (one["role"], one["content"], one["status"])
            for one in await self.get(f"/conversations/{conversation}/messages")
        ]

    async def becomes(self, id, status):
        await until(lambda: self._is(id, status))

    async def _is(self, id, status):
        return (await self.get(f"/chat/generations/{id}"))["status"] == status


async def events(response):
    rest = ""
    async for chunk in response.aiter_text():
        *whole, rest = (rest + chunk).split("\n\n")
        for block in whole:
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            data = json.loads(fields["data"])
            del data["generation_id"]
            if fields["event"] != "ping":
                yield fields["event"], data


async def heard(stream, kind):
    """The next event of that kind."""
    async for found, data in stream:
        if found == kind:
            return data
    raise AssertionError(f"no {kind}")


async def until(there):
    """Wait until what `there` gives, now or when it is awaited, is true."""
    async with asyncio.timeout(WAIT):
        while not (await found if inspect.isawaitable(found := there()) else found):
            await asyncio.sleep(0.01)


def puppets(moorage_server):
    """Makes servers with these settings of chat's: (app, puppet, ann)."""

    @asynccontextmanager
    async def run(**chat):
        async with moorage_server("chat", Puppeteer, config={"plugins": {"chat": chat}}) as app:
            yield app, app.plugin("puppeteer").puppet, User(app, await app.as_user())

    return run
