"""Other plugins that want to know of sessions and claims: told in order, each at its own pace."""

from __future__ import annotations

import copy
from collections import deque
from typing import Any

from moorage.api import HookFailed, Hub

from moorage_tmux.background import Background
from moorage_tmux.claims import Claim
from moorage_tmux.sessions import SessionInfo

TIMEOUT = 5.0
"""Seconds that a hook may take."""
MAX_WAITING = 1000
"""Changes that wait for one plugin; the oldest are dropped beyond it."""
CREATED, DESTROYED, CLAIMED = "tmux_session_created", "tmux_session_destroyed", "tmux_claim_changed"


class Listeners:
    """Calls the asynchronous hooks of `hooks.Specs`. None of its methods waits."""

    def __init__(self, hub: Hub, background: Background) -> None:
        self._hub, self._background = hub, background
        self._sessions: dict[str, SessionInfo] = {}
        self._queues: dict[str, _Queue] = {}

    @property
    def want_sessions(self) -> bool:
        """Whether a plugin wants to know of sessions also while nobody is connected."""
        return any(self._hub.hooks.implementers(hook) for hook in (CREATED, DESTROYED))

    def sessions_are(self, sessions: dict[str, SessionInfo]) -> None:
        """These sessions exist, by key: whoever listens from now on is told of them."""
        self._sessions = sessions

    def created(self, session: SessionInfo) -> None:
        """A session is there that was not before."""
        self._tell(CREATED, session=session)

    def destroyed(self, session: SessionInfo) -> None:
        """A session ended."""
        self._tell(DESTROYED, session=session)

    def claim_changed(self, claim: Claim, reason: str, *, ended: bool = False) -> None:
        """A claim began, changed or ended."""
        now = None
        if not ended:
            now = copy.copy(claim)  # As it is: the next change must not show in this one.
            now.timer = None
        self._tell(CLAIMED, session_name=claim.session_name, claim=now, reason=reason)

    def plugin_changed(self, plugin: str) -> None:
        """A plugin came, went or was made anew: what waits for it is dropped, a new one hears of all sessions."""
        queue = self._queues.pop(plugin, None)
        if queue is not None:
            queue.forget()
        if plugin in self._hub.hooks.implementers(CREATED):
            for session in self._sessions.values():
                self._put(plugin, CREATED, {"session": session})

    def _tell(self, hook: str, **arguments: Any) -> None:
        for plugin in self._hub.hooks.implementers(hook):
            self._put(plugin, hook, arguments)

    def _put(self, plugin: str, hook: str, arguments: dict[str, Any]) -> None:
        queue = self._queues.get(plugin)
        if queue is None:
            queue = self._queues[plugin] = _Queue(self._hub, self._background, plugin)
        queue.put(hook, arguments)


class _Queue:
    """What one plugin is still to be told."""

    def __init__(self, hub: Hub, background: Background, plugin: str) -> None:
        self._hub, self._background, self._plugin = hub, background, plugin
        self._waiting: deque[tuple[str, dict[str, Any]]] = deque()
        self._working = False
        self._dropped = 0

    def put(self, hook: str, arguments: dict[str, Any]) -> None:
        """Add a call; start to work when nothing is going on."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._dropped += 1
            if self._dropped & (self._dropped - 1) == 0:  # A stuck plugin must not fill the log as well.
                self._hub.log.error("changes dropped, hook too slow", plugin=self._plugin, dropped=self._dropped)
        self._waiting.append((hook, arguments))
        if not self._working:
            self._working = True
            self._background.spawn(self._work(), f"tell-{self._plugin}")

    def forget(self) -> None:
        """Drop what waits."""
        self._waiting.clear()

    async def _work(self) -> None:
        hooks, log = self._hub.hooks, self._hub.log
        try:
            while self._waiting:
                hook, arguments = self._waiting.popleft()
                try:
                    await hooks.await_one(hook, self._plugin, timeout=TIMEOUT, **arguments)
                except HookFailed as error:
                    log.exception("hook failed", plugin=self._plugin, hook=hook, reason=str(error))
        finally:
            self._working = False
