"""The words of a text, as the full-text index has them: the same on both databases, and for every script.

Neither database cuts texts the way that a search needs: both take a Chinese sentence for one word, and PostgreSQL
takes `a.b` for a host. So words are cut here, and the databases only look them up:

- Capitals, widths and accents do not matter.
- A word is a run of letters, digits and their marks; `snake_case` and `a.b` are two.
- Of scripts without spaces between words, each two neighbours are a word. One sign is found as the beginning of one.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from moorage_chat.store.text import folded

MAX_WORD = 40
"""Characters of a word that count."""
MAX_BYTES = 256 * 1024
"""Of a text's different words together. What comes after them is not found: PostgreSQL takes 1 MiB with its own."""
MAX_WANTED = 12
"""Words of a search that count."""
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Myanmar; Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Kana and Han
    "\U00020000-\U0003ffff"
)
_UNSPACED_RUN = re.compile(f"[{_UNSPACED}]+")
_PLAIN_RUN = re.compile(rf"[^\W_{_UNSPACED}]+")
_ASCII_RUN = re.compile(r"[^\W_]+", re.ASCII)
_ACCENTS = re.compile("[\u0300-\u036f]")


def words(text: str) -> list[str]:
    """Its different words."""
    bare = plain(text)
    unspaced = [] if bare.isascii() else _UNSPACED_RUN.findall(bare)
    spaced = {run[:MAX_WORD]: None for run in dict.fromkeys(_spaced(bare).findall(bare))}
    pairs = (run[at : at + 2] for run in dict.fromkeys(unspaced) for at in range(len(run)))
    found = list(spaced | dict.fromkeys(pairs))
    left = MAX_BYTES
    for number, word in enumerate(found):
        left -= len(word.encode())
        if left < 0:
            return found[:number]
    return found


class Term(NamedTuple):
    """A word of a search: how a word begins that is looked for; whole: all of it."""

    text: str
    whole: bool


def wanted(text: str) -> list[Term]:
    """The words of a search: a text is found when it has all of them.

    A single letter is looked for as a word: too much begins with it.
    """
    found: dict[Term, None] = {}
    for run, unspaced in runs(plain(text[:1000])):
        pairs = [Term(run[at : at + 2], False) for at in range(max(1, len(run) - 1))]
        found.update(dict.fromkeys(pairs if unspaced else [Term(run[:MAX_WORD], len(run) == 1)]))
    return list(found)[:MAX_WANTED]


def plain(text: str) -> str:
    """The text without capitals, widths and accents."""
    if text.isascii():
        return text.lower()
    bare = _ACCENTS.sub("", unicodedata.normalize("NFD", folded(text)))
    return unicodedata.normalize("NFC", bare)


def runs(text: str) -> Iterator[tuple[str, bool]]:
    """The runs of letters and digits in a plain text, and whether their script has no spaces between words."""
    for match in pattern().finditer(text):
        yield match[0], match.lastgroup == "unspaced"


@functools.cache
def pattern() -> re.Pattern[str]:
    """A run of letters and digits; the group "unspaced" for one without spaces between words."""
    return re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|{_with_marks().pattern}")


def _spaced(text: str) -> re.Pattern[str]:
    """What finds the words of scripts with spaces in that text: ten times as fast where it has no marks."""
    if text.isascii():
        return _ASCII_RUN
    return _with_marks() if _marks().search(text) else _PLAIN_RUN


@functools.cache
def _with_marks() -> re.Pattern[str]:
    # `\\w` knows no marks, without which the words of India and Arabia would fall apart.
    return re.compile(rf"(?:[^\W_{_UNSPACED}]|{_marks().pattern})+")


@functools.cache
def _marks() -> re.Pattern[str]:
    unspaced = re.compile(f"[{_UNSPACED}]")
    points = (chr(point) for point in range(0x300, sys.maxunicode >> 3))
    marks = [char for char in points if unicodedata.category(char)[0] == "M" and not unspaced.match(char)]
    return re.compile("[" + "".join(f"{first}-{last}" for first, last in _ranges(marks)) + "]")


def _ranges(chars: list[str]) -> Iterator[tuple[str, str]]:
    first = last = ""
    for char in chars:
        if last and ord(char) == ord(last) + 1:
            last = char
            continue
        if first:
            yield first, last
        first = last = char
    if first:
        yield first, last
