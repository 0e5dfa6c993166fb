"""Raw exchanges: the request as bytes, the answer whole or in pieces, and every way in which it can end early."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from moorage.api import PUBLIC, ClientLeft, Conflict, Manifest, Permission, Plugin, Routes, hookimpl
from waits import WAIT

MB = 1 << 20
USE = Permission("raw:thing:use", "Use it", default="operator")
TEXT = [(b"content-type", b"text/plain")]


class Raw(Plugin):
    manifest = Manifest(name="raw", version="1", summary="A probe", permissions=(USE,))

    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()
        self.ended, self.outlived, self.go = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.seen = []

        @routes.exchange(("GET", "POST"), "/echo/{name}", access=PUBLIC, max_body=64 * 1024)
        async def echo(exchange):
            """Echo."""
            body = await exchange.body()
            said = (
                f"{exchange.method} {exchange.params['name']} {exchange.query.get('q')} {exchange.headers.get('x-a')} "
            )
            await exchange.answer(200, TEXT, said.encode() + body)

        @routes.exchange("POST", "/small", access=PUBLIC)
        async def small(exchange):
            await exchange.answer(200, TEXT, b"%d" % len(await exchange.body(10)))

        @routes.exchange("POST", "/unread", access=PUBLIC)
        async def unread(exchange):
            await exchange.answer(200, TEXT, b"said")

        @routes.exchange("POST", "/slowly", access=PUBLIC, max_body=64 * MB)
        async def slowly(exchange):
            total = 0
            try:
                async for chunk in exchange.chunks():
                    total += len(chunk)
                    await self.go.wait()
            except ClientLeft:
                self.ended.set()
                raise
            await exchange.answer(200, TEXT, b"%d" % total)

        @routes.exchange("GET", "/pieces", access=USE.name)
        async def pieces(exchange):
            await exchange.begin(200, TEXT)
            for word in (b"one ", b"", b"two ", b"three"):
                await exchange.write(word)

        @routes.exchange("GET", "/endless", access=USE.name)
        async def endless(exchange):
            try:
                await exchange.begin(200, TEXT)
                await exchange.write(b"here")
                await self.go.wait()
            finally:
                self.ended.set()

        @routes.exchange("POST", "/outlives", access=USE.name)
        async def outlives(exchange):
            await exchange.body()
            exchange.outlives = True
            await exchange.begin(200, TEXT)
            self.seen.append(exchange)
            await exchange.write(b"here")
            await self.go.wait()
            await exchange.write(b"there")
            self.outlived.set()

        @routes.exchange("GET", "/late", access=PUBLIC, timeout=0.2)
        async def late(exchange):
            try:
                await self.go.wait()
            finally:
                self.ended.set()

        @routes.exchange("GET", "/patient", access=PUBLIC, timeout=0)
        async def patient(exchange):
            await self.go.wait()
            await exchange.answer(200, TEXT, b"at last")

        @routes.exchange("GET", "/silent", access=PUBLIC)
        async def silent(exchange):
            pass

        @routes.exchange("GET", "/refuses", access=PUBLIC)
        async def refuses(exchange):
            raise Conflict("Not now")

        @routes.exchange("GET", "/breaks", access=PUBLIC)
        async def breaks(exchange):
            await exchange.begin(200, TEXT)
            await exchange.write(b"half")
            raise ValueError("secret")

        @routes.exchange("POST", "/pages", access=PUBLIC, same_origin=True)
        async def pages(exchange):
            await exchange.answer(204)

        return routes


@pytest.fixture(params=["hypercorn", "uvicorn"])
async def server(request, moorage_server):
    config = {"server": {"engine": request.param, "max_sockets_per_user": 2, "trusted_origins": ["https://app.test"]}}
    config["limits"] = {"enabled": True, "general": "10000/minute"}
    async with moorage_server(Raw, config=config) as server:
        yield server


@asynccontextmanager
async def connected(server):
    reader, writer = await asyncio.open_connection(*server.url.removeprefix("http://").split(":"))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def happens(event):
    async with asyncio.timeout(WAIT):
        await event.wait()


async def test_a_request_is_handed_over_and_answered(server):
    ask = server.anonymous
    answer = await ask.post("/echo/J%C3%B6rg?q=1&q=2", content=b"body", headers=[("X-A", "1"), ("X-A", "2")])
    assert (answer.status_code, answer.text) == (200, "POST Jörg 2 1, 2 body")
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-ratelimit-limit"]
    assert (await ask.get("/echo/x")).text == "GET x None None "
    head = await ask.head("/echo/x")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "17")
    told = await ask.options("/echo/x")
    assert (told.status_code, told.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    assert (await ask.put("/echo/x")).status_code == 405


async def test_no_credential_reaches_a_handler(server):
    plugin = server.plugin("raw")
    ann = await server.as_user("operator")
    seen = {}

    async def look(exchange):
        seen.update(exchange.headers)
        await exchange.answer(204)

    (entry,) = [entry for _, entry in server.app.gate.sites.entries() if entry.template == "/pieces"]
    object.__setattr__(entry.route, "handler", look)
    assert (await ann.get("/pieces", headers={"Cookie": "a=b"})).status_code == 204
    assert "host" in seen
    assert not {"authorization", "cookie"} & seen.keys()
    assert plugin.seen == []


async def test_bodies_are_bounded(server):
    ask = server.anonymous
    assert (await ask.post("/echo/x", content=b"x" * 65537)).status_code == 413

    async def chunked():
        for _ in range(5):
            yield b"x" * 20_000

    assert (await ask.post("/echo/x", content=chunked())).status_code == 413
    assert (await ask.post("/small", content=b"x" * 10)).text == "10"
    assert (await ask.post("/small", content=b"x" * 11)).status_code == 413
    for size in (10, 10, 200_000, 10):
        assert (await ask.post("/unread", content=b"x" * size)).text == "said"


async def test_a_client_waits_while_the_handler_does(server):
    plugin = server.plugin("raw")
    async with connected(server) as (reader, writer), asyncio.timeout(2 * WAIT):
        writer.write(b"POST /slowly HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (64 * MB))
        sent = 0
        while sent < 64 * MB:
            writer.write(b"x" * MB)
            sent += MB
            try:
                async with asyncio.timeout(1):
                    await writer.drain()
            except TimeoutError:
                break
        assert sent < 32 * MB  # What is under way in the kernel's buffers, and no more.
        plugin.go.set()
        while sent < 64 * MB:
            writer.write(b"x" * MB)
            sent += MB
            await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head
        assert await reader.readexactly(8) == b"%d" % (64 * MB)


async def test_a_client_that_leaves_in_the_middle_of_its_body_ends_it(server):
    async with connected(server) as (_, writer):
        writer.write(b"POST /slowly HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        server.plugin("raw").go.set()
        await asyncio.sleep(0.05)
    await happens(server.plugin("raw").ended)


async def test_an_answer_comes_in_pieces(server):
    ann = await server.as_user("operator")
    answer = await ann.get("/pieces")
    assert (answer.status_code, answer.text) == (200, "one two three")
    head = await ann.head("/pieces")
    assert (head.status_code, head.content) == (200, b"")
    assert (await server.anonymous.get("/pieces")).status_code == 401
    assert (await (await server.as_user("viewer")).get("/pieces")).status_code == 403


async def test_a_client_that_leaves_ends_the_handler(server):
    ann = await server.as_user("operator")
    async with ann.stream("GET", "/endless") as answer:
        pieces = answer.aiter_raw()
        assert await anext(pieces) == b"here"
        assert len(server.app.registry) == 1
    await happens(server.plugin("raw").ended)
    assert await server.app.registry.wait_closed(WAIT) == 0


async def test_a_handler_may_outlive_its_client(server):
    plugin, ann = server.plugin("raw"), await server.as_user("operator")
    async with ann.stream("POST", "/outlives", content=b"x") as answer:
        pieces = answer.aiter_raw()
        assert await anext(pieces) == b"here"
        (exchange,) = plugin.seen
    async with asyncio.timeout(WAIT):
        while not exchange.left:
            await asyncio.sleep(0.01)
    assert len(server.app.registry) == 1, "it goes on"
    plugin.go.set()
    await happens(plugin.outlived)
    assert await server.app.registry.wait_closed(WAIT) == 0


async def test_an_answer_ends_with_its_right(server):
    ann = await server.as_user("operator")
    async with ann.stream("GET", "/endless") as answer:
        pieces = answer.aiter_raw()
        assert await anext(pieces) == b"here"
        (entry,) = server.app.registry
        entry.close_soon(4001, "")
        with pytest.raises(Exception, match=r"peer|incomplete|closed"):
            await anext(pieces)
    await happens(server.plugin("raw").ended)


async def test_too_many_streams_of_one_user_are_refused(server):
    ann = await server.as_user("operator")
    async with ann.stream("GET", "/endless") as one, ann.stream("GET", "/endless") as two:
        pieces = [one.aiter_raw(), two.aiter_raw()]  # Kept: one that is forgotten closes its connection.
        assert [await anext(piece) for piece in pieces] == [b"here", b"here"]
        assert (await ann.get("/endless")).status_code == 429
        assert (await ann.get("/echo/x")).status_code == 200  # Not a stream.
    server.plugin("raw").go.set()
    await server.app.registry.wait_closed(WAIT)
    assert (await ann.get("/endless")).text == "here"


async def test_without_a_deadline_it_is_a_stream_from_the_start(server):
    waiting = [asyncio.ensure_future(server.anonymous.get("/patient")) for _ in range(3)]
    done, rest = await asyncio.wait(waiting, timeout=WAIT, return_when=asyncio.FIRST_COMPLETED)
    assert [one.result().status_code for one in done] == [429]
    server.plugin("raw").go.set()
    assert [one.text for one in await asyncio.gather(*rest)] == ["at last", "at last"]


async def test_a_deadline_cuts_it_off(server):
    assert (await server.anonymous.get("/late")).status_code == 504
    assert server.plugin("raw").ended.is_set()


async def test_errors_are_spelled_as_elsewhere(server):
    ask = server.anonymous
    refused = await ask.get("/refuses")
    assert (refused.status_code, refused.json()["detail"]) == (409, "Not now")
    silent = await ask.get("/silent")
    assert (silent.status_code, silent.headers["content-type"]) == (500, "application/problem+json")
    with pytest.raises(Exception, match=r"peer|incomplete|closed"):
        await ask.get("/breaks")


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        (None, None, 204),
        ("http://{host}", None, 204),
        ("https://app.test", None, 204),
        ("http://localhost:{port}", "localhost:{port}", 204),
        ("http://localhost:1", None, 204),
        ("http://localhost:1", "192.0.2.1", 403),
        ("http://evil.test", None, 403),
        ("http://localhost.evil.test", None, 403),
        ("http://[", None, 403),
        ("null", None, 403),
        ("http://evil.test", "evil.test", 403),
        (None, "lan.test", 204),
    ],
)
async def test_a_page_of_another_origin_is_refused(server, origin, host, status):
    here = server.url.removeprefix("http://")
    port = here.rpartition(":")[2]
    headers = {
        name: value.format(host=here, port=port) for name, value in (("Origin", origin), ("Host", host)) if value
    }
    answer = await server.anonymous.post("/pages", headers=headers)
    assert answer.status_code == status
    assert status == 204 or answer.json()["code"] == "ORIGIN_REFUSED"


async def test_a_page_of_a_trusted_origin_may_send_what_headers_it_wants(server):
    asked = {"Origin": "https://app.test", "Access-Control-Request-Method": "POST"}
    told = await server.anonymous.options("/pages", headers={**asked, "Access-Control-Request-Headers": "x-one,x-two"})
    assert told.headers["access-control-allow-headers"].endswith("x-request-id, x-one,x-two")
    told = await server.anonymous.options("/pages", headers={**asked, "Access-Control-Request-Headers": "x;y"})
    assert told.headers["access-control-allow-headers"].endswith("x-request-id")


async def test_it_is_described_as_a_view_is(server):
    document = (await server.anonymous.get("/api/core/openapi/plugin-raw.json")).json()
    assert document["paths"]["/echo/{name}"]["post"]["summary"] == "Echo."
    assert document["paths"]["/endless"]["get"]["x-permission"] == USE.name


async def test_a_drain_ends_what_has_no_end(server):
    ann = await server.as_user("operator")
    async with ann.stream("GET", "/endless") as answer:
        pieces = answer.aiter_raw()
        assert await anext(pieces) == b"here"
        plugin = server.plugin("raw")
        await server.reload({"plugins": {"raw": {"enabled": False}}})
        await happens(plugin.ended)
