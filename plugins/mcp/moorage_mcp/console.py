"""What the console's first page, its search and its list of what runs show of workspaces."""

from __future__ import annotations

from moorage.api import Actor, Entry, Hub, NotFound, Running

from moorage_mcp.links.health import State, UpstreamState
from moorage_mcp.links.pool import Pool
from moorage_mcp.records import Status, WorkspaceInfo
from moorage_mcp.rights import MANAGE, VIEW
from moorage_mcp.workspaces import Workspaces

KIND = "workspace"
RUNS = "MCP servers"
ENDING = "The MCP servers of the workspace end. They start anew as soon as somebody uses them."


class Console:
    """One's own workspaces; of everybody's, what runs. From memory."""

    def __init__(self, hub: Hub, workspaces: Workspaces, pool: Pool) -> None:
        self._hub, self._workspaces, self._pool = hub, workspaces, pool

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

    def running(self, actor: Actor, limit: int) -> list[Running]:
        """Everybody's with a server that is up or starts; only those that the actor may see."""
        may = self._hub.access.can
        found: list[Running] = []
        for one in self._workspaces.book:
            if len(found) == limit:
                break
            _, state = self._workspaces.figures(one.id)
            states = self._pool.states(one.id)
            up = [each.name for each in one.upstreams if _runs(states.get(each.pid))]
            if (state not in ("running", "starting") and not up) or not may(actor, VIEW.name, owner_id=one.user_id):
                continue
            ending = ENDING if may(actor, MANAGE.name, owner_id=one.user_id) else ""
            state = "starting" if state == "starting" else "running"
            page = f"/console/workspaces/{one.id}"
            found.append(Running(RUNS, str(one.id), one.name, one.user_id, ", ".join(up), page, None, state, ending))
        return found

    async def end(self, actor: Actor, kind: str, id: str) -> None:
        """End the servers of a workspace."""
        if kind != RUNS or not id.isascii() or not id.isdigit():
            raise NotFound("There is no such workspace")
        await self._workspaces.restart(actor, int(id))

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


def _runs(state: UpstreamState | None) -> bool:
    return state is not None and state.state in (State.UP, State.STARTING)


def _names(one: WorkspaceInfo) -> list[str]:
    return [one.name, *(upstream.name for upstream in one.upstreams)]
