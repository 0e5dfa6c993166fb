"""Typing into a pane: exact bytes, in order, with a bound on what is on its way."""

from __future__ import annotations

from moorage_tmux.client import is_id
from moorage_tmux.watch import SessionWatch

CHUNK = 1024
"""Bytes of one `send-keys` command, which spells each with three characters."""
BATCH = 16
"""Commands that go to tmux at once: a large paste must not stand in everybody's way."""


def to_bytes(keys: str, *, raw: bool) -> bytes:
    """What is typed: UTF-8, with line ends as Enter sends them unless raw. ValueError for half a surrogate pair."""
    if not raw:
        keys = keys.replace("\r\n", "\r").replace("\n", "\r")
    return keys.encode()


async def type_into(watch: SessionWatch, pane: str, data: bytes) -> None:
    """Type `data` into a pane of a watched session; returns when tmux has it. TmuxError.

    What one call types is not mixed with what another one does.
    """
    if not is_id(pane):
        raise ValueError(f"{pane!r} is not a tmux id")
    commands = [
        f"send-keys -t '{pane}' -H {data[start : start + CHUNK].hex(' ')}" for start in range(0, len(data), CHUNK)
    ]
    async with watch.typing(pane):
        for start in range(0, len(commands), BATCH):
            batch = commands[start : start + BATCH]
            await watch.client.call(" ; ".join(batch), blocks=len(batch))
