"""What went wrong, in JSON-RPC's words: nothing of ours that is not meant for clients gets out."""

from __future__ import annotations

import structlog
from moorage.api import MoorageError

from moorage_mcp.gateway.caller import refused
from moorage_mcp.links.base import LinkClosed
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.jsonrpc import RpcError

_log = structlog.get_logger("moorage.mcp")


def in_words(error: Exception) -> RpcError:
    """The error as a client is told of it."""
    if isinstance(error, RpcError):
        return error
    if isinstance(error, MoorageError):
        code = jsonrpc.INVALID_REQUEST if error.status < 500 else jsonrpc.INTERNAL_ERROR
        return refused(code, error.code.lower(), error.message)
    if isinstance(error, LinkClosed):
        return refused(jsonrpc.INTERNAL_ERROR, "unavailable", str(error) or "The server cannot be reached")
    if isinstance(error, TimeoutError):
        return refused(jsonrpc.INTERNAL_ERROR, "timeout", "The server did not answer in time")
    _log.error("request failed", exc_info=error)
    return refused(jsonrpc.INTERNAL_ERROR, "broken", "Internal error")
