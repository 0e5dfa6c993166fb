"""A pane's screen as a terminal stream: what somebody who joins now must be sent first.

One line of commands asks tmux for modes, scrollback, screen, the saved screen below an alternate one, and an
escape sequence that is half there. tmux runs such a line without letting output in between, so the answer is the
exact state after all the output that came before it in the client's stream.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from moorage_tmux.pen import SGR, Pen
from moorage_tmux.protocol import Reply, unescape

MAX_BYTES = 256 * 1024
"""A snapshot's size; the oldest scrollback is left out beyond it. The visible screen always goes in."""
MAX_PENDING = 1024 * 1024
"""Escaped bytes of what is pending; beyond it is a string without end, which the filter withholds whole."""
_ESCAPE_CUT = re.compile(rb"\\[0-7]{0,2}\Z")

_FIELDS = (
    "pane_width",
    "pane_height",
    "cursor_x",
    "cursor_y",
    "cursor_flag",
    "alternate_on",
    "alternate_saved_x",
    "alternate_saved_y",
    "insert_flag",
    "keypad_flag",
    "keypad_cursor_flag",
    "wrap_flag",
    "origin_flag",
    "mouse_standard_flag",
    "mouse_button_flag",
    "mouse_all_flag",
    "mouse_sgr_flag",
    "mouse_utf8_flag",
    "bracket_paste_flag",
    "scroll_region_upper",
    "scroll_region_lower",
    "history_size",
    "pane_tabs",
    "pane_title",
)
_FORMAT = "\t".join(f"#{{{name}}}" for name in _FIELDS)
_SHIFTS = re.compile(rb"[\x0e\x0f]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SWITCHES = (
    ("insert_flag", b"\x1b[4h"),
    ("keypad_flag", b"\x1b="),
    ("keypad_cursor_flag", b"\x1b[?1h"),
    ("mouse_standard_flag", b"\x1b[?1000h"),
    ("mouse_button_flag", b"\x1b[?1002h"),
    ("mouse_all_flag", b"\x1b[?1003h"),
    ("mouse_utf8_flag", b"\x1b[?1005h"),
    ("mouse_sgr_flag", b"\x1b[?1006h"),
    ("bracket_paste_flag", b"\x1b[?2004h"),  # Told by tmux 3.7 and newer; before, it is known from the stream alone.
)
BLOCKS = 5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A screen: `text` draws it in a terminal of `cols` x `rows`, whatever was shown there before."""

    text: str
    cols: int
    rows: int


def command(pane: str, lines: int) -> str:
    """The command line that asks for everything; `pane` is an id, `lines` how much scrollback (at least 1)."""
    capture = "capture-pane -p -e -N"
    return " ; ".join(
        (
            f"display-message -p -t '{pane}' '{_FORMAT}'",
            f"{capture} -S -{lines} -E -1 -t '{pane}'",
            f"{capture} -t '{pane}'",
            f"{capture} -a -q -t '{pane}'",
            # -C: a sequence that is half there may hold line ends, and what imitates the end of a reply behind them.
            f"capture-pane -p -P -C -t '{pane}'",
        )
    )


def rows_of_next(replies: Sequence[Reply], lines: int) -> int:
    """How many lines the reply after `replies` must have: a screen may show a line that imitates the end of one."""
    try:
        state = _state(replies[0])
    except ValueError:
        return 0  # `render` will say so.
    if len(replies) == 1:
        return max(1, min(lines, state["history_size"]))
    return state["pane_height"] if len(replies) == 2 else 0


def pending(replies: Sequence[Reply]) -> bytes:
    """The sequence that is half there, of the answer to `command`. Its rest comes with the stream.

    Of an endless one the beginning, which is enough to know it as one.
    """
    raw = b"".join(replies[4].lines)
    return unescape(raw if len(raw) <= MAX_PENDING else _ESCAPE_CUT.sub(b"", raw[:MAX_PENDING]))


def render(replies: Sequence[Reply], *, pen: Pen, modes: bytes) -> Snapshot:
    """Draw the answer to `command`, without what is pending. `pen` and `modes` are what the stream knows."""
    state = _state(replies[0])
    history = replies[1].lines if state["history_size"] else []
    screen, saved = replies[2].lines, replies[3].lines
    cols, rows = state["pane_width"], state["pane_height"]
    visible = _rows(screen)
    full = _rows(screen, strip=False)[state["cursor_y"] : state["cursor_y"] + 1] if state["cursor_x"] >= cols else []
    while visible and not visible[-1] and not history:
        visible.pop()  # Blank rows at the end are there already, unless scrollback has to be pushed out.
    # Leave an alternate screen, reset, forget the scrollback; line drawing is in G1 as terminfo's screen has it.
    out = [b"\x1b[?1049l\x1bc\x1b[3J\x1b[H\x1b[2J\x1b)0"]
    if state["alternate_on"]:
        below = _rows(saved[:rows])
        out.append(b"\r\n".join(_fitting(_rows(history), [*below, *visible]) + below))
        out.append(_move(state["alternate_saved_x"], state["alternate_saved_y"]))
        out.append(pen.below() + b"\x1b[?1049h\x1b[0m\x1b[H")
        out.append(b"\r\n".join(visible))
    else:
        out.append(b"\r\n".join(_fitting(_rows(history), visible) + visible))
    out.extend(_setting(state, full))
    out.extend((modes, pen.sequence()))
    return Snapshot(b"".join(out).decode("utf-8", "replace"), cols, rows)


class _State(dict[str, int]):
    """The formats' values as numbers; an empty one is 0."""

    tabs = ""
    title = ""


def _state(reply: Reply) -> _State:
    values = reply.text().split("\t", len(_FIELDS) - 1)
    if len(values) != len(_FIELDS):
        raise ValueError("tmux left out a part of the pane's state")
    state = _State((name, int(value or 0)) for name, value in zip(_FIELDS[:-2], values, strict=False))
    state.tabs, state.title = values[-2], _CONTROLS.sub("", values[-1])
    return state


def _rows(lines: Sequence[bytes], *, strip: bool = True) -> list[bytes]:
    """Rows that can be drawn each for itself. tmux lets the rendition run on from one row to the next, and a
    terminal that scrolls with a coloured background fills the new row with it."""
    pen, shifted = Pen(), False
    rows: list[bytes] = []
    for line in lines:
        if b"\x1b" not in line and b"\x0e" not in line and b"\x0f" not in line and pen.plain and not shifted:
            rows.append(line.rstrip(b" ") if strip else line)
            continue
        start = pen.sequence() + (b"\x0e" if shifted else b"")
        for match in SGR.finditer(line):
            pen.apply(match.group(1))
        for shift in _SHIFTS.findall(line):
            shifted = shift == b"\x0e"
        rows.append(start + line + (b"" if pen.plain else b"\x1b[0m") + (b"\x0f" if shifted else b""))
    return rows


def _fitting(history: list[bytes], rest: list[bytes]) -> list[bytes]:
    """The newest rows of `history` for which there is room beside `rest`."""
    room = MAX_BYTES - sum(map(len, rest))
    for index in range(len(history) - 1, -1, -1):
        room -= len(history[index]) + 2
        if room < 0:
            return history[index + 1 :]
    return history


def _move(x: int, y: int) -> bytes:
    return b"\x1b[%d;%dH" % (y + 1, x + 1)


def _setting(state: _State, full: list[bytes]) -> list[bytes]:
    """Tabs, margins, cursor and modes, in an order in which none undoes another.

    full: the cursor's row with all its blanks, when the cursor waits behind it to wrap.
    """
    cols, rows = state["pane_width"], state["pane_height"]
    out = [b"\x1b[0m"]
    tabs = [int(tab) for tab in state.tabs.split(",") if tab.isdigit()]
    if tabs != list(range(8, cols, 8)):
        out.append(b"\x1b[3g" + b"".join(b"\x1b[%dG\x1bH" % (tab + 1) for tab in tabs))
    upper, lower = state["scroll_region_upper"], state["scroll_region_lower"]
    if (upper, lower) != (0, rows - 1):
        out.append(b"\x1b[%d;%dr" % (upper + 1, lower + 1))
    x, y = state["cursor_x"], state["cursor_y"]
    line = y
    if state["origin_flag"]:
        out.append(b"\x1b[?6h")
        line = max(0, y - upper)
    if full:
        # The row is full and the cursor waits to wrap: only writing the row leaves a terminal in that state.
        out.append(_move(0, line) + full[0])
    else:
        out.append(_move(x, line))
    out.extend(sequence for name, sequence in _SWITCHES if state[name])
    if not state["wrap_flag"]:
        out.append(b"\x1b[?7l")
    if not state["cursor_flag"]:
        out.append(b"\x1b[?25l")
    if state.title:
        out.append(b"\x1b]2;%b\x07" % state.title.encode())
    return out
