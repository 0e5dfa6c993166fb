"""What the console's search finds for those who administer: users and plugins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote

from moorage.access import Actor, UserInfo
from moorage.accounts.users import Wanted
from moorage.administration.plugins import READ as READ_PLUGINS
from moorage.administration.users import READ as READ_USERS
from moorage.hub import Hub
from moorage.pages import Entry
from moorage.plugins.states import Record

SPEAKING = 3
"""Letters of a word that say something."""
Search = Callable[[Actor, str, int], Awaitable[list[Entry]]]


def search(hub: Hub, records: Callable[[], list[Record]]) -> Search:
    """`(actor, query, limit)` finds users by name and address, and plugins by name and what they are for.

    Only for those who may see all of a kind, as the pages of administration do. limit: of each kind.
    """

    async def found(actor: Actor, query: str, limit: int) -> list[Entry]:
        entries: list[Entry] = []
        if hub.access.can(actor, READ_USERS):
            rows, _ = await hub.accounts.users.page(Wanted(search=query), limit=limit)
            if rows:
                await hub.audit.note_read("user", actor=actor)
            entries += [_user(row.user) for row in rows]
        if hub.access.can(actor, READ_PLUGINS):
            wanted = query.casefold()
            plugins = [one for one in records() if wanted in one.name.casefold() or _is_about(one, wanted)]
            plugins.sort(key=lambda one: (wanted not in one.name.casefold(), one.name))
            entries += [_plugin(one) for one in plugins[:limit]]
        return entries

    return found


def _user(one: UserInfo) -> Entry:
    detail = f"{one.name}, {one.role}" if one.name and one.name != one.username else one.role
    return Entry("user", one.username, f"/console/admin/users/{quote(one.pid, safe='')}", detail)


def _plugin(one: Record) -> Entry:
    return Entry("plugin", one.name, f"/console/admin/plugins/{quote(one.name, safe='')}", _summary(one))


def _is_about(one: Record, wanted: str) -> bool:
    """Whether a word of what it is for begins so. A few letters begin too many."""
    return len(wanted) >= SPEAKING and f" {wanted}" in f" {_summary(one).casefold()}"


def _summary(one: Record) -> str:
    return one.manifest.summary if one.manifest is not None else ""
