"""espeak-ng, in a worker process, by its C interface. Imports nothing of Moorage but the samples.

Source: espeak-ng's speak_lib.h (interface version 12).
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

import espeakng_loader

from moorage_voice.audio import resampled

OUT_RATE = 24_000
USUAL_WORDS = 160
"""A minute. The program's own 175 is harder to understand."""
_SLOWEST, _FASTEST = 80, 900
_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000
_CHARS_UTF8, _POS_CHARACTER, _RATE_PARAMETER = 1, 1, 1
_FEMALE_VARIANT = "f2"
_UNSPOKEN = re.compile(r"[\x00-\x1f\x7f]")
_DICTIONARY = re.compile(rb"^\s*dictionary\s+(\w+)", re.MULTILINE)
_LANGUAGE = re.compile(rb"^\s*language\s+([a-z]+)", re.MULTILINE)


class _Voice(ctypes.Structure):
    """espeak_VOICE."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Model:
    """The library, which has one state for all."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._rate = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), _DONT_EXIT
        )
        if self._rate <= 0:
            raise RuntimeError(f"espeak-ng does not start: {self._rate}")
        self._pieces: list[bytes] = []
        self._callback = _Callback(self._take)  # Kept: the library calls it later.
        self._library.espeak_SetSynthCallback(self._callback)

    def voices(self, body: bytes) -> list[list[str]]:
        """[[identifier, name, language], …] of all that it can speak."""
        listed = self._library.espeak_ListVoices
        listed.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        all_of_them = listed(None)
        found: list[list[str]] = []
        while one := all_of_them[len(found)]:
            voice = one.contents
            # A priority in one byte, then a name with a nought at its end; the first is what it speaks best.
            language = ctypes.string_at(voice.languages + 1)
            found.append([text.decode("utf-8", "replace").strip() for text in (voice.identifier, voice.name, language)])
        return [one for one in found if speakable(Path(espeakng_loader.get_data_path()), one[0])]

    def speak(self, body: bytes, *, voice: str, female: bool, speed: float) -> tuple[dict[str, int], bytes]:
        """Say a text (UTF-8): {"rate"}, and 16-bit samples. voice: an identifier."""
        named = f"{voice}+{_FEMALE_VARIANT}" if female else voice
        self._must(self._library.espeak_SetVoiceByName(named.encode()), f"no such voice: {voice}")
        words = min(max(round(USUAL_WORDS * speed), _SLOWEST), _FASTEST)
        self._must(self._library.espeak_SetParameter(_RATE_PARAMETER, words, 0), "the speed was refused")
        text = _UNSPOKEN.sub(" ", body.decode()).encode()
        size, flags = ctypes.c_size_t(len(text) + 1), ctypes.c_uint(_CHARS_UTF8)
        self._pieces.clear()
        done = self._library.espeak_Synth(
            text, size, ctypes.c_uint(0), _POS_CHARACTER, ctypes.c_uint(0), flags, None, None
        )
        self._must(done, "it was not said")
        return {"rate": OUT_RATE}, resampled(b"".join(self._pieces), self._rate, OUT_RATE)

    def _take(self, samples: Any, count: int, events: int | None) -> int:
        if samples and count > 0:
            self._pieces.append(ctypes.string_at(samples, 2 * count))
        return 0  # Go on.

    @staticmethod
    def _must(code: int, why: str) -> None:
        if code:
            raise RuntimeError(f"{why} (espeak-ng's error {code})")


def speakable(data: Path, identifier: str) -> bool:
    """Whether a voice's dictionary is there. Some are left out, and the library then reads where nothing is."""
    try:
        text = (data / "lang" / identifier).read_bytes()
    except OSError:
        return True
    named = _DICTIONARY.search(text) or _LANGUAGE.search(text)
    return named is None or (data / f"{named[1].decode()}_dict").is_file()
