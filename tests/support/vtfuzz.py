"""Random output of a program for terminals, the same for the same seed: every sequence that tmux understands.

What tmux does not tell of its state is begun and ended in one piece: the saved cursor, character sets, the character
that REP repeats, and backgrounds, with which it erases.
"""

from __future__ import annotations

import random

WORDS = (
    "plain",
    "größe",
    "漢字",
    "\U0001f600",
    "e\u0301",
    "한국어",
    "ｗｉｄｅ",
    "ﬁ",
    "…",
    "\\",
    "%end 1 1 0",
    "x" * 30,
)
MOUSE = (1000, 1002, 1003, 1005, 1006)


class Program:
    """Pieces of output for a terminal of that size.

    resized: it will have other sizes. Then there are no alternate screens, since tmux fits what is below them to the
    new size only when they are left, and no tab stops of the program's own, which tmux forgets.
    """

    def __init__(self, seed: object, cols: int, rows: int, *, resized: bool = False) -> None:
        self._chance = random.Random(str(seed))
        self._cols, self._rows = cols, rows
        self._mode_below = ""
        self._kinds = [
            *(self._text,) * 8,
            *(self._wide,) * 4,
            *(self._control,) * 6,
            *(self._colour,) * 5,
            *(self._background,) * 2,
            *(self._move,) * 8,
            *(self._erase,) * 4,
            *(self._shift,) * 4,
            *(self._margins,) * 2,
            *(self._mode,) * 2,
            *(() if resized else (self._alternate, self._tabs)),
            *(self._noise,) * 2,
            self._reset,
        ]

    def piece(self) -> str:
        """What the program writes at once."""
        if self._chance.random() < 0.15:
            return self._chance.choice((self._repeat, self._pair))()
        kinds = self._chance.choices(self._kinds, k=self._chance.randint(1, 12))
        return "".join(kind() for kind in kinds)

    def _number(self, last: int) -> int:
        return self._chance.randint(1, last)

    def _text(self) -> str:
        return "".join(self._chance.choice("abc defg 0123 _-~") for _ in range(self._number(2 * self._cols)))

    def _wide(self) -> str:
        return " ".join(self._chance.choices(WORDS, k=self._number(4)))

    def _control(self) -> str:
        return self._chance.choice(("\r\n", "\r\n", "\r\n", "\n", "\r", "\b", "\t", "\x0b", "\x0c", "\x7f", "\a", "\0"))

    def _colour(self) -> str:
        chance, number = self._chance, self._number
        return chance.choice(
            (
                "\x1b[0m",
                "\x1b[m",
                f"\x1b[{29 + number(8)}m",
                f"\x1b[{89 + number(8)}m",
                f"\x1b[38;5;{number(255)}m",
                f"\x1b[38;2;{number(255)};{number(255)};{number(255)}m",
                f"\x1b[38:2::{number(255)}:{number(255)}:{number(255)}m",
                f"\x1b[{chance.choice((1, 2, 3, 4, 5, 7, 8, 9, 21, 22, 23, 24, 25, 27, 28, 29, 53, 55))}m",
                f"\x1b[1;4:{number(5)};{30 + number(7)}m",
                f"\x1b[58;5;{number(255)}m",
                "\x1b[39;59m",
            )
        )

    def _background(self) -> str:
        # Where it can wrap or scroll, tmux would fill with it.
        place = f"\x1b[{self._number(self._rows)};{self._number(self._cols - 10)}H"
        colour = self._chance.choice(
            (f"\x1b[4{self._number(7)}m", f"\x1b[48;2;1;2;{self._number(255)}m", "\x1b[7;103m")
        )
        return f"{place}\x1b[4l{colour}back{self._number(99)}\x1b[49m"

    def _move(self) -> str:
        n = self._number(self._cols)
        kind = self._chance.choice("ABCDEFGd`He")
        if kind == "H":
            return f"\x1b[{self._number(self._rows + 2)};{self._number(self._cols + 2)}H"
        return f"\x1b[{n if kind in 'CDG`' else self._number(self._rows)}{kind if kind != 'e' else 'B'}"

    def _erase(self) -> str:
        return self._chance.choice(
            ("\x1b[J", "\x1b[1J", "\x1b[2J", "\x1b[K", "\x1b[1K", "\x1b[2K", f"\x1b[{self._number(9)}X")
        )

    def _shift(self) -> str:
        return (
            f"\x1b[{self._number(5)}{self._chance.choice('@PLMST')}"
            if self._number(3) > 1
            else self._chance.choice(("\x1bM", "\x1bD", "\x1bE"))
        )

    def _margins(self) -> str:
        top = self._number(self._rows - 1)
        bottom = top + self._number(self._rows - top)
        return self._chance.choice((f"\x1b[{top};{bottom}r\x1b[H", "\x1b[r\x1b[H", "\x1b[?6h", "\x1b[?6l"))

    def _mode(self) -> str:
        modes = (1, 7, 25, 2004, 1004, *MOUSE)
        return self._chance.choice(
            [
                *("\x1b[4h", "\x1b[4l", "\x1b=", "\x1b>", "\x1b[?7h", f"\x1b[{self._number(6)} q"),
                *(f"\x1b[?{mode}{end}" for mode in modes for end in "hl"),
            ]
        )

    def _alternate(self) -> str:
        # In pairs: tmux restores what it saved last even where no alternate screen is shown.
        mode, self._mode_below = self._mode_below, "" if self._mode_below else self._chance.choice(("1049", "47"))
        return f"\x1b[?{mode}l" if mode else f"\x1b[?{self._mode_below}h"

    def _tabs(self) -> str:
        return self._chance.choice(("\x1bH", "\x1b[g", "\x1b[3g", "\t\t", f"\x1b[{self._number(3)}I", "\x1b[Z"))

    def _repeat(self) -> str:
        return f"{self._chance.choice('ab漢=')}\x1b[{self._number(self._cols)}b"

    def _pair(self) -> str:
        return self._chance.choice(
            (f"\x1b7{self._move()}saved\x1b8", "\x1b[sthere\x1b[u", "\x1b(0lqqk\x1b(B", "\x1b)0\x0ex\x0f")
        )

    def _noise(self) -> str:
        return self._chance.choice(
            (
                f"\x1b]2;title {self._number(99)}\a",
                "\x1b]0;tïtle\x1b\\",
                "\x1bkname\x1b\\",
                "\x1b[c",
                "\x1b[6n",
                "\x1b]11;?\a",
                "\x1bP$qm\x1b\\",
                "\x1b_private\x1b\\",
                "\x1b[?996n",
                "\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\",
                "\x1b]52;c;?\a",
                "\x1b[99999z",
            )
        )

    def _reset(self) -> str:
        return self._chance.choice(("\x1bc", "\x1b[!p", "\x1b[0m\x1b[r\x1b[?6l\x1b[4l\x1b[?7h", "\x1b[0m\x1b[H\x1b[2J"))
