"""An MCP server with something of everything, of either era or both: `everything.py (stdio | PORT) [--era ERA]`.

Names and texts that begin with `test` are what the official conformance suite asks servers for; the rest is for tests
of the gateway. Tools that ask the client for something do so in the words of the era that they were called in.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import everything_asks  # noqa: F401 its tools are there
import everything_tools  # noqa: F401
import mcp_types as types
import uvicorn
from everything_call import OBJECT, TOOLS, Call, Context, NeedsInput, text
from everything_rest import PROMPTS, RESOURCES, TEMPLATES, get_prompt, read
from mcp.server.caching import CacheHint
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.runner import serve_loop
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Result = types.CallToolResult | types.InputRequiredResult


class Everything(Server[Any]):
    """The server: tools, prompts, resources, completion, logging, subscriptions."""

    def __init__(self, name: str = "everything") -> None:
        hint = CacheHint(ttl_ms=1000, scope="private")
        self.bus = InMemorySubscriptionBus()
        self.counts: Counter[str] = Counter()
        self.words: dict[Any, str] = {}
        self.levels: dict[Any, str] = {}
        self.subscribers: dict[str, dict[Any, Any]] = {}
        self.more_tools = self.more_prompts = False
        cached = ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read")
        super().__init__(
            name,
            version="1.2.3",
            title="Everything",
            instructions="Call whatever you like.",
            cache_hints=dict.fromkeys(cached, hint),
            get_tool_input_schema=lambda name: TOOLS[name][0].input_schema if name in TOOLS else None,
            on_list_tools=self._tools,
            on_call_tool=self._call,
            on_list_prompts=self._prompts,
            on_get_prompt=self._prompt,
            on_list_resources=self._resources,
            on_list_resource_templates=self._templates,
            on_read_resource=self._read,
            on_subscribe_resource=self._subscribe,
            on_unsubscribe_resource=self._unsubscribe,
            on_subscriptions_listen=ListenHandler(self.bus),
            on_completion=self._complete,
            on_set_logging_level=self._set_level,
        )
        self.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=name))

    def create_initialization_options(self, *_: Any, **__: Any) -> InitializationOptions:
        return super().create_initialization_options(NotificationOptions(True, True, True))

    async def _tools(self, ctx: Context, params: Any) -> types.ListToolsResult:
        shown = [found for found, _ in TOOLS.values()]
        if self.more_tools:
            shown.append(types.Tool(name="another", description="Comes and goes", input_schema=OBJECT))
        return types.ListToolsResult(tools=shown)

    async def _call(self, ctx: Context, params: types.CallToolRequestParams) -> Result:
        if params.name not in TOOLS:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
        call = Call(self, ctx, params.arguments or {}, params.input_responses or {}, params.request_state)
        try:
            return await TOOLS[params.name][1](call)
        except NeedsInput as needed:
            return needed.result
        except (KeyError, TypeError) as error:
            return text(f"Wrong arguments: {error}", is_error=True)

    async def _prompts(self, ctx: Context, params: Any) -> types.ListPromptsResult:
        more = [types.Prompt(name="another", description="Comes and goes")] if self.more_prompts else []
        return types.ListPromptsResult(prompts=PROMPTS + more)

    async def _prompt(
        self, ctx: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult | types.InputRequiredResult:
        call = Call(self, ctx, params.arguments or {}, params.input_responses or {}, params.request_state)
        try:
            return await get_prompt(call, params.name)
        except NeedsInput as needed:
            return needed.result

    async def _resources(self, ctx: Context, params: Any) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=RESOURCES)

    async def _templates(self, ctx: Context, params: Any) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=TEMPLATES)

    async def _read(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        return types.ReadResourceResult(contents=[read(str(params.uri))])

    async def _subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        self.subscribers.setdefault(str(params.uri), {})[ctx.session._connection] = ctx.session
        return types.EmptyResult()

    async def _unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        self.subscribers.get(str(params.uri), {}).pop(ctx.session._connection, None)
        return types.EmptyResult()

    async def _complete(self, ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        found = [word for word in ("paris", "park", "party", "test") if word.startswith(params.argument.value)]
        return types.CompleteResult(completion=types.Completion(values=found, total=len(found), has_more=False))

    async def _set_level(self, ctx: Context, params: types.SetLevelRequestParams) -> types.EmptyResult:
        self.levels[ctx.session._connection] = params.level
        return types.EmptyResult()


# How it is served.
class Events(EventStore):
    """All messages of all streams, for clients that come back."""

    def __init__(self) -> None:
        self._events: list[tuple[StreamId, Any]] = []

    async def store_event(self, stream_id: StreamId, message: Any) -> EventId:
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        first = int(last_event_id)
        stream = self._events[first - 1][0]
        for number, (found, message) in enumerate(self._events[first:], first + 1):
            if found == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


class OneEra:
    """Refuses what does not belong to the era, as a server does that knows nothing of the other."""

    def __init__(self, app: ASGIApp, era: str) -> None:
        self.app, self.era = app, era

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        found = dict(scope["headers"]).get(b"mcp-protocol-version", b"").decode()
        legacy = not found or found in HANDSHAKE_PROTOCOL_VERSIONS
        if legacy == (self.era == "legacy"):
            await self.app(scope, receive, send)
        elif self.era == "legacy":
            await refuse(send, -32600, f"Bad Request: Unsupported protocol version: {found}")
        else:
            wanted = {"supported": list(MODERN_PROTOCOL_VERSIONS), "requested": found}
            await refuse(send, types.UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", wanted)


async def refuse(send: Callable[[Message], Awaitable[None]], code: int, message: str, data: Any = None) -> None:
    error = {"code": code, "message": message, **({} if data is None else {"data": data})}
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()
    kind = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 400, "headers": kind})
    await send({"type": "http.response.body", "body": body})


async def on_stdio(server: Everything, era: str) -> None:
    """One connection; its end is the end of the program."""

    async def modern_alone(ctx: Context, call_next: Any) -> Any:
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            wanted = {"supported": list(MODERN_PROTOCOL_VERSIONS), "requested": ctx.protocol_version}
            raise MCPError(types.UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", wanted)
        return await call_next(ctx)

    options = server.create_initialization_options()
    async with stdio_server() as (reading, writing):
        if era == "legacy":
            await serve_loop(server, reading, writing, lifespan_state={}, init_options=options)
            return
        if era == "modern":
            server.middleware.insert(0, modern_alone)
        await server.run(reading, writing, options)


def main() -> None:
    """Serve until it is ended."""
    warnings.simplefilter("ignore")  # What is old is to be served as well.
    parser = argparse.ArgumentParser()
    parser.add_argument("at", help="stdio, or a port of loopback")
    parser.add_argument("--era", choices=("both", "legacy", "modern"), default="both")
    parser.add_argument("--json", action="store_true", help="answer in JSON where nothing has to be streamed")
    parser.add_argument("--plain", action="store_true", help="faster: no events kept, and a laxer reading of headers")
    parser.add_argument("--name", default="everything")
    options = parser.parse_args()
    server = Everything(options.name)
    if options.at == "stdio":
        asyncio.run(on_stdio(server, options.era))
        return
    app: ASGIApp = server.streamable_http_app(
        event_store=None if options.plain else Events(), retry_interval=50, json_response=options.json
    )
    if options.era != "both":
        app = OneEra(app, options.era)
    uvicorn.run(
        app, host="127.0.0.1", port=int(options.at), http="h11", log_level="warning", timeout_graceful_shutdown=1
    )


if __name__ == "__main__":
    sys.exit(main())
