"""Samples: headers of WAV files, whole numbers and fractions, other rates. numpy and soxr are imported when needed.

Samples are mono and little-endian: "16-bit" are signed integers, "floats" are float32 within [-1, 1].
"""

from __future__ import annotations

import struct

UNKNOWN_SIZE = 0xFFFFFFFF
"""What stands in a header whose stream has no known end."""
_PCM, _FLOAT = 1, 3


def wav(samples: bytes, rate: int) -> bytes:
    """16-bit samples as a WAV file: a header of 44 bytes with exact sizes, then the samples."""
    return _header(_PCM, 2, rate, len(samples)) + samples


def float_wav_header(rate: int) -> bytes:
    """The 44 bytes before floats that are sent as they are made: the sizes are placeholders."""
    return _header(_FLOAT, 4, rate, None)


def _header(kind: int, width: int, rate: int, size: int | None) -> bytes:
    """RIFF WAVE. Source: Multimedia Programming Interface and Data Specifications 1.0, Waveform Audio File Format."""
    whole, data = (UNKNOWN_SIZE, UNKNOWN_SIZE) if size is None else (36 + size, size)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, kind, 1, rate, rate * width, width, 8 * width)
    return struct.pack("<4sI4s", b"RIFF", whole, b"WAVE") + form + struct.pack("<4sI", b"data", data)


def floats(samples: bytes) -> bytes:
    """16-bit samples as floats."""
    import numpy as np

    out: bytes = (np.frombuffer(samples, "<i2").astype("<f4") / 32768.0).astype("<f4").tobytes()
    return out


def silence(seconds: float, rate: int) -> bytes:
    """So long nothing, as 16-bit samples."""
    return bytes(2 * int(seconds * rate))


def resampled(samples: bytes, rate: int, wanted: int) -> bytes:
    """16-bit samples, whole, at another rate. A second of them takes about a millisecond."""
    if rate == wanted or not samples:
        return samples
    import numpy as np
    import soxr

    out: bytes = soxr.resample(np.frombuffer(samples, "<i2"), rate, wanted, "HQ").astype("<i2").tobytes()
    return out
