"""What the console's first page and its search show of terminals, which all who may see any share."""

from __future__ import annotations

from urllib.parse import quote

from moorage.api import Actor, Entry, Hub

from moorage_tmux.refusals import asking
from moorage_tmux.rights import VIEW
from moorage_tmux.service import Terminals
from moorage_tmux.sessions import SessionInfo

KIND = "terminal"


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

    async def _seen(self, actor: Actor) -> list[SessionInfo]:
        if not self._hub.access.holds(actor, VIEW.name):
            return []
        with asking():
            return await self._terminals.directory.sessions()


def _entry(one: SessionInfo) -> Entry:
    windows = f"{one.windows} windows" if one.windows > 1 else ""
    return Entry(KIND, one.name, f"/console/terminal/{quote(one.name, safe='')}", windows, one.created, live=True)
