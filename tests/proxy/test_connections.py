"""What the proxy's connections make of upstreams: where an answer ends, and that nobody hears another one's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from moorage.access import ANONYMOUS
from moorage.context import RequestInfo
from moorage.proxy import Proxy, ProxyRequest, Target, Upstreams
from relay import Place
from waits import WAIT

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


def scripted(place: Place, *answers: bytes) -> None:
    """Say one after the other, each on the connection that the request came on."""
    left = list(answers)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await place.upstream.head(reader)
            writer.write(left.pop(0) if left else OK)
            await writer.drain()

    place.upstream.talk = talk


async def test_connections_serve_again(place: Place, client: httpx.AsyncClient) -> None:
    for _ in range(5):
        assert (await client.get("/box/it/")).text == "ok"
    await client.post("/box/it/", content=b"x" * 1000)
    assert (await client.get("/box/it/")).text == "ok"
    assert place.upstream.connections == 1


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("GET", OK + EVIL),
        ("GET", OK + EVIL[:20]),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 39\r\n\r\n" + EVIL),
        ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n" + EVIL),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + EVIL),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 39\r\n\r\n" + EVIL),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 39\r\n\r\n" + EVIL),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + EVIL),
        ("GET", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + EVIL),
    ],
)
async def test_what_follows_an_answer_is_nobodys(
    place: Place, client: httpx.AsyncClient, method: str, said: bytes
) -> None:
    """An upstream that puts a second answer behind the first would have it heard by who asks next."""
    other = await place.server.as_user("admin")
    scripted(place, said)
    first = await client.request(method, "/box/it/")
    assert first.status_code in (200, 204, 304)
    assert "evil" not in first.text
    for _ in range(3):
        assert (await other.get("/box/it/")).text == "ok"


async def test_a_late_second_answer_is_nobodys_either(place: Place, client: httpx.AsyncClient) -> None:
    late = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await place.upstream.head(reader)
        writer.write(OK)
        await writer.drain()
        if place.upstream.connections == 1:
            await late.wait()
            writer.write(EVIL)
            await writer.drain()
            await reader.read()
            place.upstream.closed.set()

    place.upstream.talk = talk
    assert (await client.get("/box/it/")).text == "ok"
    late.set()
    await asyncio.wait_for(place.upstream.closed.wait(), WAIT)
    assert (await client.get("/box/it/")).text == "ok"


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: 1\r\n folded\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: 1\nX-B: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: 1\rX-B: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: \x00\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello",
        b"HTTP/1.1 99 Low\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 600 High\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3000,
        b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_an_answer_that_can_be_read_in_two_ways_is_none(
    place: Place, client: httpx.AsyncClient, said: bytes
) -> None:
    scripted(place, said)
    assert (await client.get("/box/it/")).status_code == 502
    assert (await client.get("/box/it/")).text == "ok"


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_an_upstream_that_closes_is_asked_on_another(
    place: Place, client: httpx.AsyncClient, said: bytes
) -> None:
    scripted(place, said)
    assert (await client.get("/box/it/")).text == "ok"
    assert (await client.get("/box/it/")).text == "ok"
    assert place.upstream.connections == 2


async def test_an_answer_that_ends_with_its_connection(place: Place, client: httpx.AsyncClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await place.upstream.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300_000)
        await writer.drain()

    place.upstream.talk = talk
    assert len((await client.get("/box/it/")).content) == 300_000


async def test_informational_answers_only_lead_to_the_next(place: Place, client: httpx.AsyncClient) -> None:
    scripted(place, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Early: 1\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK)
    answer = await client.get("/box/it/")
    assert (answer.status_code, answer.text) == (200, "ok")
    assert "link" not in answer.headers
    assert "x-early" not in answer.headers


async def test_a_connection_that_was_closed_as_we_wrote(place: Place, client: httpx.AsyncClient) -> None:
    """What may be done twice is asked again on a new connection; a POST is not, for it may have been done."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await place.upstream.head(reader)
        writer.write(OK)
        await writer.drain()
        await place.upstream.head(reader)  # Of the second request nothing is answered.

    place.upstream.talk = talk
    assert (await client.get("/box/it/")).text == "ok"
    assert (await client.get("/box/it/")).text == "ok"
    assert place.upstream.connections == 2
    assert (await client.post("/box/it/", content=b"once")).status_code == 502
    assert sum(head.startswith(b"POST") for head in place.upstream.heads) == 1


async def test_parts_of_a_file(place: Place, client: httpx.AsyncClient) -> None:
    scripted(place, b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-3/9\r\nContent-Length: 2\r\n\r\ncd")
    answer = await client.get("/box/it/", headers={"Range": "bytes=2-3", "If-Range": '"x"'})
    assert (answer.status_code, answer.headers["content-range"], answer.text) == (206, "bytes 2-3/9", "cd")
    assert place.upstream.sent()["range"] == "bytes=2-3"
    assert place.upstream.sent()["if-range"] == '"x"'


async def test_a_client_that_waits_to_be_asked_for_its_body(place: Place, client: httpx.AsyncClient) -> None:
    answer = await client.post("/box/it/", content=b"body", headers={"Expect": "100-continue"})
    assert answer.text == "ok"
    assert place.upstream.bodies == [b"body"]
    assert "expect" not in place.upstream.sent()


async def test_an_answer_before_the_body_was_sent(place: Place, client: httpx.AsyncClient) -> None:
    """The upstream has had enough: the client is told, and the connection, in the middle of a body, serves no more."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await place.upstream.head(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!")
        await writer.drain()
        await reader.read()
        place.upstream.closed.set()

    go = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        await go.wait()
        yield b"y" * 1000

    place.upstream.talk = talk
    asked = asyncio.create_task(client.post("/box/it/", content=body()))
    await asyncio.wait_for(place.upstream.closed.wait(), WAIT)
    go.set()
    answer = await asked
    assert (answer.status_code, answer.text) == (413, "no!")
    place.upstream.talk = place.upstream.answer
    assert (await client.get("/box/it/")).text == "ok"


async def test_a_client_that_leaves_in_the_middle_of_its_body(place: Place, client: httpx.AsyncClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await place.upstream.head(reader)
        rest = await reader.read()
        place.upstream.bodies.append(rest)
        place.upstream.closed.set()

    place.upstream.talk = talk
    cookie = f"Cookie: {client.headers['cookie']}\r\n" if "cookie" in client.headers else ""
    bearer = f"Authorization: {client.headers['authorization']}\r\n" if "authorization" in client.headers else ""
    _, writer = await asyncio.open_connection("127.0.0.1", int(place.server.url.rpartition(":")[2]))
    writer.write(f"POST /box/it/ HTTP/1.1\r\nHost: x\r\n{cookie}{bearer}Content-Length: 100\r\n\r\nhalf".encode())
    await writer.drain()
    writer.close()
    await asyncio.wait_for(place.upstream.closed.wait(), WAIT)
    assert len(place.upstream.bodies[0]) < 100


async def test_an_upstream_that_does_not_read_holds_its_client_back(place: Place, client: httpx.AsyncClient) -> None:
    sent = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await place.upstream.head(reader)
        await place.upstream.closed.wait()

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            yield b"x" * 65536
            sent += 65536

    place.upstream.talk = talk
    asked = asyncio.create_task(client.post("/slow/", content=body()))
    before = -1
    while before != sent or not sent:
        before = sent
        await asyncio.sleep(0.3)
    assert sent < 32 << 20
    place.upstream.closed.set()
    await asyncio.wait([asked], timeout=30)
    assert asked.done()
    with pytest.raises((httpx.HTTPError, AssertionError)):
        assert asked.result().status_code < 400


def test_the_same_on_uvloop(tmp_path: Path) -> None:
    """uvloop's transports are no instances of asyncio's: a server with it must serve as well."""
    uvloop = pytest.importorskip("uvloop")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        writer.close()

    async def ask() -> list[dict[str, object]]:
        said: list[dict[str, object]] = []
        listener = await asyncio.start_server(talk, "127.0.0.1", 0)
        upstream = Upstreams().register("it", port=listener.sockets[0].getsockname()[1])
        proxy = Proxy()
        info = RequestInfo(id="1", address="127.0.0.1", method="GET")
        request = ProxyRequest("GET", {}, "", "", {}, ANONYMOUS)

        async def send(message: dict[str, object]) -> None:
            said.append(message)

        async def receive() -> dict[str, object]:
            await asyncio.sleep(60)
            return {"type": "http.disconnect"}

        scope = {"headers": [], "moorage.info": info, "moorage.bodyless": True}
        await proxy.http(scope, receive, send, request=request, target=Target(upstream, "/"))  # type: ignore[arg-type]
        await proxy.close()
        listener.close()
        return said

    said = uvloop.run(ask())
    assert [message["type"] for message in said] == ["http.response.start", "http.response.body"]
    assert said[1]["body"] == b"ok"


async def test_one_upstream_does_not_take_all_connections(
    place: Place, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answers nobody leaves some to the others."""
    monkeypatch.setattr("moorage.proxy.targets.MAX_AT_ONCE", 3)
    asked, answer = asyncio.Semaphore(0), asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await place.upstream.head(reader)
        asked.release()
        await answer.wait()
        writer.write(OK)
        await writer.drain()

    place.upstream.talk = talk
    waiting = [asyncio.create_task(client.get("/box/it/")) for _ in range(3)]
    for _ in waiting:
        await asyncio.wait_for(asked.acquire(), WAIT)
    refused = await client.get("/box/it/")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    other = place.plugin.hub.upstreams.register("other", port=place.port)
    assert not other.in_use
    elsewhere = asyncio.create_task(client.get("/box/other/"))
    await asyncio.wait_for(asked.acquire(), WAIT)
    answer.set()
    assert [(await one).status_code for one in (*waiting, elsewhere)] == [200] * 4
