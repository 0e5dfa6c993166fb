"""The HTTP client that plugins use: what it sends, keeps, refuses and gives up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from moorage.api import AddressInfo, HttpClient, Unavailable, UpstreamError
from waits import WAIT


@pytest.fixture
def own_certificate(tmp_path: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "key.pem")
    return context


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(talk: Talk) -> AsyncIterator[int]:
    running: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.wait(running, timeout=WAIT)


@asynccontextmanager
async def opened(**options: Callable[[AddressInfo], socket.socket]) -> AsyncIterator[HttpClient]:
    client = HttpClient(**options)
    try:
        async with asyncio.timeout(WAIT):
            yield client
    finally:
        await client.close()


async def test_connections_serve_again_and_the_request_is_what_was_said() -> None:
    heads: list[bytes] = []
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            body = await reader.readexactly(3)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: 1\r\nx-a: 2\r\n\r\n" + body)

    async with serving(talk) as port, opened() as client:
        for _ in range(3):
            answer = await client.send("POST", "127.0.0.1", port, "/a?b=c", [("x-it", "yes")], b"abc")
            assert (answer.status, answer.header("x-a")) == (200, "1")
            assert [chunk async for chunk in answer] == [b"abc"]
    assert connections == 1
    assert heads[0].decode().split("\r\n")[:3] == ["POST /a?b=c HTTP/1.1", f"host: 127.0.0.1:{port}", "x-it: yes"]


async def test_an_answer_that_is_not_wanted_to_its_end_ends_its_connection() -> None:
    gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await reader.read()
        gone.set()

    async with serving(talk) as port, opened() as client:
        answer = await client.send("GET", "127.0.0.1", port, "/")
        assert await answer.read() == b"abc"
        answer.close()
        await gone.wait()


@pytest.mark.parametrize(
    "said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 101 No\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"]
)
async def test_what_is_no_answer(said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)

    async with serving(talk) as port, opened() as client:
        with pytest.raises(UpstreamError):
            await client.send("GET", "127.0.0.1", port, "/")


async def test_an_answer_that_is_cut() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")

    async with serving(talk) as port, opened() as client:
        answer = await client.send("GET", "127.0.0.1", port, "/")
        assert await answer.read() == b"abc"
        with pytest.raises(UpstreamError):
            await answer.read()


@pytest.mark.parametrize(
    "header", [("a", "b\r\nc: d"), ("a", "b\nc"), ("a b", "c"), ("a:", "c"), ("a", "\0"), ("", "")]
)
async def test_a_header_that_could_be_read_as_something_else_is_not_sent(header: tuple[str, str]) -> None:
    async with opened() as client:
        with pytest.raises(ValueError, match="header"):
            await client.send("GET", "127.0.0.1", 1, "/", [header])


async def test_an_address_can_be_refused_after_the_name_was_resolved() -> None:
    asked: list[str] = []

    def refuse(info: AddressInfo) -> socket.socket:
        asked.append(info[4][0])
        raise OSError("not this one")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError("it was reached")

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server, opened(make_socket=refuse) as client:
        with pytest.raises(Unavailable):
            await client.send("GET", "localhost", server.sockets[0].getsockname()[1], "/")
    assert "127.0.0.1" in asked


async def test_a_certificate_that_nobody_vouches_for_is_refused(own_certificate: ssl.SSLContext) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=own_certificate)
    async with server, opened() as client:
        with pytest.raises(Unavailable):
            await client.send("GET", "localhost", server.sockets[0].getsockname()[1], "/", tls=True)
