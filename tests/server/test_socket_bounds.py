"""How many sockets one may have open, and what becomes of handlers that do not notice that theirs is closed."""

import asyncio

import pytest
import websockets
from moorage.api import AUTHENTICATED, PUBLIC, Manifest, Plugin, Routes, hookimpl
from moorage.server import socket as socket_module
from quart import Response
from waits import WAIT
from websockets.exceptions import InvalidStatus


class Buoy(Plugin):
    manifest = Manifest(name="buoy", version="1", summary="A probe")
    ended: list[str] = []
    waiting: asyncio.Event

    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()

        @routes.socket("/echo", access=PUBLIC)
        async def echo(socket):
            await socket.accept()
            async for message in socket:
                await socket.send(message)

        @routes.socket("/deaf", access=AUTHENTICATED)
        async def deaf(socket):
            await socket.accept()
            self.waiting.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.append("deaf")

        @routes.get("/events", access=AUTHENTICATED, timeout=0)
        async def events():
            async def body():
                while True:
                    yield b"x"
                    await asyncio.sleep(0.01)

            return Response(body())

        return routes


@pytest.fixture(params=["hypercorn", "uvicorn"])
async def server(request, moorage_server):
    Buoy.ended.clear()
    Buoy.waiting = asyncio.Event()
    async with moorage_server(Buoy, config={"server": {"engine": request.param, "max_sockets_per_user": 2}}) as server:
        yield server


async def refused(opening) -> int:
    with pytest.raises(InvalidStatus) as caught:
        await opening
    return caught.value.response.status_code


async def test_sockets_and_streams_of_one_user_are_bounded(server):
    ann, bob = await server.as_user(), await server.as_user()
    async with ann.connect("/echo") as first, ann.stream("GET", "/events") as events:
        reading = events.aiter_bytes()
        await anext(reading)
        assert await refused(ann.connect("/echo")) == 429
        answer = await ann.get("/events")
        assert answer.status_code == 429
        assert answer.headers["retry-after"]
        async with bob.connect("/echo") as other:
            await other.send("bob's own")
            assert await other.recv() == "bob's own"
        await first.close()
        async with asyncio.timeout(WAIT):
            while True:  # Its place is free as soon as the server has seen it go.
                try:
                    async with ann.connect("/echo"):
                        break
                except InvalidStatus:
                    await asyncio.sleep(0.01)


async def test_sockets_of_nobody_are_bounded_by_address(server):
    async with server.anonymous.connect("/echo"), server.anonymous.connect("/echo"):
        assert await refused(server.anonymous.connect("/echo")) == 429
        async with (await server.as_user()).connect("/echo") as socket:
            await socket.send("x")
            assert await socket.recv() == "x"


async def test_the_bound_changes_with_a_reload(server):
    await server.reload({"server": {"max_sockets_per_user": 1}})
    ann = await server.as_user()
    async with ann.connect("/echo"):
        assert await refused(ann.connect("/echo")) == 429


async def test_a_handler_that_does_not_read_is_ended_after_its_socket_was(server, monkeypatch):
    monkeypatch.setattr(socket_module, "EVICT_SECONDS", 0.1)
    ann = await server.as_user()
    async with ann.connect("/deaf") as socket:
        await Buoy.waiting.wait()
        server.app.registry.close(list(server.app.registry), 4001, "Signed out")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), WAIT)
        assert closed.value.rcvd.code == 4001
        assert await server.app.registry.wait_closed(5) == 0
        assert Buoy.ended == ["deaf"]
