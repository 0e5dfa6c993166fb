"""Who asks the gateway, and how it says no: errors of its own, told apart from those of a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moorage.api import Actor, Method

from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.jsonrpc import RpcError


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One client that asks, as the endpoint or the REST view knows it.

    client: its name and version as it says of itself, "" if it says nothing. session: of a legacy client, "" for none.
    """

    actor: Actor
    user_id: int
    client: str = ""
    request_id: str = ""
    session: str = ""

    @property
    def api_key_id(self) -> int | None:
        """Of the key that it showed; None for a session, a JWT or a token."""
        shown = self.actor.credential
        return shown.id if shown is not None and shown.method is Method.API_KEY else None

    @property
    def credential(self) -> str:
        """For the list of calls: as `api_key:12`."""
        shown = self.actor.credential
        return f"{shown.method.value}:{shown.id}" if shown else self.actor.method.value


def refused(code: int, reason: str, message: str, **details: Any) -> RpcError:
    """An error that the gateway itself says.

    reason: one word for programs, in `data.reason` beside `data.gateway: true`: `denied`, `limited`, `unknown_tool`,
    `unknown_prompt`, `unknown_resource`, `unavailable`, `closed`, `timeout`, `no_answer`, `declined`, `too_large`,
    `broken`, `bad_state`, `bad_cursor`, `bad_params`, `not_supported`; links add theirs.
    """
    return RpcError(code, message, {"gateway": True, "reason": reason, **details}, gateway=True)


def denied(message: str, **details: Any) -> RpcError:
    """The caller may not. MCP has no code for it; -32600 is what its servers use."""
    return refused(jsonrpc.INVALID_REQUEST, "denied", message, **details)


def unavailable(message: str, **details: Any) -> RpcError:
    """A server cannot be reached, or has just gone."""
    return refused(jsonrpc.INTERNAL_ERROR, "unavailable", message, **details)
