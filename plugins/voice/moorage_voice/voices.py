"""Which voice speaks: of those that the engines have, by its id, by names of kokorox and OpenAI, or by a language."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from moorage.api import BadRequest, Hub

from moorage_voice.engines.base import EngineFailed, TextToSpeech, Voice
from moorage_voice.languages import language_of

LONGEST_NAME = 200
VOICES_SECONDS = 90.0
_KOKORO = re.compile(r"([abefhijpz])([fm])_[a-z0-9_]+")
"""Ids of the Kokoro model's voices, as "af_heart": a language, a gender, a name."""
_KOKORO_LANGUAGES = {
    "a": "en-us", "b": "en-gb", "e": "es", "f": "fr-fr", "h": "hi", "i": "it", "j": "ja", "p": "pt-br", "z": "cmn",
}  # fmt: skip
_GENDERS = {"f": "female", "m": "male"}
_OPENAI = {
    "alloy": "", "ash": "male", "ballad": "male", "cedar": "male", "coral": "female", "echo": "male", "fable": "male",
    "marin": "female", "nova": "female", "onyx": "male", "sage": "female", "shimmer": "female", "verse": "male",
}  # fmt: skip
"""OpenAI's voices, which its clients have to name, by the gender that one hears."""
_PART = re.compile(r"(?P<voice>.+?)(?:\.(?P<weight>\d{1,4}))?")
"""Of a mix, as "af_sky.4+af_nicole.5": a voice and tenths of it."""
_SAME = {"zh": "cmn", "no": "nb", "iw": "he", "in": "id", "tl": "fil"}
"""Languages that are called otherwise elsewhere."""
_LANGUAGE = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8}){0,4}")


class NoSuchVoice(BadRequest):
    """No engine has this voice, or one for this language."""

    code = "UNKNOWN_VOICE"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A voice, and the engine that has it."""

    engine: TextToSpeech
    voice: Voice


HINT = "; `list_voices` and GET /v1/audio/voices name those that there are"


class Voices:
    """The voices of some engines, the best engine first. first: the id of the one that speaks if none is chosen."""

    def __init__(self, offered: Sequence[Chosen], first: str | None) -> None:
        self._by_id: dict[str, Chosen] = {}
        for one in offered:
            self._by_id.setdefault(one.voice.id, one)
        self.first = first if first is not None and first in self._by_id else offered[0].voice.id

    @classmethod
    async def of(cls, hub: Hub, engines: Iterable[TextToSpeech], first: str | None) -> tuple[Voices, bool]:
        """Ask the engines; whether all have answered. One that fails is left out; EngineFailed when all do."""
        offered: list[Chosen] = []
        failed: EngineFailed | None = None
        for engine in engines:
            try:
                async with asyncio.timeout(VOICES_SECONDS):
                    offered += [Chosen(engine, voice) for voice in await engine.voices()]
            except Exception as error:  # It may be anybody's engine.
                failed = EngineFailed(f"{engine.name} does not tell its voices")
                hub.log.error("an engine does not tell its voices", engine=engine.name, reason=repr(error))
        if not offered:
            raise failed or EngineFailed("no engine has a voice")
        voices = cls(offered, first)
        if first is not None and failed is None and voices.first != first:
            hub.log.warning("no engine has the voice of the settings", voice=first, instead=voices.first)
        return voices, failed is None

    def all(self) -> list[Voice]:
        """The voices, the best first."""
        return [one.voice for one in self._by_id.values()]

    def choose(self, voice: str | None, language: str | None = None) -> Chosen:
        """The voice if it speaks the language, else one that does, of its gender if there is one. NoSuchVoice."""
        chosen = self._by_id[self.first] if voice is None else self._named(voice)
        if language is None or _speaks(chosen.voice, _tag(language)):
            return chosen
        found = self._speaking(_tag(language), chosen.voice.gender)
        if found is None:
            raise NoSuchVoice(f"no voice speaks the language: {language[:LONGEST_NAME]}")
        return found

    def for_text(self, text: str, voice: str | None, language: str | None, *, detect: bool) -> Chosen:
        """As `choose`. detect: without a language, the text's own, if it shows and somebody speaks it."""
        if language is None and detect:
            found = language_of(text)
            language = found if found is not None and self.speaks(found) else None
        return self.choose(voice, language)

    def speaks(self, language: str) -> bool:
        """Whether one of them speaks it."""
        return self._speaking(_tag(language), "") is not None

    def _named(self, name: str) -> Chosen:
        """An id, one of others' names, or a mix: of which no engine is capable, so that its main voice speaks."""
        if len(name) > LONGEST_NAME:
            raise NoSuchVoice(f"no such voice: {name[:LONGEST_NAME]}{HINT}")
        heaviest, weight = None, -1
        for part in name.split("+"):
            read = _PART.fullmatch(part.strip())
            if read is None:
                raise NoSuchVoice(f"no such voice: {name}{HINT}")
            # Weights are digits after a point: ".4" and ".45" are less than ".5".
            heavy = int((read["weight"] or "9999").ljust(4, "0"))
            found = self._one(read["voice"])
            if found is None:
                raise NoSuchVoice(f"no such voice: {read['voice']}{HINT}")
            if heavy > weight:
                heaviest, weight = found, heavy
        assert heaviest is not None
        return heaviest

    def _one(self, id: str) -> Chosen | None:
        if id in self._by_id:
            return self._by_id[id]
        if read := _KOKORO.fullmatch(id):
            return self._speaking(_KOKORO_LANGUAGES[read[1]], _GENDERS[read[2]])
        if id in _OPENAI:
            first = self._by_id[self.first]
            return self._speaking(first.voice.language, _OPENAI[id]) if _OPENAI[id] else first
        return None

    def _speaking(self, language: str, gender: str) -> Chosen | None:
        """The best for a language: this very one before its kin, a better engine before the gender."""
        for wanted in dict.fromkeys((language, language.partition("-")[0])):
            able = [one for one in self._by_id.values() if _speaks(one.voice, wanted)]
            if able:
                best = [one for one in able if one.engine is able[0].engine]
                return next((one for one in best if one.voice.gender == gender), best[0])
        return None


def _tag(language: str) -> str:
    """A language's tag as voices have it. NoSuchVoice when it is none."""
    tag = language.strip().lower().replace("_", "-")
    if not _LANGUAGE.fullmatch(tag):
        raise NoSuchVoice(f"no language: {language[:LONGEST_NAME]}")
    first, _, rest = tag.partition("-")
    return "-".join(filter(None, (_SAME.get(first, first), rest)))


def _speaks(voice: Voice, language: str) -> bool:
    """Whether it is a voice of the language: "en-gb" speaks "en", and not the other way round."""
    return voice.language == language or voice.language.startswith(f"{language}-")
