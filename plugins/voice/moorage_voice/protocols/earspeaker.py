"""eaRS's speaker: one connection's sound as words, until it says stop, or falls silent; then all of it, and the end.

Everything is done in the order in which it comes, by the one who reads: while the engine works nothing more is read,
and that is what holds back a client that is quicker than the engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from moorage.api import Hub, Socket, SocketClosed, Unavailable

from moorage_voice.config import SttConfig
from moorage_voice.engines.base import (
    STT_RATE,
    EngineBusy,
    EngineFailed,
    Heard,
    Recognition,
    SpeechToText,
    Word,
)
from moorage_voice.places import BUSY
from moorage_voice.protocols import earsmessages as messages
from moorage_voice.protocols.earsmessages import SLICE, Command
from moorage_voice.registry import Engines
from moorage_voice.streams import TOO_SLOW, Stream

WAY, PAUSING_WAY = "kyutai", "parakeet"
"""eaRS's engines, which its clients choose between: the second one tells of pauses. Here they are ways to be told."""
INTERNAL = "internal server error"
AT_ONCE = SLICE // 10
"""Bytes that are waited for before the engine is fed: frames are small, and each feeding is a trip to a process."""
ENGINE_SECONDS = 90.0
"""In which an engine must have done what it was asked, its turn included."""
Done = TypeVar("Done")


class Counts:
    """What is counted of all speakers."""

    def __init__(self, hub: Hub) -> None:
        self._log = hub.log
        self.heard = hub.metrics.counter("stt_seconds_total", "Seconds of sound that were listened to.", ["engine"])
        self.failures = hub.metrics.counter("stt_failures_total", "Recognitions that an engine gave up.", ["engine"])

    def failed(self, engine: str, failure: Exception) -> None:
        """An engine gave up, or is not there any more."""
        self.failures.labels(engine).inc()
        self._log.warning("an engine of speech failed", engine=engine, reason=str(failure))


class Speaker:
    """One connection that speaks."""

    def __init__(self, config: SttConfig, engines: Engines, counts: Counts, socket: Socket, stream: Stream) -> None:
        self._config, self._engines, self._counts = config, engines, counts
        self._socket, self._stream = socket, stream
        self._named = WAY
        self._language = "en"
        self._engine: SpeechToText = engines.stt()
        self._recognition: Recognition | None = None
        self._waiting = bytearray()
        self._seconds = self._total = 0.0
        self._words: list[Word] = []
        self._silent_since: float | None = None

    async def serve(self, first: str | bytes) -> None:
        """From the first message to the last."""
        try:
            await self._begin()
            self._tell(messages.event("enginechanged", engine=self._named))
            message: str | bytes = first
            ends = asyncio.get_running_loop().time() + self._config.max_seconds
            while not await self._take(message):
                message = await self._next(ends)
            await self._end()
        except EngineBusy:
            await self._refuse(BUSY, 1013)
        except (EngineFailed, Unavailable) as failure:
            self._counts.failed(self._engine.name, failure)
            await self._refuse(INTERNAL, 1011)
        finally:
            await self._forget()

    async def _begin(self) -> None:
        self._recognition = await _done(self._engine.open(self._language))
        self._waiting.clear()
        self._words, self._seconds, self._silent_since = [], 0.0, None

    async def _forget(self) -> None:
        recognition, self._recognition = self._recognition, None
        if recognition is not None:
            await recognition.close()

    async def _again(self, engine: SpeechToText) -> None:
        """Begin anew, maybe with another engine."""
        await self._forget()
        self._engine = engine
        await self._begin()

    async def _next(self, ends: float) -> str | bytes:
        """The next message; "stop" when none comes, or it has gone on for too long: a place is for those who speak."""
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(ends, now + self._config.silent_seconds)):
                return await self._socket.receive()
        except TimeoutError:
            return "stop"

    async def _take(self, message: str | bytes) -> bool:
        """Do what a message says. True: what is listened to is over."""
        if isinstance(message, str):
            return await self._command(messages.command(message))
        for start in range(0, len(message) - 3, SLICE):
            self._waiting += messages.sound(message[start : start + SLICE])
            if len(self._waiting) >= AT_ONCE:
                await self._feed()
                if self._over():
                    return True
        return False

    async def _feed(self) -> None:
        if not self._waiting:
            return
        assert self._recognition is not None
        samples = bytes(self._waiting)
        self._waiting.clear()
        seconds = len(samples) / (4 * STT_RATE)
        self._seconds += seconds
        self._total += seconds
        self._counts.heard.labels(self._engine.name).inc(seconds)
        self._news(await _done(self._recognition.feed(samples)))

    def _over(self) -> bool:
        """Whether a silence, or the longest time, ends it."""
        if self._total >= self._config.max_seconds:
            return True
        if not self._config.vad or self._named == PAUSING_WAY or self._silent_since is None:
            return False
        return self._seconds - self._silent_since >= self._config.vad_timeout

    def _news(self, heard: Heard) -> None:
        for word in heard.words:
            self._words.append(word)
            self._tell(messages.event("word", **messages.fields(word)))
        if heard.speaking:
            self._silent_since = None
        elif heard.pause is not None:
            self._silent_since = heard.pause
            if self._named != WAY:
                self._tell(messages.event("pause", timestamp=heard.pause))

    async def _end(self) -> None:
        """The rest, all of it, and good-bye: one utterance is what a connection of eaRS is for."""
        await self._feed()
        assert self._recognition is not None
        heard = await _done(self._recognition.finish())
        self._news(heard)
        self._tell(messages.final(self._words if heard.whole is None else heard.whole))
        await self._socket.close(1000)

    async def _command(self, asked: Command) -> bool:
        kind = asked["type"]
        if kind == "stop":
            return True
        if kind == "restart":
            await self._again(self._engine)
        elif kind == "getstatus":
            self._tell(self._status())
        elif kind == "setlanguage":
            self._set_language(asked.get("lang"))
        elif kind == "setengine":
            await self._set_engine(asked.get("engine"))
        # "pause", "resume" and "setvadtimeout" change nothing, as in eaRS; what is unknown is ignored.
        return False

    def _status(self) -> str:
        return messages.event(
            "status",
            paused=False,
            vad=self._config.vad,
            timestamps=True,
            vad_timeout=self._config.vad_timeout if self._config.vad else None,
            lang=self._language,
            engine=self._named,
        )

    def _set_language(self, language: object) -> None:
        known = self._engine.languages
        if not isinstance(language, str) or language.split("-")[0].casefold() not in known:
            self._tell(messages.error(f"language not available: {', '.join(known)}"))
            return
        self._language = language
        self._tell(messages.event("languagechanged", lang=language))

    async def _set_engine(self, name: object) -> None:
        """eaRS's two are ways to be told; the names of the engines here choose these, and begin anew."""
        if not isinstance(name, str) or not (name in (WAY, PAUSING_WAY) or name in self._engines.stt_all()):
            self._tell(messages.error("unknown engine"))
            return
        try:
            engine = self._engines.stt(None if name in (WAY, PAUSING_WAY) else name)
        except Unavailable:
            self._tell(messages.error("engine not available"))
            return
        self._named = name
        if engine is not self._engine:
            await self._again(engine)
        self._tell(messages.event("enginechanged", engine=name))

    def _tell(self, text: str) -> None:
        """To the speaker and who follows. SocketClosed when the speaker does not read, or is gone."""
        self._stream.tell(text)
        if not self._socket.post(text):
            self._socket.close_soon(*TOO_SLOW)
            raise SocketClosed(*TOO_SLOW)

    async def _refuse(self, message: str, code: int) -> None:
        self._stream.tell(messages.error(message))
        self._socket.post(messages.error(message))
        await self._socket.close(code, message)


async def _done(asked: Awaitable[Done]) -> Done:
    """What an engine does, which may be anybody's. EngineBusy, EngineFailed."""
    try:
        async with asyncio.timeout(ENGINE_SECONDS):
            return await asked
    except (EngineBusy, EngineFailed):
        raise
    except TimeoutError as error:
        raise EngineFailed(f"it took more than {ENGINE_SECONDS:g} s") from error
    except Exception as error:
        raise EngineFailed(f"{type(error).__name__} of an engine") from error
