"""Messages to sockets: whole and in order whatever their size, one text for many, through both engines and HTTP/2."""

import asyncio

import pytest
import websockets
from moorage.api import PUBLIC, Manifest, Plugin, PreparedText, Routes, Socket, hookimpl
from moorage.server.frames import frame_of
from waits import WAIT

SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000]


class Choir(Plugin):
    """Whatever one says, all are sent."""

    manifest = Manifest(name="choir", version="1", summary="A probe")
    sockets: list[Socket]

    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()
        Choir.sockets = sockets = []

        @routes.socket("/choir", access=PUBLIC)
        async def choir(socket):
            await socket.accept()
            sockets.append(socket)
            async for message in socket:
                text = PreparedText(message) if isinstance(message, str) else message
                for each in sockets:
                    each.post(text)

        return routes


@pytest.fixture(params=["hypercorn", "uvicorn"])
async def server(request, moorage_server):
    async with moorage_server(Choir, config={"server": {"engine": request.param}}) as server:
        yield server


async def test_one_text_for_many(server):
    url = server.url.replace("http", "ws") + "/choir"
    async with (
        websockets.connect(url, compression=None, max_size=None) as first,
        websockets.connect(url, compression=None, max_size=None) as second,
    ):
        for size in SIZES:
            for message in ("ä" * (size // 2) + "x" * (size % 2), b"\xff" * size):
                await first.send(message)
                assert await asyncio.wait_for(first.recv(), WAIT) == message
                assert await asyncio.wait_for(second.recv(), WAIT) == message


async def test_one_who_does_not_read_gets_what_was_kept_in_order(server):
    """The transport's buffer fills, then the outbox; what comes through is a beginning without a gap."""
    url = server.url.replace("http", "ws") + "/choir"
    async with websockets.connect(url, compression=None, max_size=None, max_queue=1) as slow:
        await slow.send("0")
        assert await slow.recv() == "0"
        (socket,) = Choir.sockets
        kept = 0
        while socket.post(PreparedText(f"{kept}:".ljust(60_000, "x"))):
            kept += 1
            if kept % 16 == 0:
                await asyncio.sleep(0)
            assert kept < 2000, "nothing bounds it"
        assert socket.pending > 0
        for number in range(kept):
            assert (await asyncio.wait_for(slow.recv(), WAIT)).startswith(f"{number}:")
        await socket.wait_drained(5)
        socket.post("after")
        assert await asyncio.wait_for(slow.recv(), WAIT) == "after"


async def test_nothing_is_written_to_one_who_has_gone(server):
    url = server.url.replace("http", "ws") + "/choir"
    async with websockets.connect(url) as stays:
        async with websockets.connect(url) as leaves:
            await leaves.send("both")
            assert await stays.recv() == "both"
        for number in range(5):
            await stays.send(str(number))
            assert await asyncio.wait_for(stays.recv(), WAIT) == str(number)


def test_a_text_is_framed_once():
    text = PreparedText("x" * 300)
    assert frame_of(text) is frame_of(text)
    assert frame_of(text) == frame_of("x" * 300) == b"\x81\x7e\x01\x2c" + b"x" * 300
    assert text == "x" * 300
