"""The words of a text, as the index of memories has them: the same on both databases, and for every script.

Databases cut texts in ways of their own (a Chinese sentence is one word, `a.b` a host), so that is done here:

- Capitals, widths and accents do not matter.
- A word is a run of letters, digits and their marks; `snake_case` and `a.b` are two.
- Where a script has no spaces between words, each two neighbours are one, and the last sign alone is one too.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

MAX_WORD = 40
"""Characters of a word that count."""
MAX_BYTES = 256 * 1024
"""Of a text's words. What comes after them is not found by words: PostgreSQL takes 1 MiB with its own."""
MAX_WANTED = 12
"""Words of a search that count."""
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Myanmar; Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Kana and Han
    "\U00020000-\U0003ffff"
)
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_ACCENTS = re.compile("[\u0300-\u036f]")


class Term(NamedTuple):
    """A word of a search. part: of a script without spaces, so others begin with it only by chance."""

    text: str
    part: bool = False


def words(text: str) -> list[str]:
    """Its words, as often as they are there, in their order."""
    found: list[str] = []
    left = MAX_BYTES
    for word, unspaced in _runs(text):
        pieces = [word[at : at + 2] for at in range(len(word))] if unspaced else [word[:MAX_WORD]]
        for piece in pieces:
            left -= len(piece) if piece.isascii() else len(piece.encode())
            if left < 0:
                return found
            found.append(piece)
    return found


def wanted(text: str) -> list[Term]:
    """The different words of a search."""
    found: dict[Term, None] = {}
    for word, unspaced in _runs(text):
        if unspaced:
            found.update((Term(word[at : at + 2], True), None) for at in range(max(1, len(word) - 1)))
        else:
            found[Term(word[:MAX_WORD])] = None
        if len(found) >= MAX_WANTED:
            break
    return list(found)[:MAX_WANTED]


def plain(text: str) -> str:
    """The text without capitals, widths and accents."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", folded)))


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """Runs of letters and digits, and whether their script has no spaces between words."""
    bare = plain(text)
    if bare.isascii():
        for match in _ASCII_WORD.finditer(bare):
            yield match[0], False
        return
    for match in _word().finditer(bare):
        yield match[0], match.lastgroup == "unspaced"


@functools.cache
def _word() -> re.Pattern[str]:
    # `\\w` knows no marks, without which the words of India and Arabia would fall apart.
    points = map(chr, range(0x300, sys.maxunicode >> 3))
    unspaced = re.compile(f"[{_UNSPACED}]")
    marks = "".join(one for one in points if unicodedata.category(one)[0] == "M" and not unspaced.match(one))
    return re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|(?:[^\W_{_UNSPACED}]|[{marks}])+")
