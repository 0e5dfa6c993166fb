"""Prompts and resources of `everything.py`."""

from __future__ import annotations

import json

import mcp_types as types
from everything_call import (
    STRING,
    Call,
    embedded,
    form,
    png,
)
from mcp.shared.exceptions import MCPError


# Prompts and resources.
def _prompt(*content: types.ContentBlock) -> types.GetPromptResult:
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=part) for part in content])


async def get_prompt(call: Call, name: str) -> types.GetPromptResult:
    given = call.arguments
    if name == "test_simple_prompt":
        return _prompt(types.TextContent(text="This is a simple prompt for testing."))
    if name == "test_prompt_with_arguments":
        said = f"Prompt with arguments: arg1='{given.get('arg1', '')}', arg2='{given.get('arg2', '')}'"
        return _prompt(types.TextContent(text=said))
    if name == "test_prompt_with_embedded_resource":
        uri = str(given.get("resourceUri", "test://example-resource"))
        found = embedded(uri, "text/plain", "Embedded resource content for testing.")
        return _prompt(found, types.TextContent(text="Please process the embedded resource above."))
    if name == "test_prompt_with_image":
        picture = types.ImageContent(data=png(), mime_type="image/png")
        return _prompt(picture, types.TextContent(text="Please analyze the image above."))
    if name == "test_input_required_result_prompt":
        answer = await call.ask({"user_context": form("What context should the prompt use?", context=STRING)})
        said = (answer["user_context"].get("content") or {}).get("context", "none")
        return _prompt(types.TextContent(text=f"The context is {said}"))
    raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {name}")


def _argument(name: str) -> types.PromptArgument:
    return types.PromptArgument(name=name, description=f"The {name}", required=True)


PROMPTS = [
    types.Prompt(name="test_simple_prompt", description="Says a text"),
    types.Prompt(
        name="test_prompt_with_arguments",
        description="Says what it is told",
        arguments=[_argument("arg1"), _argument("arg2")],
    ),
    types.Prompt(
        name="test_prompt_with_embedded_resource", description="Shows a resource", arguments=[_argument("resourceUri")]
    ),
    types.Prompt(name="test_prompt_with_image", description="Shows an image"),
    types.Prompt(name="test_input_required_result_prompt", description="Asks for a context"),
]
RESOURCES = [
    types.Resource(uri="test://static-text", name="text", description="A text", mime_type="text/plain"),
    types.Resource(uri="test://static-binary", name="binary", description="An image", mime_type="image/png"),
    types.Resource(uri="test://watched-resource", name="watched", description="It changes", mime_type="text/plain"),
]
TEMPLATES = [
    types.ResourceTemplate(
        uri_template="test://template/{id}/data", name="data", description="Data by id", mime_type="application/json"
    )
]


def read(uri: str) -> types.TextResourceContents | types.BlobResourceContents:
    """A resource's content, or the error that says that there is none."""
    if uri == "test://static-text":
        said = "This is the content of the static text resource."
        return types.TextResourceContents(uri=uri, mime_type="text/plain", text=said)
    if uri == "test://static-binary":
        return types.BlobResourceContents(uri=uri, mime_type="image/png", blob=png())
    if uri == "test://watched-resource":
        return types.TextResourceContents(uri=uri, mime_type="text/plain", text="Watched")
    if uri.startswith("test://template/") and uri.endswith("/data"):
        id_ = uri.removeprefix("test://template/").removesuffix("/data")
        said = json.dumps({"id": id_, "templateTest": True, "data": f"Data for ID: {id_}"})
        return types.TextResourceContents(uri=uri, mime_type="application/json", text=said)
    raise MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": uri})
