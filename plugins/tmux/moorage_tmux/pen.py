"""What a terminal remembers and tmux does not tell: the current rendition, and a few modes of the stream."""

from __future__ import annotations

import re

SGR = re.compile(rb"\x1b\[([0-9;:]{0,256})m")
_RESETS = (b"\x1b[0m", b"\x1b[m", b"\x1b[0;", b"\x1bc")
_SCREENS = (b"47", b"1047", b"1049")
_EVENTS = re.compile(
    rb"\x1b(?:\[(?P<sgr>[0-9;:]{0,256})m|(?P<reset>c)|(?P<save>7|\[s)|(?P<restore>8|\[u)"
    rb"|\[\?(?P<screen>(?:47|1047|1049)[hl]))"
)
"""What changes the rendition: it is saved with the cursor, and when an alternate screen is entered."""
_MODES = re.compile(rb"\x1b(?:(?P<reset>c|\[!p)|\[\?(?P<modes>[0-9;]{1,64})(?P<set>[hl])|\[(?P<style>[0-9]?) q)")
_TRACKED = frozenset((b"1004", b"2004"))
_OFF = {
    22: (b"1", b"2"),
    23: (b"3",),
    24: (b"4", b"21"),
    25: (b"5", b"6"),
    27: (b"7",),
    28: (b"8",),
    29: (b"9",),
    55: (b"53",),
}


class Pen:
    """The rendition (SGR) that the next character gets. Grows with nothing: one value per property."""

    def __init__(self) -> None:
        self._attributes: dict[bytes, bytes] = {}
        self._colours: dict[bytes, bytes] = {}
        self._saved: dict[str, tuple[dict[bytes, bytes], dict[bytes, bytes]]] = {}
        self._below = False
        self.guessed = False
        """True once something was restored whose saving was not seen: it is taken for plain, as it mostly is."""

    @property
    def plain(self) -> bool:
        """True when nothing is set."""
        return not self._attributes and not self._colours

    def apply(self, parameters: bytes) -> None:
        """Take one SGR sequence's parameters: `1;38;5;200`."""
        parts = parameters.split(b";")
        index = 0
        while index < len(parts):
            index += self._one(parts, index)

    def feed(self, data: bytes) -> None:
        """Take every sequence in `data` that changes the rendition."""
        for match in _EVENTS.finditer(data):
            kind = match.lastgroup
            if kind == "sgr":
                self.apply(match.group("sgr"))
            elif kind == "reset":
                self.apply(b"0")
                self._save("cursor")
            elif kind == "screen":
                self._switch(match.group("screen"))
            elif kind == "save":
                self._save("cursor")
            else:
                self._restore("cursor")

    def _switch(self, mode: bytes) -> None:
        """An alternate screen is entered or left. As tmux does it: only 1049 restores."""
        if mode.endswith(b"h") and not self._below:
            self._save("screen")
        elif mode == b"1049l":
            self._restore("screen")
        self._below = mode.endswith(b"h")

    def _save(self, name: str) -> None:
        self._saved[name] = dict(self._attributes), dict(self._colours)

    def _restore(self, name: str) -> None:
        self.guessed = self.guessed or name not in self._saved
        attributes, colours = self._saved.get(name, ({}, {}))
        self._attributes, self._colours = dict(attributes), dict(colours)

    def sequence(self) -> bytes:
        """The SGR sequence that sets this rendition from a plain one; empty when plain."""
        return _sgr(self._attributes, self._colours)

    def below(self) -> bytes:
        """The same of the screen below an alternate one: leaving that one restores it."""
        return _sgr(*self._saved.get("screen", ({}, {})))

    def _one(self, parts: list[bytes], index: int) -> int:
        """Take the parameter at `index`; return how many were used."""
        part = parts[index]
        head = part.partition(b":")[0]
        code = int(head) if head else 0
        if code == 0:
            self._attributes.clear()
            self._colours.clear()
        elif code in (38, 48, 58):
            used = 1
            if b":" not in part:
                kind = parts[index + 1] if index + 1 < len(parts) else b""
                used = {b"5": 3, b"2": 5}.get(kind, 1)
            self._colours[b"%d" % code] = b";".join(parts[index : index + used])
            return used
        elif code in (39, 49, 59):
            self._colours.pop(b"%d" % (code - 1), None)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            self._colours[b"38"] = part
        elif 40 <= code <= 47 or 100 <= code <= 107:
            self._colours[b"48"] = part
        elif code in _OFF:
            for name in _OFF[code]:
                self._attributes.pop(name, None)
        elif code < 60:
            self._attributes[b"%d" % code] = part
        return 1


def _sgr(attributes: dict[bytes, bytes], colours: dict[bytes, bytes]) -> bytes:
    values = [*attributes.values(), *colours.values()]
    return b"\x1b[" + b";".join(values) + b"m" if values else b""


def pen_at_end(data: bytes) -> Pen | None:
    """The rendition after `data`, or None when nothing in it sets one from scratch."""
    enter, leave = (max(data.rfind(b"\x1b[?%b%b" % (mode, end)) for mode in _SCREENS) for end in (b"h", b"l"))
    # Within an alternate screen, what was before it counts as well.
    start = max(data.rfind(reset, 0, enter if enter > leave else len(data)) for reset in _RESETS)
    if start < 0:
        return None
    pen = Pen()
    pen.feed(data[start:])
    return None if pen.guessed else pen


class StreamModes:
    """Modes that tmux has no format for, from the stream: bracketed paste, focus events, cursor style."""

    def __init__(self) -> None:
        self._on: dict[bytes, bool] = {}
        self._style = b""

    def feed(self, data: bytes) -> None:
        """Take what the program wrote. A sequence that is cut in two is missed: give whole ones."""
        if b"\x1b[?" not in data and b" q" not in data and b"\x1bc" not in data and b"\x1b[!p" not in data:
            return
        for match in _MODES.finditer(data):
            if match.group("reset"):
                self._on.clear()
                self._style = b""
            elif match.group("modes"):
                for mode in match.group("modes").split(b";"):
                    if mode in _TRACKED:
                        self._on[mode] = match.group("set") == b"h"
            else:
                self._style = match.group("style")

    def sequence(self) -> bytes:
        """What sets these modes in a fresh terminal."""
        modes = b"".join(b"\x1b[?%bh" % mode for mode, on in self._on.items() if on)
        return modes + (b"\x1b[%b q" % self._style if self._style else b"")
