"""Watched sessions: one control client each, started for the first viewer and kept a while after the last."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable

from moorage_tmux.background import Background
from moorage_tmux.sessions import SessionInfo
from moorage_tmux.tmux import Tmux, TmuxGone
from moorage_tmux.watch import SessionWatch, WatchSettings


class WatchPool:
    """All watched sessions, by key."""

    def __init__(
        self,
        tmux: Tmux,
        settings: WatchSettings,
        *,
        background: Background,
        lives: Callable[[SessionInfo], Awaitable[bool]],
    ) -> None:
        self._tmux, self._settings, self._background, self._lives = tmux, settings, background, lives
        self._watches: dict[str, SessionWatch] = {}
        self._starting: dict[str, asyncio.Task[SessionWatch]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._ending: weakref.WeakSet[SessionWatch] = weakref.WeakSet()
        self._closed = False

    def __len__(self) -> int:
        return len(self._watches)

    def pids(self) -> set[int]:
        """The process ids of our control clients."""
        return {watch.client.pid for watch in self._watches.values() if watch.client.pid is not None}

    def get(self, key: str) -> SessionWatch | None:
        """The watch of a session, if there is one."""
        return self._watches.get(key)

    def watches(self) -> list[SessionWatch]:
        """All of them."""
        return list(self._watches.values())

    async def acquire(self, session: SessionInfo) -> SessionWatch:
        """The watch of a session, started if need be; without subscriptions it ends after a while. TmuxError."""
        watch = self._watches.get(session.key)
        if watch is None:
            task = self._starting.get(session.key)
            if task is None:
                task = self._starting[session.key] = self._background.start(self._start(session))
                task.add_done_callback(lambda done: self._started(session.key, done))
            # Shielded: whoever else waits for this watch must not lose it when this caller goes away.
            watch = await asyncio.shield(task)
        if not watch.subscriptions:
            self._idle(watch)
        return watch

    async def close(self) -> None:
        """End all of them."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        await asyncio.gather(*self._starting.values(), return_exceptions=True)
        # Also those that end already: nobody else waits until their processes have gone.
        watches = {*self.watches(), *self._ending}
        await asyncio.gather(*(watch.stop("Server shutting down") for watch in watches))

    async def _start(self, session: SessionInfo) -> SessionWatch:
        if self._closed:
            raise TmuxGone("the server is stopping")
        watch = SessionWatch(
            self._tmux,
            session,
            self._settings,
            background=self._background,
            lives=self._lives,
            on_idle=self._idle,
            on_end=self._forget,
        )
        await watch.start()
        self._watches[session.key] = watch
        return watch

    def _started(self, key: str, task: asyncio.Task[SessionWatch]) -> None:
        self._starting.pop(key, None)
        if not task.cancelled():
            task.exception()  # Its waiters have it; without any it is nobody's business.

    def _idle(self, watch: SessionWatch) -> None:
        key = watch.session.key
        old = self._timers.pop(key, None)
        if old is not None:
            old.cancel()
        if not self._closed:
            self._timers[key] = self._background.later(self._settings.linger, lambda: self._expire(watch))

    def _expire(self, watch: SessionWatch) -> None:
        self._timers.pop(watch.session.key, None)
        if watch.subscriptions or watch.ended:
            return
        if watch.in_use:
            self._idle(watch)
        else:
            self._background.spawn(watch.stop(), "watch-end")

    def _forget(self, watch: SessionWatch) -> None:
        if self._watches.get(watch.session.key) is watch:
            del self._watches[watch.session.key]
            self._ending.add(watch)
