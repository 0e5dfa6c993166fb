"""Words out of lines that are recognised again and again while they grow: which of them will stay, and when each was.

A recogniser's newest guess of a line changes its last words, and sometimes earlier ones. A word is given once two
guesses in a row have it at its place, with more after it ("local agreement"); all others when the line is complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

Timed = tuple[str, float, float]
"""A word, and the seconds at which it begins and ends."""
LAG = 0.6
"""Seconds by which a word must be behind the end of a guess."""


@dataclass(slots=True)
class Line:
    """A line of speech under way. given: what of it was told already; last: the guess before the newest."""

    given: list[Timed] = field(default_factory=list)
    last: list[str] = field(default_factory=list)

    def grown(self, guess: Sequence[Timed]) -> list[Timed]:
        """The newest guess of a line that goes on. Gives what is to be told now."""
        told, plain = [key(word) for word, _, _ in self.given], [key(word) for word, _, _ in guess]
        begin = rest(told, plain)
        agreed = agreeing(self.last[rest(told, self.last) :], plain[begin:])
        self.last = plain
        return self._give(_settled(guess[begin : min(begin + agreed, len(plain) - 1)], guess))

    def completed(self, words: Sequence[Timed]) -> list[Timed]:
        """What the line is, at last. Gives what is to be told now."""
        told, plain = [key(word) for word, _, _ in self.given], [key(word) for word, _, _ in words]
        return self._give(words[rest(told, plain) :])

    def _give(self, words: Sequence[Timed]) -> list[Timed]:
        after = self.given[-1][2] if self.given else 0.0
        # A later guess spreads the words anew: they must not go back behind what was told.
        new = [(word, max(start, after), max(end, after)) for word, start, end in words]
        self.given += new
        return new


def _settled(words: Sequence[Timed], guess: Sequence[Timed]) -> Sequence[Timed]:
    """Those that are not at the end of the guess."""
    return [word for word in words if word[2] <= guess[-1][2] - LAG]


def key(word: str) -> str:
    """A word for comparison: without its case and what stands around it."""
    return "".join(letter for letter in word.casefold() if letter.isalnum()) or word


def agreeing(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words both begin with."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def rest(told: Sequence[str], whole: Sequence[str]) -> int:
    """Where in `whole` begins what was not told, when some of what was told reads otherwise there."""
    if agreeing(told, whole) == len(told):
        return len(told)
    for tag, _, upto, first, until in SequenceMatcher(None, told, whole, autojunk=False).get_opcodes():
        if upto == len(told):
            # Better a word that is told twice, in two readings, than one that never is.
            return first if tag == "replace" else until
    return len(whole)


def spread(text: str, start: float, duration: float) -> list[Timed]:
    """The words of a text that was said in so many seconds, each as long as its letters make it."""
    words = [word for word in text.split() if any(letter.isalnum() for letter in word)]
    letters = sum(len(word) + 1 for word in words) - 1
    timed, at = [], 0
    for word in words:
        timed.append(
            (word, round(start + duration * at / letters, 3), round(start + duration * (at + len(word)) / letters, 3))
        )
        at += len(word) + 1
    return timed
