"""Who watches which session: distinct users, whatever the number of their sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from moorage.api import UserInfo

from moorage_tmux.background import Background

INTERVAL = 0.25
"""Seconds between two announcements for one session: a crowd that arrives at once is announced once."""
SETTLE = 0.05
"""Seconds before any: who joins is shown the screen first."""


class Presence:
    """on_change(key) is called after a session's users changed, soon and not too often."""

    def __init__(self, background: Background, on_change: Callable[[str], None]) -> None:
        self._background, self._on_change = background, on_change
        self._present: dict[str, dict[int, tuple[UserInfo, int]]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._announced: dict[str, float] = {}

    def join(self, key: str, user: UserInfo) -> None:
        """One more look of a user at a session."""
        users = self._present.setdefault(key, {})
        _, count = users.get(user.id, (user, 0))
        users[user.id] = (user, count + 1)
        self.changed(key)

    def leave(self, key: str, user: UserInfo) -> None:
        """One look less."""
        users = self._present.get(key, {})
        known, count = users.get(user.id, (user, 0))
        if count > 1:
            users[user.id] = (known, count - 1)
            return
        users.pop(user.id, None)
        if not users:
            self._present.pop(key, None)
        self.changed(key)

    def users(self, key: str) -> list[UserInfo]:
        """The distinct users who watch a session, in order of arrival."""
        return [user for user, _ in self._present.get(key, {}).values()]

    def changed(self, key: str) -> None:
        """Announce a session's users: soon after a quiet time, else when the interval is over."""
        if key in self._timers:
            return
        now = asyncio.get_running_loop().time()
        wait = max(SETTLE, self._announced.get(key, 0.0) + INTERVAL - now)
        self._timers[key] = self._background.later(wait, lambda: self._announce(key))

    def close(self) -> None:
        """Stop all timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _announce(self, key: str) -> None:
        self._timers.pop(key, None)
        if key in self._present:
            self._announced[key] = asyncio.get_running_loop().time()
        else:
            self._announced.pop(key, None)
        self._on_change(key)
