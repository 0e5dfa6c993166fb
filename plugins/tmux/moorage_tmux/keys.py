"""Typing into a pane: exact bytes, in order, with a bound on what is on its way."""

from __future__ import annotations

from collections.abc import Callable

from moorage_tmux.client import is_id, shown
from moorage_tmux.watch import SessionWatch

SHORT = 256
"""Characters up to which a text is typed key by key; tmux needs some 5 us for each."""
CHUNK = 8192
"""Characters of a longer text that go to tmux at once: a large paste must not stand in everybody's way."""
BUFFER = "moorage"
"""The paste buffer that longer texts pass through. It is there for one command line only, which nothing interrupts."""

_ESCAPES = {code: f"\\{code:03o}" for code in (*range(1, 0x20), 0x7F, *map(ord, '"\\$~#;'))}
"""What tmux's parser would not take literally in double quotes."""


def to_text(keys: str, *, raw: bool) -> str:
    """What is typed, with line ends as Enter sends them unless raw. ValueError for half a surrogate pair."""
    keys.encode()
    return keys if raw else keys.replace("\r\n", "\r").replace("\n", "\r")


async def type_into(watch: SessionWatch, pane: str, text: str, may: Callable[[], None] | None = None) -> None:
    """Type `text`, as UTF-8, into a pane of a watched session; returns when tmux has it. TmuxError; NotRead.

    What one call types is not mixed with what another one does. may: raises when typing has to stop; asked when it is
    this text's turn, and again before each part of it.
    """
    if not is_id(pane):
        raise ValueError(f"{pane!r} is not a tmux id")
    step = CHUNK if len(text) > SHORT else SHORT
    exact = "-S" if watch.version >= (3, 7) else ""  # From 3.7 on, tmux spells control characters out without it.
    async with watch.typing(pane) as typing:
        for start in range(0, len(text), step):
            part = text[start : start + step]
            await typing.admit(len(part), lambda: _tty(watch, pane), watch.client.timeout)
            if may is not None:
                may()
            watch.tell_typists(pane, part)
            if step == SHORT:
                await _press(watch, pane, part)
            elif "\0" in part:
                # No buffer can hold it. Nobody pastes NULs, so that this is slow is no harm.
                for short in range(0, len(part), SHORT):
                    await _press(watch, pane, part[short : short + SHORT])
            else:
                buffer = f'set-buffer -b {BUFFER} "{part.translate(_ESCAPES)}"'
                await watch.client.call(f"{buffer} ; paste-buffer -d -r {exact} -b {BUFFER} -t '{pane}'", blocks=2)


async def _tty(watch: SessionWatch, pane: str) -> str:
    return "".join(shown(await watch.client.call(f"display-message -p -t '{pane}' '#{{pane_tty}}'")))


async def _press(watch: SessionWatch, pane: str, text: str) -> None:
    await watch.client.call(f"send-keys -t '{pane}' -H {text.encode().hex(' ')}")
