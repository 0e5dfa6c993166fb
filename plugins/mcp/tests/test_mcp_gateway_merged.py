"""Several servers behind one endpoint: names, rules, what is away, states, changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import mcp_types as types
import pytest
from mcp.server.lowlevel import Server
from mcp_types import methods
from mcpgateway import LEGACY, MODERN, Bench, Client, caller, until
from moorage_mcp.config import McpConfig
from moorage_mcp.gateway.lists import UNAVAILABLE
from moorage_mcp.records import Kind, Status, ToolRules
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.eras import LATEST_MODERN, Era
from moorage_mcp.wire.jsonrpc import RpcError

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.close()


def small(*names: str, pages: int = 0, schema: Any = None, **more: Any) -> Any:
    """A server with these tools, each of which says its name and arguments; pages: of how many tools each."""

    async def tools(ctx: Any, params: Any) -> types.ListToolsResult:
        first = int(params.cursor) if params is not None and params.cursor else 0
        last = first + pages if pages else len(names)
        shown = [
            types.Tool(name=name, description=name, input_schema=schema or {"type": "object"}, **more)
            for name in names[first:last]
        ]
        return types.ListToolsResult(tools=shown, next_cursor=str(last) if last < len(names) else None)

    async def call(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        said = types.TextContent(text=params.name)
        return types.CallToolResult(content=[said], structured_content=params.arguments or {})

    return Server("small", version="1", on_list_tools=tools, on_call_tool=call)


def names(found: dict[str, Any]) -> list[str]:
    return [tool["name"] for tool in found["tools"]]


async def test_the_first_servers_names_stay_and_others_have_a_prefix(bench: Bench) -> None:
    bench.make(
        bench.upstream("a", LEGACY, lambda: small("read", "write")),
        bench.upstream("b", MODERN, lambda: small("read"), prefix="b__"),
    )
    assert names(await bench.ask(LEGACY, "tools/list")) == ["read", "write", "b__read"]
    found = await bench.call(MODERN, "b__read", {"x": 1})
    assert found["content"][0]["text"] == "read"
    assert found["structuredContent"] == {"x": 1}
    assert [(call.tool, call.upstream) for call in bench.calls.found] == [("b__read", "b")]


async def test_an_unknown_tool_is_said_to_be_unknown(bench: Bench) -> None:
    bench.make(bench.upstream("a", LEGACY, lambda: small("x")), bench.upstream("b", LEGACY, lambda: small("y"), "b__"))
    with pytest.raises(RpcError) as found:
        await bench.call(LEGACY, "y")
    assert (found.value.code, found.value.data["reason"]) == (jsonrpc.INVALID_PARAMS, "unknown_tool")
    assert [call.outcome.value for call in bench.calls.found] == ["denied"]


async def test_a_server_that_is_away_does_not_hide_the_others_and_keeps_its_names(bench: Bench) -> None:
    a = bench.upstream("a", LEGACY, lambda: small("x", "b__y"))
    bench.make(a, bench.upstream("b", LEGACY, lambda: small("y"), "b__"))
    assert names(await bench.ask(LEGACY, "tools/list")) == ["x", "b__y", "b__y_2"]
    bench.pool.away["a"] = "it burns"
    found = await bench.ask(LEGACY, "tools/list")
    assert names(found) == ["b__y_2"]
    assert found["_meta"][UNAVAILABLE] == [{"upstream": "a", "reason": "a: it burns"}]
    with pytest.raises(RpcError, match="it burns"):
        await bench.call(LEGACY, "x")
    said = await bench.gateway.describe(bench.workspace, caller(), LEGACY, Client())
    assert said.extra["_meta"][UNAVAILABLE][0]["upstream"] == "a"
    bench.pool.away["b"] = "it burns too"
    with pytest.raises(RpcError) as away:
        await bench.ask(LEGACY, "prompts/list")
    assert away.value.data["reason"] == "unavailable"


async def test_a_tool_of_a_server_that_never_came_up_is_not_called_unknown(bench: Bench) -> None:
    bench.make(bench.upstream("a", LEGACY, lambda: small("x")), bench.upstream("b", LEGACY, lambda: small("y"), "b__"))
    bench.pool.away["b"] = "it burns"
    with pytest.raises(RpcError, match="it burns") as found:
        await bench.call(LEGACY, "b__y")
    assert found.value.data["reason"] == "unavailable"
    with pytest.raises(RpcError, match="Unknown tool: y"):
        await bench.call(LEGACY, "y")
    assert [call.outcome.value for call in bench.calls.found] == ["error", "denied"]


async def test_nobody_waits_for_a_server_that_hangs_to_use_another(bench: Bench) -> None:
    bench.make(bench.upstream("a", LEGACY, lambda: small("x")), bench.upstream("b", LEGACY, lambda: small("y"), "b__"))
    await bench.ask(LEGACY, "tools/list")
    bench.gateway.catalog._changed((1, 7, "", LEGACY), "up_b", "notifications/tools/list_changed")
    bench.pool.hanging.add("b")
    listing = asyncio.ensure_future(bench.ask(LEGACY, "tools/list"))
    async with asyncio.timeout(5):
        assert (await bench.call(LEGACY, "x"))["content"][0]["text"] == "x"
    assert not listing.done()
    bench.pool.hanging.clear()
    assert names(await listing) == ["x", "b__y"]


async def test_all_pages_are_gathered(bench: Bench) -> None:
    many = [f"t{n}" for n in range(25)]
    bench.make(bench.upstream("a", MODERN, lambda: small(*many, pages=10)))
    assert names(await bench.ask(LEGACY, "tools/list")) == many


async def test_a_long_list_comes_in_pages(bench: Bench) -> None:
    many = [f"t{n}" for n in range(1500)]
    bench.make(bench.upstream("a", LEGACY, lambda: small(*many)))
    first = await bench.ask(LEGACY, "tools/list")
    second = await bench.ask(LEGACY, "tools/list", {"cursor": first["nextCursor"]})
    assert names(first) + names(second) == many
    assert "nextCursor" not in second
    for wrong in ("mg1-9999", "mg1-x", "3", 7):
        with pytest.raises(RpcError) as found:
            await bench.ask(LEGACY, "tools/list", {"cursor": wrong})
        assert found.value.code == jsonrpc.INVALID_PARAMS


async def test_a_list_that_never_ends_is_refused(bench: Bench) -> None:
    bench.make(bench.upstream("a", LEGACY, lambda: small(*[f"t{n}" for n in range(6000)], pages=100)))
    with pytest.raises(RpcError, match="more than"):
        await bench.ask(LEGACY, "tools/list")


def nested(depth: int) -> Any:
    found: Any = {}
    for _ in range(depth):
        found = {"x": found}
    return found


@pytest.mark.parametrize(
    ("page", "there"),
    [
        ({"tools": [{"name": "x", "inputSchema": {}}], "ttlMs": 10**400}, True),
        ({"tools": [{"name": "x", "inputSchema": {}, "outputSchema": {"type": ["string", {}]}}]}, True),
        ({"tools": [{"name": "x", "inputSchema": {"properties": {"f": {}}, "required": [{}, "f"]}}]}, True),
        ({"tools": [{"name": "x", "inputSchema": nested(5000)}]}, False),
        ({"tools": [], "other": "x" * 20_000}, False),
        ({"tools": [{"name": "x", "inputSchema": {"description": "x" * 5000}}], "nextCursor": True}, False),
    ],
    ids=["time", "kind", "required", "deep", "beside", "pages"],
)
async def test_what_is_wrong_with_one_servers_list_hides_no_others(page: dict[str, Any], there: bool) -> None:
    bench = Bench(McpConfig(max_answer_bytes=16 * 1024))
    bench.make(
        bench.upstream("a", MODERN, lambda: small("x"), fixed={"f": 1}),
        bench.upstream("b", MODERN, lambda: small("y"), "b__"),
    )
    await bench.ask(LEGACY, "tools/list")
    asked = 0

    async def listed(method: str, params: Any, asker: Any, *, timeout: float) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {**page, "resultType": "complete"} | ({"nextCursor": str(asked)} if "nextCursor" in page else {})

    (link,) = [link for key, link in bench.pool.links.items() if key[1] == "up_a"]
    link.request = listed  # type: ignore[method-assign]
    bench.make(*bench.workspace.upstreams)
    try:
        found = await bench.ask(LEGACY, "tools/list")
        assert names(found) == (["x", "b__y"] if there else ["b__y"])
        assert [one["upstream"] for one in found.get("_meta", {}).get(UNAVAILABLE, [])] == ([] if there else ["a"])
        assert 1 <= asked <= 4, "no more is gathered than may be kept"
    finally:
        await bench.close()


@pytest.mark.parametrize("several", [False, True])
async def test_rules_hide_and_refuse(bench: Bench, several: bool) -> None:
    upstreams = [bench.upstream("a", LEGACY, lambda: small("read", "write", "drop"), tools=ToolRules(deny=("dr*",)))]
    if several:
        upstreams.append(bench.upstream("b", LEGACY, lambda: small("z"), "b__"))
    bench.make(
        *upstreams,
        tools=ToolRules(allow=("read", "write", "drop")),
        key_tools={3: ToolRules(deny=("write",))},
    )
    assert names(await bench.ask(LEGACY, "tools/list")) == ["read", "write"]
    assert names(await bench.ask(LEGACY, "tools/list", by=caller(key=3))) == ["read"]
    await bench.call(LEGACY, "write")
    for by, tool in ((caller(), "drop"), (caller(key=3), "write")):
        with pytest.raises(RpcError) as found:
            await bench.call(LEGACY, tool, by=by)
        assert found.value.data["reason"] == "denied"
    assert [call.outcome.value for call in bench.calls.found] == ["ok", "denied", "denied"]


async def test_fixed_arguments_are_hidden_and_filled_in_and_annotations_put_over(bench: Bench) -> None:
    schema = {"type": "object", "properties": {"repo": {"type": "string"}, "n": {}}, "required": ["repo"]}
    server = bench.upstream(
        "a",
        LEGACY,
        lambda: small("log", schema=schema, annotations=types.ToolAnnotations(title="Log", read_only_hint=False)),
        fixed={"repo": "/workspace", "other": 1},
        annotations={"log": {"readOnlyHint": True}},
    )
    bench.make(server)
    (tool,) = (await bench.ask(LEGACY, "tools/list"))["tools"]
    assert tool["inputSchema"] == {"type": "object", "properties": {"n": {}}}
    assert tool["annotations"] == {"title": "Log", "readOnlyHint": True}
    found = await bench.call(LEGACY, "log", {"n": 1, "repo": "/etc"})
    assert found["structuredContent"] == {"n": 1, "repo": "/workspace"}
    found = await bench.call(LEGACY, "log", {"repo": "/etc", "Repo": "/etc"})
    assert list(found["structuredContent"].items()) == [("repo", "/workspace")], "servers may not look at case"
    assert bench.calls.found[0].arguments == {"n": 1, "repo": "/etc"}


async def test_a_state_goes_back_to_the_server_that_gave_it_and_to_nobody_elses_request(bench: Bench) -> None:
    bench.make(bench.upstream("a", LEGACY, lambda: small("x")), bench.upstream("b", MODERN, prefix="b__"))
    asker = Client(keeps_state=True, elicitation_create={"action": "accept", "content": {"ok": True}})
    tool = "b__test_input_required_result_request_state"
    first = await bench.call(MODERN, tool, {}, asker)
    methods.validate_server_result("tools/call", LATEST_MODERN, first)
    answers = {"confirm": asker.answers["elicitation/create"]}
    again = {"requestState": first["requestState"], "inputResponses": answers}
    found = await bench.call(MODERN, tool, {}, asker, params=again)
    assert found["content"][0]["text"] == "state-ok"
    forged = first["requestState"][:-4] + "AAAA"
    tries: list[tuple[str, dict[str, Any], Any]] = [
        (tool, {**again, "requestState": forged}, caller()),
        (tool, {**again, "requestState": "plain"}, caller()),
        ("b__test_input_required_result_multi_round", again, caller()),
        (tool, again, caller(key=9)),
        (tool, again, caller(8, role="admin")),
    ]
    for name, params, by in tries:
        with pytest.raises(RpcError, match="requestState") as wrong:
            await bench.call(MODERN, name, {}, asker, params=params, by=by)
        assert wrong.value.code == jsonrpc.INVALID_PARAMS


async def test_resources_are_found_by_who_lists_them_or_has_a_template_or_says_so(bench: Bench) -> None:
    async def resources(ctx: Any, params: Any) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=[types.Resource(uri="other://a", name="a")])

    async def read(ctx: Any, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        if not str(params.uri).startswith("other://"):
            raise types_error(params.uri)
        return types.ReadResourceResult(contents=[types.TextResourceContents(uri=params.uri, text="other")])

    def types_error(uri: str) -> Exception:
        from mcp.shared.exceptions import MCPError

        return MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": uri})

    other = lambda: Server("o", version="1", on_list_resources=resources, on_read_resource=read)  # noqa: E731
    bench.make(bench.upstream("a", LEGACY), bench.upstream("b", MODERN, other, "b__"))
    for uri, wanted in (
        ("test://static-text", "This is the content of the static text resource."),
        ("other://a", "other"),
        ("other://hidden", "other"),
    ):
        found = await bench.ask(MODERN, "resources/read", {"uri": uri})
        assert found["contents"][0]["text"] == wanted
    found = await bench.ask(LEGACY, "resources/read", {"uri": "test://template/9/data"})
    assert '"9"' in found["contents"][0]["text"]
    with pytest.raises(RpcError) as missing:
        await bench.ask(LEGACY, "resources/read", {"uri": "none://x"})
    assert missing.value.code == jsonrpc.RESOURCE_NOT_FOUND


@pytest.mark.parametrize("client", Era)
async def test_many_are_described_as_one(bench: Bench, client: Era) -> None:
    bench.make(bench.upstream("a", LEGACY), bench.upstream("b", MODERN, lambda: small("x"), "b__"))
    said = await bench.gateway.describe(bench.workspace, caller(), client, Client())
    assert said.era is client
    assert said.info["name"] == "mine"
    assert set(said.capabilities) == {"tools", "prompts", "resources", "completions", "logging"}
    assert said.capabilities["tools"] == {"listChanged": True}
    assert said.instructions == "# a\nCall whatever you like."


@pytest.mark.parametrize("client", Era)
async def test_a_workspace_without_servers_lists_nothing(bench: Bench, client: Era) -> None:
    bench.make(bench.upstream("a", LEGACY, enabled=False))
    said = await bench.gateway.describe(bench.workspace, caller(), client, Client())
    assert said.capabilities == {"tools": {"listChanged": True}}
    found = await bench.ask(client, "tools/list")
    assert found["tools"] == []
    with pytest.raises(RpcError, match="no servers"):
        await bench.call(client, "x")


async def test_a_changed_list_is_told_and_asked_for_again(bench: Bench) -> None:
    bench.make(bench.upstream("a", LEGACY), bench.upstream("b", LEGACY, lambda: small("x"), "b__"))
    told: list[str] = []
    wanted = {"toolsListChanged": True}
    stop = await bench.gateway.listen(
        bench.workspace, caller(), LEGACY, wanted, lambda method, params: told.append(method), Client(LEGACY)
    )
    assert "another" not in names(await bench.ask(LEGACY, "tools/list"))
    await bench.call(LEGACY, "test_trigger_tool_change")
    await until(lambda: told == ["notifications/tools/list_changed"])
    assert "another" in names(await bench.ask(LEGACY, "tools/list"))
    workspace = bench.make(*bench.workspace.upstreams[:1])
    for callback in bench.changes.callbacks:
        callback(workspace)
    await until(lambda: len(told) == 2)
    stop()
    assert "x" not in names(await bench.ask(LEGACY, "tools/list"))


@pytest.mark.parametrize("client", Era)
@pytest.mark.parametrize("server", Era)
async def test_a_resource_that_changed_is_told(bench: Bench, client: Era, server: Era) -> None:
    bench.make(bench.upstream("a", server), bench.upstream("b", LEGACY, lambda: small("x"), "b__"))
    told: list[tuple[str, Any]] = []
    uri = "test://watched-resource"
    stop = await bench.gateway.listen(
        bench.workspace,
        caller(),
        client,
        {"resourceSubscriptions": [uri]},
        lambda method, params: told.append((method, params["uri"])),
        Client(client),
    )
    await bench.call(client, "touch_resource", {"uri": uri})
    await until(lambda: told == [("notifications/resources/updated", uri)])
    stop()
    await bench.call(client, "touch_resource", {"uri": uri})
    await bench.call(client, "test_simple_text")
    assert len(told) == 1


async def test_limits_of_a_user_and_of_a_tool() -> None:
    bench = Bench(McpConfig(calls_per_minute=3))
    bench.make(bench.upstream("a", LEGACY, lambda: small("x", "y")), call_limits={"x": 1})
    await bench.call(LEGACY, "x")
    with pytest.raises(RpcError) as found:
        await bench.call(LEGACY, "x")
    assert found.value.data["reason"] == "limited"
    assert 1 <= found.value.data["retryAfter"] <= 60
    await bench.call(LEGACY, "y")
    await bench.call(LEGACY, "y")
    with pytest.raises(RpcError, match="Too many"):
        await bench.call(LEGACY, "y")
    await bench.call(LEGACY, "y", by=caller(9, role="admin"))
    await bench.close()


async def test_rights_are_looked_at_with_each_request(bench: Bench) -> None:
    bench.make(bench.upstream("a", LEGACY, lambda: small("x")))
    await bench.call(LEGACY, "x", by=caller(8, role="admin"))
    for by in (caller(8), caller(7, role="nobody")):
        with pytest.raises(RpcError) as found:
            await bench.ask(LEGACY, "tools/list", by=by)
        assert found.value.data["reason"] == "denied"
    bench.make(*bench.workspace.upstreams, status=Status.INACTIVE)
    with pytest.raises(RpcError, match="not active"):
        await bench.call(LEGACY, "x")


async def test_who_leaves_cancels_the_call_at_the_server(bench: Bench) -> None:
    bench.make(bench.upstream("a", LEGACY))
    asker = Client(LEGACY)
    begun = asyncio.ensure_future(
        bench.call(LEGACY, "slow", {"seconds": 60, "steps": 1}, asker, params={"_meta": {"progressToken": 1}})
    )
    await until(lambda: bench.pool.running.get("a") and bench.pool.running["a"][0].counts["started"] == 1)
    begun.cancel()
    with pytest.raises(asyncio.CancelledError):
        await begun
    await until(lambda: bench.pool.running["a"][0].counts["cancelled"] == 1)
    assert [call.outcome.value for call in bench.calls.found] == ["cancelled"]


async def test_a_server_that_says_nothing() -> None:
    bench = Bench(McpConfig(call_timeout=0.3))
    bench.make(bench.upstream("a", LEGACY))
    with pytest.raises(RpcError) as silent:
        await bench.call(LEGACY, "slow", {"seconds": 60, "steps": 1})
    assert silent.value.data["reason"] == "timeout"
    told = {"_meta": {"progressToken": 1}}
    found = await bench.call(LEGACY, "slow", {"seconds": 1, "steps": 10}, params=told)
    assert found["content"][0]["text"] == "slow and done"
    assert [call.outcome.value for call in bench.calls.found] == ["timeout", "ok"]
    await bench.close()


async def test_a_server_that_goes_in_mid_call(bench: Bench) -> None:
    bench.make(bench.upstream("a", LEGACY))
    begun = asyncio.ensure_future(bench.call(LEGACY, "slow", {"seconds": 60, "steps": 1}))
    await until(lambda: bench.pool.running.get("a") and bench.pool.running["a"][0].counts["started"])
    await bench.pool.stop("a")
    with pytest.raises(RpcError) as gone:
        await begun
    assert gone.value.data["reason"] == "closed"
    assert [call.outcome.value for call in bench.calls.found] == ["error"]
    assert (await bench.call(LEGACY, "test_simple_text"))["content"]


async def test_unknown_methods_go_to_the_only_server(bench: Bench) -> None:
    bench.make(bench.upstream("a", LEGACY))
    with pytest.raises(RpcError) as found:
        await bench.ask(LEGACY, "strange/method", {"x": 1})
    assert (found.value.code, found.value.gateway) == (jsonrpc.METHOD_NOT_FOUND, False)
    bench.make(bench.upstream("a", LEGACY), bench.upstream("b", LEGACY, prefix="b__"))
    with pytest.raises(RpcError) as found:
        await bench.ask(LEGACY, "strange/method", {"x": 1})
    assert (found.value.code, found.value.gateway) == (jsonrpc.METHOD_NOT_FOUND, True)


async def test_levels(bench: Bench) -> None:
    bench.make(bench.upstream("a", LEGACY), bench.upstream("b", MODERN, prefix="b__"))
    assert await bench.ask(LEGACY, "logging/setLevel", {"level": "error"}) == {}
    server = bench.pool.running["a"][0]
    assert list(server.levels.values()) == ["error"]
    with pytest.raises(RpcError):
        await bench.ask(LEGACY, "logging/setLevel", {"level": "loud"})
    assert await bench.ask(LEGACY, "ping") == {}


async def test_one_clients_list_is_not_anothers(bench: Bench) -> None:
    """Servers show what a client can use: who can be asked has a connection, and lists, of its own."""
    bench.make(bench.upstream("a", LEGACY))
    await bench.ask(LEGACY, "tools/list", by=caller(session="s1"))
    asker = Client(LEGACY, sampling_createMessage={})
    for session in ("s1", "s2", "s1"):
        await bench.ask(LEGACY, "tools/list", {}, asker, by=caller(session=session))
    assert sorted(key[3] for key in bench.pool.links) == ["", "session:s1", "session:s2"]


async def test_what_passes_and_what_does_not(bench: Bench) -> None:
    http = bench.upstream("a", MODERN, lambda: small("x"), kind=Kind.HTTP)
    workspace = bench.make(http)

    def passes(method: str, era: Era = MODERN) -> bool:
        return bench.gateway.passage(bench.workspace, caller(), era, method) is not None

    assert not passes("tools/call")  # Its era is not known yet.
    await bench.gateway.describe(workspace, caller(), MODERN, Client())
    assert passes("tools/call")
    assert passes("tools/list")
    assert not passes("tools/call", LEGACY)
    bench.make(http, tools=ToolRules(deny=("y",)))
    assert passes("tools/call")
    assert not passes("tools/list")
    bench.make(bench.upstream("a", MODERN, kind=Kind.HTTP, fixed={"x": 1}))
    assert not passes("tools/call")
    assert passes("prompts/list")
    bench.make(http, bench.upstream("b", MODERN, kind=Kind.HTTP))
    assert not passes("prompts/list")
    bench.make(http, tools=ToolRules(deny=("x",)))
    with pytest.raises(RpcError, match="not allowed"):
        bench.gateway.admit(bench.workspace, caller(), "tools/call", {"name": "x"})
