"""What the console's first page, its search and its list of what runs show of terminals, which all share."""

from __future__ import annotations

from urllib.parse import quote

from moorage.api import Actor, Entry, Hub, NotFound, Running

from moorage_tmux.refusals import asking
from moorage_tmux.rights import DELETE, VIEW
from moorage_tmux.service import Terminals
from moorage_tmux.sessions import SessionInfo

KIND = "terminal"
ENDING = "The terminal and all that runs in it end, for everybody who watches. This cannot be undone."


class Console:
    """The terminals."""

    def __init__(self, hub: Hub, terminals: Terminals) -> None:
        self._hub, self._terminals = hub, terminals

    async def overview(self, actor: Actor, limit: int) -> list[Entry]:
        """The newest ones; none for who may not see any."""
        found = sorted(await self._seen(actor), key=lambda one: one.created, reverse=True)
        return [_entry(one) for one in found[:limit]]

    async def search(self, actor: Actor, query: str, limit: int) -> list[Entry]:
        """By name, those that begin with it first."""
        wanted = query.casefold()
        found = [one for one in await self._seen(actor) if wanted in one.name.casefold()]
        found.sort(key=lambda one: (not one.name.casefold().startswith(wanted), one.name))
        return [_entry(one) for one in found[:limit]]

    async def running(self, actor: Actor, limit: int) -> list[Running]:
        """All, with whoever has claimed one."""
        ending = ENDING if self._hub.access.can(actor, DELETE.name) else ""
        found: list[Running] = []
        for one in (await self._seen(actor))[:limit]:
            claim = self._terminals.claims.get(one.key)
            user = claim.user.id if claim is not None else None
            detail = f"{one.windows} windows" if one.windows > 1 else ""
            page = f"/console/terminal/{quote(one.name, safe='')}"
            found.append(Running(KIND, one.name, one.name, user, detail, page, one.created, ending=ending))
        return found

    async def end(self, actor: Actor, kind: str, id: str) -> None:
        """End a terminal, whoever has claimed it."""
        if kind != KIND:
            raise NotFound("There is no such terminal")
        await self._terminals.manage.delete(id, actor)

    async def _seen(self, actor: Actor) -> list[SessionInfo]:
        if not self._hub.access.holds(actor, VIEW.name):
            return []
        with asking():
            return await self._terminals.directory.sessions()


def _entry(one: SessionInfo) -> Entry:
    windows = f"{one.windows} windows" if one.windows > 1 else ""
    return Entry(KIND, one.name, f"/console/terminal/{quote(one.name, safe='')}", windows, one.created, live=True)
