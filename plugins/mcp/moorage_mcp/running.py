"""What of workspaces runs, as `Workspaces` sees it: connections first, then what the servers run in."""

from __future__ import annotations

from moorage_mcp.links.pool import Pool
from moorage_mcp.records import WorkspaceInfo
from moorage_mcp.workloads import Workloads


class Runs:
    """Follows `workspaces.Running`."""

    def __init__(self, pool: Pool, workloads: Workloads) -> None:
        self._pool, self._workloads = pool, workloads

    def figures(self, workspace_id: int) -> tuple[str | None, str | None]:
        """The id and the state of the workload."""
        return self._workloads.figures(workspace_id)

    async def stop(self, workspace_id: int) -> None:
        """End all of a workspace; the next request starts it without any wait."""
        await self._pool.restart(workspace_id)
        await self._workloads.stop(workspace_id)

    async def purge(self, workspace: WorkspaceInfo) -> None:
        """End all, and remove the folder."""
        await self._pool.close_workspace(workspace.id)
        await self._workloads.purge(workspace)
