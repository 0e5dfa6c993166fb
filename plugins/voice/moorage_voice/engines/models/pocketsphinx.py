"""PocketSphinx: its endpointer finds what is speech, its decoder words and their times.

Source: the package's documentation (`Endpointer`, `Decoder`, `Decoder.seg`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import soxr
from pocketsphinx import Decoder, Endpointer

from moorage_voice.engines.models.lines import Line, Timed

RATE_IN, RATE = 24_000, 16_000
INTERVAL = 0.5
"""Seconds of speech after which the guess is looked at."""
MAX_LINE = 20.0
"""Seconds after which a line is ended without a silence: a decoder's memory grows with it."""
FRAMES = 100
"""The decoder's frames in a second."""


class Model:
    """See `models`."""

    def __init__(self, settings: dict[str, Any]) -> None:
        # They take a second to make, and do one recognition at a time.
        self._decoders = [self._decoder()]
        self._ears: dict[int, Ear] = {}

    def open(self, body: bytes, number: int) -> None:
        """Begin a recognition."""
        self._ears[number] = Ear(self._decoders.pop() if self._decoders else self._decoder())

    def feed(self, body: bytes, number: int) -> dict[str, Any]:
        """Hear samples."""
        return self._ears[number].feed(body)

    def finish(self, body: bytes, number: int) -> dict[str, Any]:
        """Hear the rest."""
        return self._ears[number].finish()

    def close(self, body: bytes, number: int) -> None:
        """Forget it."""
        ear = self._ears.pop(number, None)
        if ear is not None:
            self._decoders.append(ear.close())

    def _decoder(self) -> Decoder:
        return Decoder(samprate=RATE, loglevel="FATAL")


class Ear:
    """One recognition."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._endpointer = Endpointer(sample_rate=RATE)
        self._resampler = soxr.ResampleStream(RATE_IN, RATE, 1, dtype="float32")
        self._kept = b""
        self._open = False
        self._begun = self._said = self._looked = 0.0
        self._line, self._whole, self._corrected = Line(), list[Timed](), False

    def feed(self, body: bytes) -> dict[str, Any]:
        """Hear samples."""
        words, pause = self._frames(self._resampled(body), last=False)
        return self._news(words, pause)

    def finish(self) -> dict[str, Any]:
        """The rest, and all of it as it reads in hindsight if some was told otherwise."""
        words, pause = self._frames(self._resampled(b"", last=True), last=True)
        if self._open:
            words += self._end_line()
        return self._news(words, pause) | {"whole": self._whole if self._corrected else None}

    def close(self) -> Decoder:
        """Let go of the decoder."""
        if self._open:
            self._decoder.end_utt()
        return self._decoder

    def _news(self, words: list[Timed], pause: float | None) -> dict[str, Any]:
        return {"words": words, "pause": pause, "speaking": self._open}

    def _resampled(self, body: bytes, *, last: bool = False) -> bytes:
        samples = self._resampler.resample_chunk(np.frombuffer(body, dtype="<f4"), last=last)
        out: bytes = np.clip(samples * 32767.0, -32768, 32767).astype("<i2").tobytes()
        return out

    def _frames(self, samples: bytes, *, last: bool) -> tuple[list[Timed], float | None]:
        """Hear what is whole frames of the endpointer; the rest next time."""
        self._kept += samples
        size = int(self._endpointer.frame_bytes)
        words: list[Timed] = []
        pause = None
        while len(self._kept) > size:
            frame, self._kept = self._kept[:size], self._kept[size:]
            pause = self._frame(self._endpointer.process(frame), words) or (None if self._open else pause)
        if last:
            pause = self._frame(self._endpointer.end_stream(self._kept), words) or pause
        return words, pause

    def _frame(self, speech: bytes | None, words: list[Timed]) -> float | None:
        """Hear what the endpointer takes for speech. The seconds at which a silence began."""
        if speech is None:
            return None
        if not self._open:
            self._begin_line(float(self._endpointer.speech_start))
        self._decoder.process_raw(speech, False, False)
        self._said += len(speech) / (2 * RATE)
        if not self._endpointer.in_speech:
            words += self._end_line()
            return round(float(self._endpointer.speech_end), 3)
        if self._said >= MAX_LINE:
            words += self._end_line()
            self._begin_line(self._begun + self._said)
        elif self._said - self._looked >= INTERVAL:
            self._looked = self._said
            words += self._line.grown(self._guess())
        return None

    def _begin_line(self, at: float) -> None:
        self._decoder.start_utt()
        self._begun, self._open = at, True
        self._said = self._looked = 0.0

    def _end_line(self) -> list[Timed]:
        self._decoder.end_utt()
        self._open = False
        words = self._guess()
        new = self._line.completed(words)
        self._corrected = self._corrected or [word for word, _, _ in words] != [word for word, _, _ in self._line.given]
        self._whole += words
        self._line = Line()
        return new

    def _guess(self) -> list[Timed]:
        """The words of the line, without silences, noises and the marks of pronunciations."""
        return [
            (one.word.split("(")[0], self._at(one.start_frame), self._at(one.end_frame + 1))
            for one in self._decoder.seg() or ()
            if one.word[0] not in "<[+"
        ]

    def _at(self, frame: int) -> float:
        return round(self._begun + frame / FRAMES, 3)
