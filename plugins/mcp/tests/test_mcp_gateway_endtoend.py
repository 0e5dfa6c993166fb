"""Several servers of both eras behind one endpoint, by the SDK's client in each of its modes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import mcp_types as types
import pytest
from mcp import MCPError
from mcpsite import Site, Workspace, site
from realparts.mcpservers.parts import MODERN, everything, serve_everything
from waits import WAIT

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
MODES = ("legacy", MODERN)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Workspace]]:
    folder = tmp_path_factory.mktemp("merged")
    with site(folder, calls_per_minute=0) as made:
        server = serve_everything(folder, "--era", "modern", port=made.port())
        try:
            yield made, made.workspace("both", everything("--era", "legacy"), server.url)
        finally:
            server.stop()


def said(result: types.CallToolResult) -> str:
    assert isinstance(result.content[0], types.TextContent)
    return result.content[0].text


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_uses_both_and_is_asked_by_both(here: tuple[Site, Workspace], mode: str) -> None:
    asked: list[str] = []

    async def fill_in(context: Any, params: Any) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"username": "ada", "email": "a@b.c", "ok": True})

    async def progress(now: float, total: float | None, message: str | None) -> None:
        told.append(now)

    _, both = here
    async with both.client(mode, elicitation_callback=fill_in) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert len(names) == len(set(names))
        for prefix in ("", "server1__"):
            told: list[float] = []
            assert f"{prefix}echo" in names
            assert said(await client.call_tool(f"{prefix}echo", {"message": "x"})) == "x"
            found = await client.call_tool(f"{prefix}test_elicitation", {"message": f"Who? {prefix}"})
            assert "action=accept" in said(found)
            await client.call_tool(f"{prefix}test_tool_with_progress", {}, progress_callback=progress)
            assert told == [0, 50, 100]
            prompt = await client.get_prompt(f"{prefix}test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
            assert "arg1='a'" in prompt.messages[0].content.text
        assert asked == ["Who? ", "Who? server1__"]
        assert (await client.call_tool("server1__add", {"a": 1, "b": 2})).structured_content == {"sum": 3}
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("server2__echo", {"message": "x"})


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
async def test_many_at_once_are_each_asked_their_own_question(here: tuple[Site, Workspace], mode: str) -> None:
    """By a server over stdio, whose questions all come on one stream."""
    _, both = here

    async def one(name: str) -> str:
        async def fill_in(context: Any, params: Any) -> types.ElicitResult:
            assert params.message == name
            await asyncio.sleep(0.05)
            return types.ElicitResult(action="accept", content={"username": name, "email": name})

        async with both.client(mode, elicitation_callback=fill_in) as client:
            return said(await client.call_tool("test_elicitation", {"message": name}))

    async with asyncio.timeout(WAIT):
        found = await asyncio.gather(*(one(f"person-{n}") for n in range(5)))
    assert all(f"person-{n}" in text for n, text in enumerate(found))


async def test_calls_are_on_record_with_their_server(here: tuple[Site, Workspace]) -> None:
    made, both = here
    async with both.client("legacy") as client:
        await client.call_tool("server1__echo", {"message": "secret words"})
        await client.call_tool("test_error_handling", {})
        await client.read_resource("test://static-text")
    found = made.calls(both)[:3]
    assert [(call["method"], call["tool"], call["upstream"], call["outcome"]) for call in found] == [
        ("resources/read", "test://static-text", "server0", "ok"),
        ("tools/call", "test_error_handling", "server0", "tool_error"),
        ("tools/call", "server1__echo", "server1", "ok"),
    ]
    assert found[2]["arguments"].startswith("sha256:")
    assert "secret" not in str(found)
