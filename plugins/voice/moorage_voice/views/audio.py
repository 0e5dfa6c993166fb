"""`/v1/audio`: kokorox's HTTP, which is OpenAI's for speech. Source: OpenAI's API reference, Create speech; kokorox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Literal, TypedDict

from moorage.api import (
    OPENAI,
    DeadlineExceeded,
    Exchange,
    Route,
    Routes,
    TooManyRequests,
    Unavailable,
    UnsupportedMediaType,
    json_response,
    parse_json,
    validate,
)
from pydantic import BaseModel, Field, StrictBool, StrictStr
from quart import Response

from moorage_voice.audio import silence
from moorage_voice.encodings import ENCODINGS, Encoding
from moorage_voice.engines.base import EngineBusy, EngineFailed
from moorage_voice.places import NoPlace
from moorage_voice.rights import SPEAK
from moorage_voice.speech import RATE, SpeechService, speed_of
from moorage_voice.voices import Chosen, Voices

READ_SECONDS = 60.0
"""In which a request must have come."""
SEND_SECONDS = 120.0
"""In which a client must have taken a sentence."""
SILENT_SECONDS = 0.025
"""One of `initial_silence`: it counts the model's tokens."""
RETRY_SECONDS = 5
Name = Annotated[StrictStr, Field(min_length=1, max_length=200)]


class SpeechBody(BaseModel):
    """POST /v1/audio/speech. Members that are not named here are let pass."""

    model: Annotated[StrictStr, Field(max_length=200)] = Field(description="Any: the voice says which engine speaks.")
    input: Annotated[StrictStr, Field(min_length=1)]
    voice: Name | None = Field(None, description="One of /v1/audio/voices, or one of kokorox's; without it, the first.")
    response_format: Literal["wav", "mp3", "pcm"] = "wav"
    speed: Annotated[float, Field(allow_inf_nan=False)] = Field(1.0, description="0.1 to 3; beyond, the nearest.")
    initial_silence: int | None = Field(None, ge=0, le=1200, description="Before the speech, in fortieths of a second.")
    language: Name | None = Field(None, description="The voice speaks it, or another one does.")
    auto_detect: StrictBool = Field(False, description="Find the language out, if none is given.")
    stream_format: Literal["audio"] = "audio"


class VoiceNames(TypedDict):
    """GET /v1/audio/voices."""

    voices: list[str]


class VoiceShape(TypedDict):
    """A voice. language: as "en-gb". gender: "female", "male", ""."""

    id: str
    name: str
    description: str
    language: str
    gender: str


class VoiceList(TypedDict):
    """GET /v1/audio/voices/detailed."""

    voices: list[VoiceShape]


class Front:
    """Reads requests and writes sound."""

    def __init__(self, speech: SpeechService) -> None:
        self._speech = speech

    async def speak(self, exchange: Exchange) -> None:
        """Say a text, as sound that is sent sentence by sentence.

        WAV comes as 32-bit floats at 24 kHz, its header's sizes being placeholders, as the end is not known when it
        begins. When an engine fails in mid-speech, the connection is broken off.
        """
        body = await _read(exchange)
        self._speech.check_length(body.input)
        try:
            with self._speech.places.one(exchange.actor):
                voices = await self.voices()
                chosen = voices.for_text(body.input, body.voice, body.language, detect=body.auto_detect)
                encoding = await asyncio.to_thread(ENCODINGS[body.response_format], RATE)
                async with aclosing(self._pieces(chosen, body)) as pieces:
                    await _send(exchange, encoding, pieces)
        except NoPlace as error:
            raise TooManyRequests(str(error), retry_after=RETRY_SECONDS) from None
        except EngineBusy as error:
            raise TooManyRequests("Too much is being said already", retry_after=RETRY_SECONDS) from error
        except EngineFailed as error:
            raise Unavailable("The engine that speaks failed; ask again") from error

    async def voices(self) -> Voices:
        """Those of the engines that can work. Unavailable."""
        try:
            return await self._speech.voices()
        except (EngineBusy, EngineFailed) as error:
            raise Unavailable("No engine tells its voices; ask again") from error

    async def _pieces(self, chosen: Chosen, body: SpeechBody) -> AsyncGenerator[bytes]:
        """The samples of each sentence; at least some."""
        before = silence((body.initial_silence or 0) * SILENT_SECONDS, RATE)
        some = False
        for sentence in await self._speech.sentences(body.input):
            samples = await self._speech.say(chosen, sentence, speed_of(body.speed))
            if samples:
                some = True
                yield before + samples
                before = b""
        if not some:
            yield before + silence(0.1, RATE)


def routes(speech: SpeechService) -> list[Route]:
    """All of it, by the engines inside."""
    table = Routes()
    front = Front(speech)

    @table.get("/v1/audio/voices", access=SPEAK.name, dialect=OPENAI, answer=VoiceNames)
    async def voices() -> Response:
        """List the ids of the voices, the best first."""
        found = await front.voices()
        answer: VoiceNames = {"voices": [voice.id for voice in found.all()]}
        return json_response(answer)

    @table.get("/v1/audio/voices/detailed", access=SPEAK.name, dialect=OPENAI, answer=VoiceList)
    async def detailed() -> Response:
        """List the voices, the best first."""
        found: list[VoiceShape] = [
            {
                "id": voice.id,
                "name": voice.name,
                "description": voice.description,
                "language": voice.language,
                "gender": voice.gender,
            }
            for voice in (await front.voices()).all()
        ]
        answer: VoiceList = {"voices": found}
        return json_response(answer)

    table.exchange(
        "POST",
        "/v1/audio/speech",
        access=SPEAK.name,
        dialect=OPENAI,
        max_body=speech.config.max_body,
        body=SpeechBody,
        media_type="audio/wav",
        also_types=("audio/mpeg", "audio/pcm"),
    )(front.speak)
    return list(table)


async def _read(exchange: Exchange) -> SpeechBody:
    """The request. BadRequest, ValidationFailed, PayloadTooLarge, UnsupportedMediaType, DeadlineExceeded."""
    kind = exchange.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType("Expected a body of type application/json")
    try:
        async with asyncio.timeout(READ_SECONDS):
            data = await exchange.body()
    except TimeoutError:
        raise DeadlineExceeded("The request took too long to arrive") from None
    return validate(SpeechBody, parse_json(data))


async def _send(exchange: Exchange, encoding: Encoding, pieces: AsyncIterator[bytes]) -> None:
    """Write the pieces as they come, no faster than they are taken. Nothing is sent before there is one."""
    async for samples in pieces:
        data = await asyncio.to_thread(encoding.piece, samples)
        if not exchange.begun:
            await exchange.begin(200, ((b"content-type", encoding.media_type.encode()),))
        async with asyncio.timeout(SEND_SECONDS):
            await exchange.write(data)
    async with asyncio.timeout(SEND_SECONDS):
        await exchange.write(await asyncio.to_thread(encoding.end))
