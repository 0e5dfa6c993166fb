"""The servers of a workspace: ours, in the contract's dialect."""

from __future__ import annotations

from moorage.api import Route, Routes, current_actor, json_response, read_json
from quart import Response

from moorage_mcp.records import UpstreamInfo
from moorage_mcp.rights import MANAGE, VIEW
from moorage_mcp.views.reading import MAX_BODY, ChangeUpstreamBody, NewUpstreamBody, path_id
from moorage_mcp.views.services import Services
from moorage_mcp.views.shapes import UpstreamAnswer, UpstreamsAnswer, upstream_shape

MANY = "/api/v1/workspaces/{workspace_id}/upstreams"
ONE = MANY + "/{upstream_id}"


def routes(services: Services) -> list[Route]:
    """All of them."""
    table = Routes()
    upstreams = services.upstreams

    def answer(info: UpstreamInfo, status: int = 200) -> Response:
        return json_response({"data": upstream_shape(info, services.state_of(info))}, status)

    @table.get(MANY, access=VIEW.name, answer=UpstreamsAnswer)
    async def list_upstreams(workspace_id: str) -> Response:
        """List a workspace's MCP servers in their order. Secrets are named, and not shown."""
        number = path_id(workspace_id, "workspace_id")
        found = await upstreams.list(current_actor(), number)
        return json_response({"data": {"upstreams": [upstream_shape(one, services.state_of(one)) for one in found]}})

    @table.post(MANY, access=MANAGE.name, max_body=MAX_BODY, body=NewUpstreamBody, answer=UpstreamAnswer, status=201)
    async def add(workspace_id: str) -> Response:
        """Add an MCP server.

        A program needs mcp:upstream:command. An address must begin with one of `[plugins.mcp] targets`, or the caller
        holds mcp:upstream:remote and it is a public one.
        """
        number, body = path_id(workspace_id, "workspace_id"), await read_json(NewUpstreamBody)
        return answer(await upstreams.add(current_actor(), number, body.kind, body.given()), 201)

    @table.get(ONE, access=VIEW.name, answer=UpstreamAnswer)
    async def get(workspace_id: str, upstream_id: str) -> Response:
        """Show an MCP server of a workspace."""
        number, id = path_id(workspace_id, "workspace_id"), path_id(upstream_id, "upstream_id")
        return answer(await upstreams.get(current_actor(), number, id))

    @table.patch(ONE, access=MANAGE.name, max_body=MAX_BODY, body=ChangeUpstreamBody, answer=UpstreamAnswer)
    async def change(workspace_id: str, upstream_id: str) -> Response:
        """Change an MCP server: what is left out stays, and "***" stands for a secret that is there."""
        number, id = path_id(workspace_id, "workspace_id"), path_id(upstream_id, "upstream_id")
        body = await read_json(ChangeUpstreamBody)
        return answer(await upstreams.change(current_actor(), number, id, body.given()))

    @table.delete(ONE, access=MANAGE.name, max_body=MAX_BODY, status=204)
    async def remove(workspace_id: str, upstream_id: str) -> Response:
        """Remove an MCP server; what runs of it ends."""
        number, id = path_id(workspace_id, "workspace_id"), path_id(upstream_id, "upstream_id")
        await upstreams.remove(current_actor(), number, id)
        return Response(b"", 204)

    return list(table)
