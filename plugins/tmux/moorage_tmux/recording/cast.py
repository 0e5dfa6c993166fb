"""asciicast, the file format of terminal recordings: the lines of version 3, and version 3 read as version 2. No I/O.

Version 3: https://docs.asciinema.org/manual/asciicast/v3/. A header, then one event in each line,
`[seconds since the event before, code, text]`. Version 2 counts the seconds from the beginning of the recording.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from json.encoder import encode_basestring as quoted
from typing import Any

MEDIA_TYPE = "application/x-asciicast"
TERM = "xterm-256color"
"""The terminal that draws recordings best: what viewers' terminals here are."""
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029]")


def literal(text: str) -> str:
    """A text as the JSON of an event. What is not printable is written as `\\uXXXX`, as the format asks."""
    return escaped(quoted(text))


def escaped(json_text: str) -> str:
    """JSON of a text, as `json.encoder.encode_basestring` gives it, without the unprintable that JSON itself allows."""
    if json_text.isascii() and "\x7f" not in json_text:
        return json_text
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match.group()):04x}", json_text)


def header(cols: int, rows: int, *, at: datetime, title: str) -> str:
    """The first line, of a recording that begins at `at` in a terminal of that size."""
    said = {
        "version": 3,
        "term": {"cols": cols, "rows": rows, "type": TERM},
        "timestamp": int(at.timestamp()),
        "title": title,
    }
    return escaped(json.dumps(said, ensure_ascii=False)) + "\n"


class Clock:
    """Turns instants into intervals of whole milliseconds whose sum never drifts away from them."""

    def __init__(self) -> None:
        self.milliseconds = 0

    def line(self, seconds: float, code: str, json_text: str) -> str:
        """An event, so many seconds after the beginning and never before the one that came last."""
        now = max(self.milliseconds, round(seconds * 1000))
        interval, self.milliseconds = now - self.milliseconds, now
        return f'[{interval // 1000}.{interval % 1000:03d}, "{code}", {json_text}]\n'


def interval(line: bytes) -> int:
    """The milliseconds at the beginning of an event's line that `Clock` wrote. ValueError for any other line."""
    whole, _, rest = line[1 : line.index(b",")].partition(b".")
    if line[:1] != b"[" or len(rest) != 3:
        raise ValueError("not an event of a recording of ours")
    return int(whole) * 1000 + int(rest)


class AsVersion2:
    """Takes the lines of a recording of ours one after the other, gives those of version 2."""

    def __init__(self) -> None:
        self._milliseconds = -1

    def line(self, line: bytes) -> bytes:
        """The same line in version 2, with its end; nothing for an event that version 2 does not have (`x`)."""
        if self._milliseconds < 0:
            self._milliseconds = 0
            return _header_2(json.loads(line))
        self._milliseconds += interval(line)
        rest = line[line.index(b",") :]
        if rest.startswith(b', "x"'):
            return b""
        return b"[%d.%03d" % divmod(self._milliseconds, 1000) + rest


def _header_2(header_3: dict[str, Any]) -> bytes:
    term = header_3["term"]
    said = {
        "version": 2,
        "width": term["cols"],
        "height": term["rows"],
        "timestamp": header_3["timestamp"],
        "title": header_3["title"],
        "env": {"TERM": term["type"]},
    }
    return escaped(json.dumps(said, ensure_ascii=False)).encode() + b"\n"
