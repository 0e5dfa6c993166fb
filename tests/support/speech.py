"""Speech for tests: sentences said by SVOX Pico, as eaRS is sent them, and how many of their words were heard."""

from __future__ import annotations

import functools
import re

from moorage_voice.audio import floats
from moorage_voice.engines.models.pico import Model

RATE = 24_000
CLEAR = "Stop the running container and delete the session."
THANKS = "Thank you very much, that is all for now."
"""Both are heard without a fault, by moonshine and of any voice."""


@functools.cache
def said(text: str, language: str = "en-US") -> bytes:
    """A sentence, between short silences: float32, little-endian, 24 000 a second."""
    # Anew each time: what it said before changes how it says the next.
    _, samples = Model({}).speak(text.encode(), language=language, speed=1.0)
    return silence(0.3) + floats(samples) + silence(0.3)


def silence(seconds: float) -> bytes:
    return bytes(4 * int(RATE * seconds))


def frames(sound: bytes, samples: int = 1024) -> list[bytes]:
    """As the page's microphone sends it: 42 milliseconds at once."""
    return [sound[start : start + 4 * samples] for start in range(0, len(sound), 4 * samples)]


def plain(text: str) -> list[str]:
    """The words of a text, for comparison."""
    return re.findall(r"[a-z0-9']+", text.lower())


def errors(expected: str, heard: str) -> int:
    """Words that were left out, added or heard otherwise."""
    want, got = plain(expected), plain(heard)
    row = list(range(len(got) + 1))
    for number, word in enumerate(want, 1):
        left, row[0] = row[0], number
        for at, other in enumerate(got, 1):
            left, row[at] = row[at], min(left + (word != other), row[at] + 1, row[at - 1] + 1)
    return row[-1]
