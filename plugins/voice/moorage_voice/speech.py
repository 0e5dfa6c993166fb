"""Text said aloud by the engines: what both of kokorox's surfaces share. Nothing of a text is logged or kept."""

from __future__ import annotations

import asyncio
import math

from moorage.api import Hub, PayloadTooLarge

from moorage_voice.audio import resampled
from moorage_voice.config import TtsConfig
from moorage_voice.engines.base import EngineBusy, EngineFailed, Speech
from moorage_voice.places import Places
from moorage_voice.registry import Engines
from moorage_voice.sentences import split
from moorage_voice.voices import Chosen, Voices

RATE = 24_000
"""Samples per second of all that is said. Source: kokorox."""
RATES = range(1_000, 400_000)
SLOWEST, FASTEST = 0.1, 3.0
ENGINE_SECONDS = 90.0
"""In which an engine must have said a sentence, its turn included."""
AT_ONCE = 16 * 1024
"""Characters that are cut into sentences in passing; more are cut beside the loop."""


class SpeechService:
    """Says sentences. places: who may, at once."""

    def __init__(self, hub: Hub, config: TtsConfig, engines: Engines) -> None:
        self.config, self.places = config, Places(config.max_sessions, config.max_sessions_per_user)
        self._hub, self._engines = hub, engines
        self._voices: Voices | None = None
        self._said = hub.metrics.counter("tts_sentences_total", "Sentences said", ["engine", "status"])
        self._seconds = hub.metrics.counter("tts_audio_seconds_total", "Seconds of speech that were made", ["engine"])

    def check(self) -> None:
        """Unavailable, with the mend, when nothing here can speak."""
        self._engines.speakers()

    async def voices(self) -> Voices:
        """The voices of those engines that can work. Unavailable, EngineFailed."""
        if self._voices is None:
            engines = self._engines.speakers()
            found, whole = await Voices.of(self._hub, engines, self.config.voice)
            if not whole:
                return found
            self._voices = found
        return self._voices

    async def sentences(self, text: str) -> list[str]:
        """A text's sentences."""
        return split(text) if len(text) <= AT_ONCE else await asyncio.to_thread(split, text)

    def check_length(self, text: str) -> int:
        """A text's bytes. PayloadTooLarge when it is longer than may be."""
        size, most = len(text), self.config.max_text_bytes
        if size <= most:
            size = len(text.encode())
        if size > most:
            raise PayloadTooLarge(f"the text is too long: {most} bytes may be said")
        return size

    async def say(self, chosen: Chosen, sentence: str, speed: float) -> bytes:
        """A sentence as 16-bit samples at RATE. EngineBusy, EngineFailed."""
        name = chosen.engine.name
        try:
            speech = await self._asked(chosen, sentence, speed)
        except EngineFailed as error:
            self._said.labels(name, "error").inc()
            self._hub.log.warning("a sentence was not said", engine=name, reason=str(error))
            raise
        samples = speech.samples
        if speech.rate != RATE:
            samples = await asyncio.to_thread(resampled, samples, speech.rate, RATE)
        self._said.labels(name, "ok").inc()
        self._seconds.labels(name).inc(len(samples) / 2 / RATE)
        return samples

    async def _asked(self, chosen: Chosen, sentence: str, speed: float) -> Speech:
        """What an engine says, which may be anybody's."""
        try:
            async with asyncio.timeout(ENGINE_SECONDS):
                speech = await chosen.engine.speak(sentence, chosen.voice.id, speed=speed)
        except (EngineBusy, EngineFailed):
            raise
        except TimeoutError as error:
            raise EngineFailed(f"a sentence took more than {ENGINE_SECONDS:g} s") from error
        except Exception as error:
            raise EngineFailed(f"{type(error).__name__} of an engine") from error
        if len(speech.samples) % 2 or speech.rate not in RATES:
            raise EngineFailed(f"{len(speech.samples)} bytes at a rate of {speech.rate} are no speech")
        return speech


def speed_of(speed: float) -> float:
    """A speed within what may be. Source: kokorox."""
    return min(max(speed, SLOWEST), FASTEST) if math.isfinite(speed) else 1.0
