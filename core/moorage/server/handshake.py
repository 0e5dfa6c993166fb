"""Refusing a WebSocket's handshake: by an HTTP answer, or by a close code where the contract says so."""

from __future__ import annotations

import asyncio

import structlog

from moorage.dialects import Dialect
from moorage.errors import MoorageError
from moorage.routes import ProxyRoute, SocketRoute
from moorage.server.origin import ORIGIN_REFUSED
from moorage.server.reply import Message, Reply, spell
from moorage.server.router import Entry
from moorage.server.socket import Receive, Send

log = structlog.get_logger("moorage.gate")
TIMEOUT = 5.0


async def refuse(
    error: MoorageError,
    dialect: Dialect,
    entry: Entry | None,
    reply: Reply,
    scope: Message,
    receive: Receive,
    send: Send,
) -> None:
    """Say no, as well as the engine and the contract allow. A client that has gone is none of our business."""
    route = entry.route if entry else None
    code = route.close_codes.get(error.status) if isinstance(route, SocketRoute | ProxyRoute) else None
    if error.error_code == ORIGIN_REFUSED:
        # Close codes are for clients of the contract; for a page of another site nothing is accepted at all.
        code = None
    try:
        if code is not None:
            async with asyncio.timeout(TIMEOUT):
                await receive()
                await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
                await send({"type": "websocket.close", "code": code, "reason": error.message[:120]})
        elif "websocket.http.response" in (scope.get("extensions") or {}):
            status, headers, body = spell(error, dialect, reply.info.id)
            headers += [(b"x-request-id", reply.info.id.encode()), *reply.extra]
            await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": body, "more_body": False})
        else:
            await send({"type": "websocket.close", "code": 1008})
    except (TimeoutError, OSError, RuntimeError):
        log.debug("client left during the handshake", template=reply.info.template)
