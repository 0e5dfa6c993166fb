"""Bodies on their way to a view: no faster than it takes them, and whole where it wants them whole."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from moorage.api import PUBLIC, Manifest, Plugin, Routes, hookimpl
from quart import request
from waits import WAIT

MB = 1 << 20
SIZE = 64 * MB


class Slip(Plugin):
    manifest = Manifest(name="slip", version="1", summary="A probe")

    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()
        go, ended = asyncio.Event(), asyncio.Event()

        @routes.post("/slow", access=PUBLIC, max_body=SIZE)
        async def slow():
            total = 0
            try:
                async for data in request.body:
                    total += len(data)
                    await go.wait()
            finally:
                ended.set()
            return str(total)

        @routes.post("/go", access=PUBLIC)
        async def release():
            go.set()
            return "go"

        @routes.get("/ended", access=PUBLIC)
        async def wait():
            await ended.wait()
            return "ended"

        @routes.post("/whole", access=PUBLIC, max_body=SIZE)
        async def whole():
            return str(len(await request.get_data()))

        @routes.post("/form", access=PUBLIC, max_body=SIZE)
        async def form():
            return str(len((await request.form)["field"]))

        @routes.post("/unread", access=PUBLIC, max_body=SIZE)
        async def unread():
            return "said"

        return routes


@pytest.fixture(params=["hypercorn", "uvicorn"])
async def server(request, moorage_server):
    async with moorage_server(Slip, config={"server": {"engine": request.param}}) as server:
        yield server


@asynccontextmanager
async def connected(server):
    reader, writer = await asyncio.open_connection(*server.url.removeprefix("http://").split(":"))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def pour(writer, limit):
    """Send until nothing is taken for two seconds; the bytes that were sent."""
    sent = 0
    while sent < limit:
        writer.write(b"x" * MB)
        sent += MB
        try:
            async with asyncio.timeout(2):
                await writer.drain()
        except TimeoutError:
            break
    return sent


async def answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head.split(b" ")[1], await reader.readexactly(length)


async def test_a_client_waits_while_the_view_does(server):
    async with connected(server) as (reader, writer), asyncio.timeout(60):
        writer.write(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % SIZE)
        sent = await pour(writer, SIZE)
        assert sent < SIZE // 2  # What is under way in the kernel's buffers, and no more.
        assert (await server.anonymous.post("/go")).text == "go"
        while sent < SIZE:
            writer.write(b"x" * MB)
            sent += MB
            await writer.drain()
        assert await answer(reader) == (b"200", b"%d" % SIZE)


async def test_a_view_that_wants_it_whole_gets_it_whole(server):
    assert (await server.anonymous.post("/whole", content=b"x" * 5 * MB)).text == str(5 * MB)
    assert (await server.anonymous.post("/whole", content=b"")).text == "0"
    assert (await server.anonymous.post("/form", data={"field": "x" * 100_000})).text == "100000"


async def test_a_view_that_takes_nothing_answers(server):
    async with connected(server) as (reader, writer), asyncio.timeout(20):
        writer.write(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % SIZE + b"x" * MB)
        assert await answer(reader) == (b"200", b"said")


async def test_a_body_that_a_view_does_not_read_costs_no_connection(server):
    """It may come after the view has answered: the next request on the connection is answered all the same."""
    async with connected(server) as (reader, writer), asyncio.timeout(WAIT):
        for _ in range(2):
            writer.write(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
            await asyncio.sleep(0.1)  # So long no answer may come; a slow machine only makes this easier.
            writer.write(b"{}")
            assert await answer(reader) == (b"200", b"said")


async def test_a_client_that_goes_away_in_the_middle_ends_the_view(server):
    async with connected(server) as (_, writer):
        writer.write(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % SIZE + b"x" * MB)
        await writer.drain()
    assert (await server.anonymous.post("/go")).text == "go"
    assert (await server.anonymous.get("/ended", timeout=30)).text == "ended"
