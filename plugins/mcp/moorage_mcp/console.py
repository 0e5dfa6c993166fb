"""What the console's first page and its search show of workspaces."""

from __future__ import annotations

from moorage.api import Actor, Entry, Hub

from moorage_mcp.records import Status, WorkspaceInfo
from moorage_mcp.rights import VIEW
from moorage_mcp.workspaces import Workspaces

KIND = "workspace"


class Console:
    """One's own workspaces. From memory."""

    def __init__(self, hub: Hub, workspaces: Workspaces) -> None:
        self._hub, self._workspaces = hub, workspaces

    def overview(self, actor: Actor, limit: int) -> list[Entry]:
        """The last changed ones; none for who may not see any."""
        found = sorted(self._own(actor), key=lambda one: one.updated_at, reverse=True)
        return [self._entry(one) for one in found[:limit]]

    def search(self, actor: Actor, query: str, limit: int) -> list[Entry]:
        """By their names, those that begin with it first, and their servers' names."""
        wanted = query.casefold()
        found = [one for one in self._own(actor) if any(wanted in name.casefold() for name in _names(one))]
        found.sort(key=lambda one: (not one.name.casefold().startswith(wanted), one.name))
        return [self._entry(one) for one in found[:limit]]

    def _own(self, actor: Actor) -> list[WorkspaceInfo]:
        user = actor.user
        if user is None or not self._hub.access.can(actor, VIEW.name, owner_id=user.id):
            return []
        return [one for one in self._workspaces.book.of_user(user.id) if one.status is not Status.DELETED]

    def _entry(self, one: WorkspaceInfo) -> Entry:
        _, state = self._workspaces.figures(one.id)
        servers = ", ".join(upstream.name for upstream in one.upstreams)
        live = state == "running"
        return Entry(KIND, one.name, f"/console/workspaces/{one.id}", servers, one.updated_at, live)


def _names(one: WorkspaceInfo) -> list[str]:
    return [one.name, *(upstream.name for upstream in one.upstreams)]
