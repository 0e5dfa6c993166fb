"""What of a pane's stream must not reach every viewer's terminal.

tmux has answered the program's questions already: a viewer's terminal that sees them too would type its own
answers into the program. And what tmux swallows (device control strings, titles of `ESC k`, private strings)
must not be shown either, nor smuggle a sequence that only the viewer's terminal understands. So the cutting
follows tmux's own grammar (its input.c states): what tmux takes for one sequence is one sequence here.
"""

from __future__ import annotations

import re
from typing import Literal

Clipboard = Literal["deny", "write"]

MAX_SEQUENCE = 128 * 1024
"""Bytes of an operating-system command that are held until its end is seen; a longer one is dropped whole."""

_ESC = b"\x1b"
_SUSPECT = re.compile(
    rb"\x1b(?:"
    rb"(?P<string>[\]PX^_k])"
    rb"|Z"  # DECID
    rb"|\[(?P<mark>[<=>?]?)(?P<parameters>[0-9;:]*)(?P<middle>[ -/]*)(?P<final>[cnpqtuwxyS])"
    rb")"
)
_PARTIAL = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|[ -/]*)\Z")
_STRING_END = re.compile(rb"[\x07\x18\x1a\x1b]")
_CONTROL_END = re.compile(rb"[\x18\x1a\x1b]")
_REPORTS = frozenset(b"11 13 14 15 16 18 19 20 21".split())
"""First parameters of `CSI t` that ask for the window's state, size or titles."""


def _is_query(match: re.Match[bytes]) -> bool:
    """Whether a control sequence asks the terminal to answer."""
    mark, parameters, middle, final = match.group("mark", "parameters", "middle", "final")
    if final is None:
        return True
    if middle:
        # DECRQM; requests for presentation state and tables; checksum of an area.
        return (middle, final) in {(b"$", b"p"), (b"$", b"w"), (b"$", b"u"), (b"*", b"y")}
    if final == b"t":
        return not mark and parameters.partition(b";")[0] in _REPORTS
    if final == b"n":
        return mark in {b"", b"?"}
    return (mark, final) in {
        *((kind, b"c") for kind in (b"", b">", b"=")),
        (b"", b"x"),
        (b">", b"q"),
        (b"?", b"u"),
        (b"?", b"S"),
    }


class StreamFilter:
    """Takes a pane's bytes as they come, cut anywhere, and gives those that may be shown.

    clipboard: "deny" drops what would set a viewer's clipboard (OSC 52), "write" lets it through; questions
    about the clipboard never pass. Holds at most `MAX_SEQUENCE` bytes.
    """

    def __init__(self, clipboard: Clipboard = "deny") -> None:
        self._clipboard = clipboard
        self._held = b""
        self._skipping: bytes = b""

    @property
    def withholding(self) -> bool:
        """True while a sequence is open of which nothing has been given out."""
        return bool(self._held or self._skipping)

    def feed(self, data: bytes) -> bytes:
        """The part of `data`, and of what was held before, that may be shown now."""
        if not self._held and not self._skipping and _ESC not in data:
            return data
        data = self._held + data
        self._held = b""
        out: list[bytes] = []
        position = self._skip(data, 0) if self._skipping else 0
        while position < len(data):
            match = _SUSPECT.search(data, position)
            if match is None:
                break
            out.append(data[position : match.start()])
            if match.group("string"):
                position = self._string(data, match, out)
            else:
                if not _is_query(match):
                    out.append(match.group())
                position = match.end()
        rest = data[position:]
        escape = rest.rfind(_ESC)
        if escape >= 0 and len(rest) - escape < MAX_SEQUENCE and _PARTIAL.match(rest, escape):
            self._held, rest = rest[escape:], rest[:escape]
        out.append(rest)
        return b"".join(out)

    def _string(self, data: bytes, match: re.Match[bytes], out: list[bytes]) -> int:
        """Deal with a string that begins at `match`; return where to go on."""
        kind = match.group("string")
        if kind != b"]":
            self._skipping = kind
            return self._skip(data, match.end())
        end = _STRING_END.search(data, match.end())
        if end is None or (end.group() == _ESC and end.end() == len(data)):
            refused = self._clipboard == "deny" and data.startswith(b"52;", match.end())
            if refused or len(data) - match.start() > MAX_SEQUENCE:
                self._skipping = kind
                return self._skip(data, match.end())
            self._held = data[match.start() :]
            return len(data)
        stop = end.end()
        if end.group() == _ESC:
            # ESC ends the string whatever follows; only the backslash of ST belongs to it.
            stop = end.end() + 1 if data[end.end() : end.end() + 1] == b"\\" else end.start()
        body = data[match.end() : end.start()]
        if not self._forbidden(body) and end.group() not in b"\x18\x1a":
            out.append(data[match.start() : stop])
        return stop

    def _skip(self, data: bytes, position: int) -> int:
        """Go over the rest of a dropped string; stay in it when its end is not there yet."""
        if self._skipping == b"P":
            # Only ST ends it for tmux. The escape may be the last byte so far.
            end = data.find(b"\x1b\\", position)
            if end >= 0:
                self._skipping = b""
                return end + 2
            self._held = _ESC if data.endswith(_ESC) and len(data) > position else b""
            return len(data)
        found = (_STRING_END if self._skipping == b"]" else _CONTROL_END).search(data, position)
        if found is None:
            return len(data)
        if found.group() != _ESC:
            self._skipping = b""
            return found.end()
        if found.end() == len(data):
            self._held = _ESC
            return len(data)
        self._skipping = b""
        return found.end() + 1 if data[found.end() : found.end() + 1] == b"\\" else found.start()

    def _forbidden(self, body: bytes) -> bool:
        """Whether an operating-system command asks something, or touches the clipboard against the policy."""
        code, _, rest = body.partition(b";")
        parts = rest.split(b";")
        if code == b"52":
            return self._clipboard == "deny" or b"?" in parts
        if code == b"1337":
            return rest.startswith((b"Report", b"Copy", b"EndCopy", b"RequestUpload"))
        if code in {b"0", b"1", b"2", b"7", b"8"}:
            return False
        return b"?" in parts
