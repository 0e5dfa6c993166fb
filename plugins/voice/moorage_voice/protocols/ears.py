"""eaRS: speech as text over a WebSocket. A connection speaks, or follows one that does.

Source: eaRS's WebSocket protocol. Its first message decides: a command of listeners, or anything else.
"""

from __future__ import annotations

from moorage.api import Hub, Socket

from moorage_voice.config import SttConfig
from moorage_voice.places import BUSY, NoPlace, Places
from moorage_voice.protocols.earsmessages import Command, command, error, event
from moorage_voice.protocols.earspeaker import Counts, Speaker
from moorage_voice.registry import Engines
from moorage_voice.streams import Streams

LISTENERS = frozenset({"authenticate", "liststreams", "subscribe"})
TRY_AGAIN_LATER = 1013


class Ears:
    """Listens to clients of eaRS."""

    def __init__(self, hub: Hub, config: SttConfig, engines: Engines) -> None:
        self._hub, self._config, self._engines = hub, config, engines
        self.places = Places(config.max_sessions, config.max_sessions_per_user)
        self.streams = Streams()
        hub.metrics.gauge("stt_sessions", "People who are listened to.").set_function(lambda: self.places.taken)
        self._refused = hub.metrics.counter("stt_refused_total", "Speakers for whom there was no place.")
        self._counts = Counts(hub)

    async def serve(self, socket: Socket) -> None:
        """One connection. Unavailable, before it is accepted, when nothing here can hear."""
        self._engines.stt()
        await socket.accept()
        first = await socket.receive()
        asked = command(first) if isinstance(first, str) else None
        if asked is not None and asked["type"] in LISTENERS:
            await self._listen(socket, asked)
        else:
            await self._speak(socket, first)

    async def _speak(self, socket: Socket, first: str | bytes) -> None:
        try:
            with self.places.one(socket.actor):
                stream = self.streams.open(socket.actor)
                try:
                    await Speaker(self._config, self._engines, self._counts, socket, stream).serve(first)
                finally:
                    self.streams.close(stream)
        except NoPlace:
            self._refused.inc()
            socket.post(error(BUSY))
            await socket.close(TRY_AGAIN_LATER, BUSY)

    async def _listen(self, socket: Socket, first: Command) -> None:
        """Follow streams of one's own. Who it is, the login has said: eaRS's token has nothing to add to that."""
        try:
            await socket.send(self._answer(socket, first))
            async for message in socket:
                asked = command(message) if isinstance(message, str) else None
                if asked is not None and asked["type"] in LISTENERS:
                    await socket.send(self._answer(socket, asked))
        finally:
            self.streams.leave(socket)

    def _answer(self, socket: Socket, asked: Command) -> str:
        if asked["type"] == "authenticate":
            if isinstance(asked.get("token"), str) and asked["token"]:
                return event("authenticated", success=True)
            return error("invalid token")
        if asked["type"] == "liststreams":
            return event("streams", stream_ids=self.streams.of(socket.actor))
        number = asked.get("stream_id")
        if isinstance(number, int) and self.streams.follow(socket.actor, number, socket):
            return event("subscribed", stream_id=number)
        return error("stream not found")
