"""What a client of kokorox has asked to be said: in the order of asking, one sentence after the other."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from moorage.api import Socket, SocketClosed

from moorage_voice.audio import silence, wav
from moorage_voice.engines.base import EngineBusy, EngineFailed
from moorage_voice.places import BUSY
from moorage_voice.sentences import Growing
from moorage_voice.speech import RATE, SpeechService
from moorage_voice.voices import Chosen

SEND_SECONDS = 120.0
"""In which a client must have taken what it is sent."""
MOST_WAITING = 10_000
"""Sentences of streams, and commands, that may wait to be said."""
UNREAD = "What is sent is not read"
FAILED = "internal server error"
NOTHING = silence(0.1, RATE)
"""Instead of a sentence for which an engine has no sound: players stumble over a file without samples."""


class Refused(Exception):
    """A command that cannot be done; its text is for the client."""


@dataclass(slots=True, eq=False)
class Stream:
    """A text that grows. sent: its chunks."""

    id: str
    choose: Callable[[str], Chosen]
    speed: float
    text: Growing = field(default_factory=Growing)
    sent: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What waits for its turn. size: bytes of its text."""

    run: Callable[[Job], Coroutine[Any, Any, None]]
    size: int = 0
    stream: Stream | None = None


class Saying:
    """What one connection waits for."""

    def __init__(self, speech: SpeechService, socket: Socket) -> None:
        self._speech, self._socket = speech, socket
        self._jobs: deque[Job] = deque()
        self._current: Job | None = None
        self._bytes = 0
        self._wake = asyncio.Event()

    async def tell(self, kind: str, **members: Any) -> None:
        """Send an event. SocketClosed; TimeoutError when the client does not read."""
        text = json.dumps({"type": kind, **members}, ensure_ascii=False, separators=(",", ":"))
        async with asyncio.timeout(SEND_SECONDS):
            await self._socket.send(text)

    def check_room(self, text: str = "") -> int:
        """The bytes of a text that is to be said. Refused when it is too long, or too much waits already."""
        size = self._speech.check_length(text)
        if self._bytes + size > self._speech.config.max_text_bytes or len(self._jobs) >= MOST_WAITING:
            raise Refused("too much waits to be said already")
        return size

    def say(self, chosen: Chosen, speed: float, sentences: list[str], size: int) -> None:
        """Say a text, when its turn has come."""

        async def run(job: Job) -> None:
            await self.tell("synthesis_started")
            for index, sentence in enumerate(sentences):
                chunk = await self._chunk(chosen, sentence, speed)
                await self.tell("audio_chunk", chunk=chunk, index=index, total=len(sentences), sample_rate=RATE)
            await self.tell("synthesis_completed")

        self._add(Job(run, size))

    def say_of(self, stream: Stream, sentences: list[str]) -> None:
        """Say more of a stream."""
        for sentence in sentences:
            run = partial(self._say_of, stream=stream, sentence=sentence)
            self._add(Job(run, len(sentence.encode()), stream))

    def end_of(self, stream: Stream) -> None:
        """Tell a stream's end, when all of it is said."""
        self._add(
            Job(lambda job: self.tell("stream_ended", stream_id=stream.id, total_chunks=stream.sent), stream=stream)
        )

    def cancel(self, stream: Stream) -> None:
        """Say no more of a stream."""
        self._bytes -= sum(job.size for job in self._jobs if job.stream is stream)
        self._jobs = deque(job for job in self._jobs if job.stream is not stream)
        if self._current is not None and self._current.stream is stream:
            self._current = None

    def unsaid(self, id: str) -> Stream | None:
        """The stream of that name of which something is not said yet."""
        jobs = (self._current, *self._jobs) if self._current is not None else self._jobs
        return next((job.stream for job in jobs if job.stream is not None and job.stream.id == id), None)

    async def run(self) -> None:
        """Say it, until the socket closes. When an engine fails, tell it and close."""
        try:
            while True:
                while not self._jobs:
                    self._wake.clear()
                    await self._wake.wait()
                self._current = job = self._jobs.popleft()
                try:
                    await job.run(job)
                finally:
                    self._bytes -= job.size
                    self._current = None
        except SocketClosed:
            return
        except TimeoutError:
            self._socket.close_soon(1008, UNREAD)
        except EngineBusy:
            self._give_up(BUSY, 1013)
        except EngineFailed:
            self._give_up(FAILED, 1011)

    def _give_up(self, message: str, code: int) -> None:
        self._socket.post(failure(message))
        self._socket.close_soon(code, message)

    def _add(self, job: Job) -> None:
        self._jobs.append(job)
        self._bytes += job.size
        self._wake.set()

    async def _say_of(self, job: Job, stream: Stream, sentence: str) -> None:
        chunk = await self._chunk(stream.choose(sentence), sentence, stream.speed)
        if self._current is job:  # Else it was cancelled meanwhile.
            stream.sent += 1
            await self.tell("stream_chunk", stream_id=stream.id, chunk=chunk, index=stream.sent - 1, sample_rate=RATE)

    async def _chunk(self, chosen: Chosen, sentence: str, speed: float) -> str:
        samples = await self._speech.say(chosen, sentence, speed)
        return base64.b64encode(wav(samples or NOTHING, RATE)).decode()


def failure(message: str) -> str:
    """An error as an event."""
    return json.dumps({"type": "error", "message": message}, separators=(",", ":"))
