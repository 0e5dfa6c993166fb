"""What tools of `everything.py` have at hand: contents, and how to ask the client back in either era."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.message import ServerMessageMetadata
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

Context = ServerRequestContext[Any, Any]
OBJECT: dict[str, Any] = {"type": "object", "properties": {}}


def png() -> str:
    """One red pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


def wav() -> str:
    """Eight samples of silence."""
    data = bytes([128] * 8)
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + 8, b"WAVE", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8, b"data", 8)
    return base64.b64encode(head + data).decode()


def text(value: str, **more: Any) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=value)], **more)


def embedded(uri: str, mime: str, value: str) -> types.EmbeddedResource:
    return types.EmbeddedResource(resource=types.TextResourceContents(uri=uri, mime_type=mime, text=value))


def properties(**shapes: Any) -> dict[str, Any]:
    """An object's schema: all of its properties are wanted."""
    return {"type": "object", "properties": shapes, "required": list(shapes)}


STRING = {"type": "string"}


# What the server asks its client for.
class NeedsInput(Exception):
    """What a client of the modern era has to bring with its next try."""

    def __init__(self, needs: Mapping[str, types.InputRequest], state: str | None) -> None:
        super().__init__()
        self.result = types.InputRequiredResult(input_requests=dict(needs), request_state=state)


@dataclass
class Call:
    """A request under way, and the ways back to who made it."""

    server: Any
    ctx: Context
    arguments: Mapping[str, Any]
    answers: Mapping[str, Any] = field(default_factory=dict)
    state: str | None = None

    @property
    def modern(self) -> bool:
        return self.ctx.protocol_version in MODERN_PROTOCOL_VERSIONS

    def can(self, capability: str) -> bool:
        """Whether the client said that it can do this."""
        found = self.ctx.session.client_capabilities
        return found is not None and getattr(found, capability) is not None

    async def ask(self, needs: Mapping[str, types.InputRequest], state: str | None = None) -> dict[str, Any]:
        """Results by the same keys. A modern client is told to come again until it brings all."""
        if not self.modern:
            return {key: await self._ask(need) for key, need in needs.items()}
        answers = {key: plain(self.answers[key]) for key in needs if key in self.answers}
        wrong = [key for key in needs if key not in answers or not _answers(needs[key], answers[key])]
        if wrong:
            raise NeedsInput(needs, state)
        return answers

    async def _ask(self, need: types.InputRequest) -> dict[str, Any]:
        kinds: dict[str, type[Any]] = {
            "elicitation/create": types.ElicitResult,
            "sampling/createMessage": types.CreateMessageResult,
            "roots/list": types.ListRootsResult,
        }
        related = ServerMessageMetadata(related_request_id=self.ctx.request_id)
        return plain(await self.ctx.session.send_request(need, kinds[need.method], metadata=related))

    async def progress(self, now: float, total: float, message: str | None = None) -> None:
        await self.ctx.session.report_progress(now, total, message)

    async def log(self, level: types.LoggingLevel, data: Any) -> None:
        session = self.ctx.session
        wanted = self.server.levels.get(session._connection, "debug")
        if LEVELS.index(level) >= LEVELS.index(wanted):
            await session.send_log_message(level, data, "everything", related_request_id=self.ctx.request_id)


LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


def plain(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else value.model_dump(by_alias=True, mode="json", exclude_none=True)


def _answers(need: types.InputRequest, answer: Mapping[str, Any]) -> bool:
    if isinstance(need, types.ElicitRequest) and answer.get("action") == "accept":
        schema = need.params.requested_schema if isinstance(need.params, types.ElicitRequestFormParams) else {}
        return all(name in (answer.get("content") or {}) for name in schema.get("required", ()))
    wanted = {"elicitation/create": "action", "sampling/createMessage": "content", "roots/list": "roots"}
    return wanted[need.method] in answer


def form(message: str, **shapes: Any) -> types.ElicitRequest:
    return types.ElicitRequest(
        params=types.ElicitRequestFormParams(message=message, requested_schema=properties(**shapes))
    )


def sample(prompt: str, tokens: int = 100) -> types.CreateMessageRequest:
    said = types.SamplingMessage(role="user", content=types.TextContent(text=prompt))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[said], max_tokens=tokens))


# The tools.
Handler = Callable[[Call], Awaitable[types.CallToolResult]]
TOOLS: dict[str, tuple[types.Tool, Handler]] = {}


def tool(name: str, description: str, schema: Mapping[str, Any] = OBJECT, **more: Any) -> Callable[[Handler], Handler]:
    def add(handler: Handler) -> Handler:
        shown = types.Tool(name=name, description=description, input_schema=dict(schema), **more)
        TOOLS[name] = (shown, handler)
        return handler

    return add


ROOTS = types.ListRootsRequest(params=types.RequestParams())


def said(result: Mapping[str, Any]) -> str:
    content = result["content"]
    first = content[0] if isinstance(content, list) else content
    return str(first.get("text", ""))
