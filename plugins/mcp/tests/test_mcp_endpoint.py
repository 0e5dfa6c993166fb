"""The endpoint over HTTP, message by message: what it refuses, sessions of the older era, requests of the newer."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from mcpendpoint import HELLO, META, PREFIX, Raw, following, modern_params, said, workspace
from moorage.testing.client import Client
from moorage.testing.server import Server
from moorage_mcp.endpoint import legacy
from realparts.mcpservers import parts
from waits import WAIT

FORM = {"method": "elicitation/create", "capability": {"elicitation": {"form": {}}}}


@pytest.fixture(scope="module")
def upstreams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("upstreams")
    served = {era: parts.serve_everything(folder, "--era", era) for era in ("legacy", "modern")}
    yield {era: one.url for era, one in served.items()}
    for one in served.values():
        one.stop()


@pytest.fixture
def settings() -> dict[str, Any]:
    """Of the plugin, beside what all tests have."""
    return {}


@pytest.fixture
async def server(moorage_server: Any, upstreams: dict[str, str], settings: dict[str, Any]) -> AsyncIterator[Server]:
    own = {"provided": False, "targets": list(upstreams.values()), **settings}
    async with moorage_server("mcp", config={"plugins": {"mcp": {"enabled": True, **own}}}) as server:
        yield server


@pytest.fixture
async def ann(server: Server) -> Client:
    return await server.as_user("operator")


@pytest.fixture(params=["legacy", "modern"])
async def raw(request: pytest.FixtureRequest, server: Server, ann: Client, upstreams: dict[str, str]) -> Raw:
    """A workspace with one server of either era, known to the gateway or not."""
    await workspace(ann, "lab", upstreams[request.param])
    return Raw(server, ann, "lab")


async def two(server: Server, ann: Client, upstreams: dict[str, str]) -> Raw:
    """A workspace with both: nothing of it goes through as it is."""
    await workspace(ann, "both", upstreams["legacy"], upstreams["modern"])
    return Raw(server, ann, "both")


async def until(reading: AsyncIterator[tuple[str | None, Any]], method: str) -> dict[str, Any]:
    """The next message of that method."""
    async with asyncio.timeout(WAIT):
        async for _, message in reading:
            if message is not None and message.get("method") == method:
                found: dict[str, Any] = message
                return found
    raise AssertionError(f"the stream ended without {method}")


# -- what is refused ---------------------------------------------------------------------------------------------


async def test_what_a_server_could_read_as_another_request_is_refused(server: Server, ann: Client) -> None:
    await workspace(ann, "lab")
    raw = Raw(server, ann, "lab")
    await raw.hello()
    ping, call = raw.message("ping"), b'"id":1,"method":"tools/call","params":{"name":"a","name":"b"}'
    for message, why in (
        (b'{"jsonrpc":"2.0",%b}' % call, "'name' is there twice"),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}', "'method' is there twice"),
        ({**ping, "Method": "tools/call"}, "'Method' is written 'method'"),
        ({**ping, "param\u017f": {}}, "'param\u017f' is written 'params'"),
        ({**ping, "params": {"Name": "b"}}, "'Name' is written 'name'"),
        ({"jsonrpc": "2.0", "id": 1, "result": {}, "METHOD": "tools/call"}, "'METHOD' is written 'method'"),
    ):
        answer = await raw.post(message)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32600), message
        assert why in answer.json()["error"]["message"]
    assert (await raw.post({**ping, "params": {"other": {"Name": 1, "name": 2}}})).status_code == 200


async def test_what_is_no_request_is_refused(server: Server, ann: Client) -> None:
    number = await workspace(ann, "lab")
    raw = Raw(server, ann, "lab")
    ping = raw.message("ping")
    cases: list[tuple[int, int | None, Any, dict[str, str | None]]] = [
        (415, -32600, ping, {"Content-Type": "text/plain"}),
        (415, -32600, ping, {"Content-Type": ""}),
        (406, -32600, ping, {"Accept": "application/json"}),
        (406, -32600, ping, {"Accept": "text/event-stream"}),
        (400, -32700, b"{", {}),
        (400, -32700, b"[" * 100_000, {}),
        (400, -32600, [ping], {}),
        (400, -32600, {"id": 1, "method": "ping"}, {}),
        (400, -32600, {"jsonrpc": "2.0", "id": True, "method": "ping"}, {}),
        (400, -32602, {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}, {}),
        (400, -32600, ping, {}),  # There is no session.
        (404, -32600, ping, {"Mcp-Session-Id": "made-up"}),
        (400, -32022, ping, {"MCP-Protocol-Version": "2019-01-01"}),
        (400, -32600, ping, {"MCP-Protocol-Version": "2019-01-01", "Mcp-Session-Id": "made-up"}),
        (400, -32602, raw.message("initialize"), {}),
    ]
    for status, code, message, headers in cases:
        answer = await raw.post(message, **headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), (message, headers)
        assert answer.headers["cache-control"] == "no-store"
    unknown = (await raw.post(ping, MCP_Protocol_Version="2019-01-01")).json()["error"]["data"]
    assert unknown == {"supported": ["2026-07-28"], "requested": "2019-01-01"}
    too_large = await raw.post(b" " * (4 * 1024 * 1024 + 1))
    assert too_large.status_code == 413
    for origin, status in (("https://evil.test", 403), ("null", 403), (server.url, 400), ("http://localhost:1", 400)):
        assert (await raw.post(ping, Origin=origin)).status_code == status, origin
    assert (await raw.post(ping, Origin="http://evil.test", Host="evil.test")).status_code == 403
    for method in ("GET", "DELETE", "HEAD", "PUT", "PATCH"):
        answer = await ann.request(method, raw.path, headers={"MCP-Protocol-Version": "2026-07-28"})
        assert answer.status_code == 405, method
    assert (await ann.get(raw.path)).status_code == 400
    assert (await ann.options(raw.path)).headers["allow"] == "DELETE, GET, HEAD, OPTIONS, POST"
    ben = await server.as_user("operator")
    assert (await ben.post(raw.path, json=ping)).status_code == 404
    pid = (await ann.get(f"/api/v1/workspaces/{number}")).json()["data"]["pid"]
    assert (await ben.post(f"/ws/{pid}/mcp", json=ping)).status_code == 403
    admin = await server.as_user("admin")
    assert (await admin.post(f"/ws/{pid}/mcp", json=ping)).status_code == 400, "an admin may"
    refused = await server.anonymous.post(raw.path, json=ping)
    assert refused.status_code == 401
    assert "resource_metadata=" in refused.headers["www-authenticate"]
    assert (await ann.post("/ws/missing/mcp", json=ping)).status_code == 404


async def test_modern_headers_and_body_must_agree(server: Server, ann: Client, upstreams: dict[str, str]) -> None:
    raw = await two(server, ann, upstreams)
    call = {"name": "echo", "arguments": {"message": "hi"}}
    wrapped = f"=?base64?{base64.b64encode(b'echo').decode()}?="
    cases: list[tuple[int, int | None, str, Any, dict[str, str | None]]] = [
        (200, None, "tools/call", call, {}),
        (200, None, "tools/call", call, {"Mcp-Name": wrapped}),
        (400, -32020, "tools/call", call, {"Mcp-Name": "add"}),
        (400, -32020, "tools/call", call, {"Mcp-Name": None}),
        (400, -32020, "tools/call", call, {"Mcp-Name": "=?base64?!?="}),
        (400, -32020, "tools/call", call, {"Mcp-Method": "tools/list"}),
        (400, -32020, "tools/call", call, {"Mcp-Method": None}),
        (400, -32020, "tools/call", call, {"MCP-Protocol-Version": None}),
        (400, -32602, "tools/list", {"_meta": {}}, {}),
        (400, -32602, "tools/list", {"_meta": {PREFIX + "protocolVersion": "2026-07-28"}}, {}),
        (400, -32602, "tools/list", {"_meta": {**META, PREFIX + "clientCapabilities": 1}}, {}),
        (404, -32601, "no/such", {}, {}),
        (404, -32601, "ping", {}, {}),
        (404, -32601, "initialize", HELLO, {}),
        (400, -32602, "tools/call", {"name": "no_such", "arguments": {}}, {}),
        (400, -32602, "subscriptions/listen", {"notifications": []}, {}),
    ]
    for status, code, method, params, headers in cases:
        answer = await raw.request(method, params, **headers)
        error = said(answer).get("error", {})
        assert (answer.status_code, error.get("code")) == (status, code), (method, params, headers, error)
    future = {**META, PREFIX + "protocolVersion": "2030-01-01"}
    answer = await raw.request("tools/list", {"_meta": future}, MCP_Protocol_Version="2030-01-01")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32022)
    assert answer.json()["error"]["data"]["supported"] == ["2026-07-28"]
    marked = {"name": "test_headers", "arguments": {"region": "north", "query": "x"}}
    assert (await raw.request("tools/call", marked, Mcp_Param_Region="north")).status_code == 200
    for wrong in ("south", None):
        answer = await raw.request("tools/call", marked, Mcp_Param_Region=wrong)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)
    told = await raw.post(
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {}}, MCP_Protocol_Version="2026-07-28"
    )
    assert told.status_code == 202
    answered = await raw.post({"jsonrpc": "2.0", "id": 1, "result": {}}, MCP_Protocol_Version="2026-07-28")
    assert answered.status_code == 400


# -- the older era -----------------------------------------------------------------------------------------------


async def test_a_session_begins_serves_and_ends(raw: Raw) -> None:
    answer = await raw.hello()
    result = said(answer)["result"]
    assert result["protocolVersion"] == "2025-11-25"
    assert "tools" in result["capabilities"]
    assert len(raw.session["Mcp-Session-Id"]) >= 32
    assert (await raw.ask("ping"))["result"] == {}
    assert (await raw.call("echo", message="hi"))["content"][0]["text"] == "hi"
    assert (await raw.call("test_error_handling"))["isError"] is True
    unknown = await raw.ask("no/such")
    assert unknown["error"]["code"] == -32601
    assert (await raw.tell("notifications/progress", {"progressToken": 1, "progress": 1})).status_code == 202
    assert (await raw.client.delete(raw.path, headers=raw.session)).status_code in (200, 204)
    assert (await raw.post(raw.message("ping"))).status_code == 404


async def test_versions_are_negotiated(server: Server, ann: Client) -> None:
    await workspace(ann, "lab")
    for wanted, agreed in (("2025-06-18", "2025-06-18"), ("2024-11-05", "2024-11-05"), ("1.0", "2025-11-25")):
        raw = Raw(server, ann, "lab")
        assert said(await raw.hello(protocolVersion=wanted))["result"]["protocolVersion"] == agreed
        raw.session.pop("MCP-Protocol-Version")
        assert (await raw.ask("ping"))["result"] == {}


async def test_nobody_else_finds_a_session(server: Server, ann: Client) -> None:
    await workspace(ann, "lab")
    await workspace(ann, "other")
    raw, other = Raw(server, ann, "lab"), Raw(server, ann, "other")
    await raw.hello()
    other.session = raw.session
    assert (await other.post(raw.message("ping"))).status_code == 404, "it is of another workspace"
    made = (await ann.post("/api/v1/api-keys", json={"name": "second"})).json()["data"]
    headers = raw.headers({}) | {"Authorization": f"Bearer {made['api_key']}"}
    second = await server.anonymous.post(raw.path, json=raw.message("ping"), headers=headers)
    assert second.status_code == 404, "another key may have other rules"
    admin = Raw(server, await server.as_user("admin"), "lab")
    pid = (await ann.get("/api/v1/workspaces")).json()["data"]["workspaces"][0]["pid"]
    admin.path, admin.session = f"/ws/{pid}/mcp", raw.session
    assert (await admin.post(raw.message("ping"))).status_code == 404
    assert (await raw.ask("ping"))["result"] == {}


async def test_progress_makes_a_stream_that_can_be_taken_up(server: Server, ann: Client, upstreams: Any) -> None:
    raw = await two(server, ann, upstreams)
    await raw.hello()
    params = {"name": "slow", "arguments": {"seconds": 1.5, "steps": 3}, "_meta": {"progressToken": "p"}}
    message = raw.message("tools/call", params)
    async with raw.stream(message) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        reading = following(answer)
        first, nothing = await anext(reading)
        assert nothing is None, "a stream begins with an id and no data"
        last, progress = await anext(reading)
        assert progress["params"]["progressToken"] == "p"
    # The client was cut off. The call goes on, and what it missed is there.
    async with raw.stream(Last_Event_ID=last) as answer, asyncio.timeout(WAIT):
        found = [message async for _, message in following(answer) if message is not None]
    assert [one["params"]["progress"] for one in found[:-1]] == [1, 2]
    assert found[-1]["id"] == message["id"]
    assert found[-1]["result"]["content"][0]["text"] == "slow and done"
    again = await raw.client.get(raw.path, headers=raw.headers({"Accept": "text/event-stream", "Last-Event-ID": first}))
    assert again.text.count("data: {") == 4, "all of it again"
    for made_up in ("p99.1", "p1.x", "p1.99", "nonsense"):
        answer = await raw.client.get(raw.path, headers=raw.headers({"Last-Event-ID": made_up}))
        assert answer.status_code == 400, made_up


async def test_a_cancelled_call_ends_without_an_answer(server: Server, ann: Client, upstreams: Any) -> None:
    raw = await two(server, ann, upstreams)
    await raw.hello()
    params = {"name": "slow", "arguments": {"seconds": 100, "steps": 100}, "_meta": {"progressToken": 1}}
    message = raw.message("tools/call", params)
    before = (await raw.call("calls"))["structuredContent"]["cancelled"]
    async with raw.stream(message) as answer, asyncio.timeout(WAIT):
        reading = following(answer)
        await until(reading, "notifications/progress")
        assert (await raw.post(message)).status_code == 400, "an id that is in use"
        assert (await raw.tell("notifications/cancelled", {"requestId": message["id"]})).status_code == 202
        assert all("result" not in (one or {}) for _, one in [event async for event in reading])
        while (await raw.call("calls"))["structuredContent"]["cancelled"] == before:
            await asyncio.sleep(0.05)


async def test_a_servers_question_reaches_its_client(server: Server, ann: Client, upstreams: Any) -> None:
    raw = await two(server, ann, upstreams)
    await raw.hello(capabilities={"sampling": {}, "elicitation": {}})
    for tool in ("test_sampling", "up1__test_sampling"):
        arguments = {"prompt": "Say it"}
        async with raw.stream(raw.message("tools/call", {"name": tool, "arguments": arguments})) as answer:
            reading = following(answer)
            asked = await until(reading, "sampling/createMessage")
            result = {"role": "assistant", "content": {"type": "text", "text": "it"}, "model": "m"}
            told = await raw.post({"jsonrpc": "2.0", "id": asked["id"], "result": result})
            assert told.status_code == 202
            async with asyncio.timeout(WAIT):
                *_, (_, last) = [event async for event in reading]
        assert "it" in last["result"]["content"][0]["text"], tool
    unable = Raw(server, ann, "both")
    await unable.hello()
    refused = await unable.ask("tools/call", {"name": "test_sampling", "arguments": {"prompt": "x"}})
    assert "error" in refused or refused["result"]["isError"]


async def test_what_belongs_to_no_request_comes_on_a_stream_of_its_own(
    server: Server, ann: Client, upstreams: Any
) -> None:
    raw = await two(server, ann, upstreams)
    await raw.hello()
    assert (await raw.ask("resources/subscribe", {"uri": "test://watched-resource"}))["result"] == {}
    async with raw.stream() as answer:
        reading = following(answer)
        last, _ = await anext(reading)
        await raw.call("touch_resource", uri="test://watched-resource")
        updated = await until(reading, "notifications/resources/updated")
        assert updated["params"]["uri"] == "test://watched-resource"
    assert (await raw.ask("resources/unsubscribe", {"uri": "test://watched-resource"}))["result"] == {}
    assert (await raw.ask("resources/subscribe", {"uri": 5}))["error"]["code"] == -32602
    async with raw.stream(Last_Event_ID=last) as answer:
        again = await until(following(answer), "notifications/resources/updated")
        assert again == updated


@pytest.mark.parametrize("settings", [{"max_sessions_per_user": 2, "session_idle_seconds": 1.0}])
async def test_sessions_are_bounded_and_end_when_they_are_not_used(server: Server, ann: Client) -> None:
    await workspace(ann, "lab")
    found = [Raw(server, ann, "lab") for _ in range(3)]
    statuses = [(await raw.hello()).status_code for raw in found]
    assert statuses == [200, 200, 429]
    async with asyncio.timeout(WAIT):
        while len(server.plugin("mcp").endpoint.sessions):  # type: ignore[attr-defined]
            await asyncio.sleep(0.05)
    assert (await found[0].post(found[0].message("ping"))).status_code == 404
    assert (await found[2].hello()).status_code == 200


async def test_what_a_session_keeps_is_bounded(
    server: Server, ann: Client, upstreams: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(legacy, "MAX_OF_USER", 3)
    raw = await two(server, ann, upstreams)
    other = Raw(server, ann, "both")
    answer = await raw.hello(clientInfo={"name": "x" * legacy.MAX_HELLO, "version": "1"})
    assert (answer.status_code, len(server.plugin("mcp").endpoint.sessions)) == (413, 0)  # type: ignore[attr-defined]
    await raw.hello()
    await other.hello()
    uris = [f"test://template/{n}/data" for n in range(3)]
    for one, uri in zip((raw, raw, other), uris, strict=True):
        assert "result" in await one.ask("resources/subscribe", {"uri": uri})
    refused = await other.ask("resources/subscribe", {"uri": "test://template/4/data"})
    assert refused["error"]["data"]["reason"] == "limited"
    assert "result" in await raw.ask("resources/unsubscribe", {"uri": uris[0]})
    assert "result" in await other.ask("resources/subscribe", {"uri": "test://template/4/data"})


# -- the newer era -----------------------------------------------------------------------------------------------


async def test_a_modern_client_needs_no_session(raw: Raw) -> None:
    found = said(await raw.request("server/discover"))["result"]
    assert found["supportedVersions"] == ["2026-07-28"]
    assert found["resultType"] == "complete"
    assert found["_meta"][PREFIX + "serverInfo"]["name"]
    answer = await raw.request("tools/call", {"name": "echo", "arguments": {"message": "hi"}})
    assert said(answer)["result"]["content"][0]["text"] == "hi"
    assert said(answer)["result"]["resultType"] == "complete"
    assert "mcp-session-id" not in answer.headers
    failed = said(await raw.request("tools/call", {"name": "test_error_handling", "arguments": {}}))
    assert failed["result"]["isError"] is True
    params = modern_params({"name": "test_tool_with_progress", "arguments": {}}, progressToken="t")
    answer = await raw.request("tools/call", params)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.count("notifications/progress") == 3


async def test_a_closed_stream_cancels(raw: Raw) -> None:
    async def cancelled() -> int:
        found = said(await raw.request("tools/call", {"name": "calls", "arguments": {}}))
        count: int = found["result"]["structuredContent"]["cancelled"]
        return count

    before = await cancelled()
    params = modern_params({"name": "slow", "arguments": {"seconds": 100, "steps": 100}}, progressToken="t")
    async with raw.stream(raw.message("tools/call", params), **raw.modern("tools/call", params)) as answer:
        await until(following(answer), "notifications/progress")
    async with asyncio.timeout(WAIT):
        while await cancelled() == before:
            await asyncio.sleep(0.05)


async def test_a_question_is_a_result_and_the_answer_a_request(server: Server, ann: Client, upstreams: Any) -> None:
    await workspace(ann, "lab", upstreams["legacy"])
    raw = Raw(server, ann, "lab")
    able = {"elicitation": {"form": {}}}
    call = {"name": "test_elicitation", "arguments": {"message": "Who?"}}
    asked = said(await raw.request("tools/call", modern_params(call, able)))["result"]
    assert asked["resultType"] == "input_required"
    ((key, need),) = asked["inputRequests"].items()
    assert need["method"] == "elicitation/create"
    state = {"requestState": asked["requestState"]}
    good = {key: {"action": "accept", "content": {"username": "ann", "email": "ann@example.org"}}}

    async def retry(client: Raw, responses: Any, **other: Any) -> Any:
        params = modern_params({**call, **state, "inputResponses": responses, **other}, able)
        return said(await client.request("tools/call", params))

    ben = Raw(server, await server.as_user("admin"), "lab")
    pid = (await ann.get("/api/v1/workspaces")).json()["data"]["workspaces"][0]["pid"]
    ben.path = f"/ws/{pid}/mcp"
    assert (await retry(ben, good))["error"]["data"]["reason"] == "bad_state", "it is another's"
    assert (await retry(raw, good, requestState=asked["requestState"] + "x"))["error"]["data"]["reason"] == "bad_state"
    for incomplete in ({}, {"other": {}}, {key: 5}, None, []):
        again = (await retry(raw, incomplete))["result"]
        assert again["inputRequests"] == asked["inputRequests"], incomplete
    done = (await retry(raw, good))["result"]
    assert "ann" in done["content"][0]["text"]
    assert (await retry(raw, good))["error"]["data"]["reason"] == "bad_state", "it has been answered"
    assert not server.plugin("mcp").endpoint.parking  # type: ignore[attr-defined]
    unable = said(await raw.request("tools/call", call))
    assert "error" in unable or unable["result"]["isError"]


@pytest.mark.parametrize("settings", [{"ask_timeout": 0.3}])
async def test_a_question_does_not_wait_for_ever(server: Server, ann: Client, upstreams: Any) -> None:
    await workspace(ann, "lab", upstreams["legacy"])
    raw = Raw(server, ann, "lab")
    call = {"name": "test_elicitation", "arguments": {"message": "Who?"}}
    asked = said(await raw.request("tools/call", modern_params(call, {"elicitation": {}})))["result"]
    async with asyncio.timeout(WAIT):
        while len(server.plugin("mcp").endpoint.parking):  # type: ignore[attr-defined]
            await asyncio.sleep(0.05)
    late = {**call, "requestState": asked["requestState"], "inputResponses": {}}
    answer = await raw.request("tools/call", modern_params(late, {"elicitation": {}}))
    assert answer.json()["error"]["data"]["reason"] == "bad_state"


async def test_a_client_listens(raw: Raw) -> None:
    wanted = {
        "toolsListChanged": True,
        "promptsListChanged": False,
        "resourceSubscriptions": ["test://watched-resource"],
    }
    params = modern_params({"notifications": wanted})
    message = raw.message("subscriptions/listen", params)
    async with raw.stream(message, **raw.modern("subscriptions/listen", params)) as answer:
        reading = following(answer)
        _, acknowledged = await anext(reading)
        assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
        kept = {"toolsListChanged": True, "resourceSubscriptions": ["test://watched-resource"]}
        assert acknowledged["params"]["notifications"] == kept
        assert acknowledged["params"]["_meta"][PREFIX + "subscriptionId"] == message["id"]
        touch = {"name": "touch_resource", "arguments": {"uri": "test://watched-resource"}}
        assert (await raw.request("tools/call", touch)).status_code == 200
        updated = await until(reading, "notifications/resources/updated")
        assert updated["params"]["_meta"][PREFIX + "subscriptionId"] == message["id"]
