"""Engines that speak, in worker processes: SVOX Pico and espeak-ng. What runs there is in `models`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from moorage.api import Hub, WorkerBusy, WorkerError, WorkerReply, WorkerSpec

from moorage_voice.config import TtsConfig
from moorage_voice.engines import packages
from moorage_voice.engines.base import EngineBusy, EngineFailed, Speech, TextToSpeech, Voice
from moorage_voice.engines.pool import WorkerPool

SENTENCE_SECONDS = 30.0
"""In which a sentence must have been said. It takes some hundredths of one."""
PICO = "pico_"
ESPEAK = "espeak_"
_FEMALE = "_f"
_FIRST = ("en-us", "en-gb")
_PICO_NAMES = {
    "en-US": "English (America)", "en-GB": "English (Great Britain)", "de-DE": "German", "es-ES": "Spanish (Spain)",
    "fr-FR": "French (France)", "it-IT": "Italian",
}  # fmt: skip
_PICO_VOICES = {
    PICO + language.lower(): (language, Voice(PICO + language.lower(), name, language.lower(), "female", "SVOX Pico"))
    for language, name in _PICO_NAMES.items()
}


class Speaking(TextToSpeech):
    """An engine whose model is `models/<name>.py`."""

    def __init__(self, hub: Hub, config: TtsConfig) -> None:
        spec = WorkerSpec(
            name=f"voice-{self.name}",
            target=f"moorage_voice.engines.models.{self.name}:Model",
            environ={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            call_timeout=SENTENCE_SECONDS,
            idle_seconds=config.idle_seconds,
        )
        self.pool = WorkerPool(hub.tasks, spec, config.workers)

    async def close(self) -> None:
        """End the processes."""
        await self.pool.close()

    async def _call(self, method: str, body: bytes = b"", **params: Any) -> WorkerReply:
        try:
            return await self.pool.call(method, body, **params)
        except WorkerBusy as error:
            raise EngineBusy(str(error)) from error
        except WorkerError as error:
            raise EngineFailed(str(error)) from error


class Pico(Speaking):
    """SVOX Pico: small, six languages, a woman's voice each. It cannot speak slower than a fifth of its speed."""

    name, label = "pico", "SVOX Pico"

    def lacking(self) -> str:
        """As of `TextToSpeech`."""
        return packages.lacking({"numpy": "numpy", "soxr": "soxr", "ttspico": "ttspico"}, "voice,voice-pico")

    async def voices(self) -> Sequence[Voice]:
        """As of `TextToSpeech`."""
        return [voice for _, voice in _PICO_VOICES.values()]

    async def speak(self, text: str, voice: str, *, speed: float = 1.0) -> Speech:
        """As of `TextToSpeech`."""
        if voice not in _PICO_VOICES:
            raise EngineFailed(f"pico has no voice {voice}")
        reply = await self._call("speak", text.encode(), language=_PICO_VOICES[voice][0], speed=speed)
        return Speech(reply.body, reply.data["rate"])


class Espeak(Speaking):
    """espeak-ng: many languages, plain to hear as a machine. Half its speed is the slowest."""

    name, label = "espeak", "eSpeak NG"

    def __init__(self, hub: Hub, config: TtsConfig) -> None:
        super().__init__(hub, config)
        self._voices: dict[str, tuple[str, Voice]] = {}
        self._asking = asyncio.Lock()

    def lacking(self) -> str:
        """As of `TextToSpeech`."""
        needed = {"numpy": "numpy", "soxr": "soxr", "espeakng_loader": "espeakng-loader"}
        return packages.lacking(needed, "voice,voice-espeak")

    async def voices(self) -> Sequence[Voice]:
        """As of `TextToSpeech`: each language by a man's voice and a woman's."""
        return [voice for _, voice in (await self._known()).values()]

    async def speak(self, text: str, voice: str, *, speed: float = 1.0) -> Speech:
        """As of `TextToSpeech`."""
        known = await self._known()
        if voice not in known:
            raise EngineFailed(f"espeak has no voice {voice}")
        identifier, found = known[voice]
        female = found.gender == "female"
        reply = await self._call("speak", text.encode(), voice=identifier, female=female, speed=speed)
        return Speech(reply.body, reply.data["rate"])

    async def _known(self) -> dict[str, tuple[str, Voice]]:
        """{id: (the library's identifier, the voice)}, asked for once."""
        async with self._asking:
            if not self._voices:
                self._voices = _espeak_voices((await self._call("voices")).data)
        return self._voices


def _espeak_voices(listed: list[list[str]]) -> dict[str, tuple[str, Voice]]:
    """The voices by their ids, the commonest first, then by language."""
    found: dict[str, tuple[str, Voice]] = {}
    listed = sorted(listed, key=lambda one: one[2])
    listed.sort(key=lambda one: _FIRST.index(one[2]) if one[2] in _FIRST else len(_FIRST))
    for identifier, name, language in listed:
        # Of the identifier, as "sit/yue-Latn-jyutping": two have one language.
        id = ESPEAK + identifier.rpartition("/")[2].lower()
        found[id] = (identifier, Voice(id, name, language.lower(), "male", "eSpeak NG"))
        id += _FEMALE
        found[id] = (identifier, Voice(id, name, language.lower(), "female", "eSpeak NG"))
    return found
