"""Text as sentences, whole or as it grows, short enough for an engine to say one after the other.

A sentence ends by `.`, `!`, `?`, `;`, `:` or a new line (source: kokorox), the marks followed by a space or by nothing:
"3.14" and "10:30" are whole. Marks of Chinese and Japanese need no space.
"""

from __future__ import annotations

import re

LONGEST = 300
"""Characters of what is said at once; longer sentences are cut between words, at a comma if there is one."""
_END = re.compile(r"(?<![.!?;:…])[.!?;:…]++[\"'”’)\]»*_]*+(?=\s|$)|[。！？；：]+[\"”’」』）]*|[\r\n]+")
"""Marks are looked at once, from the first of them: as often as there are, 64 KB of points would stop the server."""
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|e\.g|i\.e|No|Nr|ca|bzw|z\.B|d\.h)\.\Z"
)
_UNSURE = re.compile(r"(?:\d|(?:^|[^\w])\w)[.:]\Z")
"""After this, more of the text may show that the sentence goes on: "3." of "3.14", "e." of "e.g."."""
_COMMA = re.compile(r".*[,、，–—)]\s", re.DOTALL)
_SPACE = re.compile(r".*\s", re.DOTALL)
_SAID = re.compile(r"[^\W_]|[€$£¥%°]|[\U0001f300-\U0001faff]")
_LOOK_BACK = 12
"""Characters in which an abbreviation fits."""


def split(text: str) -> list[str]:
    """All sentences of a text in which there is something to say."""
    pieces, rest = _cut(text, whole=True)
    return pieces + _said([rest])


class Growing:
    """A text that comes in pieces."""

    def __init__(self) -> None:
        self._rest = ""

    def append(self, text: str) -> list[str]:
        """The sentences that are now whole."""
        pieces, self._rest = _cut(self._rest + text, whole=False)
        return pieces

    def end(self) -> list[str]:
        """What is left."""
        rest, self._rest = self._rest, ""
        return split(rest)


def _cut(text: str, *, whole: bool) -> tuple[list[str], str]:
    """The sentences, and what follows them."""
    pieces: list[str] = []
    start = 0
    for end in _END.finditer(text):
        before = text[max(start, end.end() - _LOOK_BACK) : end.end()]
        if _ABBREVIATION.search(before) or (not whole and end.end() == len(text) and _UNSURE.search(before)):
            continue
        pieces += _short(text[start : end.end()])
        start = end.end()
    rest = text[start:]
    if len(rest) > LONGEST:
        *more, rest = _short(rest)
        pieces += more
    return _said(pieces), rest


def _short(sentence: str) -> list[str]:
    """A sentence in pieces that are short enough."""
    pieces, start = [], 0
    while len(sentence) - start > LONGEST:
        part = sentence[start : start + LONGEST]
        at = _COMMA.match(part) or _SPACE.match(part)
        size = at.end() if at is not None and at.end() > LONGEST // 3 else LONGEST
        pieces.append(sentence[start : start + size])
        start += size
    return [*pieces, sentence[start:]]


def _said(pieces: list[str]) -> list[str]:
    return [piece.strip() for piece in pieces if _SAID.search(piece)]
