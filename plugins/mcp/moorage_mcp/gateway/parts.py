"""What the gateway needs of the plugin's other parts, as narrow as it uses them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from moorage_mcp.links.base import Link, ServerInfo
from moorage_mcp.records import UpstreamInfo, WorkspaceInfo
from moorage_mcp.wire.eras import Era


class Pool(Protocol):
    """Connections with servers, shared and bounded: `links.pool`.

    Errors: Unavailable, LinkClosed (it cannot be connected to now), RpcError (it refused), TimeoutError.
    """

    def lease(
        self,
        workspace: WorkspaceInfo,
        upstream: UpstreamInfo,
        user_id: int,
        *,
        capabilities: Mapping[str, Any] = ...,
        client_info: Mapping[str, Any] = ...,
        alone: str = "",
        era: Era | None = None,
    ) -> AbstractAsyncContextManager[Link]:
        """A connection for a while; the server is started if need be."""
        ...

    async def server(self, workspace: WorkspaceInfo, upstream: UpstreamInfo, user_id: int) -> ServerInfo:
        """What a server says of itself; kept, so that only the first one waits."""
        ...

    async def speaks(self, workspace: WorkspaceInfo, upstream: UpstreamInfo, user_id: int, era: Era) -> bool:
        """Whether a server by HTTP speaks that era, perhaps besides the one that `server` names."""
        ...
