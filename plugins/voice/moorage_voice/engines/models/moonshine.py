"""Moonshine, by its C interface: the package's own Python copies every sample into a list, and every line's sound out.

Source: the package's `moonshine_api` (structures, functions) and `transcriber` (what is called when).
"""

from __future__ import annotations

import ctypes
import os
import time
from typing import Any

# Read when the library loads a model: threads that wait for one another cost twice the work on a busy machine.
os.environ.setdefault("MOONSHINE_ORT_SINGLE_THREAD", "1")

import numpy as np
from moonshine_voice.moonshine_api import ModelArch, TranscriptC
from moonshine_voice.transcriber import Transcriber
from moonshine_voice.utils import get_model_path

from moorage_voice.engines.models.lines import Line, Timed, spread

RATE = 24_000
INTERVAL = 0.4
"""Seconds of sound after which the line under way is recognised again, if that is quick enough."""
SHORTEST = 1.2
"""Seconds of a line before which its guesses count for nothing: it hears all kinds of words in them."""
SHARE = 0.5
"""Of the time, at most so much goes into recognising lines again."""
PADDING = 0.6
"""Seconds of silence at the end, by which its last line is found to be complete."""
MAX_FAILURES = 4
"""In a row. It fails on a line that has no sound yet, and does not the next time."""
MAX_LINES = 64
"""After which a stream is made anew: it keeps every line, and hands all of them out each time."""
FAINTEST = 1e-6
"""What is fainter is nothing. Numbers that processors can only just hold take them ten times as long to work with."""
_FLOATS = ctypes.POINTER(ctypes.c_float)


class Model:
    """See `models`."""

    def __init__(self, settings: dict[str, Any]) -> None:
        options = {"return_audio_data": "false", "transcription_interval": "0.0"}
        self._transcriber = Transcriber(str(get_model_path("tiny-en")), ModelArch.TINY, options=options)
        self._ears: dict[int, Ear] = {}

    def open(self, body: bytes, number: int) -> None:
        """Begin a recognition."""
        self._ears[number] = Ear(self._transcriber)

    def feed(self, body: bytes, number: int) -> dict[str, Any]:
        """Hear samples."""
        ear = self._ears[number]
        ear.add(body)
        return ear.update(len(self._ears)) if ear.due else ear.news([])

    def finish(self, body: bytes, number: int) -> dict[str, Any]:
        """Hear the rest."""
        return self._ears[number].finish()

    def close(self, body: bytes, number: int) -> None:
        """Forget it."""
        ear = self._ears.pop(number, None)
        if ear is not None:
            ear.close()


class Ear:
    """One recognition."""

    def __init__(self, transcriber: Transcriber) -> None:
        self._lib, self._transcriber = transcriber._lib, transcriber
        self._begun = self._heard = self._next = 0.0
        self._line, self._complete, self._speaking = Line(), 0, False
        self._guess: list[Timed] = []
        self._failures = 0
        self._whole: list[Timed] = []
        self._corrected = False
        self._stream = self._new()

    @property
    def due(self) -> bool:
        """Whether enough was heard since the last update."""
        return self._heard >= self._next

    def add(self, body: bytes) -> None:
        """Samples, which are only kept until the next update."""
        samples = audible(body)
        self._do("transcribe_add_audio_to_stream", samples.ctypes.data_as(_FLOATS), len(samples), RATE, 0)
        self._heard += len(samples) / RATE

    def update(self, streams: int) -> dict[str, Any]:
        """Recognise what came. streams: how many share the process."""
        began = time.monotonic()
        words, pause = self._lines()
        took = time.monotonic() - began
        self._next = self._heard + max(INTERVAL, took * streams / SHARE)
        if self._complete >= MAX_LINES and not self._speaking:
            self._renew()
        return self.news(words, pause)

    def finish(self) -> dict[str, Any]:
        """The rest, and all of it as it reads in hindsight if some was told otherwise."""
        self.add(bytes(4 * int(RATE * PADDING)))
        words, pause = self._lines()
        self._do("stop_stream")
        more, end = self._lines()
        words += more
        if self._guess:
            words += self._line.completed(self._guess)
            self._keep(self._guess)
        whole = self._whole if self._corrected else None
        self._speaking = False
        return self.news(words, end or pause) | {"whole": whole}

    def news(self, words: list[Timed], pause: float | None = None) -> dict[str, Any]:
        """An answer."""
        return {"words": words, "pause": pause, "speaking": self._speaking}

    def close(self) -> None:
        """Give the stream back."""
        if self._stream >= 0:
            self._lib.moonshine_free_stream(self._transcriber._handle, self._stream)
            self._stream = -1

    def _lines(self) -> tuple[list[Timed], float | None]:
        """What is new in the lines, and where the last one ended if a silence followed."""
        out = ctypes.POINTER(TranscriptC)()
        try:
            self._do("transcribe_stream", 0, ctypes.byref(out))
        except RuntimeError:
            self._failures += 1
            if self._failures >= MAX_FAILURES:
                raise
            return [], None
        self._failures = 0
        found = out.contents if out else TranscriptC()
        words: list[Timed] = []
        end, self._speaking = None, False
        for index in range(self._complete, found.line_count):
            line = found.lines[index]
            text = ctypes.string_at(line.text).decode("utf-8", "replace") if line.text else ""
            guess = spread(text, self._begun + line.start_time, line.duration)
            if not line.is_complete:
                self._speaking, end, self._guess = True, None, guess
                if line.duration >= SHORTEST:
                    words += self._line.grown(guess)
                break
            words += self._line.completed(guess)
            self._complete, end = index + 1, round(self._begun + line.start_time + line.duration, 3)
            self._keep(guess)
        return words, end

    def _keep(self, words: list[Timed]) -> None:
        """A line is complete."""
        self._corrected = self._corrected or [word for word, _, _ in words] != [word for word, _, _ in self._line.given]
        self._whole += words
        self._line, self._guess = Line(), []

    def _renew(self) -> None:
        self.close()
        self._begun, self._complete = self._heard, 0
        self._stream = self._new()

    def _new(self) -> int:
        stream = self._lib.moonshine_create_stream(self._transcriber._handle, 0)
        if stream < 0:
            raise RuntimeError(f"create_stream: {stream}")
        self._stream = stream
        self._do("start_stream")
        return int(stream)

    def _do(self, function: str, *arguments: Any) -> None:
        error = getattr(self._lib, f"moonshine_{function}")(self._transcriber._handle, self._stream, *arguments)
        if error:
            raise RuntimeError(f"{function}: {error}")


def audible(body: bytes) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Samples, as the library takes them."""
    samples = np.frombuffer(body, dtype="<f4")
    return np.where(np.abs(samples) < FAINTEST, np.float32(0), samples)
