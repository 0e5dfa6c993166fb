"""How speech is written for HTTP: what comes before, for each piece, and at the end. Called beside the event loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from moorage.api import Unavailable

from moorage_voice.audio import float_wav_header, floats
from moorage_voice.engines import packages

MP3_KBITS, MP3_QUALITY = 64, 5


class Encoding(ABC):
    """Of one answer. media_type: its content type. Pieces are 16-bit samples."""

    media_type: str

    @abstractmethod
    def piece(self, samples: bytes) -> bytes:
        """The next samples. What comes before the first is with them."""

    def end(self) -> bytes:
        """What is left."""
        return b""


class Wav(Encoding):
    """Floats after a header that does not know the length. Source: kokorox."""

    media_type = "audio/wav"

    def __init__(self, rate: int) -> None:
        self._header = float_wav_header(rate)

    def piece(self, samples: bytes) -> bytes:
        """As of `Encoding`."""
        header, self._header = self._header, b""
        return header + floats(samples)


class Mp3(Encoding):
    """By LAME. Unavailable when that is not installed."""

    media_type = "audio/mpeg"

    def __init__(self, rate: int) -> None:
        if why := packages.lacking({"lameenc": "lameenc"}, "voice"):
            raise Unavailable(f"mp3: {why}")
        import lameenc

        encoder: Any = lameenc.Encoder()
        encoder.silence()
        encoder.set_channels(1)
        encoder.set_in_sample_rate(rate)
        encoder.set_bit_rate(MP3_KBITS)
        encoder.set_quality(MP3_QUALITY)
        self._encoder = encoder

    def piece(self, samples: bytes) -> bytes:
        """As of `Encoding`."""
        return bytes(self._encoder.encode(samples))

    def end(self) -> bytes:
        """As of `Encoding`."""
        return bytes(self._encoder.flush())


class Pcm(Encoding):
    """The samples alone. Source: OpenAI's API reference, Create speech."""

    media_type = "audio/pcm"

    def __init__(self, rate: int) -> None:
        self.rate = rate

    def piece(self, samples: bytes) -> bytes:
        """As of `Encoding`."""
        return samples


ENCODINGS: dict[str, type[Wav | Mp3 | Pcm]] = {"wav": Wav, "mp3": Mp3, "pcm": Pcm}
