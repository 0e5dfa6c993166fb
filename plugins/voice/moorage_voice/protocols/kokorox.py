"""kokorox's WebSocket: text as speech. Source: kokorox's documentation of its protocol; see docs/contracts/octo.md.

Text frames only, JSON. What is to be said is said in the order of asking; other commands are answered at once. What is
asked wrongly is answered by an `error` with a message, after which the connection goes on. When an engine fails, an
`error` comes and the connection ends (1011); the next one has a new process.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

from moorage.api import Hub, MoorageError, Socket, SocketClosed, parse_json, validate
from pydantic import BaseModel, Field, StrictBool, StrictStr

from moorage_voice.engines.base import EngineBusy, EngineFailed
from moorage_voice.places import NoPlace
from moorage_voice.protocols.saying import FAILED, UNREAD, Refused, Saying, Stream, failure
from moorage_voice.speech import SpeechService, speed_of
from moorage_voice.voices import Chosen, Voices

MOST_STREAMS = 16
Value = TypeVar("Value")
Name = Annotated[StrictStr, Field(min_length=1, max_length=200)]


class Command(BaseModel):
    """What a client sends. Members that are not known are let pass."""

    command: StrictStr
    voice: Name | None = None
    language: Name | None = None
    speed: Annotated[float, Field(allow_inf_nan=False)] | None = None
    auto_detect: StrictBool | None = None
    text: StrictStr | None = None
    stream_id: Name | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """How things are said. voice None: the server's. A language counts from when it is set until a voice is."""

    voice: str | None = None
    language: str | None = None
    speed: float = 1.0
    auto_detect: bool = False

    def with_own(self, command: Command) -> Settings:
        """These, and what one command says of its own."""
        own = self if command.voice is None else replace(self, voice=command.voice, language=None)
        if command.language is not None:
            own = replace(own, language=command.language)
        if command.speed is not None:
            own = replace(own, speed=speed_of(command.speed))
        return own if command.auto_detect is None else replace(own, auto_detect=command.auto_detect)

    def choose(self, voices: Voices, text: str) -> Chosen:
        """Whose voice says a text. NoSuchVoice."""
        return voices.for_text(text, self.voice, self.language, detect=self.auto_detect)


class Kokorox:
    """Speaks to clients of kokorox."""

    def __init__(self, hub: Hub, speech: SpeechService) -> None:
        self._hub, self._speech = hub, speech

    async def serve(self, socket: Socket) -> None:
        """One connection. Unavailable, before it is accepted, when nothing here can speak."""
        self._speech.check()
        await socket.accept()
        try:
            with self._speech.places.one(socket.actor):
                voices = await self._speech.voices()
                await Connection(self._hub, self._speech, voices, socket).run()
        except NoPlace as error:
            await _refuse(socket, str(error), 1013)
        except (EngineFailed, EngineBusy):
            await _refuse(socket, FAILED, 1011)


class Connection:
    """One client: what it has set, and its streams."""

    def __init__(self, hub: Hub, speech: SpeechService, voices: Voices, socket: Socket) -> None:
        self._hub, self._speech, self._voices, self._socket = hub, speech, voices, socket
        self._settings = Settings()
        self._streams: dict[str, Stream] = {}
        self._saying = Saying(speech, socket)
        self._tell = self._saying.tell
        self._commands: dict[str, Callable[[Command], Coroutine[Any, Any, None]]] = {
            "list_voices": self._list_voices,
            "set_voice": self._set_voice,
            "set_language": self._set_language,
            "set_auto_detect": self._set_auto_detect,
            "set_speed": self._set_speed,
            "synthesize": self._synthesize,
            "stream_start": self._stream_start,
            "stream_append": self._stream_append,
            "stream_end": self._stream_end,
            "stream_cancel": self._stream_cancel,
        }

    async def run(self) -> None:
        """Serve until the client leaves, or an engine fails."""
        saying = self._hub.tasks.spawn(self._saying.run(), "voice: what a connection has said")
        try:
            async for message in self._socket:
                await self._take(message)
        except SocketClosed:
            return
        except TimeoutError:
            await self._socket.close(1008, UNREAD)
        finally:
            saying.cancel()
            await asyncio.wait((saying,))

    async def _take(self, message: str | bytes) -> None:
        stream: dict[str, str] = {}
        try:
            if isinstance(message, bytes):
                raise Refused("commands are text frames")
            command = validate(Command, parse_json(message))
            if command.stream_id is not None:
                stream = {"stream_id": command.stream_id}
            do = self._commands.get(command.command)
            if do is None:
                raise Refused(f"unknown command: {command.command[:100]}")
            await do(command)
        except MoorageError as error:
            await self._tell("error", message=error.message, **stream)
        except Refused as error:
            await self._tell("error", message=str(error), **stream)

    async def _list_voices(self, command: Command) -> None:
        ids = [voice.id for voice in self._voices.all()]
        await self._tell("voices", voices=ids, voice=self._settings.voice or self._voices.first)

    async def _set_voice(self, command: Command) -> None:
        voice = _needed(command.voice, "voice")
        self._voices.choose(voice)
        self._settings = replace(self._settings, voice=voice, language=None)
        await self._tell("voice_changed", voice=voice)

    async def _set_language(self, command: Command) -> None:
        language = _needed(command.language, "language")
        self._voices.choose(self._settings.voice, language)
        self._settings = replace(self._settings, language=language)
        await self._tell("language_changed", language=language)

    async def _set_auto_detect(self, command: Command) -> None:
        detect = _needed(command.auto_detect, "auto_detect")
        self._settings = replace(self._settings, auto_detect=detect)
        await self._tell("auto_detect_changed", auto_detect=detect)

    async def _set_speed(self, command: Command) -> None:
        speed = speed_of(_needed(command.speed, "speed"))
        self._settings = replace(self._settings, speed=speed)
        await self._tell("speed_changed", speed=speed)

    async def _synthesize(self, command: Command) -> None:
        text, settings = _needed(command.text, "text"), self._settings.with_own(command)
        size = self._saying.check_room(text)
        chosen = settings.choose(self._voices, text)
        self._saying.say(chosen, settings.speed, await self._speech.sentences(text), size)

    async def _stream_start(self, command: Command) -> None:
        id = command.stream_id or secrets.token_hex(16)
        if id in self._streams or self._saying.unsaid(id) is not None:
            raise Refused(f"there is a stream of that name: {id}")
        if len(self._streams) >= MOST_STREAMS:
            raise Refused(f"{MOST_STREAMS} streams may be open at once")
        self._saying.check_room()  # Its end waits for its turn, also that of an empty one.
        settings = self._settings.with_own(command)
        settings.choose(self._voices, "")
        self._streams[id] = Stream(id, lambda text: settings.choose(self._voices, text), settings.speed)
        await self._tell("stream_started", stream_id=id)

    async def _stream_append(self, command: Command) -> None:
        stream, text = self._stream(command), _needed(command.text, "text")
        self._saying.check_room(text)
        self._saying.say_of(stream, stream.text.append(text))

    async def _stream_end(self, command: Command) -> None:
        stream = self._stream(command)
        del self._streams[stream.id]
        self._saying.say_of(stream, stream.text.end())
        self._saying.end_of(stream)

    async def _stream_cancel(self, command: Command) -> None:
        stream = self._saying.unsaid(command.stream_id) if command.stream_id is not None else None
        stream = stream or self._stream(command)
        self._streams.pop(stream.id, None)
        self._saying.cancel(stream)
        await self._tell("stream_cancelled", stream_id=stream.id)

    def _stream(self, command: Command) -> Stream:
        """The stream that is meant: without an id, the one that there is."""
        if command.stream_id is None and len(self._streams) == 1:
            return next(iter(self._streams.values()))
        id = _needed(command.stream_id, "stream_id")
        found = self._streams.get(id)
        if found is None:
            raise Refused(f"no such stream: {id}")
        return found


async def _refuse(socket: Socket, message: str, code: int) -> None:
    socket.post(failure(message))
    await socket.close(code, message)


def _needed(value: Value | None, name: str) -> Value:
    if value is None:
        raise Refused(f"{name} is needed")
    return value
