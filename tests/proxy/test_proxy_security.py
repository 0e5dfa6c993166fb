"""S18, S19, S20 where requests are handed on: nothing ambiguous, no credential and no path reaches what is behind."""

from __future__ import annotations

import asyncio

import httpx
import pytest
import websockets
from relay import Place
from smuggling import AMBIGUOUS, HEAD


async def raw(place: Place, data: bytes) -> bytes:
    """What comes back until the server closes, or is silent for a second."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(place.server.url.rpartition(":")[2]))
    writer.write(data)
    got = b""
    try:
        while chunk := await asyncio.wait_for(reader.read(65536), 1):
            got += chunk
    except (TimeoutError, ConnectionError):
        pass
    writer.close()
    return got


def shown(client: httpx.AsyncClient) -> bytes:
    names = [name for name in ("authorization", "cookie") if name in client.headers]
    return "".join(f"{name}: {client.headers[name]}\r\n" for name in names).encode()


async def test_no_second_request_reaches_the_upstream(place: Place, client: httpx.AsyncClient) -> None:
    proxied = b"POST /box/it/first HTTP/1.1\r\nHost: x\r\n" + shown(client)
    hidden = b"GET /box/it/smuggled HTTP/1.1\r\nHost: x\r\n" + shown(client) + b"\r\n"
    cases = {name: data.partition(b"\r\n\r\n") for name, data in AMBIGUOUS.items() if data.startswith(HEAD)}
    assert len(cases) > 20

    async def attack(head: bytes, end: bytes, rest: bytes) -> bytes:
        body = rest[: rest.index(b"GET /health")]
        return await raw(place, head.replace(HEAD.rstrip(), proxied.rstrip()) + end + body + hidden)

    answers = await asyncio.gather(*(attack(*parts) for parts in cases.values()))
    for name, got in zip(cases, answers, strict=True):
        assert got == b"" or got.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")), (name, got[:200])
    assert [head for head in place.upstream.heads if b"smuggled" in head] == []
    # And a good pair in one connection is two requests, or else the above would say nothing.
    await raw(place, proxied + b"Content-Length: 0\r\n\r\n" + hidden)
    assert [head.split(b" ")[1] for head in place.upstream.heads[-2:]] == [b"/first", b"/smuggled"]


@pytest.mark.parametrize(
    "header",
    [
        "Connection: x-secret, keep-alive",
        "Proxy-Authorization: Basic c2VjcmV0",
        "Transfer_Encoding: chunked",
        "Content_Length: 5",
        "X_Forwarded_For: 6.6.6.6",
        "Forwarded: for=6.6.6.6",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
        "TE: trailers",
    ],
)
async def test_headers_of_the_hop_stay_on_it(place: Place, client: httpx.AsyncClient, header: str) -> None:
    head = f"GET /box/it/ HTTP/1.1\r\nHost: x\r\nX-Secret: hop\r\n{header}\r\nConnection: close\r\n".encode()
    got = await raw(place, head + shown(client) + b"\r\n")
    if got.startswith(b"HTTP/1.1 200"):
        sent = {name.replace("_", "-"): value for name, value in place.upstream.sent().items()}
        name, _, _ = header.lower().partition(": ")
        assert sent.get(name.replace("_", "-")) in (None, "127.0.0.1"), sent
        assert "6.6.6.6" not in str(sent)
        assert "x-secret" not in sent or not header.startswith("Connection: x-secret")
    else:
        assert got.startswith(b"HTTP/1.1 4"), got
    assert not any(client.headers.get(name, "?!") in str(place.upstream.heads) for name in ("authorization", "cookie"))


@pytest.mark.parametrize(
    "path",
    [
        "/box/it/../../etc",
        "/box/it/%2e%2e/x",
        "/box/it/a/..%2f..%2fx",
        "/box/it/%00",
        "/box/it/..;/x",
        "/box/it/a\\..\\x",
    ],
)
async def test_paths_are_handed_on_as_they_came_or_refused(place: Place, client: httpx.AsyncClient, path: str) -> None:
    got = await raw(
        place, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode() + shown(client) + b"\r\n"
    )
    assert got.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200")), got[:100]
    for head in place.upstream.heads:
        assert head.split(b" ")[1].decode() == path.removeprefix("/box/it")


async def test_no_answer_leads_the_server_elsewhere(place: Place, client: httpx.AsyncClient) -> None:
    """S18: what an upstream says of other places is for the client; the server itself goes nowhere."""
    other = await asyncio.start_server(lambda r, w: pytest.fail("was visited"), "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    for status in (301, 302, 307, 308):
        said = f"HTTP/1.1 {status} Go\r\nLocation: http://127.0.0.1:{port}/\r\nContent-Length: 0\r\n\r\n"
        place.upstream.said = said.encode()
        answer = await client.get("/box/it/", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (status, f"http://127.0.0.1:{port}/")
    other.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_handshake_leads_the_server_elsewhere(place: Place, client: httpx.AsyncClient, status: int) -> None:
    """S18, of WebSockets: credentials of the upstream that are no `Authorization` would go along."""
    visits: list[object] = []
    async with await asyncio.start_server(lambda r, w: visits.append(w.close()), "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        for location in (f"http://127.0.0.1:{port}/", "/elsewhere"):
            said = f"HTTP/1.1 {status} Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
            place.upstream.said, place.upstream.heads = said.encode(), []
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(
                    place.server.url.replace("http", "ws") + "/box/it/sock",
                    additional_headers={"authorization": client.headers["authorization"]},
                )
            assert refused.value.response.status_code == 502
            assert len(place.upstream.heads) == 1
    assert not visits
