"""PocketSphinx: its endpointer finds what is speech, its decoder words and their times, a line at once.

Decoded while it grows, a line has twice the faults: how loud and clear the voice is, is known at the end.
Source: the package's documentation (`Endpointer`, `Decoder`, `Decoder.seg`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import soxr
from pocketsphinx import Decoder, Endpointer

from moorage_voice.engines.models.lines import Timed

RATE_IN, RATE = 24_000, 16_000
MAX_LINE = 10.0
"""Seconds after which a line is ended without a silence: all who share the process wait while it is decoded."""
AROUND = 0.3
"""Seconds of faint noise before and after a line: it expects to hear a room before a voice, and not a cut."""
MOST_GUESSES = 3000
"""Parts of words that are followed at once. With all 30 000 the same words are found, and noise takes minutes."""
FRAMES = 100
"""The decoder's frames in a second."""
_ROOM = (np.random.default_rng(0).standard_normal(int(RATE * AROUND)) * 8).astype("<i2").tobytes()


class Model:
    """See `models`."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._decoder = Decoder(samprate=RATE, loglevel="FATAL", maxhmmpf=MOST_GUESSES)
        self._ears: dict[int, Ear] = {}

    def open(self, body: bytes, number: int) -> None:
        """Begin a recognition."""
        self._ears[number] = Ear(self._decoder)

    def feed(self, body: bytes, number: int) -> dict[str, Any]:
        """Hear samples."""
        return self._ears[number].feed(body)

    def finish(self, body: bytes, number: int) -> dict[str, Any]:
        """Hear the rest."""
        return self._ears[number].finish()

    def close(self, body: bytes, number: int) -> None:
        """Forget it."""
        self._ears.pop(number, None)


class Ear:
    """One recognition."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._endpointer = Endpointer(sample_rate=RATE)
        self._resampler = soxr.ResampleStream(RATE_IN, RATE, 1, dtype="float32")
        self._kept = b""
        self._line = bytearray()
        self._begun = self._until = 0.0

    def feed(self, body: bytes) -> dict[str, Any]:
        """Hear samples."""
        words, pause = self._frames(self._resampled(body))
        return self._news(words, pause)

    def finish(self) -> dict[str, Any]:
        """The rest."""
        words, pause = self._frames(self._resampled(b"", last=True))
        end = self._frame(self._endpointer.end_stream(self._kept), words)
        words += self._end_line()
        return self._news(words, end or pause) | {"whole": None}

    def _news(self, words: list[Timed], pause: float | None) -> dict[str, Any]:
        return {"words": words, "pause": pause, "speaking": bool(self._line)}

    def _resampled(self, body: bytes, *, last: bool = False) -> bytes:
        samples = self._resampler.resample_chunk(np.frombuffer(body, dtype="<f4"), last=last)
        out: bytes = np.clip(samples * 32767.0, -32768, 32767).astype("<i2").tobytes()
        return out

    def _frames(self, samples: bytes) -> tuple[list[Timed], float | None]:
        """Hear what is whole frames of the endpointer; the rest next time."""
        self._kept += samples
        size = int(self._endpointer.frame_bytes)
        words: list[Timed] = []
        pause, at = None, 0
        # The last whole one is kept as well: the end must have some of it.
        while len(self._kept) - at > size:
            end = self._frame(self._endpointer.process(self._kept[at : at + size]), words)
            pause = None if self._line else end or pause
            at += size
        self._kept = self._kept[at:]
        return words, pause

    def _frame(self, speech: bytes | None, words: list[Timed]) -> float | None:
        """Hear what the endpointer takes for speech. The seconds at which a silence began."""
        if speech is None:
            return None
        if not self._line:
            # A line that was cut goes on in the next; to the endpointer both are one speech.
            self._begun = max(float(self._endpointer.speech_start), self._until)
        self._line += speech
        if not self._endpointer.in_speech:
            words += self._end_line()
            return round(float(self._endpointer.speech_end), 3)
        if len(self._line) >= 2 * RATE * MAX_LINE:
            words += self._end_line()
        return None

    def _end_line(self) -> list[Timed]:
        """The line's words, without silences, noises and the marks of pronunciations."""
        if not self._line:
            return []
        # The decoder goes by the voices that it heard before, and these were other people's.
        self._decoder.reinit_feat()
        self._decoder.start_utt()
        self._decoder.process_raw(_ROOM + self._line + _ROOM, False, True)
        self._decoder.end_utt()
        self._until = self._begun + len(self._line) / (2 * RATE)
        self._line.clear()
        return [
            (one.word.split("(")[0], self._at(one.start_frame), self._at(one.end_frame + 1))
            for one in self._decoder.seg() or ()
            if one.word[0] not in "<[+"
        ]

    def _at(self, frame: int) -> float:
        within = min(max(frame / FRAMES - AROUND, 0.0), self._until - self._begun)
        return round(self._begun + within, 3)
