"""Secrets in a terminal's stream: found although it is cut anywhere, and replaced by as many stars."""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_WORD = 1000
"""Characters of one word that are kept in mind. Of a longer one, the beginning is forgotten."""

_COLOUR = r"\x1b\[[0-9;:]*m"
_OTHER = r"\x1b(?:\[[0-?]*[ -/]*[@-ln-~]|[^\[])"
_LETTER = r"[^\s\x00-\x1f\x7f]"
_PIECES = re.compile(rf"{_OTHER}|(?P<word>(?:{_COLOUR}|{_LETTER})+)")
_PIECES_OF_ROWS = re.compile(rf"{_OTHER}|(?P<word>(?:{_COLOUR}|{_LETTER}|(?<=\S)\r?\n)+)")
_ESCAPES = re.compile(rf"{_COLOUR}|{_OTHER}")
_LINE_END = re.compile(r"(\r?\n)")
_BETWEEN = re.compile(rf"{_COLOUR}|\r?\n")


class Mask:
    """The filter of one pane (`moorage_tmux.hooks.OutputFilter`). It changes no width, so nothing moves.

    The last word of what has come is held back: it may go on. Once it had to be given out, its beginning is kept in
    mind, so that what follows is masked if the whole is a secret. Colours within a word do not hide it.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._secret = re.compile("|".join(f"(?:{pattern})" for pattern in patterns)) if patterns else None
        self._held = ""
        self._before = ""
        """The beginning of the present word, as it came, that was given out already."""

    def feed(self, text: str) -> str:
        """What may be shown of the text so far."""
        text = self._held + text
        begin = _last_word(text)
        self._held = text[begin:]
        shown = self._give(text[:begin])
        return shown + self.flush() if len(self._held) > MAX_WORD else shown

    def flush(self) -> str:
        """The word that is held back, as far as it is known."""
        held, self._held = self._held, ""
        return self._give(held)

    def whole(self, text: str) -> str:
        """A text that is complete. In the next row a word goes on where the row is full, so that the line wrapped."""
        parts = _LINE_END.split(text)  # Rows and line ends by turns.
        widths = [len(_ESCAPES.sub("", row)) for row in parts[::2]]
        widest = max(widths)
        shown, line = [], ""
        for row, end, width in zip(parts[::2], [*parts[1::2], ""], widths, strict=True):
            line += row + end
            if width < widest or not end:
                shown.append(self._masked(line, _PIECES_OF_ROWS))
                line = ""
        return "".join(shown)

    def _give(self, text: str) -> str:
        if not text:
            return ""
        known = self._before + text
        shown = self._masked(known, _PIECES)[len(self._before) :]
        self._before = known[max(_last_word(known), len(known) - MAX_WORD) :]
        return shown

    def _masked(self, text: str, pieces: re.Pattern[str]) -> str:
        return pieces.sub(lambda piece: self._stars(piece["word"]) if piece["word"] else piece[0], text)

    def _stars(self, word: str) -> str:
        if self._secret is None:
            return word
        between = {index for match in _BETWEEN.finditer(word) for index in range(*match.span())}
        letters = [index for index in range(len(word)) if index not in between]
        shown = list(word)
        for match in self._secret.finditer("".join(word[index] for index in letters)):
            for index in letters[match.start() : match.end()]:
                shown[index] = "*"
        return "".join(shown)


def _last_word(text: str) -> int:
    """Where the word begins that the text ends in; the text's length if it ends in none."""
    begin = len(text)
    for piece in _PIECES.finditer(text):
        begin = piece.start() if piece["word"] and piece.end() == len(text) else len(text)
    return begin
