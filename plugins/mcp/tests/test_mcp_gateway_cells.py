"""The four cells: clients of either era before servers of either era, by the gateway alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import mcp_types as types
import pytest
from mcp import UrlElicitationRequiredError
from mcp.server.lowlevel import Server
from mcp_types import methods
from mcpgateway import LEGACY, MODERN, Bench, Client
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.eras import LATEST_LEGACY, LATEST_MODERN, Era
from moorage_mcp.wire.jsonrpc import RpcError

# The server in this process serves what is old as well.
pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
VERSIONS = {LEGACY: LATEST_LEGACY, MODERN: LATEST_MODERN}
CELLS = [(client, server) for client in Era for server in Era]
PAR = {"name": "a", "value": "par"}
ASKED = [
    ("tools/list", {}),
    ("prompts/list", {}),
    ("resources/list", {}),
    ("resources/templates/list", {}),
    ("tools/call", {"name": "test_simple_text", "arguments": {}}),
    ("tools/call", {"name": "test_multiple_content_types", "arguments": {}}),
    ("tools/call", {"name": "test_error_handling", "arguments": {}}),
    ("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}}),
    ("prompts/get", {"name": "test_prompt_with_arguments", "arguments": {"arg1": "x", "arg2": "y"}}),
    ("resources/read", {"uri": "test://static-text"}),
    ("resources/read", {"uri": "test://template/5/data"}),
    ("completion/complete", {"ref": {"type": "ref/prompt", "name": "test_simple_prompt"}, "argument": PAR}),
    ("completion/complete", {"ref": {"type": "ref/resource", "uri": "test://template/{id}/data"}, "argument": PAR}),
]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.close()


@pytest.mark.parametrize(("client", "server"), CELLS)
@pytest.mark.parametrize("several", [False, True])
async def test_every_answer_is_one_of_the_clients_era(bench: Bench, client: Era, server: Era, several: bool) -> None:
    upstreams = [bench.upstream("one", server)]
    if several:
        other = MODERN if server is LEGACY else LEGACY
        upstreams.append(bench.upstream("two", other, prefix="two__"))
    bench.make(*upstreams)
    for method, params in ASKED:
        found = await bench.ask(client, method, params)
        methods.validate_server_result(method, VERSIONS[client], found)
        assert ("resultType" in found) is (client is MODERN), method
        assert ("ttlMs" in found) is (client is MODERN and method in methods.CACHEABLE_METHODS), method
    outcomes = [call.outcome.value for call in bench.calls.found]
    assert outcomes == ["ok", "ok", "tool_error", "ok", "ok", "ok", "ok"]


@pytest.mark.parametrize(("client", "server"), CELLS)
async def test_what_is_not_there_is_said_in_the_clients_era(bench: Bench, client: Era, server: Era) -> None:
    bench.make(bench.upstream("one", server))
    with pytest.raises(RpcError) as found:
        await bench.ask(client, "resources/read", {"uri": "test://nothing"})
    # A server of the SDK says -32602 in both eras, with the URI; the older one says -32002 where we know what it means.
    wanted = jsonrpc.RESOURCE_NOT_FOUND if (client, server) == (LEGACY, MODERN) else jsonrpc.INVALID_PARAMS
    assert found.value.code == wanted
    assert found.value.data["uri"] == "test://nothing"
    assert not found.value.gateway


@pytest.mark.parametrize(("client", "server"), CELLS)
async def test_progress_comes_with_the_clients_token(bench: Bench, client: Era, server: Era) -> None:
    bench.make(bench.upstream("one", server))
    asker = Client(client)
    await bench.call(client, "test_tool_with_progress", {}, asker, params={"_meta": {"progressToken": "p-1"}})
    assert [params["progressToken"] for method, params in asker.heard if method == "notifications/progress"] == [
        "p-1"
    ] * 3


@pytest.mark.parametrize(("client", "server"), CELLS)
async def test_log_messages_come_to_who_wants_them(bench: Bench, client: Era, server: Era) -> None:
    bench.make(bench.upstream("one", server))
    silent, talked = Client(client), Client(client)
    talked.log_level = "debug"
    await bench.call(client, "test_tool_with_logging", {}, silent)
    await bench.call(client, "test_tool_with_logging", {}, talked)
    logged = [method for method, _ in talked.heard]
    assert logged == ["notifications/message"] * 3
    if client is MODERN:
        assert silent.heard == []


@pytest.mark.parametrize(("client", "server"), CELLS)
async def test_a_server_asks_its_client(bench: Bench, client: Era, server: Era) -> None:
    bench.make(bench.upstream("one", server))
    accepted = {"action": "accept", "content": {"username": "ada", "email": "a@example.org"}}
    asker = Client(client, elicitation_create=accepted)
    found = await bench.call(client, "test_elicitation", {"message": "Who?"}, asker)
    assert found["content"][0]["text"].startswith("User response: action=accept")
    assert [need.method for need in asker.asked] == ["elicitation/create"]
    assert asker.asked[0].params["message"] == "Who?"


async def test_a_modern_client_keeps_a_modern_servers_state(bench: Bench) -> None:
    bench.make(bench.upstream("one", MODERN))
    asker = Client(keeps_state=True, elicitation_create={"action": "accept", "content": {"ok": True}})
    tool = "test_input_required_result_request_state"
    first = await bench.call(MODERN, tool, {}, asker)
    assert first["resultType"] == "input_required"
    again = {"requestState": first["requestState"], "inputResponses": {"confirm": asker.answers["elicitation/create"]}}
    found = await bench.call(MODERN, tool, {}, asker, params=again)
    assert found["content"][0]["text"] == "state-ok"
    assert [call.outcome.value for call in bench.calls.found] == ["input_required", "ok"]


async def test_a_page_that_a_legacy_server_wants_visited_is_a_question_to_a_modern_client(bench: Bench) -> None:
    visited: list[str] = []
    page = types.ElicitRequestURLParams(message="Log in", url="https://login.example", elicitation_id="e1")

    async def call(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        if not visited:
            raise UrlElicitationRequiredError([page])
        return types.CallToolResult(content=[types.TextContent(text="in")])

    bench.make(bench.upstream("one", LEGACY, lambda: Server("s", version="1", on_call_tool=call)))
    asker = Client(keeps_state=True)
    asker.capabilities = {"elicitation": {"url": {}}}
    first = await bench.call(MODERN, "x", {}, asker)
    methods.validate_server_result("tools/call", LATEST_MODERN, first)
    ((key, asked),) = first["inputRequests"].items()
    assert asked["params"] == {"mode": "url", "message": "Log in", "url": "https://login.example"}
    again = {"requestState": first["requestState"], "inputResponses": {key: {"action": "decline"}}}
    with pytest.raises(RpcError) as declined:
        await bench.call(MODERN, "x", {}, asker, params=again)
    assert declined.value.data["reason"] == "declined"
    visited.append("yes")
    again["inputResponses"] = {key: {"action": "accept"}}
    assert (await bench.call(MODERN, "x", {}, asker, params=again))["content"][0]["text"] == "in"
    visited.clear()
    for unable in (Client(keeps_state=True), Client()):
        with pytest.raises(RpcError) as found:
            await bench.call(MODERN, "x", {}, unable)
        assert found.value.code == jsonrpc.MISSING_CAPABILITY
    with pytest.raises(RpcError) as old:
        await bench.call(LEGACY, "x", {}, Client(LEGACY))
    assert old.value.code == -32042
