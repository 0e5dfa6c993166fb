"""Tools that models may use: what there is, and what is chosen for a conversation. Our own routes."""

from __future__ import annotations

from typing import Annotated, Any

from moorage.api import NotFound, Route, Routes, Unavailable, current_actor, json_response
from pydantic import Field
from quart import Response
from typing_extensions import TypedDict

from moorage_chat.engine.toolbox import LIST_SECONDS, MAX_SETS
from moorage_chat.rights import GENERATE, VIEW, WRITE
from moorage_chat.views import reading
from moorage_chat.views.reading import Name, Own, read_body
from moorage_chat.views.services import Services

SPARE = 10.0


class ToolSetShape(TypedDict):
    """A set of tools. label: for people."""

    id: str
    label: str


class ToolShape(TypedDict):
    """A tool. parameters: the JSON Schema of its arguments. read_only: it changes nothing, as it says."""

    name: str
    title: str
    description: str
    read_only: bool
    parameters: dict[str, Any]


class ToolSetAnswer(ToolSetShape):
    """GET /chat/tools/{set_id}."""

    tools: list[ToolShape]


class ChoiceAnswer(TypedDict):
    """What is chosen for a conversation."""

    tool_sets: list[str]


class ChoiceBody(Own):
    """PUT /conversations/{conversation_id}/tools."""

    tool_sets: Annotated[list[Name], Field(max_length=MAX_SETS)]


def routes(services: Services) -> list[Route]:
    """`/chat/tools`, `/conversations/{conversation_id}/tools`."""
    table = Routes()
    toolbox, choice = services.toolbox, services.tool_choice

    @table.get("/chat/tools", access=GENERATE.name, answer=list[ToolSetShape])
    async def sets() -> Response:
        """List the sets of tools that one may let models use, as one's MCP workspaces."""
        found = [ToolSetShape(id=one.id, label=one.label) for one in await toolbox.sets(current_actor())]
        return json_response(found)

    @table.get("/chat/tools/{set_id}", access=GENERATE.name, answer=ToolSetAnswer, timeout=LIST_SECONDS + SPARE)
    async def tools(set_id: str) -> Response:
        """List the tools of a set; what gives them is started for that."""
        found = await toolbox.chosen(current_actor(), [set_id], strict=False)
        if not found:
            raise NotFound("There is no such set of tools", code="TOOLS_NOT_FOUND")
        try:
            listed = await toolbox.tools(found[0])
        except TimeoutError:
            raise Unavailable("The tools did not answer in time") from None
        shown = [
            ToolShape(
                name=tool.name,
                title=tool.title,
                description=tool.description,
                read_only=tool.read_only,
                parameters=dict(tool.parameters),
            )
            for tool in listed
        ]
        answer: ToolSetAnswer = {"id": found[0].id, "label": found[0].label, "tools": shown}
        return json_response(answer)

    @table.get("/conversations/{conversation_id}/tools", access=VIEW.name, answer=ChoiceAnswer)
    async def chosen(conversation_id: str) -> Response:
        """Show which sets of tools the answers of a conversation may use."""
        answer: ChoiceAnswer = {"tool_sets": await choice.of(current_actor(), reading.conversation_id(conversation_id))}
        return json_response(answer)

    @table.put("/conversations/{conversation_id}/tools", access=WRITE.name, body=ChoiceBody, answer=ChoiceAnswer)
    async def choose(conversation_id: str) -> Response:
        """Choose the sets of tools that the answers of a conversation may use; none: []."""
        body = await read_body(ChoiceBody)
        made = await choice.choose(current_actor(), reading.conversation_id(conversation_id), body.tool_sets)
        answer: ChoiceAnswer = {"tool_sets": made}
        return json_response(answer)

    return list(table)
