"""What a hostile or unlucky client may take from an engine: bounded memory, bounded time, and nobody else's streams."""

import asyncio
import contextlib
import os
import ssl
import struct
import subprocess
from contextlib import asynccontextmanager, suppress

import h2.config
import h2.connection
import h2.errors
import h2.events
import psutil
import pytest
from moorage.api import PUBLIC, Manifest, Plugin, Routes, hookimpl, json_response, parse_json
from moorage.server import engines, hypercorn_mends
from quart import request
from waits import WAIT

MB = 1 << 20
LIMITS = {"max_header_bytes": 8192, "max_url_bytes": 8192, "max_frame_bytes": 65_536, "max_body_bytes": 100_000}


class Pier(Plugin):
    manifest = Manifest(name="pier", version="1", summary="A probe")

    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()

        @routes.get("/hello", access=PUBLIC)
        async def hello():
            return "hello"

        @routes.post("/echo", access=PUBLIC)
        async def echo():
            return json_response(parse_json(await request.get_data()))

        @routes.get("/wait", access=PUBLIC)
        async def wait():
            await asyncio.sleep(0.5)
            return "waited"

        @routes.socket("/ws", access=PUBLIC)
        async def ws(socket):
            await socket.accept()
            async for message in socket:
                await socket.send(message)

        @routes.socket("/brief", access=PUBLIC)
        async def brief(socket):
            await socket.accept()
            await asyncio.sleep(0.3)
            await socket.close(4000, "enough")

        @routes.socket("/long", access=PUBLIC)
        async def long(socket):
            await socket.accept()
            await socket.send(bytes(MB))
            await socket.close(4000, "enough")

        return routes


@pytest.fixture(params=["hypercorn", "uvicorn"])
async def server(request, moorage_server):
    async with moorage_server(Pier, config={"server": {"engine": request.param, **LIMITS}}) as server:
        yield server


@asynccontextmanager
async def connected(server, **options):
    reader, writer = await asyncio.open_connection(*server.url.removeprefix("http://").split(":"), **options)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


def memory() -> int:
    """Bytes of this process, which is the server's as well."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def pour(writer, chunk, limit):
    """Send `chunk` over and over, as far as one lets us; the bytes that were sent."""
    sent = 0
    try:
        async with asyncio.timeout(WAIT):
            while sent < limit:
                writer.write(chunk)
                await writer.drain()
                sent += len(chunk)
    except OSError:
        pass
    return sent


CHUNKED = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "header": (b"GET /hello HTTP/1.1\r\nHost: x\r\nX-Big: ", b"a" * 65_536),
    "headers": (b"GET /hello HTTP/1.1\r\nHost: x\r\n", b"X-A: aaaaaaaa\r\n" * 4096),
    "target": (b"GET /", b"a" * 65_536),
    "trailers": (
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"X-A: aaaaa\r\n" * 4096,
    ),
}


@pytest.mark.parametrize("part", ENDLESS)
async def test_an_endless_head_is_cut_off(server, part):
    begin, more = ENDLESS[part]
    async with connected(server) as (_, writer):
        writer.write(begin)
        assert await pour(writer, more, 64 * MB) < 32 * MB
    assert (await server.anonymous.get("/hello")).text == "hello"


async def upgrade(reader, writer, path=b"/ws"):
    writer.write(
        b"GET "
        + path
        + b" HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")


async def test_pongs_that_nobody_reads_cost_no_memory(moorage_server):
    server = moorage_server(Pier, config={"server": {"engine": "uvicorn"}})
    async with server, connected(server) as (reader, writer):
        await upgrade(reader, writer)
        before = memory()
        assert await pour(writer, (b"\x89\xfd\0\0\0\0" + b"p" * 125) * 500, 32 * MB) >= 32 * MB
        assert memory() - before < 12 * MB


async def test_an_endless_message_costs_no_memory(server):
    async with connected(server) as (reader, writer):
        await upgrade(reader, writer)
        before = memory()
        writer.write(b"\x82\xff" + struct.pack("!Q", 1 << 40) + b"\0\0\0\0")
        await pour(writer, b"\0" * 65_536, 96 * MB)
        assert memory() - before < 48 * MB


@pytest.mark.parametrize("said", [b"", b"GET /hello HT", b"GET /hello HTTP/1.1\r\nHost: x\r\nX-A: b\r\n"])
@pytest.mark.parametrize("engine", ["hypercorn", "uvicorn"])
async def test_a_client_that_does_not_come_to_the_point_is_left(moorage_server, monkeypatch, engine, said):
    monkeypatch.setattr(engines, "IDLE_SECONDS", 0.4)
    server = moorage_server(Pier, config={"server": {"engine": engine}})
    async with server, connected(server) as (reader, writer), asyncio.timeout(WAIT):
        writer.write(said)
        if said:
            await dribble(reader, writer)
        # What was still on its way when the server closed is answered by a reset, which is an end as well.
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read(1000) == b""


async def test_one_that_was_answered_before_is_left_too(moorage_server, monkeypatch):
    monkeypatch.setattr(engines, "IDLE_SECONDS", 0.4)
    server = moorage_server(Pier, config={"server": {"engine": "uvicorn"}})
    async with server, connected(server) as (reader, writer), asyncio.timeout(WAIT):
        writer.write(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"waited")).startswith(b"HTTP/1.1 200"), "a slow view is not an idle one"
        writer.write(b"G")
        await dribble(reader, writer)


@pytest.mark.parametrize("engine", ["hypercorn", "uvicorn"])
async def test_a_websocket_may_be_silent_for_long(moorage_server, monkeypatch, engine):
    monkeypatch.setattr(engines, "IDLE_SECONDS", 0.2)
    server = moorage_server(Pier, config={"server": {"engine": engine, "ws_ping_interval": 0}})
    async with server, connected(server) as (reader, writer), asyncio.timeout(WAIT):
        await upgrade(reader, writer)
        await asyncio.sleep(0.6)
        writer.write(b"\x81\x81\0\0\0\0x")
        assert await reader.readexactly(3) == b"\x81\x01x"


async def test_who_breaks_off_leaves_no_descriptor(moorage_server):
    """Hypercorn's pings are asleep meanwhile, and a connection is closed when all that belongs to it has ended."""
    async with moorage_server(Pier, config={"server": {"ws_ping_interval": 3600}}) as server:
        before = psutil.Process().num_fds()
        for _ in range(20):
            link = await server.anonymous.connect("/ws")
            link.transport.abort()
        async with asyncio.timeout(WAIT):
            while psutil.Process().num_fds() > before + 5:
                await asyncio.sleep(0.02)


async def test_one_that_answers_no_ping_is_left(moorage_server, monkeypatch):
    monkeypatch.setattr(hypercorn_mends, "SILENCE", 1.0)  # The other has to answer within that.
    server = moorage_server(Pier, config={"server": {"engine": "hypercorn"}})
    async with server, connected(server) as (reader, writer), asyncio.timeout(WAIT):
        await upgrade(reader, writer)
        async with server.anonymous.connect("/ws") as other:
            assert (await reader.read(2)) == b"\x89\x00", "a ping"
            while await reader.read(1000):
                pass
            await other.send("who answers is still here")
            assert await other.recv() == "who answers is still here"


async def test_who_reads_slowly_is_told_all_before_the_end(server):
    """Also when a ping is answered late: a reset would take away what is not read yet, the close code as well."""
    async with connected(server) as (reader, writer), asyncio.timeout(WAIT):
        await upgrade(reader, writer, b"/long")
        # Of what is slow, only this is: by then the server has nothing more to do.
        await asyncio.sleep(0.3)
        writer.write(b"\x8a\x80\0\0\0\0")
        got = bytearray()
        while not got.endswith(b"\x88\x08\x0f\xa0enough"):
            piece = await reader.read(65_536)
            assert piece, f"it ended after {len(got)} bytes"
            got += piece
        assert len(got) >= MB
        writer.write(b"\x88\x82\0\0\0\0\x0f\xa0")
        assert await reader.read() == b""


async def test_a_handler_that_ends_under_a_flood_leaves_nothing(moorage_server, monkeypatch):
    monkeypatch.setattr(hypercorn_mends, "LINGER", 0.2)
    server = moorage_server(Pier, config={"server": {"engine": "hypercorn"}})

    async def flood():
        async with connected(server) as (reader, writer):
            await upgrade(reader, writer, b"/brief")
            writer.write((b"\x82\xfe\x40\0\0\0\0\0" + b"x" * 0x4000) * 100)
            while await reader.read(65_536):
                pass

    async with server:
        await flood()
        before = len(asyncio.all_tasks())
        for _ in range(3):
            with suppress(ConnectionError):
                await flood()
        async with asyncio.timeout(WAIT):
            while len(asyncio.all_tasks()) > before:
                await asyncio.sleep(0.05)


async def dribble(reader, writer):
    """A byte now and then, until the server closes."""
    while not reader.at_eof():
        try:
            writer.write(b"x")
            await asyncio.wait_for(reader.read(1000), 0.05)
        except TimeoutError:
            continue
        except OSError:
            return


@pytest.mark.parametrize(
    "head",
    [
        b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_no_http2_in_clear_text(server, head):
    async with connected(server) as (reader, writer):
        writer.write(head)
        answer = await asyncio.wait_for(reader.read(1000), WAIT)
        assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400")), answer


# -- HTTP/2 -------------------------------------------------------------------------------------------------------


class Peer:
    """A client that says what it likes."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        config = h2.config.H2Configuration(header_encoding="utf-8", validate_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.answers, self.over = {}, {}

    def ask(self, stream, method, path, *more, end=True):
        pseudo = [(":method", method), (":authority", "x")]
        place = [(":scheme", "https"), (":path", path)] if path else []
        self.h2.send_headers(stream, [*pseudo, *place, *more], end_stream=end)

    async def until_over(self, stream):
        """(status, body) of a stream, or how it was reset."""
        await self.until(lambda: stream in self.over)
        return self.over[stream]

    async def until(self, condition):
        """Read until something has come."""
        async with asyncio.timeout(WAIT):
            while not condition():
                self.writer.write(self.h2.data_to_send())
                data = await self.reader.read(65_536)
                assert data, "the connection was closed"
                for event in self.h2.receive_data(data):
                    self._take(event)

    def _take(self, event):
        if isinstance(event, h2.events.ResponseReceived):
            self.answers[event.stream_id] = [int(dict(event.headers)[":status"]), b""]
        elif isinstance(event, h2.events.DataReceived):
            self.answers[event.stream_id][1] += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.over[event.stream_id] = tuple(self.answers[event.stream_id])
        elif isinstance(event, h2.events.StreamReset):
            self.over.setdefault(event.stream_id, event.error_code)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run(
        [*command, "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True
    )
    return folder


@pytest.fixture
async def peer(moorage_server, certificate):
    tls = {"tls_cert": str(certificate / "cert.pem"), "tls_key": str(certificate / "key.pem")}
    context = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    context.set_alpn_protocols(["h2"])
    server = moorage_server(Pier, config={"server": {**LIMITS, **tls}})
    async with server, connected(server, ssl=context, server_hostname="localhost") as (reader, writer):
        yield Peer(reader, writer)


async def test_a_body_that_no_header_announces(peer):
    peer.ask(1, "POST", "/echo", ("content-type", "application/json"), end=False)
    peer.h2.send_data(1, b'{"a": 1}', end_stream=True)
    assert await peer.until_over(1) == (200, b'{"a":1}')
    peer.ask(3, "POST", "/echo", end=False)
    for _ in range(3):
        peer.h2.send_data(3, b"x" * 16_000)
    for _ in range(5):
        peer.writer.write(peer.h2.data_to_send())
        await asyncio.sleep(0.02)  # The server's window updates are read while waiting below.
    peer.h2.end_stream(3)
    assert (await peer.until_over(3))[0] == 400


async def test_an_upload_that_goes_on_after_its_refusal_ends_no_other_stream(peer):
    peer.ask(1, "POST", "/echo", ("content-length", "200000"), end=False)
    assert (await peer.until_over(1))[0] == 413
    peer.ask(3, "GET", "/wait")
    peer.h2.send_data(1, b"x" * 16_000)
    assert await peer.until_over(3) == (200, b"waited")
    peer.ask(5, "GET", "/hello")
    assert await peer.until_over(5) == (200, b"hello")


async def test_many_small_parts_of_a_refused_body(peer):
    peer.ask(1, "POST", "/nowhere", ("content-length", "400"), end=False)
    for _ in range(400):
        peer.h2.send_data(1, b"x")
    peer.h2.end_stream(1)
    assert (await peer.until_over(1))[0] == 404
    peer.ask(3, "GET", "/hello")
    assert await peer.until_over(3) == (200, b"hello")


async def test_many_requests_do_not_end_a_long_one(peer):
    peer.ask(1, "GET", "/wait")
    for stream in range(3, 2203, 2):
        peer.ask(stream, "GET", "/hello")
        if stream % 50 == 1:
            await peer.until_over(stream)
    assert await peer.until_over(1) == (200, b"waited")
    assert await peer.until_over(2201) == (200, b"hello")


async def test_a_client_that_breaks_off_everything_is_left(peer):
    for stream in range(1, 401, 2):
        peer.ask(stream, "GET", "/wait")
        peer.h2.reset_stream(stream)
    peer.writer.write(peer.h2.data_to_send())
    async with asyncio.timeout(WAIT):
        events = []
        while data := await peer.reader.read(65_536):
            events += peer.h2.receive_data(data)
    ended = [event for event in events if isinstance(event, h2.events.ConnectionTerminated)]
    assert [event.error_code for event in ended] == [h2.errors.ErrorCodes.ENHANCE_YOUR_CALM]


@pytest.mark.parametrize(("method", "path"), [("GET", "/caf\u00e9"), ("CONNECT", None)])
async def test_a_malformed_request_ends_its_stream_alone(peer, method, path, caplog):
    peer.ask(1, "GET", "/wait")
    peer.ask(3, method, path)
    assert await peer.until_over(3) == h2.errors.ErrorCodes.PROTOCOL_ERROR
    assert await peer.until_over(1) == (200, b"waited")
    assert "Traceback" not in caplog.text


async def test_a_websocket_in_a_stream(peer):
    """Its messages go the way of the stream's data, within the client's window."""
    peer.ask(1, "CONNECT", "/ws", (":protocol", "websocket"), ("sec-websocket-version", "13"), end=False)
    await peer.until(lambda: 1 in peer.answers)
    peer.h2.send_data(1, b"\x81\xfe\x27\x10\0\0\0\0" + b"x" * 10_000)
    echoed = b"\x81\x7e\x27\x10" + b"x" * 10_000
    await peer.until(lambda: len(peer.answers[1][1]) > len(echoed))
    assert peer.answers[1] == [200, b"\x89\0" + echoed], "a ping, then the answer"
