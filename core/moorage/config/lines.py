"""Line numbers of the keys of a TOML text, which `tomllib` does not tell."""

from __future__ import annotations

import bisect
import re
import tomllib

from moorage.config.schema import Loc

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*(?:(?P<bare>[A-Za-z0-9_-]+)|(?P<quoted>"(?:\\.|[^"\\])*"|'[^']*'))[ \t]*""")
_SCALAR = re.compile(
    r'''"""(?:\\.|[^\\])*?""""{0,2}|\'{3}.*?\'{3}\'{0,2}|"(?:\\.|[^"\\])*"|'[^']*'|'''
    r"""\d{4}-\d\d-\d\d[ ]\d\d:[^,\]}\s#]+|[^,\]}\s#]+""",
    re.S,
)


def locate(text: str) -> dict[Loc, int]:
    """The line (from 1) of each table, key and array item. The text must be valid TOML."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Loc, int] = {}
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._counts: dict[Loc, int] = {}

    def document(self) -> None:
        table: Loc = ()
        while self._skip_blank():
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _skip_blank(self) -> bool:
        """Pass white space and comments; False at the end."""
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at < len(self.text)

    def _note(self, loc: Loc, at: int) -> None:
        line = bisect.bisect_left(self._newlines, at) + 1
        for length in range(1, len(loc) + 1):
            self.lines.setdefault(loc[:length], line)

    def _key(self) -> tuple[str, ...]:
        parts: list[str] = []
        while (match := _KEY.match(self.text, self.at)) is not None:
            quoted = match["quoted"]
            parts.append(match["bare"] if quoted is None else tomllib.loads(f"k = {quoted}")["k"])
            self.at = match.end()
            if self.text[self.at : self.at + 1] != ".":
                break
            self.at += 1
        return tuple(parts)

    def _header(self) -> Loc:
        start = self.at
        array = self.text.startswith("[[", start)
        self.at += 2 if array else 1
        loc = self._inside_arrays(self._key(), array=array)
        self.at += 2 if array else 1
        self._note(loc, start)
        return loc

    def _inside_arrays(self, names: tuple[str, ...], *, array: bool) -> Loc:
        """The place that a header names: under arrays of tables, the last item."""
        loc: Loc = ()
        for number, name in enumerate(names, 1):
            loc = (*loc, name)
            if array and number == len(names):
                self._counts[loc] = self._counts.get(loc, -1) + 1
            if loc in self._counts:
                loc = (*loc, self._counts[loc])
        return loc

    def _pair(self, table: Loc) -> None:
        start = self.at
        loc = (*table, *self._key())
        self._note(loc, start)
        self.at += 1  # the equals sign
        self._value(loc)

    def _value(self, loc: Loc) -> None:
        self._skip_blank()
        self._note(loc, self.at)
        opening = self.text[self.at]
        if opening == "[":
            self.at += 1
            index = 0
            while self._skip_blank() and self.text[self.at] != "]":
                self._value((*loc, index))
                self._comma()
                index += 1
            self.at += 1
        elif opening == "{":
            self.at += 1
            while self._skip_blank() and self.text[self.at] != "}":
                self._pair(loc)
                self._comma()
            self.at += 1
        elif (match := _SCALAR.match(self.text, self.at)) is not None:
            self.at = match.end()

    def _comma(self) -> None:
        self._skip_blank()
        if self.text[self.at : self.at + 1] == ",":
            self.at += 1
