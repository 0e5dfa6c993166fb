"""Links with MCP servers over HTTP with SSE, the transport of 2024-11-05: the SDK's server, and one that lies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcplinks import ANSWERS, Person, pooled, upstream, workspace
from moorage.api import Unavailable
from moorage_mcp.links.base import LinkClosed
from moorage_mcp.records import Kind
from moorage_mcp.wire.eras import Era
from realparts.child import Child
from realparts.ports import free_port
from waits import WAIT

SERVER = """
import sys, warnings
warnings.simplefilter("ignore")
from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel

server = MCPServer("old")

class Name(BaseModel):
    name: str

@server.tool()
async def greet(ctx: Context) -> str:
    await ctx.report_progress(1, 2)
    found = await ctx.elicit("What is your name?", Name)
    return f"Hello, {found.data.name}"

server.run(transport="sse", host="127.0.0.1", port=int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("sse"), free_port()
    child = Child([sys.executable, "-c", SERVER, str(port)], folder / "log", env=dict(os.environ))

    def listens() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/").status_code == 404
        return False

    child.wait_until(listens, "the server with SSE")
    yield f"http://127.0.0.1:{port}/sse"
    child.stop()


async def test_requests_progress_and_questions(old: str) -> None:
    one, person = upstream(Kind.SSE, url=old), Person(**ANSWERS)
    async with (
        pooled(targets=[old.removesuffix("/sse")]) as p,
        p.pool.lease(workspace(one), one, 1, alone="a", capabilities=person.capabilities) as link,
    ):
        assert (link.server.era, link.server.info["name"]) == (Era.LEGACY, "old")
        params = {"name": "greet", "arguments": {}, "_meta": {"progressToken": "its own"}}
        found = await link.request("tools/call", params, person, timeout=WAIT)
        assert found["content"][0]["text"] == "Hello, Ann"
        assert person.heard[0][1]["progressToken"] == "its own"
        listed = await asyncio.gather(*(link.request("tools/list", {}, person, timeout=WAIT) for _ in range(20)))
        assert {one["tools"][0]["name"] for one in listed} == {"greet"}


@asynccontextmanager
async def saying(*events: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that says these events to whoever opens its stream; the heads of what it was sent."""
    heads: list[bytes] = []
    running: set[asyncio.Task[Any]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            try:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + b"".join(events))
                await reader.read()
            finally:
                writer.transport.abort()
                await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/sse", heads
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@pytest.mark.parametrize(
    "said",
    ["http://127.0.0.1:1/there", "//evil.example.org/there", "https://127.0.0.1/", "http://a@127.0.0.1/", "\\\\x"],
)
async def test_nothing_is_posted_to_another_origin(said: str) -> None:
    async with saying(b"event: endpoint\ndata: %b\n\n" % said.encode()) as (url, heads):
        one = upstream(Kind.SSE, url=url, headers={"Authorization": "Bearer secret"})
        async with pooled(targets=[url]) as p:
            with pytest.raises(Unavailable, match=r"another address|where to post"):
                async with p.pool.lease(workspace(one), one, 1):
                    pass
        assert len(heads) == 1


async def test_a_server_that_does_not_say_where_to_post() -> None:
    async with saying(b": nothing\n\n") as (url, _):
        one = upstream(Kind.SSE, url=url)
        async with pooled(targets=[url], start_timeout=0.5) as p:
            with pytest.raises(Unavailable, match="did not answer"):
                async with p.pool.lease(workspace(one), one, 1):
                    pass


async def test_a_stream_that_breaks_ends_what_is_under_way(old: str, tmp_path: Path) -> None:
    """Through a relay that can be cut."""
    port = int(old.split(":")[2].split("/")[0])
    writers: list[asyncio.StreamWriter] = []
    running: set[asyncio.Task[Any]] = set()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", port)
        writers.extend((writer, there[1]))
        for work in (pipe(reader, there[1]), pipe(there[0], writer)):
            running.add(asyncio.create_task(work))

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/sse"
    one, person = upstream(Kind.SSE, url=url), Person(**ANSWERS)
    answered = asyncio.Event()

    async def never(needs: Any) -> Any:
        answered.set()
        await asyncio.sleep(3600)

    person.ask = never  # type: ignore[method-assign]
    async with server, pooled(targets=[url]) as p:
        async with p.pool.lease(workspace(one), one, 1, alone="a", capabilities=person.capabilities) as link:
            going = asyncio.create_task(
                link.request("tools/call", {"name": "greet", "arguments": {}}, person, timeout=WAIT)
            )
            await answered.wait()
            for writer in writers:
                writer.transport.abort()
            with pytest.raises(LinkClosed, match=r"broke off|ended"):
                await going
            await link.wait_closed()
        await asyncio.gather(*running, return_exceptions=True)
