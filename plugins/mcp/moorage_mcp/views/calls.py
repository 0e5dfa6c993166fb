"""The calls of a workspace, for its owner: ours, in the contract's dialect."""

from __future__ import annotations

from moorage.api import Route, Routes, current_actor, json_response, read_query
from quart import Response

from moorage_mcp.rights import VIEW
from moorage_mcp.views.reading import CallsQuery, path_id
from moorage_mcp.views.services import Services, user_id
from moorage_mcp.views.shapes import CallsAnswer, call_shape, meta


def routes(services: Services) -> list[Route]:
    """The one route."""
    table = Routes()
    hub = services.hub

    @table.get("/api/v1/workspaces/{workspace_id}/calls", access=VIEW.name, query=CallsQuery, answer=CallsAnswer)
    async def list_calls(workspace_id: str) -> Response:
        """List what was asked of a workspace's servers, newest first: by whom, how long it took, how it ended.

        Who reads those of another's workspace is written to the audit log.
        """
        query, actor = read_query(CallsQuery), current_actor()
        found = await services.workspaces.kept(actor, path_id(workspace_id, "workspace_id"))
        if found.user_id != user_id(actor):
            await hub.audit.note_read("mcp_call", actor=actor, data={"workspace": found.pid, "user_id": found.user_id})
        rows, total = await services.calls.page(
            found.id, offset=query.offset, limit=query.per_page, outcome=query.outcome, tool=query.tool
        )
        answer: CallsAnswer = {"data": {"calls": [call_shape(row) for row in rows]}, "meta": meta(query, total)}
        return json_response(answer)

    return list(table)
