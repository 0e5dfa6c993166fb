"""The endpoint as a way through: what reaches a server, what ends with a right, and the SDK's client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import httpx2
import mcp_types as types
import pytest
from mcp.client.client import Client as Sdk
from mcp.client.streamable_http import streamable_http_client
from mcpendpoint import ACCEPT, HELLO, Raw, following, modern_params, said, workspace
from moorage.testing.client import Client
from moorage.testing.server import Server
from moorage_mcp.endpoint import reply
from realparts.mcpservers import parts
from waits import WAIT

SECRETS = {"authorization", "cookie", "x-forwarded-for", "forwarded", "x-real-ip", "x-csrf-token"}


@pytest.fixture(scope="module")
def upstreams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("upstreams")
    served = {era: parts.serve_everything(folder, "--era", era) for era in ("legacy", "modern")}
    yield {era: one.url for era, one in served.items()}
    for one in served.values():
        one.stop()


@pytest.fixture
async def server(moorage_server: Any, upstreams: dict[str, str]) -> AsyncIterator[Server]:
    own = {"enabled": True, "provided": False, "targets": list(upstreams.values())}
    async with moorage_server("mcp", config={"plugins": {"mcp": own}}) as server:
        yield server


@pytest.fixture
async def ann(server: Server) -> Client:
    return await server.as_user("operator")


async def passing(server: Server, ann: Client, upstreams: dict[str, str], era: str) -> Raw:
    """A workspace whose only server is known to be of this era, so that what its clients say goes through."""
    number = await workspace(ann, "lab", upstreams[era])
    assert (await ann.get(f"/api/v1/mcp/tools?workspace_id={number}")).status_code == 200
    return Raw(server, ann, "lab")


async def calls(ann: Client, number: int = 1) -> list[tuple[str, str]]:
    found = (await ann.get(f"/api/v1/workspaces/{number}/calls")).json()["data"]["calls"]
    return [(call["tool"], call["outcome"]) for call in reversed(found)]


# -- what goes through as it is ----------------------------------------------------------------------------------


async def test_a_modern_call_passes_byte_by_byte(server: Server, ann: Client, upstreams: Any) -> None:
    raw = await passing(server, ann, upstreams, "modern")
    for tool in ("echo", "test_error_handling", "test_tool_with_progress", "no_such"):
        arguments = {"message": "Grüße \u2028"} if tool == "echo" else {}
        params = modern_params({"name": tool, "arguments": arguments}, progressToken=1)
        body = json.dumps({"jsonrpc": "2.0", "id": "one", "method": "tools/call", "params": params}, indent=3).encode()
        shown = {"Mcp-Method": "tools/call", "Mcp-Name": tool, "MCP-Protocol-Version": "2026-07-28"}
        headers = {"Content-Type": "application/json", "Accept": ACCEPT, **shown}
        async with httpx.AsyncClient(timeout=WAIT) as direct:
            wanted = await direct.post(upstreams["modern"], content=body, headers=headers)
        got = await ann.post(raw.path, content=body, headers=headers)
        assert (got.status_code, got.content) == (wanted.status_code, wanted.content)
        assert got.headers["content-type"] == wanted.headers["content-type"]
    assert await calls(ann) == [
        ("echo", "ok"),
        ("test_error_handling", "tool_error"),
        ("test_tool_with_progress", "ok"),
        ("no_such", "error"),
    ]


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_nothing_of_the_client_but_mcp_reaches_the_server(
    server: Server, ann: Client, upstreams: Any, era: str
) -> None:
    raw = await passing(server, ann, upstreams, era)
    await raw.hello() if era == "legacy" else None
    params = modern_params({"name": "client", "arguments": {}}) if era == "modern" else {"name": "client"}
    more = {"Cookie": "a=b", "X-Forwarded-For": "1.2.3.4", "X-Real-IP": "1.2.3.4", "X-CSRF-Token": "x", "Foo": "bar"}
    more["Content-Type"] = "application/json; charset=utf-7"
    shown = raw.modern("tools/call", params) if era == "modern" else {"Mcp-Name": "echo", "Mcp-Param-X": "1"}
    answer = await raw.post(raw.message("tools/call", params), **shown, **more)
    seen = said(answer)["result"]["structuredContent"]["headers"]
    assert not SECRETS & {name.lower() for name in seen}
    assert "foo" not in seen
    assert seen["content-type"] == "application/json", "another charset may be another message"
    assert era == "modern" or not {"mcp-name", "mcp-param-x"} & set(seen), "nobody has looked at them"
    assert raw.session.get("Mcp-Session-Id", "none") not in seen.values()
    assert seen["host"] == upstreams[era].split("/")[2]


async def test_a_call_without_room_for_its_stream_is_written_down(moorage_server: Any, upstreams: Any) -> None:
    own = {"enabled": True, "provided": False, "targets": list(upstreams.values())}
    config = {"plugins": {"mcp": own}, "server": {"max_sockets_per_user": 1}}
    async with moorage_server("mcp", config=config) as server:
        ann = await server.as_user("operator")
        raw = await passing(server, ann, upstreams, "modern")
        listen = modern_params({"notifications": {"toolsListChanged": True}})
        shown = raw.modern("subscriptions/listen", listen)
        async with raw.stream(raw.message("subscriptions/listen", listen), **shown) as stream:
            await anext(following(stream))
            params = modern_params({"name": "test_tool_with_progress", "arguments": {}}, progressToken=1)
            assert (await raw.request("tools/call", params)).status_code == 429
            assert await calls(ann) == [("test_tool_with_progress", "error")]


async def test_a_session_passes_with_another_name(server: Server, ann: Client, upstreams: Any) -> None:
    raw = await passing(server, ann, upstreams, "legacy")
    await raw.hello(capabilities={"sampling": {}})
    (session,) = server.plugin("mcp").endpoint.sessions.all()  # type: ignore[attr-defined]
    assert session.via is not None
    assert raw.session["Mcp-Session-Id"] == session.id != session.via[1]
    # A stream that is cut off is taken up at the server itself.
    params = {"name": "slow", "arguments": {"seconds": 1.0, "steps": 2}, "_meta": {"progressToken": "p"}}
    async with raw.stream(raw.message("tools/call", params)) as answer:
        reading = following(answer)
        last, message = await anext(reading)
        while message is None:
            last, message = await anext(reading)
    async with raw.stream(Last_Event_ID=last) as answer, asyncio.timeout(WAIT):
        async for _, message in following(answer):
            if message is not None and "result" in message:
                assert message["result"]["content"][0]["text"] == "slow and done"
                break
    # What the server asks is answered to it.
    async with raw.stream(raw.message("tools/call", {"name": "test_sampling", "arguments": {"prompt": "x"}})) as answer:
        async for _, message in following(answer):
            if message is not None and message.get("method") == "sampling/createMessage":
                result = {"role": "assistant", "content": {"type": "text", "text": "it"}, "model": "m"}
                told = await raw.post({"jsonrpc": "2.0", "id": message["id"], "result": result})
                assert told.status_code == 202
            elif message is not None and "result" in message:
                assert "it" in message["result"]["content"][0]["text"]
                break
    # Another server in the workspace: what was begun with one alone cannot go on.
    added = {"name": "more", "kind": "http", "url": upstreams["modern"]}
    assert (await ann.post("/api/v1/workspaces/1/upstreams", json=added)).status_code == 201
    assert (await raw.post(raw.message("ping"))).status_code == 404
    assert (await raw.hello()).status_code == 200
    assert (await raw.call("more__echo", message="hi"))["content"][0]["text"] == "hi"


async def test_a_servers_end_is_no_secret(server: Server, ann: Client, tmp_path: Any, upstreams: Any) -> None:
    own = parts.serve_everything(tmp_path, "--era", "modern", "--json")
    try:
        config = {"plugins": {"mcp": {"enabled": True, "provided": False, "targets": [own.url]}}}
        await server.reload(config)
        raw = await passing(server, ann, {"modern": own.url}, "modern")
        assert (await raw.request("tools/call", {"name": "calls", "arguments": {}})).status_code == 200
    finally:
        own.stop()
    answer = await raw.request("tools/call", {"name": "calls", "arguments": {}})
    assert answer.json()["error"]["data"] == {"gateway": True, "reason": "unavailable"}
    assert await calls(ann) == [("calls", "ok"), ("calls", "error")]


async def test_a_long_call_becomes_a_stream(
    server: Server, ann: Client, upstreams: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply, "SOON", 0.1)
    monkeypatch.setattr(reply, "KEEP_ALIVE", 0.1)
    await workspace(ann, "both", upstreams["legacy"], upstreams["modern"])
    raw = Raw(server, ann, "both")
    params = modern_params({"name": "slow", "arguments": {"seconds": 3.5, "steps": 1}})
    answer = await raw.request("tools/call", params)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.count(": keep-alive") >= 2
    assert said(answer)["result"]["content"][0]["text"] == "slow and done"


# -- rights ------------------------------------------------------------------------------------------------------


async def streams(raw: Raw, stack: contextlib.AsyncExitStack) -> list[AsyncIterator[Any]]:
    """Open a stream of each kind, and begin to read it."""
    await raw.hello()
    listen = modern_params({"notifications": {"toolsListChanged": True}})
    slow = {"name": "slow", "arguments": {"seconds": 100, "steps": 50}, "_meta": {"progressToken": "p"}}
    modern = modern_params({**slow, "_meta": {}}, progressToken="p")
    opened = [
        raw.stream(),
        raw.stream(raw.message("tools/call", slow)),
        raw.stream(raw.message("subscriptions/listen", listen), **raw.modern("subscriptions/listen", listen)),
        raw.stream(raw.message("tools/call", modern), **raw.modern("tools/call", modern)),
    ]
    reading = [following(await stack.enter_async_context(one)) for one in opened]
    for one in reading:
        await anext(one)
    return reading


async def ended(reading: list[AsyncIterator[Any]]) -> None:
    async with asyncio.timeout(WAIT):
        for one in reading:
            with contextlib.suppress(httpx.RemoteProtocolError):
                async for _ in one:
                    pass


@pytest.mark.parametrize("how", ["key", "user", "workspace"])
async def test_streams_end_with_their_right(server: Server, ann: Client, upstreams: Any, how: str) -> None:
    number = await workspace(ann, "both", upstreams["legacy"], upstreams["modern"])
    owner = await server.as_user("owner")
    made = (await ann.post("/api/v1/api-keys", json={"name": "short"})).json()["data"]
    async with Client(server.url, key=made["api_key"]) as short, contextlib.AsyncExitStack() as stack:
        raw = Raw(server, short, "both")
        reading = await streams(raw, stack)
        if how == "key":
            done = await ann.delete(f"/api/v1/api-keys/{made['id']}")
        elif how == "user":
            done = await owner.delete(f"/api/v1/users/{ann.user.id}")
        else:
            done = await ann.delete(f"/api/v1/workspaces/{number}")
        assert done.status_code == 204, done.text
        await ended(reading)
        refused = {"key": 401, "user": 401, "workspace": 404}
        assert (await raw.post(raw.message("ping"))).status_code == refused[how]
    assert await server.app.registry.wait_closed(WAIT) == 0
    if how != "key":
        assert not server.plugin("mcp").endpoint.sessions  # type: ignore[attr-defined]


# -- the SDK's client --------------------------------------------------------------------------------------------


async def sample(context: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
    said = types.TextContent(type="text", text="sampled")
    return types.CreateMessageResult(role="assistant", content=said, model="m")


async def fill_in(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"username": "ann", "email": "ann@example.org"})


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("behind", [("legacy",), ("modern",), ("legacy", "modern")])
async def test_the_sdks_client_works(
    server: Server, ann: Client, upstreams: dict[str, str], mode: Any, behind: tuple[str, ...]
) -> None:
    await workspace(ann, "lab", *(upstreams[era] for era in behind))
    headers = {"Authorization": ann.headers["authorization"]}
    heard: list[float] = []

    async def progress(now: float, total: float | None, message: str | None) -> None:
        heard.append(now)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):  # The second time the gateway knows the server, and may let through what it says.
            heard.clear()
            async with (
                httpx2.AsyncClient(headers=headers, timeout=WAIT) as http,
                Sdk(
                    streamable_http_client(f"{server.url}/ws/lab/mcp", http_client=http),
                    mode=mode,
                    sampling_callback=sample,
                    elicitation_callback=fill_in,
                ) as client,
            ):
                assert len((await client.list_tools()).tools) == 37 * len(behind)
                said = await client.call_tool("echo", {"message": "hi"})
                assert said.content[0].text == "hi"  # type: ignore[union-attr]
                sampled = await client.call_tool("test_sampling", {"prompt": "x"})
                assert "sampled" in sampled.content[0].text  # type: ignore[union-attr]
                asked = await client.call_tool("test_elicitation", {"message": "Who?"})
                assert "ann" in asked.content[0].text  # type: ignore[union-attr]
                await client.call_tool("test_tool_with_progress", {}, progress_callback=progress)
                assert heard == [0, 50, 100]
                read = await client.read_resource("test://static-text")
                assert read.contents
                prompt = await client.get_prompt("test_simple_prompt")
                assert prompt.messages


async def test_both_eras_are_served_at_once(server: Server, ann: Client, upstreams: Any) -> None:
    await workspace(ann, "both", upstreams["legacy"], upstreams["modern"])
    raw = Raw(server, ann, "both")
    assert said(await raw.hello())["result"]["protocolVersion"] == HELLO["protocolVersion"]

    async def one(n: int) -> str:
        if n % 2:
            found = await raw.call("echo", message=str(n))
        else:
            params = {"name": "up1__echo", "arguments": {"message": str(n)}}
            found = said(await raw.request("tools/call", params))["result"]
        text: str = found["content"][0]["text"]
        return text

    assert await asyncio.gather(*map(one, range(40))) == [str(n) for n in range(40)]
