"""What generations need when nobody asks: ended with the right to them, or with their server; old events let go."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from moorage.api import Actor, Hub, Method, MoorageError, Topic, repeat

from moorage_chat.config import ChatConfig
from moorage_chat.engine.live import Live, Stop
from moorage_chat.engine.recovery import Recovery
from moorage_chat.engine.running import RunningGenerations
from moorage_chat.records import Generation
from moorage_chat.rights import GENERATE
from moorage_chat.store import generations

EVERY = 30.0
"""Seconds between two looks."""
LATE = timedelta(minutes=2)
"""After this, and twice the longest time of an answer, one that has not ended has no server any more."""

_alive: set[str] = set()
"""The engines of this process: while a reload replaces the plugin there are two."""


class Upkeep:
    """Looks after all generations. server: of which instance those are that run here."""

    def __init__(
        self, hub: Hub, config: ChatConfig, running: RunningGenerations, recovery: Recovery, server: str
    ) -> None:
        self._hub, self._config, self._running, self._recovery = hub, config, running, recovery
        self._server = server
        self._cleaned: datetime | None = None

    async def start(self) -> None:
        """End what this server was making when it was last ended without warning, and begin to look."""
        _alive.add(self._server)
        for generation, server in await generations.active():
            if server[:8] == self._server[:8] and server not in _alive:
                await self._recover(generation)
        bus = self._hub.bus
        bus.subscribe(Topic.USER_CHANGED, self._user_changed)
        bus.subscribe(Topic.USER_DELETED, self._user_changed)
        bus.subscribe(Topic.CREDENTIAL_REVOKED, self._revoked)
        looking = repeat("looking after answers", EVERY, self.look, at_once=True)
        self._hub.tasks.spawn(looking, "upkeep")

    def close(self) -> None:
        """All of this engine's are over."""
        _alive.discard(self._server)

    # -- rights -------------------------------------------------------------------------------------------------

    async def _user_changed(self, data: dict[str, Any]) -> None:
        lives = self._running.of_user(int(data["user_id"]))
        if not lives:
            return
        user = await self._hub.accounts.get_user(int(data["user_id"]))
        for live in lives:
            actor = Actor() if user is None or not user.active else replace(live.actor, user=user)
            live.actor = actor
            self._check(live)

    def _revoked(self, data: dict[str, Any]) -> None:
        """A credential holds no more: what it began is stopped, with one exception.

        Who logs out does not lose the answer that is being made; but tools are not used for a login that is over.
        """
        method = Method(data["method"])
        for live in self._running.of_user(int(data["user_id"])):
            credential = live.actor.credential
            if credential is None or credential.id != data["id"] or _kind(credential.method) != _kind(method):
                continue
            if live.tool_sets or not credential.of_login:
                live.stop(Stop.CANCELED)

    def _check(self, live: Live) -> None:
        if not self._hub.access.holds(live.actor, GENERATE.name):
            live.stop(Stop.CANCELED)

    # -- from time to time --------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Once."""
        for live in self._running:
            self._check(live)
            live.look()
        now = datetime.now(UTC)
        longest = timedelta(seconds=2 * self._config.max_seconds) + LATE
        for generation, server in await generations.active(before=now - longest):
            if server != self._server or self._running.find(generation.id) is None:
                await self._recover(generation)
        await self._stop_ended()
        await self._clean(now - timedelta(seconds=self._config.keep_events_seconds))

    async def _recover(self, generation: Generation) -> None:
        """End one that nobody runs. What is wrong with one does not keep the others, or the start."""
        try:
            await self._recovery.end(generation)
        except MoorageError:
            raise
        except Exception:
            self._hub.log.exception("an answer that was broken off cannot be ended", generation=generation.id)

    async def _stop_ended(self) -> None:
        """Another server has ended it, which did not hear from this one: no provider works for that any more."""
        lives = list(self._running)
        if lives:
            there = {generation.id for generation, _ in await generations.active(self._server)}
            for live in lives:
                if live.id not in there:
                    live.stop(Stop.CANCELED)

    async def _clean(self, before: datetime) -> None:
        """Let go of events of those that ended before that time; at first of those, too, that nobody knows any more."""
        if self._cleaned is None:
            after: str | None = ""
            while after is not None:
                lost, after = await generations.lost_events(before, after)
                await generations.forget_events(lost)
            self._cleaned = before
            return
        ended = await generations.ended(self._cleaned, before)
        await generations.forget_events(ended)
        self._cleaned = before


def _kind(method: Method) -> str:
    return "session" if method in (Method.SESSION, Method.BEARER, Method.JWT) else method.value
