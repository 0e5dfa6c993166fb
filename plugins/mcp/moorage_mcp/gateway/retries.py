"""What a modern client brings back when it has been asked something: bound to who was asked, for what, by which server.

The text is sealed: the client can neither read nor change it. Source: MCP 2026-07-28, multi round-trip requests:
`requestState` is opaque to the client, and a server must not trust what it cannot verify.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from moorage_mcp.gateway.caller import Caller, refused
from moorage_mcp.records import UpstreamInfo, WorkspaceInfo
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.jsonrpc import Params, RpcError
from moorage_mcp.wire.methods import NAMED

PREFIX = "mg1."
MAX_STATE = 512 * 1024
SECONDS = 24 * 3600.0


class Sealing(Protocol):
    """`hub.sealing`."""

    def seal(self, text: str) -> str:
        """Encrypted."""
        ...

    def open(self, sealed: str) -> str:
        """As it was; ValueError."""
        ...


@dataclass(frozen=True, slots=True)
class Retry:
    """upstream: the pid of the server that asked. state: its own, None if it gave none.

    visit: it is a legacy server's that wanted a page visited; the request is simply made again.
    """

    upstream: str
    state: str | None = None
    visit: bool = False


class Retries:
    """Seals and opens."""

    def __init__(self, sealing: Sealing, *, clock: Callable[[], float] = time.time) -> None:
        self._sealing, self._clock = sealing, clock

    def close(
        self,
        workspace: WorkspaceInfo,
        caller: Caller,
        upstream: UpstreamInfo,
        method: str,
        params: Params,
        *,
        state: str | None = None,
        visit: bool = False,
    ) -> str:
        """A `requestState`. RpcError when the server's own is too long."""
        if state is not None and len(state) > MAX_STATE:
            raise refused(jsonrpc.INTERNAL_ERROR, "too_large", "The server's requestState is too long")
        kept = {"b": _bound(workspace, caller, method, params), "p": upstream.pid, "s": state, "v": visit}
        return PREFIX + self._sealing.seal(json.dumps({**kept, "t": int(self._clock())}))

    def open(self, workspace: WorkspaceInfo, caller: Caller, method: str, params: Params) -> Retry | None:
        """What a retry brought; None if it brought none of ours. RpcError when it does not hold."""
        text = params.get("requestState")
        if not isinstance(text, str) or not text.startswith(PREFIX):
            return None
        if len(text) > 4 * MAX_STATE:
            raise bad_state()
        try:
            kept = json.loads(self._sealing.open(text[len(PREFIX) :]))
            bound, made, retry = kept["b"], kept["t"], Retry(kept["p"], kept["s"], kept["v"])
        except (ValueError, KeyError, TypeError):  # Forged, or sealed by us for something else.
            raise bad_state() from None
        if bound != _bound(workspace, caller, method, params) or self._clock() - made > SECONDS:
            raise bad_state()
        return retry


def bad_state(why: str = "it is not of this request, or too old. Make the request again without it") -> RpcError:
    """What was brought does not hold. One that is forged, another's or too old is told nothing more."""
    return refused(jsonrpc.INVALID_PARAMS, "bad_state", f"Invalid requestState: {why}")


def _bound(workspace: WorkspaceInfo, caller: Caller, method: str, params: Params) -> list[Any]:
    return [workspace.id, caller.user_id, caller.api_key_id, method, params.get(NAMED.get(method, ""))]
