"""SVOX Pico, in a worker process. Imports nothing of Moorage but the samples."""

from __future__ import annotations

import re
from typing import Any

import ttspico

from moorage_voice.audio import resampled

RATE = 16_000
OUT_RATE = 24_000
"""What is asked for: done here, the server need not."""
LANGUAGES = ("en-US", "en-GB", "de-DE", "es-ES", "fr-FR", "it-IT")
"""Source: the package's documentation, TtsEngine."""
_SLOWEST, _FASTEST = 20, 500
"""Per cent of the usual rate. Source: SVOX Pico's manual, <speed level>."""
_LONGEST_WORD = 40
"""Characters. The engine has nothing to say for sixty digits, and crashes at some thousand letters."""
_UNSPOKEN = re.compile(r"[\x00-\x1f\x7f<>\\]")
_MARKS = re.compile(r"[^\w\s]")
_WORD = re.compile(rf"(\S{{{_LONGEST_WORD}}})(?=\S)")


class Model:
    """Engines of the languages, made when they are first used."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._engines: dict[str, Any] = {}

    def speak(self, body: bytes, *, language: str, speed: float) -> tuple[dict[str, int], bytes]:
        """Say a text (UTF-8): {"rate"}, and 16-bit samples."""
        if language not in LANGUAGES:
            raise ValueError(f"no such language: {language}")
        engine = self._engines.get(language)
        if engine is None:
            engine = self._engines[language] = ttspico.TtsEngine(language)
        engine.rate = min(max(round(100 * speed), _SLOWEST), _FASTEST)
        text = plain(body.decode())
        samples = _said(engine, text) or _said(engine, _MARKS.sub(" ", text))
        return {"rate": OUT_RATE}, resampled(samples, RATE, OUT_RATE)


def _said(engine: Any, text: str) -> bytes:
    """What it makes of a text; nothing of one that it refuses, as hundreds of apostrophes. It works on after that."""
    pieces: list[bytes] = []
    try:
        engine.speak(text, lambda form, samples, last: pieces.append(samples or b""))
    except RuntimeError:
        return b""
    return b"".join(pieces)


def plain(text: str) -> str:
    """Without what the engine takes for its markup, and without words that it would crash on for their length."""
    return _WORD.sub(r"\1 ", _UNSPOKEN.sub(" ", text))
