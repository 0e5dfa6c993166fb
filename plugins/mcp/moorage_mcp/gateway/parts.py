"""What the gateway needs of the plugin's other parts, as narrow as it uses them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from moorage_mcp.links.base import Link, ServerInfo
from moorage_mcp.records import UpstreamInfo, WorkspaceInfo


class Pool(Protocol):
    """Connections with servers, shared and bounded: `links.pool`.

    Errors of both: LinkClosed (it cannot be connected to now), RpcError (it refused), TimeoutError.
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
    ) -> AbstractAsyncContextManager[Link]:
        """A connection for a while; the server is started if need be."""
        ...

    async def server(self, workspace: WorkspaceInfo, upstream: UpstreamInfo, user_id: int) -> ServerInfo:
        """What a server says of itself; kept, so that only the first one waits."""
        ...
