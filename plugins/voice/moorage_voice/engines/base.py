"""The interface of engines of speech.

A plugin of a third party brings them by `moorage_voice_stt` and `moorage_voice_tts`.
Engines are asked on the event loop and must not block it: what computes runs in a process (`moorage.api.Worker`) or
elsewhere. Errors: EngineFailed, whose text is for the log; EngineBusy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

STT_RATE = 24_000
"""Samples per second that a Recognition is fed with: float32, little-endian, mono, finite, within [-1, 1]."""


class EngineFailed(Exception):
    """The engine did not do its work. Its text is for the log; what hung on it is over, the next one works again."""


class EngineBusy(Exception):
    """As many as may be at once are already."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word that was heard. start_time, end_time: seconds since the recognition began; end_time None: not known."""

    word: str
    start_time: float
    end_time: float | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """News of a recognition.

    words: new since the last news, in order; they are not told again. pause: seconds at which a silence began after
    words. speaking: whether something is being said of which words are still to come.
    whole: at the end only: all words, when some read otherwise in hindsight; None: as they were told.
    """

    words: tuple[Word, ...] = ()
    pause: float | None = None
    speaking: bool = False
    whole: tuple[Word, ...] | None = None


class Recognition(ABC):
    """One utterance or more of one speaker. Fed in order, by one at a time."""

    @abstractmethod
    async def feed(self, samples: bytes) -> Heard:
        """Take samples, wait until they are worked in, and give what is newly heard. Waiting is the back-pressure."""

    @abstractmethod
    async def finish(self) -> Heard:
        """Nothing comes any more: give the rest. Only `close` may follow."""

    @abstractmethod
    async def close(self) -> None:
        """Give it up, at whatever time. Safe to repeat; raises nothing."""


class SpeechToText(ABC):
    """An engine that hears. name: `[a-z0-9_-]+`, as operators and clients call it. languages: as "en"."""

    name: str
    label: str
    languages: tuple[str, ...]

    @abstractmethod
    def lacking(self) -> str:
        """What must be installed before it works, as a sentence with the mend; "": nothing. Cheap, imports nothing."""

    @abstractmethod
    async def open(self, language: str | None = None) -> Recognition:
        """Begin to listen. EngineBusy, EngineFailed."""

    async def close(self) -> None:
        """Called last, once; what it recognises is over."""
        return


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice. id: without spaces, commas and plus signs. language: as "en-gb". gender: "female", "male", ""."""

    id: str
    name: str
    language: str
    gender: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Speech:
    """What was said: 16-bit samples, little-endian, mono."""

    samples: bytes
    rate: int


class TextToSpeech(ABC):
    """An engine that speaks. name: `[a-z0-9_-]+`."""

    name: str
    label: str

    @abstractmethod
    def lacking(self) -> str:
        """As of `SpeechToText`."""

    @abstractmethod
    async def voices(self) -> Sequence[Voice]:
        """The voices, the best first. EngineFailed."""

    @abstractmethod
    async def speak(self, text: str, voice: str, *, speed: float = 1.0) -> Speech:
        """Say a sentence (some hundred characters at most) by one of its voices. speed: 0.1–3. EngineFailed."""

    async def close(self) -> None:
        """Called last, once."""
        return
