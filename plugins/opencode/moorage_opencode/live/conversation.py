"""The OpenCode session that a session's messages go to, where a client names none."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any

from moorage.api import BadRequest, NotFound

from moorage_opencode.opencode import OpenCode
from moorage_opencode.sessions import Live

LISTED = 100
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Conversation:
    """Of one session: the newest OpenCode session that was begun by nobody else (no sub-agent's), or a new one.

    Once chosen it stays, until it is deleted: that another one is begun in OpenCode's own page does not move it.
    """

    def __init__(self, opencode: OpenCode) -> None:
        self._opencode = opencode
        self._choosing = asyncio.Lock()
        self.id: str | None = None

    def choose(self, sessions: Iterable[Any]) -> None:
        """Take the newest of a list, unless the one that was chosen is in it. None is left when there is none."""
        own = [
            info
            for info in sessions
            if isinstance(info, dict) and not info.get("parentID") and not (info.get("time") or {}).get("archived")
        ]
        if self.id not in [info.get("id") for info in own]:
            newest = max(own, key=lambda info: (info.get("time") or {}).get("created", 0), default={})
            self.id = newest.get("id")

    async def find(self, live: Live) -> str | None:
        """Its id, None while there is none yet."""
        async with self._choosing:
            if self.id is None:
                self.choose(await self.listed(live))
            return self.id

    async def find_or_begin(self, live: Live) -> str:
        """Its id; there is one when this returns."""
        async with self._choosing:
            if self.id is None:
                self.choose(await self.listed(live))
            if self.id is None:
                begun = await self._opencode.call(live, "POST", "/session", body={})
                self.id = str(begun["id"])
            return self.id

    async def listed(self, live: Live) -> list[Any]:
        """The OpenCode sessions of the workspace, the newest of them."""
        found = await self._opencode.call(live, "GET", "/session", query={"limit": str(LISTED)})
        return found if isinstance(found, list) else []

    def forget(self, id: str) -> None:
        """It is gone."""
        if self.id == id:
            self.id = None


def checked_id(value: Any, name: str) -> str:
    """An id that a client gave, fit to stand in a path. BadRequest for none; NotFound for what can be nobody's."""
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{name} must be a text that is not empty")
    if not _ID.fullmatch(value):
        raise NotFound(f"No such {name}")
    return value
