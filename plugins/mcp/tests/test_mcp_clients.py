"""The SDK's client, in each of its modes, against workspaces: what an agent does with one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import uuid
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import mcp_types as types
import pytest
from mcp import Client, MCPError
from mcp.shared.exceptions import MCPDeprecationWarning
from mcpsite import Site, Workspace, site
from realparts.mcpservers.parts import LEGACY, MODERN, everything, npm_server, pypi_server, serve_everything
from waits import WAIT

UPSTREAMS = ("legacy", "modern", "both", "piped")
"""Workspaces, by what is behind them: servers by URL that know one era or both, and one over stdio that knows both."""
MODES = ("legacy", "auto", MODERN)
CELLS = [(behind, mode) for behind in ("legacy", "modern", "piped") for mode in ("legacy", MODERN)]
NAMES = {"test_simple_text", "echo", "add", "json_schema_2020_12_tool"}
warnings.filterwarnings("ignore", category=MCPDeprecationWarning)
pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")


class Here:
    """One site with the workspaces above."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.site: Site = stack.enter_context(site(folder, calls_per_minute=0))
        eras = ("legacy", "modern", "both")
        servers = {era: serve_everything(folder, "--era", era, port=self.site.port()) for era in eras}
        for server in servers.values():
            stack.callback(server.stop)
        self.urls = {era: server.url for era, server in servers.items()}
        self.workspaces: dict[str, Workspace] = {
            name: self.site.workspace(name, self.urls.get(name, everything())) for name in UPSTREAMS
        }

    def __getitem__(self, name: str) -> Workspace:
        return self.workspaces[name]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    with ExitStack() as stack:
        yield Here(tmp_path_factory.mktemp("clients"), stack)


async def calls(client: Client) -> dict[str, int]:
    found: dict[str, int] = (await client.call_tool("calls", {})).structured_content
    return found


def said(result: types.CallToolResult) -> str:
    assert isinstance(result.content[0], types.TextContent)
    return result.content[0].text


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("behind", UPSTREAMS)
async def test_a_client_uses_whatever_there_is(here: Here, behind: str, mode: str) -> None:
    async with here[behind].client(mode) as one:
        assert one.protocol_version == (LEGACY if mode == "legacy" else MODERN)
        assert one.server_capabilities.tools is not None or mode == MODERN, "it was not asked for them"
        tools = {tool.name: tool for tool in (await one.list_tools()).tools}
        assert tools.keys() >= NAMES
        assert tools["json_schema_2020_12_tool"].input_schema["$defs"]["address"]["$anchor"] == "addressDef"
        assert tools["echo"].annotations is not None
        assert tools["echo"].annotations.read_only_hint is True
        assert said(await one.call_tool("echo", {"message": "größer \u2028 \U0001f600"})) == "größer \u2028 \U0001f600"
        assert (await one.call_tool("add", {"a": 2, "b": 0.5})).structured_content == {"sum": 2.5}
        failed = await one.call_tool("test_error_handling", {})
        assert failed.is_error
        assert "intentionally" in said(failed)
        mixed = await one.call_tool("test_multiple_content_types", {})
        assert [part.type for part in mixed.content] == ["text", "image", "resource"]
        uris = {str(resource.uri) for resource in (await one.list_resources()).resources}
        assert "test://static-text" in uris
        (template,) = (await one.list_resource_templates()).resource_templates
        assert template.uri_template == "test://template/{id}/data"
        read = (await one.read_resource("test://template/7/data")).contents[0]
        assert json.loads(read.text)["id"] == "7"
        assert len((await one.read_resource("test://static-binary")).contents[0].blob) > 40
        prompts = {prompt.name for prompt in (await one.list_prompts()).prompts}
        assert "test_prompt_with_arguments" in prompts
        prompt = await one.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
        assert prompt.messages[0].content.text == "Prompt with arguments: arg1='a', arg2='b'"
        reference = types.PromptReference(name="test_prompt_with_arguments")
        completed = await one.complete(reference, {"name": "arg1", "value": "par"})
        assert completed.completion.values == ["paris", "park", "party"]


@pytest.mark.parametrize(("behind", "mode"), CELLS)
async def test_errors_of_servers_arrive_as_they_are(here: Here, behind: str, mode: str) -> None:
    async with here[behind].client(mode) as one:
        with pytest.raises(MCPError) as unknown:
            await one.read_resource("test://nothing-of-the-kind")
        assert unknown.value.code in (types.INVALID_PARAMS, -32002)
        with pytest.raises(MCPError) as tool:
            await one.call_tool("no_such_tool", {})
        assert "no_such_tool" in tool.value.message


@pytest.mark.parametrize(("behind", "mode"), CELLS)
async def test_progress_arrives_while_the_call_goes_on(here: Here, behind: str, mode: str) -> None:
    told: list[tuple[float, float | None, str | None]] = []
    early = asyncio.Event()

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))
        early.set()

    async with here[behind].client(mode) as one:
        call = asyncio.create_task(one.call_tool("slow", {"seconds": 0.6, "steps": 3}, progress_callback=on_progress))
        await asyncio.wait_for(early.wait(), WAIT)
        assert not call.done()
        assert said(await call) == "slow and done"
    assert told == [(0, 3, "step 0"), (1, 3, "step 1"), (2, 3, "step 2")]


class Person:
    """Who sits at the client: a model, a form, folders; and what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def sample(self, _: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        self.asked.append("sampling")
        (message,) = params.messages
        answer = types.TextContent(text=f"<{message.content.text}>")
        return types.CreateMessageResult(role="assistant", content=answer, model="none", stop_reason="endTurn")

    async def fill_in(self, _: Any, params: Any) -> types.ElicitResult:
        self.asked.append("elicitation")
        known = {"name": "Ann", "username": "ann", "email": "ann@example.org", "color": "red", "ok": True}
        wanted = params.requested_schema["properties"]
        return types.ElicitResult(action="accept", content={key: known[key] for key in wanted})

    async def folders(self, _: Any) -> types.ListRootsResult:
        self.asked.append("roots")
        return types.ListRootsResult(roots=[types.Root(uri="file:///home/ann", name="home")])

    @property
    def options(self) -> dict[str, Any]:
        return {
            "sampling_callback": self.sample,
            "elicitation_callback": self.fill_in,
            "list_roots_callback": self.folders,
        }


@pytest.mark.parametrize(("behind", "mode"), CELLS)
async def test_a_server_asks_its_client_back_whatever_either_speaks(here: Here, behind: str, mode: str) -> None:
    person = Person()
    async with here[behind].client(mode, **person.options) as one:
        assert said(await one.call_tool("test_sampling", {"prompt": "2+2"})) == "LLM response: <2+2>"
        filled = said(await one.call_tool("test_elicitation", {"message": "Who?"}))
        assert "action=accept" in filled
        assert "ann@example.org" in filled
        assert said(await one.call_tool("test_input_required_result_list_roots", {})) == "Roots: file:///home/ann"
        assert said(await one.call_tool("test_input_required_result_request_state", {})) == "state-ok"
        assert said(await one.call_tool("test_input_required_result_multi_round", {})) == "Ann likes red"
        several = said(await one.call_tool("test_input_required_result_multiple_inputs", {}))
        assert several == "<Generate a greeting> Ann, 1 roots"
    assert sorted(person.asked) == sorted(["sampling", "elicitation", "roots"] * 2 + ["elicitation"] * 3)


@pytest.mark.parametrize(("behind", "mode"), CELLS)
async def test_a_server_is_told_what_its_client_cannot_do(here: Here, behind: str, mode: str) -> None:
    async with here[behind].client(mode) as one:
        assert said(await one.call_tool("test_sampling", {"prompt": "2+2"})) == "The client has no sampling"
        with pytest.raises(MCPError) as missing:
            await one.call_tool("test_missing_capability", {})
        # The older era has no code for it.
        codes = {"legacy": (types.MISSING_REQUIRED_CLIENT_CAPABILITY, types.INVALID_REQUEST)}
        assert missing.value.code in codes.get(mode, (types.MISSING_REQUIRED_CLIENT_CAPABILITY,))
        assert missing.value.message == "This tool needs sampling"


@pytest.mark.parametrize("behind", ["legacy", "modern", "piped"])
async def test_two_clients_at_once_are_each_asked_their_own(here: Here, behind: str) -> None:
    async def one_of(number: int) -> None:
        async def sample(_: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
            assert params.messages[0].content.text == f"for {number}"
            answer = types.TextContent(text=f"by {number}")
            return types.CreateMessageResult(role="assistant", content=answer, model="none")

        mode = "legacy" if number % 2 else MODERN
        async with here[behind].client(mode, sampling_callback=sample) as client:
            for _ in range(3):
                answer = said(await client.call_tool("test_sampling", {"prompt": f"for {number}"}))
                assert answer == f"LLM response: by {number}"

    await asyncio.gather(*(one_of(number) for number in range(4)))


@pytest.mark.parametrize("behind", UPSTREAMS)
async def test_a_legacy_client_hears_of_changes(here: Here, behind: str) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def handler(message: Any) -> None:
        if hasattr(message, "method"):
            heard.put_nowait(message.method)

    async with here[behind].client("legacy", message_handler=handler) as one:
        await one.subscribe_resource("test://watched-resource")
        await one.call_tool("touch_resource", {"uri": "test://watched-resource"})
        assert await asyncio.wait_for(heard.get(), WAIT) == "notifications/resources/updated"
        await one.call_tool("test_trigger_tool_change", {})
        assert await asyncio.wait_for(heard.get(), WAIT) == "notifications/tools/list_changed"
        names = {tool.name for tool in (await one.list_tools()).tools}
        await one.call_tool("test_trigger_tool_change", {})
        assert await asyncio.wait_for(heard.get(), WAIT) == "notifications/tools/list_changed"
        assert names ^ {tool.name for tool in (await one.list_tools()).tools} == {"another"}
        await one.unsubscribe_resource("test://watched-resource")


@pytest.mark.parametrize("behind", UPSTREAMS)
async def test_a_modern_client_hears_of_changes(here: Here, behind: str) -> None:
    async with here[behind].client(MODERN) as one:
        wanted = {"tools_list_changed": True, "resource_subscriptions": ["test://watched-resource"]}
        async with one.listen(**wanted) as heard:
            assert heard.honored.tools_list_changed
            await one.call_tool("touch_resource", {"uri": "test://watched-resource"})
            assert "ResourceUpdated" in repr(await asyncio.wait_for(anext(aiter(heard)), WAIT))
            await one.call_tool("test_trigger_tool_change", {})
            assert "ToolsListChanged" in repr(await asyncio.wait_for(anext(aiter(heard)), WAIT))
        await one.call_tool("test_trigger_tool_change", {})


@pytest.mark.parametrize(("behind", "mode"), CELLS)
async def test_log_messages_arrive_with_the_call(here: Here, behind: str, mode: str) -> None:
    logged: list[str] = []

    async def on_log(params: types.LoggingMessageNotificationParams) -> None:
        logged.append(str(params.data))

    async with here[behind].client(mode, logging_callback=on_log, log_level="info") as one:
        if mode == "legacy":
            await one.set_logging_level("info")
        await one.call_tool("test_tool_with_logging", {})
    assert logged == ["Tool execution started", "Tool processing data", "Tool execution completed"]


@pytest.mark.parametrize(("behind", "mode"), CELLS)
async def test_a_call_that_is_given_up_ends_at_its_server(here: Here, behind: str, mode: str) -> None:
    begun = asyncio.Event()

    async def on_progress(*_: Any) -> None:
        begun.set()

    async with here[behind].client(mode) as one:
        before = await calls(one)
        call = asyncio.create_task(one.call_tool("slow", {"seconds": 300, "steps": 2}, progress_callback=on_progress))
        await asyncio.wait_for(begun.wait(), WAIT)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(WAIT):
            while (await calls(one))["cancelled"] == before["cancelled"]:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("behind", ["legacy", "modern", "piped"])
async def test_what_a_legacy_client_missed_it_gets_when_it_comes_back(here: Here, behind: str) -> None:
    """Its stream breaks in the middle of a call, which goes on."""
    workspace = here[behind]
    accept = {"Accept": "application/json, text/event-stream", **workspace.headers}
    async with httpx.AsyncClient(headers=accept, timeout=WAIT) as web:
        hello = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
        begin = await web.post(workspace.url, json=rpc(1, "initialize", hello))
        assert begin.status_code == 200, begin.text
        web.headers.update({"Mcp-Session-Id": begin.headers["mcp-session-id"], "MCP-Protocol-Version": LEGACY})
        await web.post(workspace.url, json={"jsonrpc": "2.0", "method": "notifications/initialized"})
        call = {
            "name": "slow",
            "arguments": {"seconds": 1, "steps": 2},
            "_meta": {"progressToken": "p"},
        }
        last = ""
        async with web.stream("POST", workspace.url, json=rpc(2, "tools/call", call)) as stream:
            assert stream.status_code == 200
            async for line in stream.aiter_lines():
                if line.startswith("id:"):
                    last = line[3:].strip()
                if "step 0" in line:
                    break
        assert last, "events have no ids"
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(WAIT):
            # A stream may end again at once, where its server has not seen yet that the other one is gone.
            while not found or found[-1].get("id") != 2:
                async with web.stream("GET", workspace.url, headers={"Last-Event-ID": last}) as stream:
                    assert stream.status_code == 200
                    async for line in stream.aiter_lines():
                        if line.startswith("id:"):
                            last = line[3:].strip()
                        if line.startswith("data:") and len(line) > 6:
                            found.append(json.loads(line[5:]))
                            if found[-1].get("id") == 2:
                                break
        assert found[-1]["result"]["content"][0]["text"] == "slow and done"
        assert not any("step 0" in json.dumps(each) for each in found), "what had come came once more"
        ended = await web.delete(workspace.url)
        assert ended.status_code in (200, 204)
        gone = await web.post(workspace.url, json=rpc(3, "tools/list"))
        assert gone.status_code == 404


def rpc(id: int, method: str, params: Any = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, **({} if params is None else {"params": params})}


@pytest.mark.parametrize(("behind", "mode"), CELLS)
async def test_the_key_for_moorage_stays_with_moorage(here: Here, behind: str, mode: str) -> None:
    async with here[behind].client(mode) as one:
        shown = json.dumps((await one.call_tool("client", {})).structured_content)
    assert here[behind].key not in shown
    assert "authorization" not in shown.lower()
    assert "cookie" not in shown.lower()


async def test_several_servers_stand_behind_one_endpoint(here: Here) -> None:
    """Names of the first stay as they are; the others' have theirs before them."""
    name = f"several-{uuid.uuid4().hex[:8]}"
    time = {"name": "time", "kind": "stdio", "command": pypi_server("mcp_server_time")}
    second = {"name": "second", "kind": "http", "url": here.urls["legacy"]}
    workspace = here.site.workspace(name, here.urls["modern"], second, time)
    for mode in MODES:
        person = Person()
        async with workspace.client(mode, **person.options) as one:
            names = {tool.name for tool in (await one.list_tools()).tools}
            assert {"echo", "second__echo", "time__get_current_time"} <= names
            for tool in ("echo", "second__echo"):
                assert said(await one.call_tool(tool, {"message": tool})) == tool
            at = said(await one.call_tool("time__get_current_time", {"timezone": "UTC"}))
            assert "UTC" in at
            eras = [
                (await one.call_tool(tool, {})).structured_content["version"] for tool in ("client", "second__client")
            ]
            assert eras == [MODERN, LEGACY]
            for tool in ("test_sampling", "second__test_sampling"):
                assert said(await one.call_tool(tool, {"prompt": "x"})) == "LLM response: <x>"
            prompts = {prompt.name for prompt in (await one.list_prompts()).prompts}
            assert {"test_simple_prompt", "second__test_simple_prompt"} <= prompts


async def test_the_rest_api_lists_and_calls_the_same_tools(here: Here) -> None:
    with here.site.api() as api:
        for workspace in here.workspaces.values():
            listed = api.get("/api/v1/mcp/tools", params={"workspace_id": workspace.id})
            assert listed.status_code == 200, listed.text
            found = listed.json()["data"]
            assert found["count"] == len(found["tools"])
            assert {tool["name"] for tool in found["tools"]} >= NAMES
            body = {"workspace_id": workspace.id, "tool": "add", "parameters": {"a": 1, "b": 2}}
            done = api.post("/api/v1/mcp/invoke", json=body)
            assert done.status_code == 200, done.text
            assert done.json()["data"]["result"] == {"sum": 3}


async def test_every_call_is_written_down(here: Here) -> None:
    workspace = here.site.workspace(f"kept-{uuid.uuid4().hex[:8]}", here.urls["legacy"])
    for mode in ("legacy", MODERN):
        async with workspace.client(mode) as one:
            await one.call_tool("echo", {"message": "a secret"})
            await one.call_tool("test_error_handling", {})
    async with asyncio.timeout(WAIT):
        while len(found := [call for call in here.site.calls(workspace) if call["method"] == "tools/call"]) < 4:
            await asyncio.sleep(0.05)
    assert sorted((call["tool"], call["outcome"]) for call in found) == [
        ("echo", "ok"),
        ("echo", "ok"),
        ("test_error_handling", "tool_error"),
        ("test_error_handling", "tool_error"),
    ]
    assert "a secret" not in json.dumps(found)


@pytest.mark.parametrize("mode", ["legacy", MODERN])
async def test_real_servers_serve_clients_of_both_eras(here: Here, mode: str, mcp_parts: None) -> None:
    """Of npm, which know the older era alone, and of PyPI."""
    repository, files = here.site.files / "repository", here.site.files / "files"
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    (repository / "new.txt").write_text("new")
    files.mkdir(exist_ok=True)
    (files / "a.txt").write_text("inside")

    def stdio(name: str, command: list[str]) -> dict[str, Any]:
        return {"name": name, "kind": "stdio", "command": command}

    workspace = here.site.workspace(
        f"real-{uuid.uuid4().hex[:8]}",
        stdio("git", pypi_server("mcp_server_git", "--repository", str(repository))),
        stdio("all", npm_server("server-everything", "stdio")),
        stdio("files", npm_server("server-filesystem", str(files))),
        stdio("memory", npm_server("server-memory")),
    )
    person = Person()
    async with workspace.client(mode, **person.options) as one:
        names = {tool.name for tool in (await one.list_tools()).tools}
        assert {"git_status", "all__echo", "files__read_text_file", "memory__read_graph"} <= names
        status = said(await one.call_tool("git_status", {"repo_path": str(repository)}))
        assert "new.txt" in status
        assert "hello" in said(await one.call_tool("all__echo", {"message": "hello"}))
        read = await one.call_tool("files__read_text_file", {"path": str(files / "a.txt")})
        assert said(read) == "inside"
        outside = await one.call_tool("files__read_text_file", {"path": "/etc/passwd"})
        assert outside.is_error
        assert (await one.call_tool("memory__read_graph", {})).structured_content is not None
