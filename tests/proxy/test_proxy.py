"""Requests and sockets handed through to an upstream, on both engines; the upstream is scripted byte for byte."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import websockets
from relay import Place
from waits import WAIT


async def test_a_request_goes_on_as_it_came(place: Place, client: httpx.AsyncClient) -> None:
    answer = await client.get(
        "/box/it/a%2Fb/%C3%A4//c?q=%20[x]&q=2",
        headers={"X-Mine": "1", "Cookie": "moorage_session=x; other=y", "X-Forwarded-For": "9.9.9.9", "TE": "trailers"},
    )
    assert (answer.status_code, answer.text) == (200, "ok")
    assert place.upstream.heads[-1].split(b"\r\n")[0] == b"GET /a%2Fb/%C3%A4//c?q=%20[x]&q=2 HTTP/1.1"
    sent = place.upstream.sent()
    assert sent["host"] == f"127.0.0.1:{place.port}"
    assert (sent["x-mine"], sent["x-forwarded-for"], sent["x-forwarded-prefix"]) == ("1", "127.0.0.1", "/box/it")
    assert sent["x-forwarded-proto"] == "http"
    assert sent["x-forwarded-host"] == place.server.url.removeprefix("http://")
    assert not {"cookie", "authorization", "te", "x-csrf-token", "connection", "transfer-encoding"} & sent.keys()
    asked = place.plugin.asked[-1]
    assert (asked.rest, asked.params["rest"]) == ("a%2Fb/%C3%A4//c", "a/b/ä//c")
    assert not {"cookie", "authorization"} & asked.headers.keys()
    assert asked.actor.user is not None


async def test_headers_of_the_answer(place: Place, client: httpx.AsyncClient) -> None:
    place.upstream.said = (
        b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nX-Own: a\r\nX-Own: b\r\nSet-Cookie: moorage_session=theirs\r\n"
        b"Connection: X-Hop\r\nX-Hop: 1\r\nAccess-Control-Allow-Origin: *\r\nServer: old\r\nDate: never\r\n"
        b"Strict-Transport-Security: max-age=0\r\nLocation: /next?x=1\r\n"
        b"Content-Security-Policy: default-src 'self'\r\n\r\n"
    )
    answer = await client.get("/box/it/")
    assert answer.status_code == 201
    assert answer.headers.get_list("x-own") == ["a", "b"]
    assert answer.headers["location"] == "/box/it/next?x=1"
    assert answer.headers["content-security-policy"] == "default-src 'self'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    dropped = ("set-cookie", "x-hop", "access-control-allow-origin", "strict-transport-security")
    assert not [name for name in dropped if name in answer.headers]
    assert answer.headers.get("server") != "old"
    assert answer.headers.get("date") != "never"


async def test_no_answer_speaks_for_the_whole_origin(place: Place, client: httpx.AsyncClient) -> None:
    for_all = ("NEL", "Report-To", "Accept-CH", "Critical-CH", "Set-Login", "Origin-Agent-Cluster", "Set-Cookie2")
    said = "".join(f"{name}: x\r\n" for name in for_all)
    place.upstream.said = (
        f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{said}X-Content-Type-Options: sniff\r\n\r\nok".encode()
    )
    answer = await client.get("/box/it/")
    assert not [name for name in for_all if name in answer.headers]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"], "browsers believe the first"


async def test_no_header_of_the_client_looks_like_ours_to_the_upstream(place: Place, client: httpx.AsyncClient) -> None:
    place.plugin.options = {"headers": {"X-Remote-User": "ann"}}
    forged = {"X_Forwarded_For": "9.9.9.9", "X_Remote_User": "root", "X-REMOTE_USER": "root", "X_Mine": "1"}
    assert (await client.get("/box/it/", headers=forged)).status_code == 200
    sent = {name.replace("_", "-"): value for name, value in place.upstream.sent().items()}
    assert (sent["x-remote-user"], sent["x-forwarded-for"], sent["x-mine"]) == ("ann", "127.0.0.1", "1")
    assert not {name for name in place.upstream.sent() if "_" in name and name != "x_mine"}


@pytest.mark.parametrize(
    "head", [b"101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade", b"999 Odd", b"200 OK\r\nX-A: a\x01b"]
)
async def test_answers_that_are_none(place: Place, client: httpx.AsyncClient, head: bytes) -> None:
    place.upstream.said = b"HTTP/1.1 " + head + b"\r\nContent-Length: 0\r\n\r\n"
    answer = await client.get("/box/it/")
    assert (answer.status_code, answer.json()["code"]) == (502, "BAD_GATEWAY")


@pytest.mark.parametrize(
    ("location", "wanted"),
    [
        ("http://127.0.0.1:{port}/x", "/box/it/x"),
        ("http://127.0.0.1:{port}", "/box/it/"),
        ("//elsewhere.example/x", "//elsewhere.example/x"),
        ("https://elsewhere.example/127.0.0.1:{port}", "https://elsewhere.example/127.0.0.1:{port}"),
        ("next", "next"),
    ],
)
async def test_redirects_stay_under_the_prefix(
    place: Place, client: httpx.AsyncClient, location: str, wanted: str
) -> None:
    said = f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {location.format(port=place.port)}\r\n\r\n"
    place.upstream.said = said.encode()
    answer = await client.get("/box/it/")
    assert (answer.status_code, answer.headers["location"]) == (302, wanted.format(port=place.port))
    assert len(place.upstream.heads) == 1, "no redirect is followed here"


@pytest.mark.parametrize(
    ("location", "wanted"),
    [
        ("http://127.0.0.1:{port}/x", "/box/it/x"),
        ("/x/y?next=//z/../:1", "/box/it/x/y?next=//z/../:1"),
        ("next?x=1", "next?x=1"),
        ("..a/.b", "..a/.b"),
        ("http://127.0.0.1:{port}/../../api/keys", None),
        ("/../../api/keys", None),
        ("/%2E./.%2e/api/keys", None),
        ("../../api/keys", None),
        ("a/..", None),
        ("\\\\elsewhere.example/", None),
        ("/..\\api/keys", None),
        ("//elsewhere.example/x", None),
        ("///elsewhere.example/x", None),
        ("http:///elsewhere.example/x", None),
        ("http:/api/keys", None),
        ("https://elsewhere.example/", None),
        ("http://127.0.0.1:{port}@elsewhere.example/", None),
        ("http://[/", None),
        ("javascript:alert(1)", None),
        ("{server}/api/keys", None),
        ("\t//elsewhere.example/x", None),
    ],
)
async def test_redirects_out_of_a_contained_place_lead_nowhere(
    place: Place, client: httpx.AsyncClient, location: str, wanted: str | None
) -> None:
    """A client would follow them with the credentials that it has for this server."""
    place.plugin.options = {"contained": True}
    location = location.format(port=place.port, server=place.server.url)
    said = f"HTTP/1.1 307 Go\r\nContent-Length: 0\r\nLocation: {location}\r\nRefresh: 0;url=/api/keys\r\n\r\n"
    place.upstream.said = said.encode()
    answer = await client.post("/box/it/")
    assert (answer.status_code, answer.headers.get("location"), "refresh" in answer.headers) == (307, wanted, False)


async def test_credentials_of_the_upstream_are_put_in(place: Place, client: httpx.AsyncClient) -> None:
    place.plugin.options = {
        "headers": {"Authorization": "Basic c2VjcmV0"},
        "answer": {"Content-Security-Policy": "sandbox"},
        "query": "fixed=1",
    }
    answer = await client.get("/box/it/x?mine=1", headers={"X-A": "b"})
    assert place.upstream.sent()["authorization"] == "Basic c2VjcmV0"
    assert b"GET /x?fixed=1 " in place.upstream.heads[-1]
    assert answer.headers["content-security-policy"] == "sandbox"
    assert "c2VjcmV0" not in str(answer.headers)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_every_method_and_both_kinds_of_body(place: Place, client: httpx.AsyncClient, method: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 30_000

    await client.request(method, "/box/it/", content=b"whole")
    await client.request(method, "/box/it/", content=chunks())
    await client.request(method, "/box/it/")
    assert [len(body) for body in place.upstream.bodies if body] == [5, 90_000]
    assert all(head.startswith(method.encode()) for head in place.upstream.heads)


async def test_head_and_no_content(place: Place, client: httpx.AsyncClient) -> None:
    place.upstream.said = b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n"
    answer = await client.head("/box/it/")
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "77", b"")
    place.upstream.said = b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"
    answer = await client.get("/box/it/")
    assert (answer.status_code, answer.headers["etag"]) == (304, "x")


async def test_a_stream_is_handed_on_at_once_and_ends_with_its_reader(place: Place, client: httpx.AsyncClient) -> None:
    go = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await place.upstream.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"8\r\ndata: 1\n\r\n")
        await go.wait()
        writer.write(b"8\r\ndata: 2\n\r\n")
        await writer.drain()
        await reader.read()
        place.upstream.closed.set()

    place.upstream.talk = talk
    async with client.stream("GET", "/box/it/events") as answer:
        parts = answer.aiter_raw()
        assert await asyncio.wait_for(anext(parts), WAIT) == b"data: 1\n"
        go.set()
        assert await asyncio.wait_for(anext(parts), WAIT) == b"data: 2\n"
    await asyncio.wait_for(place.upstream.closed.wait(), WAIT)


async def test_refusals_come_in_the_dialect_and_reach_nobody(place: Place, client: httpx.AsyncClient) -> None:
    assert (await place.server.anonymous.get("/box/it/")).status_code == 401
    assert (await (await place.server.as_user("viewer")).get("/box/it/")).status_code == 403
    assert (await client.get("/box/other/")).json()["detail"] == "No such box"
    assert (await client.get("/box/secret/")).status_code == 403
    assert (await client.get("/box/it/%2e%2e/x")).status_code == 404
    assert (await client.post("/box/it/", content=b"x" * 200_001)).status_code == 413
    assert place.upstream.heads == []


async def test_an_upstream_that_is_away_comes_or_goes(place: Place, client: httpx.AsyncClient) -> None:
    with contextlib.closing(await asyncio.start_server(place.upstream.accept, "127.0.0.1", 0)) as gone:
        port = gone.sockets[0].getsockname()[1]
    place.plugin.hub.upstreams.register("it", port=port)
    assert (await client.get("/box/it/")).status_code == 503
    waiting = asyncio.create_task(client.get("/slow/"))
    await asyncio.sleep(0.2)
    listener = await asyncio.start_server(place.upstream.accept, "127.0.0.1", port)
    assert (await waiting).status_code == 200
    listener.close()
    place.plugin.hub.upstreams.remove("it")
    assert (await client.get("/box/it/")).status_code == 404


@pytest.mark.parametrize(
    "said",
    [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000],
)
async def test_an_upstream_that_answers_rubbish(place: Place, client: httpx.AsyncClient, said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await place.upstream.head(reader)
        writer.write(said)
        await writer.drain()

    place.upstream.talk = talk
    answer = await client.get("/box/it/")
    assert answer.status_code == 502
    assert answer.json()["status"] == 502


async def test_an_upstream_that_is_silent_or_breaks_off(place: Place, client: httpx.AsyncClient) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await place.upstream.head(reader)
        await reader.read()
        place.upstream.closed.set()

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await place.upstream.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()

    place.upstream.talk = silent
    assert (await client.get("/hasty/")).status_code == 504
    await asyncio.wait_for(place.upstream.closed.wait(), WAIT)
    place.upstream.talk = cut
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/box/it/")
    place.upstream.talk = place.upstream.answer
    assert (await client.get("/box/it/")).text == "ok"


async def test_a_closed_upstream_breaks_its_streams(place: Place, client: httpx.AsyncClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await place.upstream.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nopen")
        await writer.drain()
        await reader.read()

    place.upstream.talk = talk
    async with client.stream("GET", "/box/it/") as answer:
        parts = answer.aiter_raw()
        assert await anext(parts) == b"open"
        place.plugin.hub.upstreams.remove("it")
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError, StopAsyncIteration)):
            await asyncio.wait_for(anext(parts), WAIT)


async def test_a_unix_socket(place: Place, client: httpx.AsyncClient, tmp_path: Path) -> None:
    listener = await asyncio.start_unix_server(place.upstream.accept, tmp_path / "s")
    place.plugin.hub.upstreams.register("it", path=tmp_path / "s")
    assert (await client.get("/box/it/x")).text == "ok"
    assert place.upstream.sent()["host"] == "localhost"
    listener.close()


async def test_a_large_answer_is_not_kept(place: Place, client: httpx.AsyncClient) -> None:
    size, written = 64 << 20, 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await place.upstream.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while written < size:
            writer.write(b"x" * 65536)
            written += 65536
            await writer.drain()

    place.upstream.talk = talk
    async with client.stream("GET", "/box/it/") as answer:
        assert answer.status_code == 200
        # Nobody reads: what is on its way is what buffers hold.
        before = -1
        while before != written:
            before = written
            await asyncio.sleep(0.3)
        assert written < 32 << 20
        assert sum([len(part) async for part in answer.aiter_raw()]) == size


# -- WebSockets -----------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def echo(place: Place, **options: object) -> AsyncIterator[None]:
    async def handler(connection: websockets.ServerConnection) -> None:
        place.upstream.heads.append(str(connection.request.headers).encode())  # type: ignore[union-attr]
        async for message in connection:
            if message == "bye":
                await connection.close(4321, "enough")
            await connection.send(message)

    async with websockets.serve(handler, "127.0.0.1", 0, max_size=None, **options) as server:  # type: ignore[arg-type]
        place.plugin.hub.upstreams.register("ws", port=server.sockets[0].getsockname()[1])
        yield


def address(place: Place, name: str = "ws") -> str:
    return place.server.url.replace("http", "ws") + f"/box/{name}/sock?x=1"


def credentials(client: httpx.AsyncClient) -> dict[str, str]:
    return {name: client.headers[name] for name in ("authorization", "cookie") if name in client.headers}


async def test_a_socket_is_bridged(place: Place, client: httpx.AsyncClient) -> None:
    async with (
        echo(place, subprotocols=["tty"]),
        websockets.connect(
            address(place), subprotocols=["other", "tty"], additional_headers=credentials(client)
        ) as socket,  # type: ignore[list-item]
    ):
        assert socket.subprotocol == "tty"
        for message in ("text", b"bytes", "", "x" * 70_000):
            await socket.send(message)
            assert await asyncio.wait_for(socket.recv(), WAIT) == message
        await socket.send("bye")
        await asyncio.wait_for(socket.wait_closed(), WAIT)
        assert (socket.close_code, socket.close_reason) == (4321, "enough")
        assert b"authorization" not in place.upstream.heads[-1].lower()
        assert b"moorage_session" not in place.upstream.heads[-1]


async def test_the_close_code_of_the_client_goes_on(place: Place, client: httpx.AsyncClient) -> None:
    codes: asyncio.Queue[int | None] = asyncio.Queue()

    async def handler(connection: websockets.ServerConnection) -> None:
        await connection.wait_closed()
        codes.put_nowait(connection.close_code)

    async with websockets.serve(handler, "127.0.0.1", 0) as server:
        place.plugin.hub.upstreams.register("ws", port=server.sockets[0].getsockname()[1])
        async with websockets.connect(address(place), additional_headers=credentials(client)) as socket:
            await socket.close(4555, "mine")
        assert await asyncio.wait_for(codes.get(), WAIT) == 4555
        async with websockets.connect(address(place), additional_headers=credentials(client)) as socket:
            socket.transport.abort()
        assert await asyncio.wait_for(codes.get(), WAIT) == 1001


async def test_sockets_that_are_refused(place: Place, client: httpx.AsyncClient) -> None:
    for name, headers, status in (
        ("it", credentials(client), 502),
        ("nope", credentials(client), 404),
        ("it", {}, 401),
    ):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(address(place, name), additional_headers=headers)
        assert refused.value.response.status_code == status


async def test_a_handshake_that_lies(place: Place, client: httpx.AsyncClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await place.upstream.head(reader)
        key = head.lower().split(b"sec-websocket-key: ")[1].split(b"\r\n")[0] + b"wrong"
        accept = base64.b64encode(hashlib.sha1(key).digest())
        writer.write(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        writer.write(b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        await writer.drain()
        await reader.read()

    place.upstream.talk = talk
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(address(place, "it"), additional_headers=credentials(client))
    assert refused.value.response.status_code == 502
