"""Clients handed on to a speech server elsewhere: messages 1:1 in both directions. Source: Octo's voice proxies."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass

from moorage.api import DeadlineExceeded, Hub, MoorageError, Socket, SocketClient, SocketClosed, SocketEnd

from moorage_voice.config import VoiceConfig
from moorage_voice.places import NoPlace, Places

CLOSE_BUSY, CLOSE_FAILED, CLOSE_TOO_LONG = 1013, 1011, 1008
"""Try again later; internal error; policy. Source: RFC 6455 section 7.4.1 and its registry."""
DIAL_SECONDS = 10.0
READ_SECONDS = 120.0
"""In which a client must have taken a message."""
MAX_FRAME = 32 * 1024 * 1024
"""Bytes of one message of the server: ten minutes of sound in base64."""


@dataclass(frozen=True, slots=True)
class Service:
    """A speech server. kind: "stt" or "tts". name: for people.

    away, broken: its protocol's words when it is not there, or breaks off.
    """

    kind: str
    name: str
    url: str
    away: str
    broken: str


def ears(url: str) -> Service:
    """An eaRS server."""
    return Service("stt", "the STT server", url, "engine not available", "internal server error")


def kokorox(url: str) -> Service:
    """A kokorox server. What errors say there is free text."""
    return Service("tts", "the TTS server", url, "The speech service cannot be reached", "The speech service broke off")


class Relay:
    """Hands clients on to one server. It is dialled once the client was accepted, as Octo's own clients expect.

    failure: why the last client could not be served, "" when it was: for the operator. max_seconds: of one connection.
    """

    def __init__(self, hub: Hub, service: Service, places: Places, max_seconds: float | None = None) -> None:
        self._log, self._service, self._places, self._max_seconds = hub.log, service, places, max_seconds
        self._client = SocketClient()
        self.failure = ""
        kind = service.kind
        hub.metrics.gauge(f"{kind}_relayed", "Clients that are handed on to a server elsewhere.").set_function(
            lambda: places.taken
        )
        self._refused = hub.metrics.counter(f"{kind}_relay_refused_total", "Clients for whom there was no place.")
        self._failures = hub.metrics.counter(f"{kind}_relay_failures_total", "Clients whom the server failed.")

    async def serve(self, socket: Socket) -> None:
        """One client, to its end."""
        await socket.accept()
        try:
            with self._places.one(socket.actor):
                await self._serve(socket)
        except NoPlace as error:
            self._refused.inc()
            await _refuse(socket, str(error), CLOSE_BUSY, "Too many at once")

    async def close(self) -> None:
        """Close the connections to the server; nobody is handed on any more."""
        await self._client.close()

    async def _serve(self, socket: Socket) -> None:
        limit = asyncio.timeout(self._max_seconds)
        try:
            async with limit:
                end = await self._relayed(socket)
        except TimeoutError:
            if not limit.expired():
                raise
            await _refuse(socket, "this was listened to for as long as it may be", CLOSE_TOO_LONG, "Too long")
        except DeadlineExceeded as error:
            await socket.close(CLOSE_TOO_LONG, error.message)
        except MoorageError as error:
            self._failed(error.message)
            await _refuse(socket, self._service.away, CLOSE_FAILED, "The speech service cannot be reached")
        else:
            if end is None:
                return
            if end.lost:
                self._failed("it broke off")
                await _refuse(socket, self._service.broken, CLOSE_FAILED, "The speech service broke off")
            else:
                # What the server said before it closed is the client's, also of one that reads slowly.
                with contextlib.suppress(TimeoutError):
                    await socket.wait_drained(READ_SECONDS)
                await socket.close(end.code, end.reason)

    async def _relayed(self, socket: Socket) -> SocketEnd | None:
        # Nothing of the client's handshake goes on: its credentials are for this server.
        async with self._client.connect(self._service.url, max_frame=MAX_FRAME, timeout=DIAL_SECONDS) as link:
            self.failure = ""
            return await link.relay(socket, patience=READ_SECONDS)

    def _failed(self, why: str) -> None:
        self.failure = f"{self._service.name} at {self._service.url} failed: {why}"
        self._failures.inc()
        self._log.warning("a speech server failed", server=self._service.name, url=self._service.url, reason=why)


class Relays:
    """Those that are configured; None: the engines inside are asked."""

    def __init__(self, hub: Hub, config: VoiceConfig) -> None:
        stt, tts = config.stt, config.tts
        self.stt: Relay | None = None
        self.tts: Relay | None = None
        if stt.url is not None:
            places = Places(stt.max_sessions, stt.max_sessions_per_user)
            self.stt = Relay(hub, ears(stt.url), places, stt.max_seconds)
        if tts.url is not None:
            self.tts = Relay(hub, kokorox(tts.url), Places(tts.max_sessions, tts.max_sessions_per_user))

    def failure(self) -> str:
        """What failed last and has not worked since."""
        return "; ".join(relay.failure for relay in (self.stt, self.tts) if relay is not None and relay.failure)

    async def close(self) -> None:
        """Close all."""
        for relay in (self.stt, self.tts):
            if relay is not None:
                await relay.close()


async def _refuse(socket: Socket, message: str, code: int, reason: str) -> None:
    """Say what is wrong in both protocols' way, and close."""
    try:
        # One that reads nothing is not waited for: what it was to be told is dropped by the close.
        socket.post(json.dumps({"type": "error", "message": message}))
        await socket.close(code, reason)
    except SocketClosed:
        return
