"""The engines of a server: which there are, which of them can work, and which is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from moorage.api import Hub, Unavailable

from moorage_voice.config import VoiceConfig
from moorage_voice.engines.base import SpeechToText, TextToSpeech
from moorage_voice.engines.listening import moonshine, pocketsphinx
from moorage_voice.engines.speaking import Espeak, Pico

Engine = TypeVar("Engine", bound=SpeechToText | TextToSpeech)


class Engines:
    """Those inside, and those of other plugins. Nothing runs before it is asked."""

    def __init__(self, hub: Hub, config: VoiceConfig) -> None:
        self._stt: Kind[SpeechToText] = Kind(
            hub, "stt", config.stt.engine, lambda: [moonshine(hub, config.stt), pocketsphinx(hub, config.stt)]
        )
        self._tts: Kind[TextToSpeech] = Kind(
            hub, "tts", config.tts.engine, lambda: [Pico(hub, config.tts), Espeak(hub, config.tts)]
        )

    def stt(self, name: str | None = None) -> SpeechToText:
        """The engine of that name, else the configured, else the first that can work. Unavailable, with the mend."""
        return self._stt.choose(name)

    def tts(self, name: str | None = None) -> TextToSpeech:
        """As `stt`."""
        return self._tts.choose(name)

    def speakers(self) -> list[TextToSpeech]:
        """The configured engine, else all that can work, the best first. Unavailable, with the mend, when none can."""
        return self._tts.choose_all()

    def misled(self, *, stt: bool, tts: bool) -> str | None:
        """Why the engine that the operator names cannot work, of the directions that are asked about; else None."""
        asked: list[Kind[SpeechToText] | Kind[TextToSpeech]] = [
            *([self._stt] if stt else []),
            *([self._tts] if tts else []),
        ]
        return "; ".join(filter(None, (kind.misled() for kind in asked))) or None

    def stt_all(self) -> list[str]:
        """The engines that hear, also those that lack something."""
        return self._stt.names()

    def stt_names(self) -> list[str]:
        """The engines that hear and can work, the best first."""
        return self._stt.usable()

    def tts_names(self) -> list[str]:
        """The engines that speak and can work, the best first."""
        return self._tts.usable()

    async def close(self) -> None:
        """Close all of them."""
        await self._stt.close()
        await self._tts.close()


class Kind(Generic[Engine]):
    """The engines of one direction: "stt" or "tts". wanted: the configured name."""

    def __init__(self, hub: Hub, kind: str, wanted: str | None, built_in: Callable[[], Iterable[Engine]]) -> None:
        self._hub, self._kind, self._wanted, self._built_in = hub, kind, wanted, built_in
        self._found: dict[str, Engine] | None = None

    def choose(self, name: str | None) -> Engine:
        """See `Engines.stt`."""
        engines, wanted = self._engines(), name or self._wanted
        if wanted is None:
            lacking = {one.name: one.lacking() for one in engines.values()}
            for one, why in lacking.items():
                if not why:
                    return engines[one]
            why = " ".join(f"{one}: {why}" for one, why in lacking.items())
            raise Unavailable(f"No engine for {self._kind} is installed. {why}".strip())
        engine = engines.get(wanted)
        if engine is None:
            raise Unavailable(f"There is no engine {wanted!r} for {self._kind}; there are: {', '.join(engines)}")
        if why := engine.lacking():
            raise Unavailable(f"{wanted}: {why}")
        return engine

    def choose_all(self) -> list[Engine]:
        """See `Engines.speakers`."""
        first = self.choose(None)
        return [first] if self._wanted is not None else [self._engines()[name] for name in self.usable()]

    def misled(self) -> str | None:
        """See `Engines.misled`."""
        try:
            if self._wanted is not None:
                self.choose(None)
        except Unavailable as error:
            return error.message
        return None

    def names(self) -> list[str]:
        """All names."""
        return list(self._engines())

    def usable(self) -> list[str]:
        """The names of those that lack nothing."""
        return [name for name, engine in self._engines().items() if not engine.lacking()]

    async def close(self) -> None:
        """Close those that were made."""
        engines, self._found = self._found or {}, {}
        closed = await asyncio.gather(*(one.close() for one in engines.values()), return_exceptions=True)
        for name, error in zip(engines, closed, strict=True):
            if isinstance(error, BaseException):
                self._hub.log.error("an engine of speech did not close well", engine=name, exc_info=error)

    def _engines(self) -> dict[str, Engine]:
        """All of them by name: those inside first."""
        if self._found is None:
            self._found = {one.name: one for one in self._built_in()}
            for plugin, given in self._hub.hooks.call(f"moorage_voice_{self._kind}"):
                self._add(plugin, given)
        return self._found

    def _add(self, plugin: str, given: Iterable[Engine]) -> None:
        assert self._found is not None
        try:
            engines = {one.name: one for one in given}
        except Exception as error:
            # What a stranger's iterable raises must not take the engines of others away.
            self._hub.log.error("a plugin's engines of speech are left out", plugin=plugin, exc_info=error)
            return
        for name, engine in engines.items():
            if name in self._found:
                self._hub.log.error("an engine of speech has a name that is taken", plugin=plugin, engine=name)
            else:
                self._found[name] = engine
