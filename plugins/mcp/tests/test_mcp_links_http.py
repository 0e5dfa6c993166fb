"""Links with MCP servers over Streamable HTTP: both eras, sessions, streams that break, and what servers do wrong."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcplinks import ANSWERS, IDENTITY, Person
from moorage.api import TaskSupervisor
from moorage_mcp.links.base import Link, LinkClosed
from moorage_mcp.links.connect import Connector, Wish
from moorage_mcp.links.http import Http
from moorage_mcp.links.targets import Targets
from moorage_mcp.records import Kind, UpstreamInfo
from moorage_mcp.wire.eras import Era
from moorage_mcp.wire.jsonrpc import RpcError
from realparts.mcpservers.parts import Served, serve_everything, serve_faulty
from waits import WAIT

LIMIT = 1_000_000


@pytest.fixture(scope="module", params=["legacy", "modern"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = serve_everything(tmp_path_factory.mktemp("everything"), "--era", request.param)
    yield server
    server.stop()


@pytest.fixture(scope="module", params=["legacy", "modern"])
def faulty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = serve_faulty(tmp_path_factory.mktemp("faulty"), "--era", request.param)
    yield server
    server.stop()


async def never() -> Any:
    raise AssertionError("no program is started for a server by HTTP")


@asynccontextmanager
async def linked(
    url: str,
    *,
    limit: int = LIMIT,
    headers: Mapping[str, str] | None = None,
    kind: Kind = Kind.HTTP,
    timeout: float = WAIT,
    **wish: Any,
) -> AsyncIterator[Link]:
    tasks, http = TaskSupervisor("mcp"), Http(Targets([url]))
    upstream = UpstreamInfo(
        id=1, pid="ups_1", workspace_id=1, name="it", kind=kind, url=url, headers=headers or {}, era=None
    )
    try:
        async with asyncio.timeout(WAIT * 2):
            connector = Connector(http, tasks.spawn, limit=limit)
            link = await connector.connect(upstream, never, Wish(client_info=IDENTITY, **wish), timeout)
            try:
                yield link
            finally:
                await link.close()
    finally:
        await http.close()
        assert await tasks.stop() == []


async def call(link: Link, name: str, person: Person | None = None, *, timeout: float = WAIT, **arguments: Any) -> str:
    params: dict[str, Any] = {"name": name, "arguments": arguments, "_meta": {"progressToken": "its own"}}
    found = await link.request("tools/call", params, person or Person(), timeout=timeout)
    return str(found["content"][0]["text"])


def able() -> dict[str, Any]:
    return {"alone": True, "capabilities": Person(**ANSWERS).capabilities}


async def test_requests_progress_and_questions(served: Served) -> None:
    async with linked(served.url, headers={"Authorization": "Bearer secret"}, **able()) as link:
        person = Person(**ANSWERS)
        assert await call(link, "slow", person, seconds=0.1, steps=3) == "slow and done"
        assert person.progress() == [0, 1, 2]
        assert {params["progressToken"] for _, params in person.heard} == {"its own"}
        assert "Ann" in await call(link, "test_streaming_elicitation", person)
        assert await call(link, "test_input_required_result_multi_round", person) == "Ann likes red"
        said = await asyncio.gather(*(call(link, "echo", message=str(n)) for n in range(40)))
        assert said == [str(n) for n in range(40)]
        sent = json.loads(await call(link, "client"))
        assert sent["headers"]["authorization"] == "Bearer secret"
        assert sent["name"] == ("tests" if link.server.era is Era.LEGACY else "a person")


async def test_arguments_that_stand_in_headers_too(served: Served) -> None:
    """Known from the list of tools; fetched when it was never asked for."""
    async with linked(served.url) as link:
        assert await call(link, "test_headers", region="eu wést ", query="x") == "eu wést "


async def test_questions_go_to_who_called_though_many_call(served: Served) -> None:
    """Over HTTP the stream says for whom a question is."""
    async with linked(served.url, capabilities=Person(**ANSWERS).capabilities) as link:
        people = [Person(**{**ANSWERS, "sampling__createMessage": _says(n)}) for n in range(8)]
        said = await asyncio.gather(*(call(link, "test_sampling", person, prompt="?") for person in people))
        assert said == [f"LLM response: I am {n}" for n in range(8)]
        assert [len(person.asked) for person in people] == [1] * 8


def _says(n: int) -> dict[str, Any]:
    return {"role": "assistant", "content": {"type": "text", "text": f"I am {n}"}, "model": "m"}


async def test_a_request_that_nobody_waits_for_is_cancelled(served: Served) -> None:
    async with linked(served.url) as link:
        before = json.loads(await call(link, "calls"))["cancelled"]
        person = Person()
        going = asyncio.create_task(call(link, "slow", person, seconds=60, steps=1))
        await person.something.wait()
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        with pytest.raises(TimeoutError):
            await call(link, "slow", seconds=60, steps=1, timeout=0.3)
        while json.loads(await call(link, "calls"))["cancelled"] < before + 2:
            await asyncio.sleep(0.05)


async def test_a_stream_that_the_server_closes_is_taken_up_again(served: Served) -> None:
    async with linked(served.url) as link:
        assert await call(link, "test_reconnection") == "Back again"


async def test_changes_are_heard(served: Served) -> None:
    async with linked(served.url) as link:
        heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        uri = "test://watched-resource"
        wanted = {"toolsListChanged": True, "resourceSubscriptions": [uri]}
        end = await link.listen(wanted, lambda *said: heard.put_nowait(said))
        if link.server.era is Era.LEGACY:  # Nothing says when its stream is open.
            while heard.empty():
                await call(link, "test_trigger_tool_change")
                await asyncio.sleep(0.05)
        else:
            await call(link, "test_trigger_tool_change")
        assert (await heard.get())[0] == "notifications/tools/list_changed"
        await call(link, "touch_resource", uri=uri)
        while (found := await heard.get())[0] != "notifications/resources/updated":
            pass
        assert found[1] == {"uri": uri}
        end()


async def test_a_server_of_both_eras_is_taken_as_the_newer_unless_told(tmp_path: Any) -> None:
    server = serve_everything(tmp_path, "--plain")
    try:
        for era in (None, Era.LEGACY, Era.MODERN):
            async with linked(server.url, era=era) as link:
                assert link.server.era is (era or Era.MODERN)
                assert await call(link, "echo", message="x") == "x"
    finally:
        server.stop()


# -- what servers do wrong -----------------------------------------------------------------------------------------


async def test_faults_end_their_call_alone(faulty: Served) -> None:
    async with linked(faulty.url, limit=200_000) as link:
        for fault in ("garbage", "no_rpc", "wrong_id", "half", "no_result", "list_result", "odd_error"):
            with pytest.raises((LinkClosed, RpcError, TimeoutError)):
                await call(link, fault, timeout=1)
            assert await call(link, "ok") == "ok"
        with pytest.raises(RpcError, match="larger than") as error:
            await call(link, "huge", n=50)
        assert error.value.data["reason"] == "too_large"
        with pytest.raises(TimeoutError):
            await call(link, "hang", timeout=0.2)
        with pytest.raises(RpcError) as own:
            await call(link, "rpc_error")
        assert (own.value.code, own.value.gateway) == (-32050, False)
        for good in ("ok", "garbage_first", "surrogate", "twice"):
            assert await call(link, good) != ""
        person = Person(log_level="debug")
        assert await call(link, "flood", person, n=500) == "flooded"
        assert len(person.heard) == 500
        going = asyncio.create_task(call(link, "hang"))
        await asyncio.sleep(0.1)
        await link.close()
        with pytest.raises(LinkClosed):
            await going


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (301, "sends elsewhere"),
        (307, "sends elsewhere"),
        (401, "credentials"),
        (403, "credentials"),
        (404, "HTTP 404"),
        (429, "HTTP 429"),
        (500, "HTTP 500"),
        (503, "HTTP 503"),
        (200, "no JSON-RPC"),
    ],
)
async def test_a_server_that_is_none(faulty: Served, status: int, why: str) -> None:
    with pytest.raises(LinkClosed, match=why):
        async with linked(faulty.url.replace("/mcp", f"/status/{status}")):
            pass


async def test_nobody_is_there() -> None:
    with pytest.raises(LinkClosed, match="cannot be reached"):
        async with linked("http://127.0.0.1:1/mcp"):
            pass


# -- a server by hand, for what real ones do seldom ------------------------------------------------------------------


class Scripted:
    """An HTTP server whose answers a test writes. requests: (method, headers, body's JSON)."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.sessions = 0
        self.lost: set[str] = set()
        self.extra: dict[str, Callable[[Any], Awaitable[bytes]]] = {}
        self.stream: asyncio.Queue[bytes] = asyncio.Queue()
        self.streams = 0
        self.later: Callable[[bytes], None] = lambda data: None
        self._writers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Scripted:
        self.server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/mcp"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for task in self._writers:
            task.cancel()
        await asyncio.gather(*self._writers, return_exceptions=True)

    def methods(self) -> list[str]:
        return [body.get("method", "answer") if body else method for method, _, body in self.requests]

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._writers.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            try:
                while True:
                    await self._one(reader, writer)
            finally:
                writer.transport.abort()
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        found = json.loads(body) if body else None
        self.requests.append((first.split()[0], fields, found))
        if first.startswith("GET") and fields.get("mcp-session-id") in self.lost:
            writer.write(page(b"", 404))
        elif first.startswith("GET"):
            await self._get(writer)
        else:
            self.later = writer.write
            writer.write(await self._answer(fields, found))

    async def _get(self, writer: asyncio.StreamWriter) -> None:
        self.streams += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        while data := await self.stream.get():
            writer.write(data)
        raise ConnectionError

    async def _answer(self, fields: Mapping[str, str], found: Any) -> bytes:
        if found is None:
            return page(b"", 200)
        method, id = found.get("method"), found.get("id")
        if method in self.extra:
            return await self.extra[method](found)
        if method == "server/discover":
            return page(b"", 400)
        if method == "initialize":
            self.sessions += 1
            result = {"protocolVersion": "2025-06-18", "capabilities": {"resources": {}}, "serverInfo": {"name": "s"}}
            return reply(id, result, **{"Mcp-Session-Id": f"s{self.sessions}"})
        if fields.get("mcp-session-id") in self.lost:
            return page(json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "No"}}), 404)
        if id is None or method is None:
            return page(b"", 202)
        return reply(id, {"said": fields.get("mcp-session-id"), "version": fields.get("mcp-protocol-version")})


def page(body: bytes | str, status: int = 200, kind: str = "application/json", **headers: str) -> bytes:
    data = body.encode() if isinstance(body, str) else body
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n{more}\r\n"
    return head.encode() + data


def reply(id: Any, result: Any, **headers: str) -> bytes:
    return page(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}), **headers)


async def test_a_lost_session_is_begun_anew_once_for_all() -> None:
    async with Scripted() as server, linked(server.url) as link:
        end = await link.listen({"resourceSubscriptions": ["a:b"]}, lambda *_: None)
        ask = lambda: link.request("tools/list", {}, Person(), timeout=WAIT)  # noqa: E731
        assert await ask() == {"said": "s1", "version": "2025-06-18"}
        server.lost.add("s1")
        assert await asyncio.gather(*(ask() for _ in range(20))) == [{"said": "s2", "version": "2025-06-18"}] * 20
        assert server.methods().count("initialize") == 2
        assert server.methods().count("resources/subscribe") == 2, "what was subscribed to is not forgotten"
        server.lost |= {"s2", "s3", "s4"}
        with pytest.raises(LinkClosed, match="forgets its sessions"):
            await ask()
        assert server.methods().count("initialize") == 3
        end()
    assert server.requests[-1][0] == "DELETE"
    assert server.requests[-1][1]["mcp-session-id"] == "s3"


async def test_a_session_that_is_lost_while_somebody_listens() -> None:
    heard = asyncio.Queue[str]()
    async with Scripted() as server, linked(server.url) as link:
        await link.listen({"toolsListChanged": True}, lambda method, _: heard.put_nowait(method))
        while server.streams < 1:
            await asyncio.sleep(0.01)
        server.lost.add("s1")
        server.stream.put_nowait(b"retry: 10\n\n")
        server.stream.put_nowait(b"")
        while server.streams < 2:
            await asyncio.sleep(0.01)
        assert server.requests[-1][1]["mcp-session-id"] == "s2"
        changed = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
        server.stream.put_nowait(b"data: %b\n\n" % json.dumps(changed).encode())
        assert await heard.get() == "notifications/tools/list_changed"


async def test_the_stream_for_what_belongs_to_no_request() -> None:
    heard = asyncio.Queue[str]()
    async with Scripted() as server, linked(server.url, **able()) as link:
        asked = {"jsonrpc": "2.0", "id": "q", "method": "roots/list"}
        server.stream.put_nowait(b"id: 7\nretry: 10\ndata: %b\n\n" % json.dumps(asked).encode())
        while not any(body and body.get("id") == "q" for _, _, body in server.requests):
            await asyncio.sleep(0.01)
        assert server.requests[-1][2]["error"]["data"]["reason"] == "no_client", "nobody has a request under way"
        await link.listen({"toolsListChanged": True}, lambda method, _: heard.put_nowait(method))
        server.stream.put_nowait(b"")  # It breaks, and is opened again where it was.
        changed = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
        while server.streams < 2:
            await asyncio.sleep(0.01)
        assert server.requests[-1][1]["last-event-id"] == "7"
        server.stream.put_nowait(b"data: %b\n\n" % json.dumps(changed).encode())
        assert await heard.get() == "notifications/tools/list_changed"


async def test_a_bomb_is_not_opened() -> None:
    async def bomb(found: Any) -> bytes:
        return page(gzip.compress(b"0" * 100_000_000), **{"Content-Encoding": "gzip"})

    async with Scripted() as server, linked(server.url) as link:
        server.extra["tools/list"] = bomb
        with pytest.raises(LinkClosed, match="compresses"):
            await link.request("tools/list", {}, Person(), timeout=WAIT)
        assert server.requests[-1][1]["accept-encoding"] == "identity"


async def test_cookies_are_not_kept_and_nothing_is_sent_elsewhere() -> None:
    async with Scripted() as other, Scripted() as server, linked(server.url) as link:

        async def cookie(found: Any) -> bytes:
            return reply(found["id"], {}, **{"Set-Cookie": "a=b"})

        async def elsewhere(found: Any) -> bytes:
            return page(b"", 307, Location=other.url)

        server.extra["tools/list"] = cookie
        await link.request("tools/list", {}, Person(), timeout=WAIT)
        server.extra["tools/list"] = elsewhere
        with pytest.raises(LinkClosed, match="sends elsewhere"):
            await link.request("tools/list", {}, Person(), timeout=WAIT)
        assert "cookie" not in server.requests[-1][1]
        assert other.requests == []


async def test_requests_pass_as_they_are(tmp_path: Any) -> None:
    """The lane for requests that are not looked into: bytes there, bytes back, and no credentials of clients."""
    server = serve_everything(tmp_path, "--plain")
    http = Http(Targets([server.url]))
    try:
        lane = http.server(server.url, {"X-Key": "ours"}, LIMIT, WAIT)
        meta = (
            '{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}'
        )
        body = '{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"%s","arguments":%s,"_meta":%s}}'
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/call",
            "mcp-name": "client",
            "authorization": "Bearer the client's",
            "cookie": "a=b",
            "x-key": "theirs",
        }
        answer = await lane.send("POST", headers, (body % ("client", "{}", meta)).encode())
        found = json.loads(b"".join([chunk async for chunk in answer.chunks()]))
        assert (answer.status, answer.streamed, found["id"]) == (200, False, "a")
        seen = found["result"]["structuredContent"]["headers"]
        assert seen["x-key"] == "ours"
        assert {"authorization", "cookie"} & seen.keys() == set()
        headers["mcp-name"] = "slow"
        asked = meta[:-1] + ',"progressToken":1}'
        answer = await lane.send("POST", headers, (body % ("slow", '{"seconds":5,"steps":20}', asked)).encode())
        assert answer.streamed
        async for chunk in answer.chunks():
            assert b"notifications/progress" in chunk
            break
        answer.close()
    finally:
        await http.close()
        server.stop()


async def test_a_stream_may_be_silent_while_the_client_is_asked() -> None:
    async with Scripted() as server:
        http = Http(Targets([server.url]))
        lane = http.server(server.url, {}, LIMIT, 0.2)
        lane.patience = WAIT
        silent = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: 5\r\n\r\n"

        async def stream(found: Any) -> bytes:
            asyncio.get_running_loop().call_later(0.5, server.later, b"data:")
            return silent % b"text/event-stream; charset=utf-8"

        async def single(found: Any) -> bytes:
            return silent % b"application/json"

        server.extra |= {"stream": stream, "single": single}
        answer = await lane.send("POST", {}, b'{"method":"stream"}')
        assert await answer.whole() == b"data:"
        answer = await lane.send("POST", {}, b'{"method":"single"}')
        with pytest.raises(LinkClosed, match="silent"):
            await answer.whole()
        await http.close()


async def test_a_stream_has_no_bound_and_its_events_have() -> None:
    async with Scripted() as server:
        http = Http(Targets([server.url]))
        lane = http.server(server.url, {}, 2000, WAIT)
        event = b"data: " + b"x" * 600

        async def many(found: Any) -> bytes:
            return page(
                b"".join(event + end for end in (b"\n\n", b"\r\n\r\n", b"\r\r") * 500), kind="text/event-stream"
            )

        async def one(found: Any) -> bytes:
            return page((event + b"\n") * 500, kind="text/event-stream")

        server.extra |= {"many": many, "one": one}
        assert len(await (await lane.send("POST", {}, b'{"method":"many"}')).whole()) > 1500 * len(event)
        with pytest.raises(RpcError) as error:
            await (await lane.send("POST", {}, b'{"method":"one"}')).whole()
        assert error.value.data["reason"] == "too_large"
        await http.close()
