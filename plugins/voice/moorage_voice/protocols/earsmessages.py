"""eaRS's messages as text frames: what clients say, and what they are told.

Source: eaRS's WebSocket protocol; its tags are in lower case and have no underscores.
"""

from __future__ import annotations

import json
import math
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from moorage.api import BadRequest, parse_json

from moorage_voice.engines.base import STT_RATE, Word

Command = Mapping[str, Any]
STOP: Command = {"type": "stop"}
NOTHING: Command = {"type": ""}
SLICE = 4 * STT_RATE
"""Bytes of a second of sound: what an engine is fed with at once."""


def command(text: str) -> Command:
    """What a text frame asks for, by "type". NOTHING for what is no command: eaRS ignores that."""
    if text.strip() == "stop":
        return STOP
    try:
        read = parse_json(text.encode())
    except BadRequest:
        return NOTHING
    return read if isinstance(read, dict) and isinstance(read.get("type"), str) else NOTHING


def sound(frame: bytes) -> bytes:
    """A binary frame's samples as engines want them: whole, numbers, within [-1, 1].

    What is left over of a last sample is dropped, as eaRS does; what is no number becomes silence.
    """
    whole = frame[: len(frame) // 4 * 4]
    samples = array("f")
    samples.frombytes(whole)
    if sys.byteorder == "big":
        samples.byteswap()
    # The sum is a number when all samples are: three passes in C, where looking at each one would block the loop.
    if not samples or (math.isfinite(sum(samples)) and min(samples) >= -1.0 and max(samples) <= 1.0):
        return whole
    return _within(whole)


def _within(samples: bytes) -> bytes:
    import numpy as np  # Not before somebody is too loud: much of a small server's memory.

    out: bytes = np.nan_to_num(np.frombuffer(samples, "<f4"), nan=0.0).clip(-1.0, 1.0).astype("<f4").tobytes()
    return out


def event(type: str, **fields: Any) -> str:
    """A text frame to the client."""
    return json.dumps({"type": type, **fields}, ensure_ascii=False)


def error(message: str) -> str:
    """The one event of faults."""
    return event("error", message=message)


def fields(word: Word) -> dict[str, Any]:
    """A word in a frame: seconds since the recognition began; `end_time` null when it is not known."""
    return {"word": word.word, "start_time": word.start_time, "end_time": word.end_time}


def final(words: Sequence[Word]) -> str:
    """All that was said."""
    return event("final", text=" ".join(one.word for one in words), words=[fields(one) for one in words])
