"""Who gets which connection: a server's question has one right addressee, and its state is where it was left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import mcp_types as types
import pytest
from mcp import MCPError
from mcp.server.lowlevel import Server
from mcpgateway import LEGACY, MODERN, Bench, Client, caller, until
from moorage_mcp.gateway import listening
from moorage_mcp.records import Kind
from moorage_mcp.wire.jsonrpc import RpcError

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.close()


class Slow(Client):
    """Answers when it is let."""

    def __init__(self, name: str) -> None:
        super().__init__(elicitation_create={"action": "accept", "content": {"username": name, "email": name}})
        self.go = asyncio.Event()

    async def ask(self, needs: Any) -> Any:
        answers = await super().ask(needs)
        await self.go.wait()
        return answers


async def test_questions_of_two_requests_at_once_reach_their_own_clients(bench: Bench) -> None:
    bench.make(bench.upstream("a", LEGACY))
    first, second = Slow("ada"), Slow("bob")
    calls = [
        asyncio.ensure_future(bench.call(MODERN, "test_elicitation", {"message": who}, asker))
        for who, asker in (("1", first), ("2", second))
    ]
    await until(lambda: first.asked and second.asked)
    second.go.set()
    assert "bob" in (await calls[1])["content"][0]["text"]
    first.go.set()
    assert "ada" in (await calls[0])["content"][0]["text"]
    assert [need.params["message"] for need in (*first.asked, *second.asked)] == ["1", "2"]
    # One after the other they share a connection again.
    again = Slow("eve")
    again.go.set()
    await bench.call(MODERN, "test_elicitation", {"message": "3"}, again)
    assert len([key for key in bench.pool.links if key[3]]) == 2


async def test_clients_that_cannot_be_asked_share_a_connection_of_their_user(bench: Bench) -> None:
    bench.make(bench.upstream("a", LEGACY))
    await asyncio.gather(*(bench.call(era, "test_simple_text") for era in (LEGACY, MODERN) * 5))
    await bench.call(MODERN, "test_simple_text", by=caller(8, role="admin"))
    assert sorted(key[2:] for key in bench.pool.links) == [(7, ""), (8, "")]


async def test_a_server_that_speaks_both_eras_is_spoken_to_in_the_clients(bench: Bench) -> None:
    bench.make(bench.upstream("a", LEGACY, kind=Kind.HTTP))
    seen: list[Any] = []
    lease = bench.pool.lease

    def noted(*args: Any, **more: Any) -> Any:
        seen.append(more.get("era"))
        return lease(*args, **more)

    async def both(*args: Any) -> bool:
        return True

    bench.pool.lease, bench.pool.speaks = noted, both  # type: ignore[method-assign]
    await bench.call(MODERN, "test_simple_text")
    await bench.call(LEGACY, "test_simple_text")
    assert seen[0] is MODERN
    assert bench.gateway.passage(bench.workspace, caller(), MODERN, "tools/call") is not None


async def test_a_question_that_nobody_answers_ends_as_the_tools_error_or_ours(bench: Bench) -> None:
    bench.make(bench.upstream("a", LEGACY), bench.upstream("b", MODERN, prefix="b__"))
    asker = Client(MODERN, elicitation_create=TimeoutError())
    with pytest.raises(RpcError) as legacy:
        await bench.call(MODERN, "test_elicitation", {"message": "?"}, asker)
    assert "did not answer in time" in str(legacy.value)
    with pytest.raises(RpcError) as modern:
        await bench.call(LEGACY, "b__test_elicitation", {"message": "?"}, asker)
    assert modern.value.data["reason"] == "no_answer"


async def test_a_clients_changed_roots_reach_the_servers_that_know_it(bench: Bench) -> None:
    told: list[str] = []

    async def changed(ctx: Any, params: Any) -> None:
        told.append("roots")

    async def tools(ctx: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[])

    def make() -> Any:
        return Server("s", version="1", on_list_tools=tools, on_roots_list_changed=changed)

    bench.make(bench.upstream("a", LEGACY, make))
    method, asker = "notifications/roots/list_changed", Client(LEGACY, roots_list={"roots": []})
    who = caller(session="s1")
    await bench.ask(LEGACY, "tools/list", {}, asker, by=who)
    await bench.gateway.tell(bench.workspace, who, LEGACY, method, {}, asker)
    await until(lambda: told == ["roots"])
    # Without a connection of its own, nobody would know whose roots they are.
    await bench.gateway.tell(bench.workspace, caller(), LEGACY, method, {}, Client(LEGACY))
    await bench.ask(LEGACY, "tools/list", {}, asker, by=who)
    assert told == ["roots"]


async def test_a_subscription_is_taken_up_again_when_its_server_comes_back(bench: Bench) -> None:
    bench.make(bench.upstream("a", LEGACY))
    told: list[str] = []
    uri = "test://watched-resource"
    stop = await bench.gateway.listen(
        bench.workspace,
        caller(),
        LEGACY,
        {"resourceSubscriptions": [uri]},
        lambda method, params: told.append(method),
        Client(LEGACY),
    )
    await bench.pool.stop("a")
    await until(lambda: len(bench.pool.running["a"]) == 2 and bench.pool.running["a"][1].subscribers.get(uri))
    await bench.call(LEGACY, "touch_resource", {"uri": uri})
    await until(lambda: told == ["notifications/resources/updated"])
    stop()


async def test_nobody_listens_to_a_modern_server_for_nobody(bench: Bench) -> None:
    bench.make(bench.upstream("a", MODERN))
    streams: list[Any] = []
    await bench.ask(MODERN, "tools/list")
    (link,) = bench.pool.links.values()
    listen = link.listen

    async def counted(wanted: Any, listener: Any) -> Any:
        end = await listen(wanted, listener)
        streams.append(wanted)
        return lambda: (streams.remove(wanted), end())

    link.listen = counted  # type: ignore[method-assign]
    await bench.ask(MODERN, "tools/list")
    assert streams == []
    told: list[str] = []
    stop = await bench.gateway.listen(
        bench.workspace, caller(), MODERN, {"toolsListChanged": True}, lambda method, _: told.append(method), Client()
    )
    assert streams == [{"toolsListChanged": True}], "what changes from now on must not be lost"
    await bench.call(MODERN, "test_trigger_tool_change")
    await until(lambda: told == ["notifications/tools/list_changed"])
    stop()
    assert streams == []


async def test_what_a_server_may_have_changed_before_it_was_listened_to_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that hangs keeps no client from being listened to; what was missed is taken to have changed."""
    monkeypatch.setattr(listening, "AT_FIRST", 0.05)
    bench.make(bench.upstream("a", MODERN))
    await bench.ask(MODERN, "tools/list")
    (link,) = bench.pool.links.values()
    listen, go, told = link.listen, asyncio.Event(), list[str]()

    async def slowly(wanted: Any, listener: Any) -> Any:
        await go.wait()
        return await listen(wanted, listener)

    link.listen = slowly  # type: ignore[method-assign]
    stop = await bench.gateway.listen(
        bench.workspace, caller(), MODERN, {"toolsListChanged": True}, lambda method, _: told.append(method), Client()
    )
    assert told == []
    go.set()
    await until(lambda: told == ["notifications/tools/list_changed"])
    stop()


async def test_a_resource_that_cannot_be_subscribed_to_is_told(bench: Bench) -> None:
    async def subscribe(ctx: Any, params: Any) -> Any:
        raise MCPError(-32002, "No such resource", {"uri": str(params.uri)})

    def make() -> Any:
        return Server("s", version="1", on_subscribe_resource=subscribe)

    bench.make(bench.upstream("a", LEGACY, make))
    wanted = {"resourceSubscriptions": ["x://y"]}
    for client, code in ((LEGACY, -32002), (MODERN, -32602)):
        with pytest.raises(RpcError, match="No such resource") as found:
            await bench.gateway.listen(bench.workspace, caller(), client, wanted, lambda *_: None, Client(client))
        assert found.value.code == code
