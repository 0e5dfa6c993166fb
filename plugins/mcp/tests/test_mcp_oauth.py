"""Workspaces as OAuth resources: the SDK's client comes in by itself in each era; a token opens one workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import httpx2
import pytest
from lettingin import Program, shown
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcpsite import Site, Workspace, site
from realparts.mcpservers.parts import LEGACY, MODERN, serve_everything
from sdklogin import Storage, sdk
from waits import WAIT

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}},
}


class Here:
    def __init__(self, made: Site, url: str) -> None:
        self.site = made
        self.mine, self.other = made.workspace("mine", url), made.workspace("other", url)
        self.browser = made.server.client("ann")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    folder = tmp_path_factory.mktemp("oauth")
    with ExitStack() as stack:
        made = stack.enter_context(site(folder))
        server = serve_everything(folder, port=made.port())
        stack.callback(server.stop)
        found = Here(made, server.url)
        stack.callback(found.browser.close)
        yield found


def hello(workspace: Workspace, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    return httpx.post(workspace.url, json=HELLO, headers=headers, timeout=WAIT)


@pytest.mark.parametrize("mode", ["legacy", MODERN])
async def test_the_sdks_client_comes_in_by_itself(here: Here, mode: str) -> None:
    storage = Storage()
    provider, sent = sdk(here.browser, here.mine.url, storage)
    timeout = httpx2.Timeout(WAIT, read=4 * WAIT)
    async with (
        httpx2.AsyncClient(auth=provider, timeout=timeout) as web,
        Client(streamable_http_client(here.mine.url, http_client=web), mode=mode) as client,
    ):
        assert (await client.call_tool("add", {"a": 2, "b": 3})).structured_content == {"sum": 5}
    assert len(sent) == 1
    assert storage.tokens.scope == "mcp:tool:use mcp:workspace:view offline_access"
    token = storage.tokens.access_token
    assert hello(here.mine, token).status_code == 200
    assert hello(here.other, token).status_code == 401
    for path in ("/api/v1/workspaces", f"/api/v1/mcp/tools?workspace_id={here.mine.id}", "/api/me"):
        assert shown(here.site.server.url + path, token).status_code == 401, path


def test_a_workspace_says_where_programs_are_let_in_whether_it_is_there_or_not(here: Here) -> None:
    base = here.site.server.url
    for name in ("mine", "nobodys"):
        refused = httpx.post(f"{base}/ws/{name}/mcp", json=HELLO)
        assert refused.status_code == 401
        place = f"{base}/.well-known/oauth-protected-resource/ws/{name}/mcp"
        assert f'resource_metadata="{place}"' in refused.headers["www-authenticate"]
        assert httpx.get(place).json() == {
            "resource": f"{base}/ws/{name}/mcp",
            "authorization_servers": [base],
            "scopes_supported": ["mcp:tool:use", "mcp:workspace:view"],
            "bearer_methods_supported": ["header"],
        }


def test_a_login_that_is_ended_is_over_at_its_workspace(here: Here) -> None:
    program = Program(here.site.server, resource=here.mine.url)
    token = program.let_in(here.browser)["access_token"]
    begun = hello(here.mine, token)
    assert begun.status_code == 200
    sessions: list[dict[str, Any]] = here.browser.get("/api/core/sessions").json()["sessions"]
    (mine,) = [one for one in sessions if one["client_id"] == program.client_id]
    assert mine["resource"] == here.mine.url
    assert here.browser.delete(f"/api/core/sessions/{mine['id']}").status_code == 204
    assert hello(here.mine, token).status_code == 401
