"""Workspaces. Source: `api/octoprox.md`, Workspaces; changing, restoring, restarting, snippets are ours."""

from __future__ import annotations

import asyncio
import json

from moorage.api import (
    Actor,
    MoorageError,
    Route,
    Routes,
    UserInfo,
    current_actor,
    current_request,
    json_response,
    read_json,
    read_query,
)
from quart import Response

from moorage_mcp.records import Status, WorkspaceInfo
from moorage_mcp.rights import CREATE, DELETE, MANAGE, USE, VIEW
from moorage_mcp.snippets import snippet
from moorage_mcp.views.reading import (
    MAX_BODY,
    ChangeBody,
    RestoreBody,
    SnippetQuery,
    WorkspaceBody,
    WorkspaceQuery,
    WorkspacesQuery,
    path_id,
)
from moorage_mcp.views.services import Services, current_caller
from moorage_mcp.views.shapes import (
    DetailsAnswer,
    WithToolsAnswer,
    WorkspaceAnswer,
    WorkspaceDetails,
    WorkspacesAnswer,
    WorkspaceShape,
    WorkspaceWithTools,
    endpoint_url,
    meta,
    workspace_details,
    workspace_shape,
)
from moorage_mcp.workspaces import Wanted

ONE = "/api/v1/workspaces/{workspace_id}"
TOOLS_SECONDS = 15.0
"""In which a workspace's tools must have been told; else it is shown without them."""
MAX_OF_USER = 500
"""Workspaces in a user's details; the list has pages."""


def routes(services: Services) -> list[Route]:
    """All of them."""
    return [*_many(services), *_one(services), *_life(services)]


def _many(services: Services) -> Routes:
    table = Routes()
    workspaces = services.workspaces

    @table.get("/api/v1/workspaces", access=VIEW.name, query=WorkspacesQuery, answer=WorkspacesAnswer)
    async def list_workspaces() -> Response:
        """List workspaces by their numbers: one's own, for administrators everybody's.

        Deleted ones are listed only with `status=deleted`, until they are purged.
        """
        query = read_query(WorkspacesQuery)
        wanted = Wanted(user_id=query.user_id, status=query.status, offset=query.offset, limit=query.per_page)
        found, total = await workspaces.visible(current_actor(), wanted)
        answer: WorkspacesAnswer = {
            "data": {"workspaces": [shown(services, one) for one in found]},
            "meta": meta(query, total),
        }
        return json_response(answer)

    @table.post(
        "/api/v1/workspaces",
        access=CREATE.name,
        max_body=MAX_BODY,
        body=WorkspaceBody,
        answer=WorkspaceAnswer,
        status=201,
    )
    async def create() -> Response:
        """Make a workspace: with tools for files and git in a folder of its own, where the server offers them."""
        body = await read_json(WorkspaceBody)
        made = await workspaces.create(current_actor(), body.name, metadata=body.metadata)
        return json_response({"data": shown(services, made)}, 201)

    return table


def _one(services: Services) -> Routes:
    table = Routes()
    workspaces = services.workspaces

    @table.get(ONE, access=VIEW.name, query=WorkspaceQuery, answer=WithToolsAnswer, timeout=TOOLS_SECONDS + 15)
    async def get(workspace_id: str) -> Response:
        """Show a workspace with its servers and the tools that the caller may use.

        Its servers are started for that. Where they cannot be, `tools_error` says why.
        """
        query = read_query(WorkspaceQuery)
        found = await workspaces.seen(current_actor(), path_id(workspace_id, "workspace_id"))
        return json_response({"data": await _with_tools(services, found) if query.tools else details(services, found)})

    @table.patch(ONE, access=MANAGE.name, max_body=MAX_BODY, body=ChangeBody, answer=DetailsAnswer)
    async def change(workspace_id: str) -> Response:
        """Change a workspace's name, metadata, rules of tools or limits."""
        number, actor = path_id(workspace_id, "workspace_id"), current_actor()
        body = await read_json(ChangeBody)
        changed = await workspaces.change(actor, number, body.columns(), body.rules())
        return json_response({"data": details(services, changed)})

    @table.get(ONE + "/mcp.json", access=VIEW.name, query=SnippetQuery, answer=dict[str, object])
    async def configuration(workspace_id: str) -> Response:
        """Give the configuration of an MCP client that uses the workspace; a key is never in it."""
        query, actor = read_query(SnippetQuery), current_actor()
        found = await workspaces.get(actor, path_id(workspace_id, "workspace_id"), VIEW.name)
        url = endpoint_url(found, actor, current_request())
        made = snippet(query.client, found.name, url, key=query.auth == "key")
        # For a file that people read and change.
        return Response(json.dumps(made, indent=2) + "\n", content_type="application/json")

    return table


def _life(services: Services) -> Routes:
    table = Routes()
    workspaces = services.workspaces

    @table.delete(ONE, access=DELETE.name, max_body=MAX_BODY, status=204)
    async def delete(workspace_id: str) -> Response:
        """Delete a workspace: it stops and its name is free at once. Until it is purged it can be restored."""
        await workspaces.delete(current_actor(), path_id(workspace_id, "workspace_id"))
        return Response(b"", 204)

    @table.post(ONE + "/restore", access=DELETE.name, max_body=MAX_BODY, body=RestoreBody, answer=DetailsAnswer)
    async def restore(workspace_id: str) -> Response:
        """Take back a deletion."""
        number, body = path_id(workspace_id, "workspace_id"), await read_json(RestoreBody)
        found = await workspaces.restore(current_actor(), number, body.name)
        return json_response({"data": details(services, found)})

    @table.post(ONE + "/restart", access=MANAGE.name, max_body=MAX_BODY, answer=DetailsAnswer, timeout=90)
    async def restart(workspace_id: str) -> Response:
        """End a workspace's servers; they start anew when they are used."""
        found = await workspaces.restart(current_actor(), path_id(workspace_id, "workspace_id"))
        return json_response({"data": details(services, found)})

    return table


async def of_user(services: Services, actor: Actor, user: UserInfo) -> list[WorkspaceShape]:
    """A user's workspaces, as far as the actor may see them."""
    if not services.hub.access.can(actor, VIEW.name, owner_id=user.id):
        return []
    found, _ = await services.workspaces.page(Wanted(user_id=user.id, limit=MAX_OF_USER))
    return [shown(services, one) for one in found]


def shown(services: Services, info: WorkspaceInfo) -> WorkspaceShape:
    """A workspace as lists have it."""
    url = endpoint_url(info, current_actor(), current_request())
    return workspace_shape(info, url, services.workspaces.figures(info.id))


def details(services: Services, info: WorkspaceInfo) -> WorkspaceDetails:
    """A workspace with all that is set."""
    return workspace_details(shown(services, info), info, services.state_of)


async def _with_tools(services: Services, info: WorkspaceInfo) -> WorkspaceWithTools:
    """What is shown of its state is as it is after its servers were asked."""
    tools: list[dict[str, object]] = []
    problem = None
    usable = services.hub.access.can(current_actor(), USE.name, owner_id=info.user_id)
    if info.status is Status.ACTIVE and usable and any(one.enabled for one in info.upstreams):
        try:
            async with asyncio.timeout(TOOLS_SECONDS):
                tools = await services.tools.tools(info, current_caller())
        except TimeoutError:
            problem = f"Its servers did not tell their tools within {TOOLS_SECONDS:g} seconds"
        except MoorageError as error:
            problem = error.message
    return {**details(services, info), "tools": tools, "tools_error": problem}
