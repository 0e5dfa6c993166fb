"""Tools of `everything.py` that ask nothing back."""

from __future__ import annotations

import json
import os
from typing import Any

import anyio
import mcp_types as types
from everything_call import (
    OBJECT,
    STRING,
    TOOLS,
    Call,
    embedded,
    plain,
    png,
    properties,
    text,
    tool,
    wav,
)
from mcp.server.subscriptions import PromptsListChanged, ResourceUpdated, ToolsListChanged
from mcp.shared.exceptions import MCPError


@tool(
    "echo", "Says what it is told", properties(message=STRING), annotations=types.ToolAnnotations(read_only_hint=True)
)
async def echo(call: Call) -> types.CallToolResult:
    return text(str(call.arguments["message"]))


@tool(
    "add",
    "Adds two numbers",
    properties(a={"type": "number"}, b={"type": "number"}),
    output_schema=properties(sum={"type": "number"}),
)
async def add(call: Call) -> types.CallToolResult:
    value = {"sum": call.arguments["a"] + call.arguments["b"]}
    return text(json.dumps(value), structured_content=value)


@tool(
    "slow",
    "Takes its time, telling of its progress at every step",
    properties(seconds={"type": "number"}, steps={"type": "integer"}),
)
async def slow(call: Call) -> types.CallToolResult:
    """`calls` tells of it when it was cancelled."""
    steps = call.arguments["steps"]
    call.server.counts["started"] += 1
    try:
        for step in range(steps):
            await call.progress(step, steps, f"step {step}")
            await anyio.sleep(call.arguments["seconds"] / steps)
    except anyio.get_cancelled_exc_class():
        call.server.counts["cancelled"] += 1
        raise
    return text("slow and done")


@tool("calls", "Tells how many slow calls were started and cancelled, and which process this is")
async def calls(call: Call) -> types.CallToolResult:
    value = {"started": call.server.counts["started"], "cancelled": call.server.counts["cancelled"], "pid": os.getpid()}
    return text(json.dumps(value), structured_content=value)


@tool("big", "Says as many bytes as wanted", properties(bytes={"type": "integer"}))
async def big(call: Call) -> types.CallToolResult:
    return text("x" * call.arguments["bytes"])


@tool("client", "Tells what it knows of its client: versions, capabilities, and the headers of the request")
async def client(call: Call) -> types.CallToolResult:
    session, request = call.ctx.session, call.ctx.request
    known, params = session.client_capabilities, session.client_params
    value = {
        "version": call.ctx.protocol_version,
        "capabilities": plain(known) if known is not None else {},
        "name": params.client_info.name if params is not None else None,
        "headers": {} if request is None else dict(request.headers),
        "meta": dict(call.ctx.meta or {}),
    }
    return text(json.dumps(value), structured_content=value)


@tool("environment", "Tells a variable of its environment", properties(name=STRING))
async def environment(call: Call) -> types.CallToolResult:
    return text(os.environ.get(call.arguments["name"], ""))


@tool("keep", "Keeps a word for this connection, and tells the word that was kept before", properties(word=STRING))
async def keep(call: Call) -> types.CallToolResult:
    before = call.server.words.get(call.ctx.session._connection, "")
    call.server.words[call.ctx.session._connection] = call.arguments["word"]
    return text(before)


@tool("touch_resource", "Tells subscribers that a resource has changed", properties(uri=STRING))
async def touch_resource(call: Call) -> types.CallToolResult:
    uri = call.arguments["uri"]
    await call.server.bus.publish(ResourceUpdated(uri))
    for session in list(call.server.subscribers.get(uri, {}).values()):
        await session.send_resource_updated(uri)
    return text("touched")


@tool("test_simple_text", "Says a text")
async def simple_text(call: Call) -> types.CallToolResult:
    return text("This is a simple text response for testing.")


@tool("test_image_content", "Shows an image")
async def image_content(call: Call) -> types.CallToolResult:
    return types.CallToolResult(content=[types.ImageContent(data=png(), mime_type="image/png")])


@tool("test_audio_content", "Plays a sound")
async def audio_content(call: Call) -> types.CallToolResult:
    return types.CallToolResult(content=[types.AudioContent(data=wav(), mime_type="audio/wav")])


@tool("test_embedded_resource", "Shows a resource")
async def embedded_resource(call: Call) -> types.CallToolResult:
    return types.CallToolResult(
        content=[embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]
    )


@tool("test_multiple_content_types", "Shows a text, an image and a resource")
async def multiple_content_types(call: Call) -> types.CallToolResult:
    return types.CallToolResult(
        content=[
            types.TextContent(text="Multiple content types test:"),
            types.ImageContent(data=png(), mime_type="image/png"),
            embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
        ]
    )


@tool("test_tool_with_logging", "Logs while it works")
async def tool_with_logging(call: Call) -> types.CallToolResult:
    await call.log("info", "Tool execution started")
    await anyio.sleep(0.05)
    await call.log("info", "Tool processing data")
    await anyio.sleep(0.05)
    await call.log("info", "Tool execution completed")
    return text("Logged three times")


TOOLS["test_logging_tool"] = (
    types.Tool(name="test_logging_tool", description="Logs while it works", input_schema=OBJECT),
    tool_with_logging,
)


@tool("test_error_handling", "Fails")
async def error_handling(call: Call) -> types.CallToolResult:
    return text("This tool intentionally returns an error for testing", is_error=True)


@tool("test_tool_with_progress", "Tells of its progress")
async def tool_with_progress(call: Call) -> types.CallToolResult:
    for now in (0, 50, 100):
        await call.progress(now, 100, f"{now} of 100")
        await anyio.sleep(0.05)
    return text("Progress was made")


@tool("test_missing_capability", "Needs sampling")
async def missing_capability(call: Call) -> types.CallToolResult:
    if not call.can("sampling"):
        wanted = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool needs sampling", wanted)
    return text("The client has sampling")


@tool("test_reconnection", "Closes its stream and goes on: the client has to come back for the answer")
async def reconnection(call: Call) -> types.CallToolResult:
    if call.ctx.close_sse_stream is not None:
        await anyio.sleep(0.05)  # Else it may be closed before its first event: then nobody can come back.
        await call.ctx.close_sse_stream()
        await anyio.sleep(0.2)
    return text("Back again")


@tool("test_trigger_tool_change", "Changes the list of tools")
async def trigger_tool_change(call: Call) -> types.CallToolResult:
    call.server.more_tools ^= True
    await call.server.bus.publish(ToolsListChanged())
    if not call.modern:
        await call.ctx.session.send_tool_list_changed()
    return text("changed")


@tool("test_trigger_prompt_change", "Changes the list of prompts")
async def trigger_prompt_change(call: Call) -> types.CallToolResult:
    call.server.more_prompts ^= True
    await call.server.bus.publish(PromptsListChanged())
    if not call.modern:
        await call.ctx.session.send_prompt_list_changed()
    return text("changed")


RICH_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"street": STRING, "city": STRING}}},
    "properties": {
        "name": STRING,
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": STRING,
        "email": STRING,
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


@tool("json_schema_2020_12_tool", "Has a schema with much in it", RICH_SCHEMA)
async def rich_schema(call: Call) -> types.CallToolResult:
    return text(json.dumps(dict(call.arguments)))


@tool(
    "test_headers",
    "Has a parameter that is to be told in a header as well",
    properties(region={"type": "string", "x-mcp-header": "Region"}, query=STRING),
)
async def headers(call: Call) -> types.CallToolResult:
    return text(str(call.arguments["region"]))
